#include "tests/projections/usage_pieces.hpp"
#include "tests/support/memory_rows.hpp"
#include "tests/support/usage_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// What is metered of a VM, from its making to its end.

namespace orrery::projections {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(usage, of_a_vm_that_never_ran_is_absent_then_stopped) {
  auto at = support::world_with_vm();
  at.pass(seconds(2));
  at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::NEVER_RAN);
  at.pass(seconds(3));
  at.must(support::stop_vm());
  EXPECT_THAT(stretches_of(at), ElementsAre(stretch{absent, 2'000}, stretch{stopped, 3'000}));
}

TEST(usage, of_power_cycles_counts_each) {
  auto at = support::world_with_vm();
  for (int cycle = 0; cycle < 2; ++cycle) {
    at.pass(seconds(1));
    at.see(1, v1::VmObserved::RUNNING);
    at.pass(seconds(2));
    at.see(1, v1::VmObserved::REACHABLE); // runs as before
    at.pass(seconds(3));
    at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  }
  at.pass(seconds(1));
  at.must(support::remove_vm());
  at.pass(seconds(1));
  at.see(1, v1::VmObserved::ABSENT);
  at.pass(seconds(100));
  at.must(support::place_vm({.number = 2, .name = "db"}));
  EXPECT_THAT(stretches_of(at),
              ElementsAre(stretch{absent, 1'000}, stretch{running, 5'000}, stretch{stopped, 1'000},
                          stretch{running, 5'000}, stretch{stopped, 2'000}));
}

TEST(usage, of_a_vm_whose_node_is_out_of_sight_is_unknown_and_never_stopped) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(5));
  at.see(1, v1::VmObserved::UNKNOWN);
  at.pass(seconds(7));
  at.see(1, v1::VmObserved::UNKNOWN); // no news
  at.pass(seconds(2));
  at.see(1, v1::VmObserved::RUNNING);
  const auto found = stretches_of(at);
  ASSERT_GE(found.size(), 3U);
  EXPECT_EQ(found[found.size() - 2], (stretch{running, 5'000}));
  EXPECT_EQ(found.back(), (stretch{unknown, 9'000}));
}

TEST(usage, of_wishes_is_nothing) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(5));
  at.must(support::stop_vm());
  at.pass(seconds(6)); // and the hypervisor takes its time
  at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::HOST);
  at.pass(seconds(1));
  at.must(support::start_vm());
  const auto found = stretches_of(at);
  EXPECT_EQ(found[found.size() - 2], (stretch{running, 11'000}));
  EXPECT_EQ(found.back(), (stretch{stopped, 1'000}));
}

TEST(usage, two_facts_of_one_record_count_at_their_own_times) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(10));
  auto off = at.next_saying(1, v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  off.at = at.now() - seconds(6);
  auto on = at.next_saying(1, v1::VmObserved::RUNNING);
  on.at = at.now() - seconds(2);
  at.tell_all({support::observe(1, off), support::observe(1, on)});
  at.pass(seconds(1));
  at.must(support::stop_vm());
  const auto found = stretches_of(at);
  ASSERT_GE(found.size(), 3U);
  EXPECT_EQ(found[found.size() - 3], (stretch{running, 4'000}));
  EXPECT_EQ(found[found.size() - 2], (stretch{stopped, 4'000}));
  EXPECT_EQ(found.back(), (stretch{running, 3'000}));
}

TEST(usage, a_fact_from_before_the_last_one_begins_with_that) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(10));
  at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  at.pass(seconds(10));
  auto on = at.next_saying(1, v1::VmObserved::RUNNING);
  on.at = at.now() - seconds(15);
  at.must(support::observe(1, on)); // it was never off for any time
  at.pass(seconds(1));
  at.must(support::stop_vm());
  const auto found = stretches_of(at);
  EXPECT_EQ(found.back(), (stretch{running, 21'000})) << "one interval, as if nothing had been";
}

TEST(usage, of_an_address_is_from_its_grant_to_the_fact_that_the_vm_is_gone) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(10));
  at.must(support::remove_vm());
  at.pass(seconds(3));
  at.see(1, v1::VmObserved::ABSENT);
  const auto gone = at.now();
  at.pass(seconds(50));
  const auto rows = support::usage_rows_of(at.commits());
  const auto found = pieces_of(support::memory_reader(rows),
                               {.from = long_ago, .to = far_ahead, .what = meter::nic_address});
  const auto given = tell(at.commits()).begin()->second.front().addresses.begin()->first;
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].start, given);
  EXPECT_NEAR(static_cast<double>((found[0].end - gone).count()), 0, 10'000);
  EXPECT_EQ(found[0].amount, 1U);
}

TEST(usage, of_addresses_follows_how_many_the_vm_has_until_they_are_seen_gone) {
  auto at = support::world_with_running_vm();
  std::vector<utc_time> turns;
  const auto must = [&](const v1::Command& command) {
    at.pass(seconds(10));
    at.must(command);
    turns.push_back(at.now());
  };
  must(support::add_addresses(1));
  must(support::add_addresses(2, "10.99.0.64/28"));
  must(support::remove_addresses("10.99.0.64/28")); // changes nothing yet
  must(support::note_port({2}));
  must(support::remove_addresses("10.99.0.3"));
  must(support::note_port({1}));
  at.pass(seconds(10));
  at.must(support::remove_vm());
  at.see(1, v1::VmObserved::ABSENT);
  const auto rows = support::usage_rows_of(at.commits());
  const usage_terms asked{.from = long_ago, .to = far_ahead, .what = meter::nic_address};
  const auto found = pieces_of(support::memory_reader(rows), asked);
  std::vector<std::uint64_t> amounts;
  for (const auto& one : found)
    amounts.push_back(one.amount);
  EXPECT_EQ(amounts, (std::vector<std::uint64_t>{1, 2, 18, 2, 1}));
  const std::vector<utc_time> seen_at{turns[0], turns[1], turns[3], turns[5]};
  for (std::size_t i = 0; i < seen_at.size(); ++i) {
    EXPECT_EQ(found[i].end, found[i + 1].start);
    EXPECT_NEAR(static_cast<double>((found[i].end - seen_at[i]).count()), 0, 10'000) << i;
  }
  const auto sums = list_vm_usage(support::memory_reader(rows), asked, {});
  ASSERT_TRUE(sums);
  ASSERT_EQ(sums->items.size(), 1U);
  ASSERT_EQ(sums->items[0].sums_size(), 1);
  EXPECT_EQ(sums->items[0].sums(0).amount(), 18U) << "the most at once";
  std::uint64_t units = 0;
  for (const auto& one : found)
    units += one.amount * static_cast<std::uint64_t>((one.end - one.start).count());
  EXPECT_EQ(sums->items[0].sums(0).unit_microseconds(), std::to_string(units));
}

} // namespace
} // namespace orrery::projections
