#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX; its header stays in sha256.cpp

namespace orrery::log {

/// A SHA-256 value (FIPS 180-4).
using digest = std::array<std::uint8_t, 32>;

/// SHA-256 in pieces. One thread at a time.
class sha256 {
public:
  sha256();

  void update(std::string_view bytes);

  /// The digest of all bytes since the last `finish` (or the start), and a fresh start.
  [[nodiscard]] digest finish();

private:
  struct free_context {
    void operator()(evp_md_ctx_st* context) const;
  };

  std::unique_ptr<evp_md_ctx_st, free_context> x_context;
};

/// SHA-256 of `first` followed by `second`. Any thread; each keeps one context.
[[nodiscard]] digest sha256_of(std::string_view first, std::string_view second = {});

/// The bytes of a digest, for hashing and storing.
[[nodiscard]] inline std::string_view bytes_of(const digest& value) {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

/// 64 hexadecimal digits, lower case.
[[nodiscard]] std::string to_text(const digest& value);

/// One digest for the states of several partitions, from theirs as `to_text` writes them: of the
/// lines `<partition> <digest>`, ascending.
[[nodiscard]] std::string combine(const std::map<partition_number, std::string>& digests);

/// Parses what `to_text` writes (any case). Errors: `invalid_argument`.
[[nodiscard]] result<digest> parse_digest(std::string_view text);

} // namespace orrery::log
