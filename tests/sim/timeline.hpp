#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace orrery::sim {

/// Virtual time since the simulation began.
using micros = std::chrono::microseconds;

/// Everything that will happen, by time; what happens at the same time keeps the order in which it
/// was asked for. The only clock of a simulation.
class timeline {
public:
  [[nodiscard]] micros now() const { return x_now; }

  [[nodiscard]] std::uint64_t steps() const { return x_steps; }

  void in(micros delay, std::function<void()> act);

  /// Goes on to the next thing. False when there is none before `until`; then it is `until`.
  bool step(micros until);

private:
  struct due {
    micros when;
    std::uint64_t tie = 0;
    std::function<void()> act;
  };

  /// For a heap whose first is the earliest.
  static bool is_later(const due& left, const due& right) {
    return left.when != right.when ? left.when > right.when : left.tie > right.tie;
  }

  micros x_now{0};
  std::uint64_t x_steps = 0;
  std::uint64_t x_tie = 0;
  std::vector<due> x_heap;
};

} // namespace orrery::sim
