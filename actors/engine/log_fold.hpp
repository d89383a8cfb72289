#pragma once

#include "actors/engine/snapshot.hpp"
#include "events/log/log.hpp"
#include "events/log/owner.hpp"
#include "projections/folded_commit.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace orrery::actors {

/// Folds one partition of the log beside the partition's actor: from its first record on, for those
/// who need every commit once more, or from a snapshot on, to make the next one. Keeps a state of
/// its own: as much memory as the partition's. One thread.
class log_fold {
public:
  log_fold(std::shared_ptr<log::log> from, const log::log_identity& identity,
           partition_number where);

  log_fold(std::shared_ptr<log::log> from, const log::log_identity& identity,
           partition_snapshot start);

  /// The commits of the next records: none when these are void or claims, and when there are no
  /// more (`records` then stays what it was). Blocks for the disk or the brokers. Errors: of the
  /// log's `read`, `unknown_record` (a body that this version cannot read), and those of a log that
  /// contradicts itself; after any but `unavailable` this object is of no use.
  [[nodiscard]] result<std::vector<std::shared_ptr<const projections::folded_commit>>> next();

  /// Folds the next records, telling nothing; false when there are none. Errors: as `next`.
  [[nodiscard]] result<bool> advance();

  [[nodiscard]] partition_number where() const { return x_at.where; }

  /// Records before the next one to be read, void ones too.
  [[nodiscard]] log::offset records() const { return x_next; }

  /// What the log says up to its last commit so far. With `advance` alone: the messages that it
  /// sent since the start, too.
  [[nodiscard]] partition_snapshot& at() { return x_at; }

private:
  using visitor =
      std::function<void(const log::reading&, std::shared_ptr<const v1::CommitBody> body)>;

  [[nodiscard]] result<void> read(const visitor& on_commit);

  const std::shared_ptr<log::log> x_log;
  log::owner x_rule; ///< follows only
  partition_snapshot x_at;
  log::offset x_next = 0;
  std::uint64_t x_claimed_by = 0; ///< the process of the last claim
};

} // namespace orrery::actors
