#include "events/core/wide.hpp"

#include <algorithm>

namespace orrery {

std::string to_text(uint128 number) {
  std::string digits;
  do {
    digits += static_cast<char>('0' + static_cast<int>(number % 10));
    number /= 10;
  } while (number != 0);
  std::ranges::reverse(digits);
  return digits;
}

std::optional<uint128> parse_uint128(std::string_view text) {
  constexpr auto most = ~uint128{0};
  if (text.empty() || (text.size() > 1 && text.front() == '0'))
    return std::nullopt;
  uint128 number = 0;
  for (const auto digit : text) {
    if (digit < '0' || digit > '9')
      return std::nullopt;
    const auto value = static_cast<unsigned>(digit - '0');
    if (number > (most - value) / 10)
      return std::nullopt;
    number = number * 10 + value;
  }
  return number;
}

std::optional<uint128> sum_of(uint128 left, uint128 right) {
  if (left > ~uint128{0} - right)
    return std::nullopt;
  return left + right;
}

} // namespace orrery
