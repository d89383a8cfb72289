#pragma once

#include "events/log/log.hpp"
#include "events/log/segment_scan.hpp"

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace orrery::log {

/// A frame's place: which file, and its position in it.
struct frame_place {
  std::size_t file = 0; ///< counted from the first file of the log
  std::uint64_t position = 0;
};

/// A record and its place, when it is durable.
struct placed_record {
  partition_number where{0};
  offset at = 0;
  frame_place place;
};

/// What readers know of a segment log: how far each partition is durable, and a few places to start
/// reading from. Filled by opening and by the writer, asked by readers; any thread.
class segment_index {
public:
  void add_file(const segment_info& added);

  /// Before anybody reads: a record that opening found.
  void load(const placed_record& found);

  /// Makes records durable for readers and wakes them. `end_position`: behind the last frame.
  void publish(const std::vector<placed_record>& records, std::uint64_t end_position);

  [[nodiscard]] offset end(partition_number where) const;

  struct start {
    offset at = 0; ///< of the first record of the partition from `place` on; at most what was asked
    offset end = 0; ///< of the partition
    frame_place place;
  };

  /// Where to read `from`. Waits up to `patience` for it to be durable; nothing when it still is
  /// not. Errors: `log_cut`.
  [[nodiscard]] result<std::optional<start>> find(partition_number where, offset from,
                                                  std::chrono::milliseconds patience);

  struct window {
    std::string name;
    std::uint64_t limit = 0; ///< frames at and above may still be under way
  };

  /// Nothing when there is no such file.
  [[nodiscard]] std::optional<window> file_at(std::size_t index) const;

  [[nodiscard]] std::size_t file_count() const;

  /// A reader stopped before `at`, and will go on from there.
  void remember(partition_number where, offset at, frame_place place);

private:
  struct known_place {
    offset at = 0;
    frame_place place;
  };

  /// Readers of one partition that go on where they stopped: its owner, a projector, the API.
  static constexpr std::size_t reader_count = 4;

  struct partition {
    offset end = 0;
    std::vector<known_place> sparse; ///< in order, one for each piece of a file
    std::array<known_place, reader_count> readers{};
    std::size_t reader_next = 0;
  };

  void add(const placed_record& record);

  mutable std::mutex x_lock;
  std::condition_variable x_grown;
  std::map<partition_number, partition> x_partitions;
  std::deque<segment_info> x_files;
  std::uint64_t x_end_position = 0;
};

} // namespace orrery::log
