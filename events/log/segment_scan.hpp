#pragma once

#include "events/core/error.hpp"
#include "events/log/history.hpp"
#include "events/log/segment_files.hpp"
#include "events/log/segment_frame.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::log {

/// The names in a log directory.
inline constexpr std::string_view meta_name = "log.meta";
inline constexpr std::string_view meta_new_name = "log.meta.new";
inline constexpr std::string_view next_name = "next.new";

/// What a crash left half written behind the last good frame. Nothing in it was ever acknowledged.
struct torn_tail {
  std::string file;
  std::uint64_t position = 0; ///< of its first byte in the file
  std::uint64_t bytes = 0;    ///< up to the last one that is not zero

  friend bool operator==(const torn_tail&, const torn_tail&) = default;
};

/// Stored bytes that are not what was written.
struct damage {
  std::string file;
  std::uint64_t position = 0;
  std::string text; ///< what is wrong there

  friend bool operator==(const damage&, const damage&) = default;
};

/// Damage as an error for an operator.
[[nodiscard]] error to_error(const std::string& directory, const damage& found);

struct segment_info {
  std::uint64_t first = 0; ///< number of its first frame
  std::string name;        ///< `next.new` when a crash came just before it was renamed
  std::uint64_t size = 0;
};

/// One good frame on the way.
struct scanned_frame {
  const log_identity& identity; ///< of the log
  std::size_t segment = 0;      ///< index into `segments`
  const segment_info& in;       ///< that one
  std::uint64_t position = 0;
  frame_header header;
  std::string_view body;
};

/// Everything that opening and verifying need to know about a directory.
struct directory_scan {
  log_identity identity;
  std::uint64_t incarnation = 1;
  std::vector<segment_info> segments;
  std::uint64_t frames = 0;         ///< good ones, which is the number of the next frame
  std::uint64_t synced_to = 0;      ///< every frame below is known to have been synced
  std::uint64_t end_position = 0;   ///< in the last file: where the next frame goes
  std::uint64_t last_file_size = 0; ///< as it is; above its announced size when something is behind
  std::optional<torn_tail> torn;
  std::optional<damage> found_damage;
};

using frame_visitor = std::function<void(const scanned_frame&)>;

/// Who may write to the directory while it is read.
enum class scan_beside { nobody, writer };

/// Walks over a whole log directory and changes nothing. `each` sees every good frame in order, up
/// to the damage or the torn tail.
///
/// How a torn tail is told from damage: at the first place that is neither a good frame nor the
/// end, the scan looks further for any good frame or file. If one says that frames beyond this
/// place were synced, then this place was good once: damage. If none does, it was never
/// acknowledged: torn.
///
/// Beside a `writer` the end moves: a place that was half written when it was read, and is a good
/// frame when it is read again, is where this walk ends. So is a `continued` frame whose next file
/// had no name yet when the walk began. All that was acknowledged before it began is before its
/// end.
///
/// Errors: `not_found` (no log here), `unknown_record` (a newer format), `io_failed`.
[[nodiscard]] result<directory_scan> scan(const log_directory& directory, const frame_visitor& each,
                                          scan_beside beside = scan_beside::nobody);

} // namespace orrery::log
