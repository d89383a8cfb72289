#pragma once

#include "events/log/segment_files.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

namespace orrery::log {

/// Prepares the next file of a segment log in the background, so that the change of files costs no
/// append anything: room for all of it, then zeros, since a write into a zero-filled file needs no
/// journal entry for its size or its extents (measured: up to twice as fast as into a file that was
/// only allocated). Zeros are an optimisation; room is not. They come at the pace of the log, since
/// a burst of them would make its syncs wait, and a log that stands still needs none.
///
/// One thread (the log's writer) calls it.
class segment_spare {
public:
  struct prepared {
    file opened;
    std::uint64_t size = 0;
  };

  /// Both outlive this.
  segment_spare(const log_directory& directory, const file_calls& calls)
      : x_directory(directory), x_calls(calls) {}

  /// Stops preparing and removes what was not taken.
  ~segment_spare();

  /// Begins to prepare a file of `size` bytes, unless one is being prepared or ready, and lets it
  /// be zero-filled up to `zeroed_to`. Does not block for the disk.
  void want(std::uint64_t size, std::uint64_t zeroed_to);

  /// The file `next.new` of at least `size_min` bytes: the prepared one if it is there, else a new
  /// one of `size`, or as much of it as there is room for. Blocks for the rest of a piece of zeros,
  /// and for all of them when `zeroed`. Errors: `storage_full`, `io_failed`; nothing is left
  /// behind.
  [[nodiscard]] result<prepared> take(std::uint64_t size, std::uint64_t size_min,
                                      bool zeroed = false);

private:
  void prepare(std::uint64_t size);
  void stop();
  [[nodiscard]] bool wait_for_pace(std::uint64_t zeroed_to);
  [[nodiscard]] result<prepared> make(std::uint64_t size) const;
  [[nodiscard]] bool write_zeros(const prepared& spare, std::uint64_t at) const;

  const log_directory& x_directory;
  const file_calls& x_calls;
  std::mutex x_lock;
  std::condition_variable x_changed;
  bool x_stop = false;
  std::uint64_t x_zeroed_to = 0;
  std::optional<prepared> x_ready; // belongs to the thread while it runs
  std::thread x_thread;
};

} // namespace orrery::log
