#include "tests/projections/expander.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace orrery::projections {
namespace {

/// Enough that each kind of event comes, on several VMs with long stories.
constexpr std::size_t commands = 1500;

TEST(projections, a_lost_commit_changes_the_digest) {
  auto commits = random_history(1, 200);
  const filled_store whole(commits);
  commits.erase(commits.begin() + static_cast<std::ptrdiff_t>(commits.size() / 2));
  const filled_store holed(std::move(commits));
  EXPECT_NE(*whole.rows->digest(), *holed.rows->digest());
}

TEST(projections, are_the_same_whatever_way_a_random_history_comes) {
  const auto seed = seed_of_this_run();
  const auto commits = random_history(seed, commands);
  ASSERT_GT(commits.size(), 200U);
  const auto ways = expand(commits, seed);
  for (const auto& one : ways)
    EXPECT_EQ(one.digest, ways.front().digest) << one.name << ", seed " << seed;
}

TEST(projections, are_the_same_whatever_way_an_empty_history_comes) {
  const auto ways = expand({}, 1);
  for (const auto& one : ways)
    EXPECT_EQ(one.digest, ways.front().digest) << one.name;
}

/// The expander shows little if its histories do.
TEST(projections, random_histories_have_every_kind_of_vm_event) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const filled_store filled(random_history(seed, commands));
    page wanted{page_size_max, ""};
    do {
      const auto events = filled.rows->list_events({}, wanted);
      ASSERT_TRUE(events) << events.error().text;
      for (const auto& entry : events->items)
        seen.insert(entry.type());
      wanted.token = events->next_token;
    } while (!wanted.token.empty());
  }
  for (const auto& type : support::all_event_types())
    EXPECT_TRUE(!type.starts_with("vm.") || seen.contains(type)) << type;
  EXPECT_TRUE(seen.contains(std::string(refused_type)));
}

} // namespace
} // namespace orrery::projections
