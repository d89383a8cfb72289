#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"
#include "events/log/heartbeat.hpp"
#include "events/log/log.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace orrery::log {

// What several processes need beside the log: a way for commands to the owner of a partition, and a
// board for heartbeats. Nothing depends on either being whole: what was decided, by whom and with
// what body is in the log. Engines: memory and Kafka, which pass the same suite,
// `tests/contract/bus_contract.hpp`. The embedded log has one process and needs neither.

/// The largest command in bytes: as a record of the log, which will hold it.
inline constexpr std::size_t carried_bytes_max = record_size_max;

/// How far in the past listening begins: the last so many commands of the partition. More than wait
/// for an owner at any time that it could still answer in time.
inline constexpr std::size_t carried_before = 1000;

/// What one `receive` or `read` gives at most; more comes with the next.
inline constexpr std::size_t carried_count_max = 1000;

/// A command on its way.
struct carried {
  partition_number where{0};
  std::string bytes;

  friend bool operator==(const carried&, const carried&) = default;
};

/// Carries commands to whoever listens for their partition. It may lose, repeat and reorder. All
/// members may be called from any thread; `receive` by one at a time.
class transport {
public:
  transport() = default;
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;
  virtual ~transport() = default;

  /// Sends `bytes` (1 to `carried_bytes_max`) to `where`. Never blocks. No error does not mean that
  /// it arrives: the sender repeats it until it reads the reply in the log. Errors, all of which
  /// mean that it was not sent: `invalid_argument` (empty, no such partition), `too_large`,
  /// `too_many_requests` (too much waits; retryable).
  [[nodiscard]] virtual result<void> send(partition_number where, std::string bytes) = 0;

  /// From now on the commands of `where` come here too, beginning `carried_before` in the past:
  /// repetitions are harmless, and a takeover must not wait for them. Again: changes nothing. May
  /// block for some ms. Errors: `invalid_argument` (no such partition), `unavailable`.
  [[nodiscard]] virtual result<void> listen(partition_number where) = 0;

  /// Ends that: what is received by calls that begin later has none of `where`. May block for some
  /// 100 ms.
  virtual void ignore(partition_number where) = 0;

  /// What came, up to `carried_count_max`. Blocks up to `patience` while there is nothing, then
  /// answers an empty list; an outage looks the same. Errors: `unauthenticated`, `not_found` (the
  /// topic was deleted), `unavailable`; it may be called again after each.
  [[nodiscard]] virtual result<std::vector<carried>>
  receive(std::chrono::milliseconds patience) = 0;
};

/// The board on which every process posts its heartbeats and reads everybody's, its own too, in one
/// order that is the same for all. It may lose and repeat. All members may be called from any
/// thread; `read` by one at a time.
class board {
public:
  board() = default;
  board(const board&) = delete;
  board& operator=(const board&) = delete;
  virtual ~board() = default;

  /// Posts `bytes` (1 to `heartbeat_bytes_max`). Never blocks. While the board is away only the
  /// newest waits: heartbeats are worth nothing late. Errors: `invalid_argument`, `too_large`.
  [[nodiscard]] virtual result<void> post(std::string bytes) = 0;

  /// What was posted by anybody since the board was opened, up to `carried_count_max`. Blocks up to
  /// `patience` while there is nothing. Errors as `transport::receive`.
  [[nodiscard]] virtual result<std::vector<std::string>>
  read(std::chrono::milliseconds patience) = 0;

  /// How often the connection broke, or a heartbeat could not be posted. Looked at before what
  /// `read` gave is told to `liveness`: when it changed, `on_break` comes first.
  [[nodiscard]] virtual std::uint64_t breaks() const = 0;
};

} // namespace orrery::log
