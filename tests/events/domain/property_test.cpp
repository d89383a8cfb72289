#include "tests/support/random_history.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace orrery::support {
namespace {

constexpr std::uint64_t seeds = 100;
constexpr std::size_t commands = 300;

TEST(random_history, keeps_every_invariant_and_folds_again_to_the_same_bytes) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto made = random_world(seed, commands);
    auto found = check_invariants(made.commits(), made.state());
    const auto of_space = check_space({{partition_number{0}, &made.state()}}, true);
    found.insert(found.end(), of_space.begin(), of_space.end());
    ASSERT_TRUE(found.empty()) << "seed " << seed << "\n" << to_text(found);
  }
}

TEST(random_history, holds_every_kind_of_event) {
  // A generator that never gets as far as, say, a removal would make the test above an empty one.
  std::map<std::string, int> counts;
  int refusals = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto made = random_world(seed, commands);
    for (const auto& [seq, body] : made.commits())
      for (const auto& decision : body.decisions()) {
        refusals += decision.reply().code() != 0 ? 1 : 0;
        for (const auto& type : types_of(decision))
          ++counts[type];
      }
  }
  for (const auto& type : all_event_types())
    EXPECT_GT(counts[type], 0) << type;
  EXPECT_GT(refusals, 0);
}

} // namespace
} // namespace orrery::support
