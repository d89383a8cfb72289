#pragma once

#include "events/log/segment_files.hpp"
#include "events/log/segment_scan.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace orrery::log {

enum class copied_frames {
  proven, ///< those that the log itself proves to have been synced
  all,
};

enum class copied_files {
  sparse,    ///< take the room of their frames
  allocated, ///< have room for all that they may hold: somebody will write on
};

/// Writes the frames of a scan into another directory: files of the same names and sizes, the same
/// bytes at the same places. What is not proven yet waits in memory, for as much as one batch of
/// the log's writer. One thread.
class log_copy {
public:
  /// All of them outlive this. `progress` gets the bytes of the log that are behind.
  log_copy(const log_directory& to, const file_calls& calls, copied_frames which, copied_files how,
           std::function<void(std::uint64_t)> progress)
      : x_to(to), x_calls(calls), x_which(which), x_how(how), x_progress(std::move(progress)) {}

  /// For `scan`. After a failure the rest is passed over.
  void take(const scanned_frame& frame);

  /// Writes what waits, and makes all of it durable but the names. `found` is what the scan gave.
  /// Errors: `storage_full`, `io_failed`.
  [[nodiscard]] result<void> finish(const directory_scan& found);

private:
  struct waiting {
    std::uint64_t number;
    std::size_t end; ///< in the buffer
  };

  void begin_file(const log_id& log, const segment_info& like);
  void end_file();
  void write_proven();
  void keep(error failed);

  const log_directory& x_to;
  const file_calls& x_calls;
  const copied_frames x_which;
  const copied_files x_how;
  const std::function<void(std::uint64_t)> x_progress;
  std::optional<error> x_failed;
  file x_file;
  std::string x_name;
  std::uint64_t x_first = 0;
  std::uint64_t x_size = 0;
  std::uint64_t x_position = 0;  ///< where the buffer begins in the file
  std::uint64_t x_behind = 0;    ///< bytes of the files before
  std::uint64_t x_proven_to = 0; ///< every frame below may be written
  std::string x_buffer;
  std::deque<waiting> x_waiting; ///< ends of the frames in the buffer
};

} // namespace orrery::log
