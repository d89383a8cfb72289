#pragma once

#include "events/log/log.hpp"

#include <functional>
#include <map>

namespace orrery::sim {

/// What really lies in the log: in memory, in one thread, and never wrong. Each process has a
/// `faulty_log` of its own as its way here.
class plain_log final : public log::log {
public:
  /// Told of each record as it is stored.
  using witness = std::function<void(partition_number, const orrery::log::record&)>;

  /// `clock`: the true time, which it gives its records.
  plain_log(std::function<utc_time()> clock, witness stored)
      : x_clock(std::move(clock)), x_stored(std::move(stored)) {}

  void append(partition_number where, std::string bytes,
              std::function<void(const orrery::log::append_outcome&)> done) override;
  [[nodiscard]] result<std::vector<orrery::log::record>>
  read(partition_number where, orrery::log::offset from, std::size_t bytes_max,
       std::chrono::milliseconds patience) override;
  [[nodiscard]] result<orrery::log::offset> end(partition_number where) override;

  /// Nobody is told any more: the simulation is over.
  void forget_witness() { x_stored = {}; }

private:
  std::function<utc_time()> x_clock;
  witness x_stored;
  std::map<partition_number, std::vector<orrery::log::record>> x_records;
};

} // namespace orrery::sim
