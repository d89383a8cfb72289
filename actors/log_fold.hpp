#pragma once

#include "events/domain/partition_state.hpp"
#include "events/log/log.hpp"
#include "events/log/owner.hpp"
#include "projections/folded_commit.hpp"

#include <memory>
#include <vector>

namespace orrery::actors {

/// Folds one partition of the log from its first record on, beside the partition's actor, for those
/// who need every commit once more. Keeps a state of its own: as much memory as the partition's.
/// One thread.
class log_fold {
public:
  log_fold(std::shared_ptr<log::log> from, const log::log_identity& identity,
           partition_number where);

  /// The commits of the next records: none when these are void or claims, and when there are no
  /// more (`records` then stays what it was). Blocks for the disk or the brokers. Errors: of the
  /// log's `read`, `unknown_record` (a body that this version cannot read), and those of a log that
  /// contradicts itself; after any but `unavailable` this object is of no use.
  [[nodiscard]] result<std::vector<std::shared_ptr<const projections::folded_commit>>> next();

  [[nodiscard]] partition_number where() const { return x_where; }

  /// Records read so far, void ones too.
  [[nodiscard]] log::offset records() const { return x_next; }

private:
  const std::shared_ptr<log::log> x_log;
  const partition_number x_where;
  log::owner x_rule; ///< follows only
  domain::partition_state x_state;
  log::offset x_next = 0;
};

} // namespace orrery::actors
