#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"
#include "events/core/time.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orrery::log {

/// A record's place in its partition: dense from 0, so a gap always means a cut log.
using offset = std::uint64_t;

/// The largest record in bytes: librdkafka's default refuses at 1,000,000, so both engines stop
/// below it.
inline constexpr std::size_t record_size_max = 900'000;

/// One stored record. Only `bytes` counts; its meaning is the acceptance rule's business
/// (`history.hpp`).
struct record {
  offset at = 0;
  std::string bytes;
  /// The log's own time for it: of the broker that led the partition. Means nothing to a reader; an
  /// owner judges its clock by it.
  std::optional<utc_time> appended_at = {};
};

/// What became of an append. The owner may go on in its epoch only after the first two.
enum class append_fate : std::uint8_t {
  durable,     ///< stored, readable, survives a power cut
  not_written, ///< surely not stored and never will be (disk full, too large); `failure` says why
  unknown,     ///< may or may not appear later: the owner must claim again
};

struct append_outcome {
  append_fate fate = append_fate::unknown;
  offset at = 0; ///< valid when `durable`
  error failure; ///< valid when not `durable`
};

/// A totally ordered, durable sequence of records for each partition. Every engine (memory,
/// segment, kafka, faulty) passes the same suite, `tests/contract/log_contract.hpp`. All members
/// may be called from any thread.
class log {
public:
  log() = default;
  log(const log&) = delete;
  log& operator=(const log&) = delete;
  /// Waits for the appends under way (their `done` is called), then closes.
  virtual ~log() = default;

  /// Appends `bytes` (1 to `record_size_max`) to `where`. Does not block for the disk. `done` is
  /// called exactly once, from a thread of the log, in order of append within a partition; it must
  /// not block and must not call `append`.
  virtual void append(partition_number where, std::string bytes,
                      std::function<void(const append_outcome&)> done) = 0;

  /// Up to `bytes_max` bytes of records (at least one when there is one) from `from` on, in order,
  /// durable ones only. Blocks up to `patience` while there is none, then answers an empty list.
  /// Reads what was stored, not what was sent: this is the read-back of the acceptance rule.
  /// Errors: `damaged` (file and position in the text), `log_cut` (`from` is above the end),
  /// `unavailable`.
  [[nodiscard]] virtual result<std::vector<record>> read(partition_number where, offset from,
                                                         std::size_t bytes_max,
                                                         std::chrono::milliseconds patience) = 0;

  /// The offset that the next durable record of `where` will get. Does not block.
  [[nodiscard]] virtual result<offset> end(partition_number where) = 0;
};

} // namespace orrery::log
