#pragma once

#include "events/core/error.hpp"
#include "events/core/units.hpp"

#include <chrono>
#include <string_view>

namespace orrery::cli {

/// "192MiB", "1GiB", "2TiB": a whole number and a binary unit, at least 1 MiB, at most 1,024 TiB.
/// Errors: `invalid_argument`, with the forms that are taken.
[[nodiscard]] result<mib> parse_memory(std::string_view text);

/// "192MiB", or "2GiB" when it is a whole number of them.
[[nodiscard]] std::string memory_text(mib size);

/// "300ms", "90s", "10m", "1h", or "90" for seconds; more than 0, at most 24 hours. Errors:
/// `invalid_argument`, with the forms that are taken.
[[nodiscard]] result<std::chrono::milliseconds> parse_duration(std::string_view text);

} // namespace orrery::cli
