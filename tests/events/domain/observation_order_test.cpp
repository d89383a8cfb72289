#include "tests/support/expect.hpp"
#include "tests/support/random_history.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <utility>
#include <vector>

namespace orrery::support {
namespace {

constexpr std::uint64_t seeds = 10'000;

/// What was said last of a guest by (epoch, number), over all that was delivered.
using sayings = std::map<std::pair<std::uint64_t, std::uint64_t>, v1::VmObserved::State>;

/// Delivers the words of two connections to one node: each in its own order (a connection is a
/// stream), the two in any order, the second one's only after its hello. Some come twice.
class two_connections {
public:
  explicit two_connections(std::uint64_t seed) : x_dice(seed), x_world(world_with_vm()) {
    constexpr std::array states{v1::VmObserved::ABSENT, v1::VmObserved::STOPPED,
                                v1::VmObserved::RUNNING, v1::VmObserved::REACHABLE};
    for (std::uint64_t epoch = 1; epoch <= 2; ++epoch)
      for (std::uint64_t number = 1; number <= 6; ++number)
        x_streams[epoch - 1].push_back({.state = states[x_dice.below(states.size())],
                                        .cause = v1::VmObserved::CRASHED,
                                        .epoch = epoch,
                                        .number = number});
  }

  [[nodiscard]] bool is_over() const { return x_next[0] + x_next[1] == 12; }

  void step() {
    auto stream = x_dice.below(2);
    if (x_next[stream] == x_streams[stream].size())
      stream = 1 - stream;
    if (stream == 1 && !x_said_hello) {
      x_world.must(hello({.nonce = 2}));
      x_said_hello = true;
    }
    auto& next = x_next[stream];
    deliver(x_streams[stream][next++]);
    if (x_dice.chance(20))
      deliver(x_streams[stream][x_dice.below(next)]);
  }

  /// Stopped or gone is shown only if the freshest word so far says so.
  [[nodiscard]] testing::AssertionResult shows_the_freshest() const {
    const auto* vm = x_world.find_vm();
    const auto [position, freshest] = *x_delivered.rbegin();
    const bool is_shown_off = vm->observed.state == v1::VmObserved::STOPPED ||
                              vm->observed.state == v1::VmObserved::ABSENT;
    const bool is_off = freshest == v1::VmObserved::STOPPED || freshest == v1::VmObserved::ABSENT;
    if (is_shown_off == is_off)
      return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << "shown " << v1::VmObserved::State_Name(vm->observed.state) << ", but saying "
           << position.second << " of epoch " << position.first << " was "
           << v1::VmObserved::State_Name(freshest);
  }

  [[nodiscard]] const world& at() const { return x_world; }

private:
  void deliver(const saying& said) {
    x_world.pass(std::chrono::milliseconds(1));
    auto told = said;
    told.at = x_world.now();
    x_world.tell(observe(1, told));
    x_delivered[{said.epoch, said.number}] = said.state;
  }

  dice x_dice;
  world x_world;
  std::array<std::vector<saying>, 2> x_streams;
  std::array<std::size_t, 2> x_next{};
  bool x_said_hello = false;
  sayings x_delivered;
};

TEST(observation_order, never_shows_stopped_while_a_fresher_word_says_running) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    two_connections words(seed);
    while (!words.is_over()) {
      words.step();
      ASSERT_TRUE(words.shows_the_freshest()) << "seed " << seed;
    }
    if (seed % 100 == 0) {
      ASSERT_TRUE(keeps_invariants(words.at())) << "seed " << seed;
    }
  }
}

TEST(observation_order, shows_unknown_until_the_node_is_back_and_never_stopped) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    dice rolls(seed);
    auto at = world_with_running_vm();
    at.tell(lose(1, 1));
    at.see(1, v1::VmObserved::UNKNOWN);
    for (int late = 0; late < 5; ++late) {
      saying said;
      said.state = rolls.chance(50) ? v1::VmObserved::STOPPED : v1::VmObserved::ABSENT;
      said.number = rolls.below(5); // all older than the words that were recorded
      at.tell(observe(1, said));
      ASSERT_EQ(at.find_vm()->observed.state, v1::VmObserved::UNKNOWN) << "seed " << seed;
    }
  }
}

} // namespace
} // namespace orrery::support
