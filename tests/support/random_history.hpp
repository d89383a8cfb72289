#pragma once

#include "tests/support/world.hpp"

#include <cstdint>
#include <vector>

namespace orrery::support {

/// Numbers that are the same on every machine for the same seed (splitmix64): the distributions of
/// the standard library are not.
class dice {
public:
  explicit dice(std::uint64_t seed) : x_state(seed) {}

  [[nodiscard]] std::uint64_t next();

  /// 0 to `count` - 1; `count` is at least 1.
  [[nodiscard]] std::uint64_t below(std::uint64_t count) { return next() % count; }

  /// True in `percent` of a hundred cases.
  [[nodiscard]] bool chance(std::uint64_t percent) { return below(100) < percent; }

private:
  std::uint64_t x_state;
};

/// Makes whatever may reach a partition from outside, in any order and much of it nonsense: users'
/// commands, observations of any state, epoch, number, generation and time, failures, deadlines,
/// nodes that come and go, commands for things that do not exist or are of another noun,
/// repetitions by origin and by key. Never what only entities tell each other
/// (`ClusterCommand.ReleaseVm` and its like): nobody can send those.
class random_commands {
public:
  explicit random_commands(std::uint64_t seed) : x_dice(seed) {}

  /// The next command; looks at `at` only to be right more often than chance would be.
  [[nodiscard]] v1::Command next(const world& at);

  /// How far the clock moves before the next record: mostly milliseconds, sometimes beyond a
  /// deadline, now and then beyond the age of client keys.
  [[nodiscard]] std::chrono::microseconds next_pause();

  /// How many commands the next record holds, 1 to 4.
  [[nodiscard]] std::size_t next_batch_size() { return 1 + x_dice.below(4); }

private:
  [[nodiscard]] v1::Command any_user_command();
  v1::SetLabels any_labels();
  v1::Command any_labelling();
  v1::Command any_addressing();
  v1::Command any_further();
  v1::Command any_settings(std::uint32_t network);
  [[nodiscard]] v1::Command any_placement();
  [[nodiscard]] v1::Command any_observation(const world& at);
  [[nodiscard]] v1::Command any_failure(const world& at);
  [[nodiscard]] v1::Command any_deadline(const world& at);
  [[nodiscard]] v1::Command any_node_word(const world& at);
  [[nodiscard]] v1::Command any_expansion();
  [[nodiscard]] v1::Command any_nonsense();
  [[nodiscard]] std::uint64_t near(std::uint64_t number);
  [[nodiscard]] std::uint32_t any_vm(); ///< mostly one of the last few that were asked for

  dice x_dice;

  struct asked_addresses {
    std::string addresses;
    std::uint32_t vm = 1;
    std::uint64_t steps = 0;
  };

  std::uint32_t x_vms = 0;
  asked_addresses x_asked; ///< the last that were asked for beside a first one
  std::uint64_t x_saying = 0;
  std::uint64_t x_origin = 0;
};

/// A world with two small nodes and two small networks (so that room and addresses run out), after
/// `count` random commands.
[[nodiscard]] world random_world(std::uint64_t seed, std::size_t count);

} // namespace orrery::support
