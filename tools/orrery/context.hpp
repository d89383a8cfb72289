#pragma once

#include "events/core/error.hpp"

#include <optional>
#include <string>

namespace orrery::cli {

/// Where `orreryd` listens when nobody says otherwise.
inline constexpr const char* default_url = "http://127.0.0.1:7480";
/// Of a context or token file; both are a few lines.
inline constexpr std::size_t small_file_size_max = std::size_t{64} * 1024;

/// What the flags say; empty where they say nothing.
struct context_flags {
  std::string file; ///< --context
  std::string url;
  std::string token_file;
};

/// Which API to talk to and as whom. Each value is the first that is there of: flag, environment
/// (ORRERY_URL, ORRERY_TOKEN_FILE), the file of --context or else of
/// $XDG_CONFIG_HOME/orrery/context.toml (~/.config/…) or else /etc/orrery/context.toml, default.
struct context {
  std::string url = default_url;
  std::string url_source = "the default";
  std::string token_file; ///< empty: none is set
};

/// Reads flags, environment and file. Errors: `config_invalid`, with file and line.
[[nodiscard]] result<context> find_context(const context_flags& flags);

/// The token of a file: its one line. Errors: `unauthenticated`, with the reason and the way out.
[[nodiscard]] result<std::string> read_token(const std::string& file);

} // namespace orrery::cli
