#pragma once

#include "tests/sim/surroundings.hpp"

#include <memory>

namespace orrery::sim {

/// One process's way to the log. It outlives the process: what was sent may still arrive.
class log_way : public std::enable_shared_from_this<log_way> {
public:
  log_way(surroundings& around, std::uint64_t seed);
  log_way(const log_way&) = delete;
  log_way& operator=(const log_way&) = delete;
  ~log_way();

  [[nodiscard]] log::faulty_log& log() { return x_log; }

  /// Something was sent, or may be seen to lag: goes on until nothing is under way.
  void drive();

  /// Nothing arrives before `until`.
  void freeze(micros until) { x_frozen_until = std::max(x_frozen_until, until); }

  [[nodiscard]] bool is_frozen() const { return x_around.time.now() < x_frozen_until; }

private:
  surroundings& x_around;
  log::faulty_log x_log;
  micros x_frozen_until{0};
  bool x_is_driven = false;
};

void add(log::log_fault_counts& sum, const log::log_fault_counts& more);

/// How a log goes wrong in this run: how much, and whether by milliseconds or seconds, is the
/// seed's.
[[nodiscard]] log::log_faults draw_log_faults(support::dice& from);

} // namespace orrery::sim
