#include "events/log/liveness.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace orrery::log {

namespace {

using std::chrono::milliseconds;

constexpr process_id self{1};
constexpr process_id other{2};
constexpr process_id third{3};
constexpr partition_number zero{0};
constexpr std::uint64_t seeds = 50;

/// One view, and the board as it sees it.
class view {
public:
  explicit view(process_id mine = self) : x_mine(mine), x_liveness(mine) {}

  liveness& operator*() { return x_liveness; }

  liveness* operator->() { return &x_liveness; }

  /// A heartbeat of a process, ready, with its next number.
  heartbeat next(process_id process) {
    heartbeat made;
    made.process = process;
    made.number = ++x_numbers[process];
    made.ready = true;
    return made;
  }

  void beat(process_id process) { x_liveness.on_heartbeat(next(process)); }

  void own(std::uint32_t count = 1) {
    for (std::uint32_t at = 0; at < count; ++at)
      beat(x_mine);
  }

  /// Everybody in `all` beats, the own process last, so many times.
  void round(const std::vector<process_id>& all, std::uint32_t count = 1) {
    for (std::uint32_t at = 0; at < count; ++at) {
      for (const auto process : all)
        beat(process);
      own();
    }
  }

private:
  process_id x_mine;
  liveness x_liveness;
  std::map<process_id, std::uint64_t> x_numbers;
};

/// A partition that falls to `wanted` among `all`.
partition_number one_of(process_id wanted, const std::vector<process_id>& all) {
  for (std::uint16_t where = 0; where <= partition_number_max; ++where) {
    const auto best = std::max_element(all.begin(), all.end(), [&](auto left, auto right) {
      return rendezvous_weight(left, partition_number{where}) <
             rendezvous_weight(right, partition_number{where});
    });
    if (*best == wanted)
      return partition_number{where};
  }
  ADD_FAILURE() << "no partition falls to it";
  return zero;
}

std::vector<process_id> random_processes(std::mt19937_64& random, std::size_t count) {
  std::vector<process_id> made;
  for (std::size_t at = 0; at < count; ++at)
    made.push_back(process_id{random() | 2U}); // neither 0 nor the own one
  return made;
}

} // namespace

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

// --- an owner that beats but does not work -------------------------------------------------------

namespace {

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

} // namespace

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

// --- the share of each ---------------------------------------------------------------------------

TEST(rendezvous, weights_never_change) {
  // Processes of two versions must agree. Computed once by an independent SplitMix64 in Python.
  EXPECT_EQ(rendezvous_weight(process_id{1}, partition_number{0}), 0xd300120a5ea35cacULL);
  EXPECT_EQ(rendezvous_weight(process_id{0xdeadbeefcafe}, partition_number{4095}),
            0x49547a3803b7c302ULL);
}

TEST(rendezvous, two_processes_with_the_same_view_choose_the_same_owner) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto all = random_processes(random, 2 + random() % 8);
    std::vector<view> views;
    for (const auto process : all)
      views.emplace_back(process);
    std::map<process_id, std::uint64_t> numbers;
    for (int step = 0; step < 300; ++step) { // one board: all read the same
      heartbeat said;
      said.process = all[random() % all.size()];
      said.number = ++numbers[said.process];
      said.ready = random() % 8 != 0;
      said.leaving = random() % 16 == 0;
      for (auto& one : views)
        one->on_heartbeat(said);
    }
    // Each beats twice more, so that nobody is suspect to anybody.
    for (int again = 0; again < 2; ++again)
      for (const auto process : all) {
        heartbeat said;
        said.process = process;
        said.number = ++numbers[process];
        said.ready = random() % 4 != 0;
        for (auto& one : views)
          one->on_heartbeat(said);
      }
    for (std::uint16_t where = 0; where < 256; ++where)
      for (auto& one : views)
        ASSERT_EQ(one->chosen(partition_number{where}),
                  views.front()->chosen(partition_number{where}));
  }
}

TEST(rendezvous, one_more_process_takes_its_share_and_moves_nothing_else) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto before = random_processes(random, 1 + random() % 6);
    const auto added = random_processes(random, 1).front();
    view seen(before.front());
    seen.round(before, suspect_at);
    std::map<partition_number, process_id> owners;
    constexpr std::uint16_t count = 2048;
    for (std::uint16_t where = 0; where < count; ++where)
      owners[partition_number{where}] = seen->chosen(partition_number{where}).value();
    seen.beat(added);
    double moved = 0;
    for (const auto& [where, owner] : owners) {
      const auto now = seen->chosen(where);
      if (now == owner)
        continue;
      ASSERT_EQ(now, added);
      ++moved;
    }
    const double share = count / static_cast<double>(before.size() + 1);
    EXPECT_GT(moved, 0.75 * share);
    EXPECT_LT(moved, 1.25 * share);
  }
}

TEST(rendezvous, a_dead_ones_share_is_spread_over_all_the_others) {
  view seen;
  const std::vector<process_id> all{other, third, process_id{4}};
  seen.round(all, suspect_at);
  std::vector<partition_number> its;
  for (std::uint16_t where = 0; where < 1024; ++where)
    if (seen->chosen(partition_number{where}) == other)
      its.push_back(partition_number{where});
  seen.round({third, process_id{4}}, suspect_at);
  std::map<process_id, std::size_t> heirs;
  for (const auto where : its)
    ++heirs[seen->chosen(where).value()];
  EXPECT_EQ(heirs.size(), 3U);
  for (const auto& [process, count] : heirs)
    EXPECT_GT(count, its.size() / 6);
}

TEST(liveness, under_any_mix_of_beats_only_those_that_were_silent_for_four_are_suspect) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    view seen;
    const auto all = random_processes(random, 6);
    std::map<process_id, std::uint32_t> silence; // the model
    for (int step = 0; step < 2000; ++step) {
      const auto what = random() % 100;
      if (what < 20) {
        seen.own();
        for (auto& [process, count] : silence)
          ++count;
      } else if (what < 99) {
        const auto process = all[random() % all.size()];
        seen.beat(process);
        silence[process] = 0;
      } else {
        seen->restart_count();
        for (auto& [process, count] : silence)
          count = 0;
      }
      for (const auto& [process, count] : silence)
        ASSERT_EQ(seen->is_live(process), count < suspect_at);
    }
  }
}

// --- the pace of claims --------------------------------------------------------------------------

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

} // namespace orrery::log
