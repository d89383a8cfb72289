#include "pvip/guest/token_bucket.hpp"

#include <gtest/gtest.h>

#include <random>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

constexpr rate some{.interval = 250ms, .burst = 4};

int taken_at(token_bucket& from, std::chrono::nanoseconds now) {
  int count = 0;
  while (from.take(now)) {
    ++count;
  }
  return count;
}

TEST(pvip_token_bucket, a_burst_and_then_one_for_each_interval) {
  token_bucket bucket(some);
  EXPECT_EQ(taken_at(bucket, 1h), 4);
  EXPECT_EQ(taken_at(bucket, 1h + 249ms), 0);
  EXPECT_EQ(taken_at(bucket, 1h + 250ms), 1);
  EXPECT_EQ(taken_at(bucket, 1h + 750ms), 2);
}

TEST(pvip_token_bucket, what_was_not_used_is_kept_up_to_a_burst) {
  token_bucket bucket(some);
  EXPECT_EQ(taken_at(bucket, 0s), 4);
  EXPECT_EQ(taken_at(bucket, 10h), 4);
}

TEST(pvip_token_bucket, in_any_span_no_more_than_a_burst_and_its_intervals) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  token_bucket bucket(some);
  std::chrono::nanoseconds now{};
  long taken = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += std::chrono::microseconds(random() % 100'000);
    taken += bucket.take(now) ? 1 : 0;
    ASSERT_LE(taken, some.burst + now / some.interval) << "seed " << seed;
  }
  EXPECT_GE(taken, now / some.interval - some.burst) << "seed " << seed; // asked often enough
}

} // namespace
} // namespace orrery::pvip
