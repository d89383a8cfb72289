#pragma once

#include "events/log/history.hpp"
#include "events/log/log.hpp"
#include "events/log/segment_scan.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::log {

/// A record on the way, with its place and what the acceptance rule says about it.
struct inspected_record {
  partition_number where{0};
  offset at = 0;
  std::string_view file;
  std::uint64_t position = 0; ///< of its frame in the file
  std::string_view bytes;     ///< header and body, as stored
  const verdict& judged;      ///< with the parsed header and the body, when it was accepted
};

/// What one partition's records came to.
struct partition_summary {
  std::uint64_t records = 0;
  std::uint64_t claims = 0;  ///< accepted
  std::uint64_t commits = 0; ///< accepted
  std::array<std::uint64_t, void_reason_count> voids{};
  chain_head head; ///< behind the last accepted record
  std::optional<stop_reason> alarm;
  offset alarm_at = 0;           ///< the record at which every reader stops
  std::uint64_t after_alarm = 0; ///< records behind it, which no reader will see
};

/// What a log directory holds.
struct inspection {
  log_identity identity; ///< none when `log.meta` is damaged
  std::uint64_t incarnation = 1;
  std::uint64_t files = 0;
  std::string last_file;    ///< its name
  std::uint64_t frames = 0; ///< good ones, of every kind
  std::uint64_t bytes = 0;  ///< of records, headers and bodies
  std::map<partition_number, partition_summary> partitions;
  std::optional<torn_tail> torn;      ///< what opening would cut off
  std::optional<damage> found_damage; ///< why opening would refuse; nothing behind it is counted

  /// No damage and no alarm (a torn tail is neither).
  [[nodiscard]] bool is_good() const;
};

/// Walks over a log directory without a running orreryd, judges every record, and changes nothing:
/// what `orrery log verify` and `orrery log dump` need. `each` may be empty. Takes a shared lock.
/// Errors: `not_found`, `invalid_argument` (not a directory), `locked` (an orreryd runs on it),
/// `unknown_record` (a newer format), `io_failed`.
[[nodiscard]] result<inspection> inspect(const std::string& directory,
                                         const std::function<void(const inspected_record&)>& each);

/// The same of a directory that is open, under whatever lock.
[[nodiscard]] result<inspection> inspect(const log_directory& directory,
                                         const std::function<void(const inspected_record&)>& each);

} // namespace orrery::log
