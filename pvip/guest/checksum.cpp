#include "pvip/guest/checksum.hpp"

namespace orrery::pvip {

std::uint32_t sum_of(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const auto value = std::to_integer<std::uint32_t>(bytes[at]);
    sum += at % 2 == 0 ? value << 8 : value;
  }
  return sum;
}

std::uint16_t folded(std::uint32_t sum) {
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

} // namespace orrery::pvip
