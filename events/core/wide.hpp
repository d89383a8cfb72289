#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace orrery {

/// For products that pass 64 bits: an amount of 64 bits over a time in microseconds.
using uint128 = unsigned __int128;

/// Decimal digits, without leading zeros.
[[nodiscard]] std::string to_text(uint128 number);

/// Reads what `to_text` writes; nothing for anything else, and for a number that does not fit.
[[nodiscard]] std::optional<uint128> parse_uint128(std::string_view text);

/// The sum; nothing when it does not fit.
[[nodiscard]] std::optional<uint128> sum_of(uint128 left, uint128 right);

} // namespace orrery
