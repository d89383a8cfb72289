#include "tests/events/log/liveness_view.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

namespace orrery::log {
namespace {

using namespace testing_liveness;
using std::chrono::milliseconds;

TEST(claim_pacer, the_first_claim_goes_at_once_and_the_next_after_a_second) {
  for (const std::uint64_t random : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    claim_pacer pacer;
    EXPECT_TRUE(pacer.may_claim(milliseconds(0)));
    pacer.on_sent(milliseconds(100), random);
    EXPECT_FALSE(pacer.may_claim(milliseconds(1099)));
    EXPECT_TRUE(pacer.may_claim(milliseconds(1600)));
  }
}

TEST(claim_pacer, jitter_spreads_over_half_a_pause) {
  std::set<milliseconds> seen;
  std::mt19937_64 random(1);
  for (int at = 0; at < 5000; ++at) {
    claim_pacer pacer;
    pacer.on_sent(milliseconds(0), random());
    seen.insert(pacer.next());
  }
  EXPECT_EQ(*seen.begin(), milliseconds(1000));
  EXPECT_EQ(*seen.rbegin(), milliseconds(1500));
  EXPECT_GT(seen.size(), 400U);
}

TEST(claim_pacer, short_epochs_double_the_pause_up_to_eight_seconds) {
  claim_pacer pacer;
  milliseconds now{0};
  std::vector<milliseconds> pauses;
  for (int at = 0; at < 6; ++at) {
    pacer.on_sent(now, 0);
    pacer.on_accepted(now);
    now += milliseconds(100);
    pacer.on_deposed(now, 0);
    pauses.push_back(pacer.next() - now);
    now = pacer.next();
  }
  const std::vector<milliseconds> wanted{milliseconds(2000), milliseconds(4000),
                                         milliseconds(8000), milliseconds(8000),
                                         milliseconds(8000), milliseconds(8000)};
  EXPECT_EQ(pauses, wanted);
}

TEST(claim_pacer, who_yields_is_not_slowed_down) {
  claim_pacer pacer;
  for (int at = 0; at < 5; ++at) {
    const milliseconds now(10'000 * at);
    EXPECT_TRUE(pacer.may_claim(now));
    pacer.on_sent(now, 0);
    pacer.on_accepted(now);
    pacer.on_yielded();
  }
  EXPECT_EQ(pacer.next(), milliseconds(40'000) + claim_pacer::pause_min);
}

TEST(claim_pacer, a_long_epoch_brings_the_first_pace_back) {
  claim_pacer pacer;
  for (int at = 0; at < 5; ++at) {
    pacer.on_accepted(milliseconds(0));
    pacer.on_deposed(milliseconds(1), 0);
  }
  pacer.on_accepted(milliseconds(100'000));
  const auto end = milliseconds(100'000) + claim_pacer::short_epoch;
  pacer.on_deposed(end, 0);
  EXPECT_EQ(pacer.next(), end + claim_pacer::pause_min);
}

TEST(claim_pacer, a_deposed_owner_waits_however_long_it_had_owned) {
  claim_pacer pacer;
  pacer.on_sent(milliseconds(0), 0);
  pacer.on_accepted(milliseconds(1));
  pacer.on_deposed(milliseconds(1'000'000), 0);
  EXPECT_FALSE(pacer.may_claim(milliseconds(1'000'999)));
  EXPECT_TRUE(pacer.may_claim(milliseconds(1'001'000)));
}

TEST(claim_pacer, an_owner_in_doubt_claims_at_once_after_a_long_epoch_only) {
  claim_pacer pacer;
  pacer.on_sent(milliseconds(0), 0);
  pacer.on_accepted(milliseconds(1));
  pacer.on_doubt(milliseconds(20'000), 0);
  EXPECT_TRUE(pacer.may_claim(milliseconds(20'000)));
  pacer.on_sent(milliseconds(20'000), 0);
  pacer.on_accepted(milliseconds(20'001));
  pacer.on_doubt(milliseconds(20'100), 0);
  EXPECT_FALSE(pacer.may_claim(milliseconds(21'999)));
  EXPECT_TRUE(pacer.may_claim(milliseconds(22'000)));
}

TEST(claim_pacer, a_lost_claim_changes_no_pace) {
  claim_pacer pacer;
  milliseconds now{0};
  for (int at = 0; at < 10; ++at) {
    pacer.on_sent(now, 0);
    EXPECT_EQ(pacer.next(), now + claim_pacer::pause_min);
    now = pacer.next();
  }
}

TEST(claim_pacer, two_that_take_a_partition_from_each_other_slow_down) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    std::vector<claim_pacer> both(2);
    std::size_t owner = 2;
    int claims = 0;
    for (milliseconds now{0}; now < milliseconds(60'000); now += milliseconds(10))
      for (std::size_t at = 0; at < both.size(); ++at) {
        if (at == owner || !both[at].may_claim(now))
          continue;
        both[at].on_sent(now, random());
        both[at].on_accepted(now);
        if (owner < both.size())
          both[owner].on_deposed(now, random());
        owner = at;
        ++claims;
      }
    EXPECT_LT(claims, 25); // at one a second each it would be more than 80
    EXPECT_GT(claims, 5);
  }
}

TEST(shall_claim, needs_the_right_and_the_pace) {
  view seen;
  claim_pacer pacer;
  EXPECT_FALSE(seen->shall_claim(zero, pacer, milliseconds(0)));
  seen.own(suspect_at);
  EXPECT_TRUE(seen->shall_claim(zero, pacer, milliseconds(0)));
  pacer.on_sent(milliseconds(0), 0);
  EXPECT_FALSE(seen->shall_claim(zero, pacer, milliseconds(1)));
  EXPECT_FALSE(seen->shall_claim(one_of(other, {self, other}), pacer, milliseconds(1)));
}

} // namespace
} // namespace orrery::log
