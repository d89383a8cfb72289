#pragma once

#include "events/core/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery {

/// A moment in UTC, microseconds since 1970. The only time type of the product.
using utc_time = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

/// Microseconds since 1970-01-01T00:00:00Z, as stored in the log.
[[nodiscard]] constexpr std::uint64_t to_micros(utc_time when) {
  return static_cast<std::uint64_t>(when.time_since_epoch().count());
}

[[nodiscard]] constexpr utc_time from_micros(std::uint64_t micros) {
  return utc_time(std::chrono::microseconds(static_cast<std::int64_t>(micros)));
}

/// ISO 8601 in UTC with microseconds: `2026-11-22T09:14:02.113000Z`. Years 1970 to 9999.
[[nodiscard]] std::string to_text(utc_time when);

/// Parses what `to_text` writes; the fraction may be missing or have 1 to 6 digits. Errors:
/// `invalid_argument`.
[[nodiscard]] result<utc_time> parse_time(std::string_view text);

} // namespace orrery
