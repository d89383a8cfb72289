#include "pvip/plan/traffic.hpp"

#include <limits>

namespace orrery::pvip {

namespace {

std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
  constexpr auto max = std::numeric_limits<std::uint64_t>::max();
  return b > max - a ? max : a + b;
}

} // namespace

running_count counted_on(const running_count& before, const packet_count& reading) {
  const bool began_again =
      reading.packets < before.last.packets || reading.bytes < before.last.bytes;
  const packet_count last = began_again ? packet_count{} : before.last;
  return {.total = {.packets = sum(before.total.packets, reading.packets - last.packets),
                    .bytes = sum(before.total.bytes, reading.bytes - last.bytes)},
          .last = reading};
}

running_count carried_over(const running_count& before) {
  return {.total = before.total, .last = {}};
}

} // namespace orrery::pvip
