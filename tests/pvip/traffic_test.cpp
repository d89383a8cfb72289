#include "pvip/plan/traffic.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace orrery::pvip {
namespace {

TEST(pvip_traffic, a_total_at_the_end_of_its_bits_stays_there) {
  constexpr auto max = std::numeric_limits<std::uint64_t>::max();
  const running_count full{.total = {.packets = max - 1, .bytes = max}, .last = {}};
  const auto after = counted_on(full, {.packets = 7, .bytes = 700});
  EXPECT_EQ(after.total, (packet_count{.packets = max, .bytes = max}));
}

TEST(pvip_traffic, a_counter_that_began_again_counts_from_nothing) {
  running_count count = counted_on({}, {.packets = 10, .bytes = 1'000});
  count = counted_on(count, {.packets = 3, .bytes = 300});
  EXPECT_EQ(count.total, (packet_count{.packets = 13, .bytes = 1'300}));
  // Fewer bytes in more packets: it began again, too.
  count = counted_on(count, {.packets = 4, .bytes = 200});
  EXPECT_EQ(count.total, (packet_count{.packets = 17, .bytes = 1'500}));
}

TEST(pvip_traffic, the_same_reading_twice_adds_nothing) {
  const auto once = counted_on({}, {.packets = 10, .bytes = 1'000});
  EXPECT_EQ(counted_on(once, {.packets = 10, .bytes = 1'000}), once);
}

TEST(pvip_traffic, a_move_to_a_counter_that_is_further_loses_and_repeats_nothing) {
  const auto left = counted_on({}, {.packets = 10, .bytes = 1'000});
  const auto moved = counted_on(carried_over(left), {.packets = 20, .bytes = 2'000});
  EXPECT_EQ(moved.total, (packet_count{.packets = 30, .bytes = 3'000}));
}

} // namespace
} // namespace orrery::pvip
