#pragma once

#include "events/core/error.hpp"
#include "events/core/units.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery::cli {

/// "192MiB", "1GiB", "2TiB": a whole number and a binary unit, at least 1 MiB, at most 1,024 TiB.
/// Errors: `invalid_argument`, with the forms that are taken.
[[nodiscard]] result<mib> parse_memory(std::string_view text);

/// "192MiB", or "2GiB" when it is a whole number of them.
[[nodiscard]] std::string memory_text(mib size);

/// "100M", "1G", "2500k", "100000000": bits a second, a whole number and a unit of thousands, with
/// or without "bit" behind it; or "none", which is 0. Errors: `invalid_argument`, with the forms
/// that are taken.
[[nodiscard]] result<std::uint64_t> parse_rate(std::string_view text);

/// "100M", "1500k"; "-" for 0, which is none.
[[nodiscard]] std::string rate_text(std::uint64_t bits_a_second);

/// "300ms", "90s", "10m", "1h", or "90" for seconds; more than 0, at most 24 hours. Errors:
/// `invalid_argument`, with the forms that are taken.
[[nodiscard]] result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// `text` as `parse_duration`, in whole seconds, for the API. Throws `failure` (usage), which
/// begins with `what`, for anything else.
[[nodiscard]] std::uint64_t whole_seconds(std::string_view what, const std::string& text);

} // namespace orrery::cli
