#pragma once

#include "actors/engine/snapshot.hpp"

#include <functional>
#include <optional>
#include <string>

namespace orrery::actors {

// Snapshots are files, `<partition>-<seq>.snapshot`, in a directory of their own that may be
// deleted at any time.

/// Snapshots of a partition that are kept: if the newest is damaged or too new for the projections,
/// the one before it does.
inline constexpr std::size_t snapshots_kept = 2;

/// Writes a snapshot durably, under its name only when it is whole, and removes all but the newest
/// ones of its partition, those with a higher number (it must be of the log's end), and what a
/// killed process left unfinished. The directory is made. Blocks. Errors: `storage_full`,
/// `io_failed`.
[[nodiscard]] result<void> write_snapshot(const std::string& directory,
                                          const log::log_identity& identity,
                                          const partition_snapshot& snapshot);

/// The newest good snapshot of a partition with a number of at most `seq_max`; nothing when there
/// is none. `tell` is told of each that is passed over because it is no good. Blocks. Errors:
/// `log_cut` (acknowledged records that it, or one that is ahead of the log, was made of are
/// missing in the log, or are others), `unavailable`.
[[nodiscard]] result<std::optional<partition_snapshot>>
find_snapshot(const std::string& directory, const log::log_identity& identity,
              partition_number where, std::uint64_t seq_max, log::log& from,
              const std::function<void(const error&)>& tell);

} // namespace orrery::actors
