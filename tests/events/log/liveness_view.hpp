#pragma once

#include "events/log/liveness.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

/// What tests of liveness stand on: a process's view, and the board as it sees it.
namespace orrery::log::testing_liveness {

inline constexpr process_id self{1};
inline constexpr process_id other{2};
inline constexpr process_id third{3};
inline constexpr partition_number zero{0};
inline constexpr std::uint64_t seeds = 50;

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
inline partition_number one_of(process_id wanted, const std::vector<process_id>& all) {
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

inline std::vector<process_id> random_processes(std::mt19937_64& random, std::size_t count) {
  std::vector<process_id> made;
  for (std::size_t at = 0; at < count; ++at)
    made.push_back(process_id{random() | 2U}); // neither 0 nor the own one
  return made;
}

} // namespace orrery::log::testing_liveness
