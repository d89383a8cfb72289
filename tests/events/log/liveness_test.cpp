#include "tests/events/log/liveness_view.hpp"

#include <gtest/gtest.h>

namespace orrery::log {
namespace {

using namespace testing_liveness;

TEST(liveness, heartbeats_without_a_process_or_number_are_nobodys) {
  view seen;
  heartbeat made;
  made.number = 1;
  seen->on_heartbeat(made);
  made.process = other;
  made.number = 0;
  seen->on_heartbeat(made);
  EXPECT_TRUE(seen->others().empty());
}

TEST(liveness, a_silent_process_is_suspect_at_the_fourth_own_heartbeat_that_came_back) {
  view seen;
  seen.round({other}, 4);
  seen.own(2); // the round ended with the first one
  EXPECT_TRUE(seen->is_live(other));
  seen.own();
  EXPECT_FALSE(seen->is_live(other));
  EXPECT_EQ(seen->chosen(one_of(other, {self, other})), self);
}

TEST(liveness, one_heartbeat_of_a_suspect_brings_it_back) {
  view seen;
  seen.round({other}, 4);
  seen.own(100);
  EXPECT_FALSE(seen->is_live(other));
  seen.beat(other);
  EXPECT_TRUE(seen->is_live(other));
}

TEST(liveness, an_old_or_repeated_heartbeat_of_a_dead_one_does_not_bring_it_back) {
  view seen;
  const auto first = seen.next(other);
  const auto last = seen.next(other);
  seen->on_heartbeat(last);
  seen.own(suspect_at);
  seen->on_heartbeat(first);
  seen->on_heartbeat(last);
  EXPECT_FALSE(seen->is_live(other));
}

TEST(liveness, a_repeated_own_heartbeat_is_no_count_of_silence) {
  view seen;
  seen.beat(other);
  const auto mine = seen.next(self);
  for (int at = 0; at < 100; ++at)
    seen->on_heartbeat(mine);
  EXPECT_TRUE(seen->is_live(other));
  EXPECT_FALSE(seen->is_settled());
}

TEST(liveness, a_board_that_stands_still_makes_nobody_suspect) {
  view seen;
  seen.round({other, third}, 10);
  // Nothing comes back, however much time passes and work waits.
  for (int at = 0; at < 10'000; ++at)
    seen->work_waits(zero, other);
  EXPECT_TRUE(seen->is_live(other));
  EXPECT_TRUE(seen->is_live(third));
  EXPECT_TRUE(seen->is_live(self));
}

TEST(liveness, others_heartbeats_alone_make_nobody_suspect) {
  view seen;
  seen.round({other, third}, 4);
  for (int at = 0; at < 1000; ++at)
    seen.beat(third);
  EXPECT_TRUE(seen->is_live(other));
}

TEST(liveness, nothing_is_owned_before_it_is_known_who_lives) {
  view seen;
  seen.own(suspect_at - 1);
  EXPECT_FALSE(seen->is_settled());
  EXPECT_EQ(seen->chosen(zero), self);
  EXPECT_FALSE(seen->should_own(zero));
  seen.own();
  EXPECT_TRUE(seen->is_settled());
  EXPECT_TRUE(seen->should_own(zero));
}

TEST(liveness, the_own_process_lives_by_its_own_heartbeats) {
  view seen;
  seen.beat(other);
  EXPECT_FALSE(seen->is_live(self));
  seen.own();
  EXPECT_TRUE(seen->is_live(self));
  seen.own(10'000);
  EXPECT_TRUE(seen->is_live(self));
}

TEST(liveness, who_is_not_ready_or_leaves_is_not_chosen) {
  for (const bool leaves : {false, true}) {
    view seen;
    seen.own(suspect_at);
    auto said = seen.next(other);
    said.ready = leaves;
    said.leaving = leaves;
    seen->on_heartbeat(said);
    EXPECT_TRUE(seen->is_live(other));
    for (std::uint16_t where = 0; where < 64; ++where)
      EXPECT_TRUE(seen->should_own(partition_number{where}));
  }
}

TEST(liveness, the_own_process_gives_everything_up_when_it_said_that_it_leaves) {
  view seen;
  seen.round({other}, suspect_at);
  auto said = seen.next(self);
  said.leaving = true;
  seen->on_heartbeat(said);
  for (std::uint16_t where = 0; where < 64; ++where)
    EXPECT_EQ(seen->chosen(partition_number{where}), other);
}

TEST(liveness, nobody_is_chosen_where_nobody_is_ready) {
  view seen;
  auto said = seen.next(self);
  said.ready = false;
  seen->on_heartbeat(said);
  EXPECT_EQ(seen->chosen(zero), std::nullopt);
}

TEST(liveness, a_restarted_count_begins_with_everybody_alive) {
  view seen;
  seen.round({other, third}, 4);
  seen.own(suspect_at);
  seen->restart_count();
  EXPECT_TRUE(seen->is_live(other));
  seen.own(suspect_at - 1);
  EXPECT_TRUE(seen->is_live(other));
  seen.own();
  EXPECT_FALSE(seen->is_live(other));
}

TEST(liveness, after_a_break_everybody_has_time_to_come_back) {
  view seen;
  seen.round({other, third}, 4);
  seen->on_break();
  seen.own(reconnect_grace + suspect_at - 1);
  EXPECT_TRUE(seen->is_live(other));
  seen.own();
  EXPECT_FALSE(seen->is_live(other));
  EXPECT_TRUE(seen->is_live(self));
}

TEST(liveness, who_came_back_after_a_break_has_no_grace_any_more) {
  view seen;
  seen.round({other, third}, 4);
  seen->on_break();
  seen.beat(other);
  seen.own(suspect_at);
  EXPECT_FALSE(seen->is_live(other));
  EXPECT_TRUE(seen->is_live(third));
}

TEST(liveness, an_accepted_claim_restarts_the_count_of_those_that_are_not_suspect) {
  view seen;
  seen.round({other}, 4);
  seen.own(suspect_at - 2); // the round ended with the first one
  seen->on_claim(zero, third);
  seen.own(suspect_at - 1);
  EXPECT_TRUE(seen->is_live(other));
  seen.own();
  EXPECT_FALSE(seen->is_live(other));
}

TEST(liveness, an_accepted_claim_does_not_bring_the_dead_owner_of_other_partitions_back) {
  view seen;
  seen.round({other}, 4);
  seen.own(suspect_at);
  seen->on_claim(zero, self);
  EXPECT_FALSE(seen->is_live(other));
  seen->on_claim(zero, std::nullopt);
  EXPECT_FALSE(seen->is_live(other));
}

TEST(liveness, who_claims_lives_though_it_was_suspect) {
  view seen;
  seen.round({other}, 4);
  seen.own(suspect_at);
  seen->on_claim(zero, other);
  EXPECT_TRUE(seen->is_live(other));
}

TEST(liveness, a_long_silence_is_forgotten) {
  view seen;
  seen.round({other}, 4);
  seen.own(forget_at - 2); // the round ended with the first one
  EXPECT_NE(seen->find(other), nullptr);
  seen.own();
  EXPECT_EQ(seen->find(other), nullptr);
  EXPECT_TRUE(seen->others().empty());
}

TEST(liveness, a_board_full_of_strangers_fills_no_memory_and_hides_nobody_that_lives) {
  view seen;
  seen.round({other}, 4);
  for (std::uint64_t stranger = 10; stranger < 10 + 3 * processes_max; ++stranger)
    seen.beat(process_id{stranger});
  EXPECT_EQ(seen->others().size(), processes_max - 1);
  EXPECT_TRUE(seen->is_live(other));
  seen.round({other}, suspect_at); // now the strangers are suspect and make room
  seen.beat(third);
  EXPECT_TRUE(seen->is_live(third));
  EXPECT_TRUE(seen->is_live(other));
  EXPECT_LE(seen->others().size(), processes_max);
}

TEST(liveness, what_a_process_said_last_is_told) {
  view seen;
  auto said = seen.next(other);
  said.address = "host:1";
  said.owned = {{zero, 7}};
  seen->on_heartbeat(said);
  seen.own();
  const auto others = seen->others();
  ASSERT_EQ(others.size(), 1U);
  EXPECT_EQ(others.front().last, said);
  EXPECT_EQ(others.front().silence, 1U);
}

} // namespace
} // namespace orrery::log
