#pragma once

#include "events/core/id.hpp"
#include "events/core/time.hpp"
#include "events/log/history.hpp"
#include "events/log/segment_frame.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

namespace orrery::log {

/// The file that makes a copy of a log a backup. It is written last, so what has none is not
/// finished; orreryd refuses to run on a log that has one.
inline constexpr std::string_view manifest_name = "backup.manifest";
inline constexpr std::string_view manifest_new_name = "backup.manifest.new";

/// Far above any manifest, which has a line of about 130 bytes for each of 4,096 partitions.
inline constexpr std::size_t manifest_size_max = std::size_t{1024} * 1024;

/// What a backup holds, so that one that lost something is known: a log whose end is gone is as
/// good as one that never had more.
struct backup_manifest {
  struct partition {
    std::uint64_t records = 0; ///< void ones too
    chain_head head;           ///< behind the last accepted one

    friend bool operator==(const partition&, const partition&) = default;
  };

  log_meta meta; ///< of the log that was copied
  utc_time made;
  std::uint64_t frames = 0;
  std::map<partition_number, partition> partitions; ///< those with records

  [[nodiscard]] std::uint64_t records() const;

  friend bool operator==(const backup_manifest&, const backup_manifest&) = default;
};

/// Its text: format, ids, incarnation, time, frames, a line for each partition, checksum.
[[nodiscard]] std::string encode_manifest(const backup_manifest& manifest);

/// Parses exactly what `encode_manifest` writes. Total.
[[nodiscard]] std::variant<backup_manifest, meta_failure> parse_manifest(std::string_view text);

} // namespace orrery::log
