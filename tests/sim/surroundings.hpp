#pragma once

#include "tests/sim/plain_log.hpp"
#include "tests/sim/referee.hpp"
#include "tests/sim/settings.hpp"
#include "tests/sim/timeline.hpp"
#include "tests/sim/trace.hpp"
#include "tests/support/random_history.hpp"

#include <functional>
#include <map>

namespace orrery::sim {

/// What everything in a simulation shares. Lives longer than all of it.
struct surroundings {
  explicit surroundings(const settings& wanted);

  const settings given;
  bool is_calm = false; ///< the faults have ended: everything must settle
  timeline time;
  support::dice random;
  trace seen;
  fault_counts counts{};
  log::log_fault_counts log_counts; ///< of all ways to the log that are gone
  log::log_identity identity;
  std::map<partition_number, referee> referees; ///< one for each partition
  std::shared_ptr<plain_log> store;
  std::function<void(partition_number)> stored; ///< tells whoever reads

  [[nodiscard]] bool has(fault what) const { return !is_calm && given.has(what); }

  /// True in `odds` of a thousand cases, if such faults are on; then it counts.
  bool strikes(fault what, std::uint32_t odds);

  void count(fault what) { ++counts[static_cast<std::size_t>(what)]; }

  /// Any time from `least` to `most`.
  [[nodiscard]] micros between(micros least, micros most);

  [[nodiscard]] referee& truth(partition_number where) { return referees.at(where); }

  [[nodiscard]] const broken_promise* broken() const;

  /// Over all partitions: what crosses them. With `is_settled` all of it must have arrived.
  [[nodiscard]] std::string broken_streams(bool is_settled) const;

  /// The address space over all partitions. With `is_settled` every network has its answer.
  [[nodiscard]] std::vector<support::violation> broken_space(bool is_settled) const;
};

} // namespace orrery::sim
