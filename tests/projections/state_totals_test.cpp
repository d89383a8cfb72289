#include "projections/state_totals.hpp"
#include "tests/projections/histories.hpp"
#include "tests/support/random_history.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace orrery::projections {
namespace {

TEST(state_totals, of_nothing_are_zero) { EXPECT_EQ(state_totals().gauges(), state_gauges{}); }

TEST(state_totals, follow_one_vm_from_wish_to_end) {
  auto world = support::world_with_running_vm();
  const auto totals = [&world] {
    state_totals made;
    for (const auto& commit : history_of(world.commits()))
      made.apply(commit->touched);
    return made.gauges();
  };
  const auto running = totals();
  EXPECT_EQ(running.vms[v1::VmObserved::REACHABLE][0], 1U);
  EXPECT_EQ(running.nodes_connected, 1U);
  EXPECT_EQ(running.vcpus_offered, 32U);
  EXPECT_EQ(running.vcpus_taken, 1U);
  EXPECT_EQ(running.memory_mib_taken, 256U);
  EXPECT_EQ(running.jobs_running, 0U);
  world.must(support::remove_vm());
  EXPECT_EQ(totals().vms[v1::VmObserved::REACHABLE][2], 1U);
  EXPECT_EQ(totals().jobs_running, 1U);
  world.must(support::create_far_cluster({.number = 2}));
  world.must(support::add_network({.number = 2, .cluster = 2}));
  EXPECT_EQ(totals().jobs_running, 2U) << "a network's counts too";
  world.see(1, v1::VmObserved::ABSENT);
  world.must(support::lose(1, 1));
  const auto gone = totals();
  EXPECT_EQ(gone.vms, state_gauges{}.vms);
  EXPECT_EQ(gone.vcpus_taken, 0U);
  EXPECT_EQ(gone.vcpus_offered, 0U);
  EXPECT_EQ(gone.nodes_unreachable, 1U);
}

TEST(state_totals, folded_equal_those_counted_in_a_random_world) {
  const auto seed = seed_of_this_run();
  const auto world = support::random_world(seed, 1500);
  state_totals folded;
  for (const auto& commit : history_of(world.commits()))
    folded.apply(commit->touched);
  state_totals counted;
  world.state().for_each(
      [&counted](const uuid&, const domain::entity_ptr& state) { counted.add(*state); });
  EXPECT_EQ(folded.gauges(), counted.gauges()) << "seed " << seed;
}

} // namespace
} // namespace orrery::projections
