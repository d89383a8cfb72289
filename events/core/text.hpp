#pragma once

#include "events/core/error.hpp"

#include <string>
#include <string_view>

namespace orrery {

/// True for well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF).
[[nodiscard]] bool is_utf8(std::string_view text);

/// The longest name of a resource, in bytes. 63 as a DNS label, since names become host names.
inline constexpr std::size_t name_size_max = 63;

/// Checks a resource name: 1 to 63 of a-z, 0-9 and '-', starting with a letter, not ending with
/// '-'. `what` names the field in the error text. Errors: `invalid_argument`.
[[nodiscard]] result<void> check_name(std::string_view what, std::string_view name);

/// A letter or digit of ASCII, or one of '.', '_' and '-': means nothing in paths, URIs, shells and
/// configurations.
[[nodiscard]] constexpr bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

/// The same, or '/'.
[[nodiscard]] constexpr bool is_plain_in_path(char c) { return is_plain(c) || c == '/'; }

/// How much of a bad input an error shows, in bytes: enough to know it again.
inline constexpr std::size_t text_shown_max = 64;

/// `text` cut to at most `size_max` bytes at a character boundary, control characters and broken
/// UTF-8 replaced by '?': for texts of hypervisors and kernels that go into events and logs.
[[nodiscard]] std::string printable(std::string_view text, std::size_t size_max);

} // namespace orrery
