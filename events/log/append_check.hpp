#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"

#include <cstddef>
#include <optional>

namespace orrery::log {

/// Bytes of records that may wait for the disk in one log. One commit is in flight per partition,
/// so this is 4,096 partitions' worth of small ones, or 298 of the largest; more means that the
/// disk stands still.
inline constexpr std::size_t pending_bytes_max = std::size_t{256} * 1024 * 1024;

/// Why an append cannot be taken at all, the same for every engine; nothing when it can.
/// `pending_bytes` is what waits already. Errors: `invalid_argument`, `too_large`,
/// `too_many_requests`.
[[nodiscard]] std::optional<error> append_refusal(partition_number where, std::size_t size,
                                                  std::size_t pending_bytes);

/// The error of a read above the end: `log_cut`.
[[nodiscard]] error read_above_end(partition_number where, std::uint64_t from, std::uint64_t end);

} // namespace orrery::log
