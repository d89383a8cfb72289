#include "projections/store.hpp"
#include "tests/projections/expander.hpp"
#include "tests/support/random_history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::projections {
namespace {

constexpr partition_number first{0};
constexpr partition_number second{3};

history random_history_in(partition_number where, std::uint64_t seed) {
  const auto world = support::random_world(seed, 300);
  return history_of(moved_to(world.commits(), where), where);
}

/// A world with a VM, all of it in `where`; `later`: so many microseconds.
history one_vm_in(partition_number where, std::uint64_t later = 0) {
  const auto world = support::world_with_vm();
  auto commits = moved_to(world.commits(), where);
  for (auto& [seq, body] : commits)
    body.set_decided_at(body.decided_at() + later);
  return history_of(commits, where);
}

/// Both histories, each in its order.
history mixed(const history& one, const history& other, support::dice& dice) {
  history made;
  auto left = one.begin();
  auto right = other.begin();
  while (left != one.end() || right != other.end()) {
    const bool takes_left = right == other.end() || (left != one.end() && dice.below(2) == 0);
    made.push_back(takes_left ? *left++ : *right++);
  }
  return made;
}

TEST(partitions, rows_are_the_same_however_their_commits_are_mixed) {
  const auto seed = seed_of_this_run();
  support::dice dice(seed);
  const auto one = random_history_in(first, seed);
  const auto other = random_history_in(second, seed + 1);
  std::string digest;
  for (int time = 0; time < 4; ++time)
    for (const auto& way : expand(mixed(one, other, dice), seed)) {
      if (digest.empty())
        digest = way.digest;
      EXPECT_EQ(way.digest, digest) << way.name << ", mixed for the time " << time;
    }
}

TEST(partitions, each_has_a_position_of_its_own) {
  const auto one = one_vm_in(first);
  const auto other = one_vm_in(second);
  filled_store filled(one);
  auto& rows = *filled.rows;
  EXPECT_EQ(rows.lowest_position(second), log_position{});
  EXPECT_FALSE(rows.wait_for(second, 1, std::chrono::milliseconds(0)));
  ASSERT_TRUE(rows.apply(other));
  ASSERT_TRUE(rows.apply(one)); // again: all of it is behind
  EXPECT_EQ(rows.lowest_position(first).seq, one.back()->seq);
  EXPECT_EQ(rows.lowest_position(second).head, other.back()->head);
  EXPECT_EQ(rows.lowest_positions().total(), one.back()->seq + other.back()->seq);
  EXPECT_TRUE(rows.check_log_end(second, other.back()->seq));
  const auto cut = rows.check_log_end(second, other.back()->seq - 1);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, error_code::log_cut);
  EXPECT_THAT(cut.error().text, testing::HasSubstr("partition 3"));
  EXPECT_TRUE(rows.check_log_end(first, one.back()->seq));
  const auto found = rows.list_vms({}, {});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->items.size(), 2U);
  EXPECT_EQ(found->at, rows.lowest_positions());
}

TEST(partitions, a_timeline_goes_by_time) {
  const auto one = one_vm_in(first);
  filled_store filled(one_vm_in(second, 1)); // each between those of the other partition
  ASSERT_TRUE(filled.rows->apply(one));
  const auto events = filled.rows->list_events({}, {});
  ASSERT_TRUE(events);
  std::vector<utc_time> times;
  std::size_t changes = 0;
  std::string last;
  for (const auto& event : events->items) {
    times.push_back(from_proto(event.time()));
    const auto partition = event.position().substr(0, event.position().find('/'));
    changes += partition != last ? 1 : 0;
    last = partition;
  }
  EXPECT_TRUE(std::ranges::is_sorted(times, {}, [](auto time) { return to_micros(time) / 1000; }));
  EXPECT_GT(changes, 2U) << "they are not one after the other";
}

TEST(partitions, waiting_for_a_thing_that_another_partition_makes) {
  const auto other = one_vm_in(second);
  filled_store filled(one_vm_in(first));
  auto vm = support::vm();
  vm.a |= static_cast<std::uint64_t>(second);
  EXPECT_FALSE(filled.rows->wait_for_thing(vm, std::chrono::milliseconds(1)));
  ASSERT_TRUE(filled.rows->apply(other));
  EXPECT_TRUE(filled.rows->wait_for_thing(vm, std::chrono::milliseconds(0)));
}

} // namespace
} // namespace orrery::projections
