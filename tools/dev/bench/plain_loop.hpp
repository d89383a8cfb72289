#pragma once

#include "events/domain/partition_state.hpp"
#include "events/log/owner.hpp"
#include "events/log/segment_log.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::bench {

/// The yardstick of the pipeline, and the way to a full log: decides commands by a plain loop over
/// one map, in one thread, and makes the same records and syncs as a partition does. No actor, no
/// projection, and nothing is read back from the disk.
class plain_loop {
public:
  /// On the log in a directory; a new one when there is none. What is in it is folded, then it is
  /// claimed. `first`: time of the first commit at the earliest. Ends the program on any error.
  plain_loop(const std::string& directory, const domain::kind_policies& policies, utc_time first);

  /// The same on a log that is open.
  plain_loop(std::shared_ptr<log::log> log, const log::log_identity& identity,
             const domain::kind_policies& policies, utc_time first);

  /// Decides the commands, commits what changed something as one record, waits until it is durable,
  /// folds it. Gives how many commands are in the record.
  std::size_t commit(std::vector<v1::Command> commands);

  [[nodiscard]] const domain::partition_state& state() const { return x_state; }

  [[nodiscard]] const log::log_identity& identity() const { return x_identity; }

  /// Events folded since the log began.
  [[nodiscard]] std::uint64_t events() const { return x_events; }

private:
  plain_loop(const std::shared_ptr<log::segment_log>& log, const domain::kind_policies& policies,
             utc_time first);
  void fold_all();
  void append(const std::string& bytes);

  const domain::kind_policies& x_policies;
  std::shared_ptr<log::log> x_log;
  log::log_identity x_identity;
  std::unique_ptr<log::owner> x_owner;
  domain::partition_state x_state;
  utc_time x_first;
  std::uint64_t x_events = 0;
};

/// The log in a directory; a new one, with an identity of that time, when there is none. Ends the
/// program on any error.
[[nodiscard]] std::shared_ptr<log::segment_log> open_or_make_log(const std::string& directory,
                                                                 utc_time first);

[[nodiscard]] std::uint64_t events_in(const v1::CommitBody& body);

} // namespace orrery::bench
