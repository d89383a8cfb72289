#include "tests/events/log/liveness_view.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace orrery::log {
namespace {

using namespace testing_liveness;

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

} // namespace
} // namespace orrery::log
