#include "tests/events/log/liveness_view.hpp"

#include <gtest/gtest.h>

namespace orrery::log {
namespace {

using namespace testing_liveness;

/// Two processes, a partition that falls to the other one, and work that waits for it.
struct waiting_work {
  view seen;
  const partition_number where = one_of(other, {self, other});
  std::uint64_t seq = 1;

  waiting_work() {
    for (std::uint32_t at = 0; at < suspect_at; ++at)
      round();
  }

  void round() {
    auto said = seen.next(other);
    said.owned = {{where, seq}};
    seen->on_heartbeat(said);
    seen.own();
  }

  void round_of_waiting(std::uint32_t count) {
    for (std::uint32_t at = 0; at < count; ++at) {
      seen->work_waits(where, other);
      round();
    }
  }

  void bar() {
    round_of_waiting(stuck_at);
    seen->work_waits(where, other);
  }
};

TEST(liveness_of_owners, one_that_beats_without_progress_while_work_waits_is_barred_there_only) {
  waiting_work at;
  at.round_of_waiting(stuck_at);
  EXPECT_EQ(at.seen->chosen(at.where), other);
  at.seen->work_waits(at.where, other);
  EXPECT_EQ(at.seen->chosen(at.where), self);
  EXPECT_TRUE(at.seen->is_live(other));
  bool owns_another = false;
  for (std::uint16_t where = 0; where < 64; ++where)
    owns_another = owns_another || at.seen->chosen(partition_number{where}) == other;
  EXPECT_TRUE(owns_another);
}

TEST(liveness_of_owners, one_that_never_names_the_partition_is_barred_too) {
  view seen;
  const auto where = one_of(other, {self, other});
  for (std::uint32_t at = 0; at < stuck_at; ++at) {
    seen->work_waits(where, other);
    seen.round({other});
  }
  seen->work_waits(where, other);
  EXPECT_EQ(seen->chosen(where), self);
}

TEST(liveness_of_owners, progress_clears_it) {
  waiting_work at;
  for (int again = 0; again < 10; ++again) {
    at.round_of_waiting(stuck_at - 1);
    ++at.seq;
    at.round_of_waiting(1);
  }
  EXPECT_EQ(at.seen->chosen(at.where), other);
}

TEST(liveness_of_owners, standing_still_without_work_is_no_fault) {
  waiting_work at;
  at.round_of_waiting(stuck_at);
  for (std::uint32_t count = 0; count < 10 * stuck_at; ++count)
    at.round();
  at.round_of_waiting(stuck_at);
  EXPECT_EQ(at.seen->chosen(at.where), other);
}

TEST(liveness_of_owners, own_heartbeats_that_come_back_in_threes_are_counted_well) {
  waiting_work at;
  for (std::uint32_t count = 0; count < stuck_at; count += 3) {
    at.seen->work_waits(at.where, other);
    at.round();
    at.round();
    at.round();
  }
  at.seen->work_waits(at.where, other);
  EXPECT_EQ(at.seen->chosen(at.where), self);
}

TEST(liveness_of_owners, another_owner_is_judged_anew) {
  waiting_work at;
  at.round_of_waiting(stuck_at);
  at.seen->work_waits(at.where, third);
  at.round();
  at.round_of_waiting(stuck_at);
  EXPECT_EQ(at.seen->chosen(at.where), other);
}

TEST(liveness_of_owners, a_claim_of_the_barred_one_gives_it_another_chance) {
  waiting_work at;
  at.bar();
  at.seen->on_claim(at.where, self);
  EXPECT_EQ(at.seen->chosen(at.where), self); // or it would be given back at once
  at.seen->on_claim(at.where, other);
  EXPECT_EQ(at.seen->chosen(at.where), other);
}

TEST(liveness_of_owners, who_waits_takes_the_barred_ones_place) {
  view seen;
  // The own process comes last of all three: the others, for whom no work waits, see no fault.
  std::uint16_t number = 0;
  const auto weight = [&number](process_id one) {
    return rendezvous_weight(one, partition_number{number});
  };
  while (!(weight(self) < weight(third) && weight(third) < weight(other)))
    ++number;
  const partition_number where{number};
  for (std::uint32_t at = 0; at <= stuck_at; ++at) {
    seen->work_waits(where, other);
    seen.round({other, third});
  }
  seen->work_waits(where, other);
  EXPECT_EQ(seen->chosen(where), self);
}

TEST(liveness_of_owners, one_that_is_barred_but_not_chosen_changes_nothing) {
  view seen;
  const auto where = one_of(third, {self, other, third});
  for (std::uint32_t at = 0; at <= stuck_at; ++at) {
    seen->work_waits(where, other);
    seen.round({other, third});
  }
  seen->work_waits(where, other);
  EXPECT_EQ(seen->chosen(where), third) << "it has not claimed yet";
}

TEST(liveness_of_owners, a_bar_ends) {
  waiting_work at;
  at.bar();
  for (std::uint32_t count = 0; count < barred_for - 1; ++count)
    at.round();
  EXPECT_EQ(at.seen->chosen(at.where), self);
  at.round();
  EXPECT_EQ(at.seen->chosen(at.where), other);
}

TEST(liveness_of_owners, the_only_one_that_there_is_stays_the_chosen_one) {
  view seen;
  for (std::uint32_t at = 0; at < 10 * stuck_at; ++at) {
    seen->work_waits(zero, self);
    seen.own();
  }
  EXPECT_TRUE(seen->should_own(zero));
}

} // namespace
} // namespace orrery::log
