#include "tests/actors/bench_engine.hpp"

#include <gtest/gtest.h>

// An engine and a clock that jumps, without actors, on a log that never goes wrong.

namespace orrery::actors {

namespace {

using std::chrono::hours;
using std::chrono::seconds;

v1::Command trusting() {
  auto made = support::with_origin(support::trust_clock(), 99, 1);
  domain::set(made.mutable_id(), support::command_number(1));
  domain::set(made.mutable_entity(), support::installation());
  return made;
}

} // namespace

TEST(engine_clock, an_owner_whose_clock_is_right_decides) {
  bench_engine one;
  own(one);
  EXPECT_EQ(one.end(), 2u) << "the claim, and the founding of the installation";
  EXPECT_EQ(one.core().status().alarm, "");
}

TEST(engine_clock, a_clock_that_jumped_before_the_first_claim_decides_nothing) {
  bench_engine one;
  one.jump(hours(1));
  own(one);
  EXPECT_EQ(one.end(), 1u) << "the claim only";
  EXPECT_NE(one.core().status().alarm.find("clock"), std::string::npos);
}

TEST(engine_clock, an_operators_word_lets_it_decide) {
  bench_engine one;
  own(one);
  one.jump(hours(1));
  one.pass(seconds(1));
  EXPECT_NE(one.core().status().alarm.find("clock"), std::string::npos) << "seen by a tick";
  one.core().on_carried(trusting());
  one.settle();
  EXPECT_EQ(one.end(), 3u);
  EXPECT_EQ(one.core().status().alarm, "");
}

TEST(engine_clock, his_word_brought_again_trusts_no_other_jump) {
  bench_engine one;
  own(one);
  one.core().on_carried(trusting());
  one.settle();
  const auto end = one.end();
  one.jump(hours(1));
  one.core().on_carried(trusting());
  one.settle();
  EXPECT_EQ(one.end(), end);
  EXPECT_NE(one.core().status().alarm.find("clock"), std::string::npos);
}

TEST(engine_clock, a_clock_that_was_always_wrong_is_seen_by_the_logs_own) {
  for (const auto wrong : {hours(1), hours(-1)}) {
    bench_engine one;
    one.log_error = wrong;
    own(one);
    EXPECT_EQ(one.end(), 1u) << "the claim only";
    EXPECT_NE(one.core().status().alarm.find("the log's own clock"), std::string::npos)
        << one.core().status().alarm;
  }
}

TEST(engine_clock, a_log_whose_clock_agrees_within_seconds_is_no_alarm) {
  bench_engine one;
  one.log_error = seconds(4);
  own(one);
  one.log_error = seconds(-4);
  one.core().on_carried(trusting());
  one.settle();
  EXPECT_EQ(one.end(), 3u);
  EXPECT_EQ(one.core().status().alarm, "");
}

TEST(engine_clock, a_process_that_stood_still_while_its_record_was_under_way_is_no_alarm) {
  bench_engine one;
  one.log_error = seconds(0);
  one.on_way = [&one] { one.stand_still(seconds(20)); };
  own(one);
  one.pass(seconds(1));
  EXPECT_EQ(one.end(), 2u);
  EXPECT_EQ(one.core().status().alarm, "");
}

TEST(engine_clock, a_log_whose_clock_goes_wrong_stops_what_comes_after) {
  bench_engine one;
  one.log_error = seconds(0);
  own(one);
  one.log_error = hours(1);
  auto any = support::with_origin(support::add_cluster(), 99, 1);
  domain::set(any.mutable_id(), support::command_number(1));
  domain::set(any.mutable_entity(), support::command_number(1));
  one.core().on_carried(any);
  one.settle();
  const auto end = one.end();
  one.pass(seconds(1));
  EXPECT_NE(one.core().status().alarm.find("the log's own clock"), std::string::npos);
  EXPECT_EQ(one.end(), end);
}

TEST(engine_clock, an_operators_word_counts_against_the_logs_clock_too) {
  bench_engine one;
  one.log_error = hours(1);
  own(one);
  one.core().on_carried(trusting());
  one.settle();
  EXPECT_EQ(one.core().status().alarm, "");
  EXPECT_EQ(one.end(), 2u) << "the founding that waited, and his word";
  one.pass(seconds(1));
  EXPECT_EQ(one.core().status().alarm, "") << "the difference is known now";
}

} // namespace orrery::actors
