#pragma once

#include "actors/config.hpp"
#include "events/core/error.hpp"

#include <string>

namespace orrery::tools {

/// Reads a configuration file (TOML). Every key must be a known one of the right type, so that a
/// typo is an error and never a default. Errors: `config_invalid`, naming file, line, key, and what
/// is known there; `io_failed`.
[[nodiscard]] result<actors::config> read_config(const std::string& path);

/// The same from a text; `name` stands for the file in errors.
[[nodiscard]] result<actors::config> parse_config(const std::string& text, const std::string& name);

} // namespace orrery::tools
