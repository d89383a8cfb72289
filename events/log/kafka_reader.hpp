#pragma once

#include "events/log/kafka_client.hpp"
#include "events/log/log.hpp"

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace orrery::log {

/// The reading half of a Kafka log: consumers with partitions *assigned* at explicit offsets (no
/// group, no stored offsets), up to the high watermark.
///
/// A `lane` is one consumer; in each lane a partition has one cursor, which fetches ahead and keeps
/// the last records that it gave, so that several readers at about the same place share it. Readers
/// at different places (one follows, another starts from 0) get cursors in different lanes. Whoever
/// needs records fetches them in its own thread; the others of the same cursor wait for him.
class kafka_reader {
public:
  /// Readers of one partition at different places, each without hindering the others. More share.
  static constexpr std::size_t lanes = 3;

  /// `fetch_limit`: how long a record that must be there may take to come. Blocks up to
  /// `open_limit` to ask for the ends of all partitions. Errors: `config_invalid`, `unavailable`,
  /// `unauthenticated`, `log_cut` (a partition that does not begin at 0).
  [[nodiscard]] static result<std::unique_ptr<kafka_reader>>
  make(const kafka_target& target, std::chrono::milliseconds open_limit,
       std::chrono::milliseconds fetch_limit, kafka_ends& ends);

  ~kafka_reader();

  kafka_reader(const kafka_reader&) = delete;
  kafka_reader& operator=(const kafka_reader&) = delete;

  /// See `log::read`.
  [[nodiscard]] result<std::vector<record>> read(partition_number where, offset from,
                                                 std::size_t bytes_max,
                                                 std::chrono::milliseconds patience);

  /// What the followed partition's end is by the last answer of its leader. Does not block.
  void refresh_end(partition_number where);

private:
  using clock = std::chrono::steady_clock;

  struct cursor {
    bool is_started = false;
    bool is_busy = false;     ///< a thread fetches with it
    bool must_verify = false; ///< the next record must be the last one again
    std::uint64_t breaks = 0; ///< of the connection, when it was last known to be whole
    std::uint64_t used = 0;   ///< the larger the later
    std::deque<record> window;
    std::size_t window_bytes = 0;
    offset next = 0; ///< of the record behind the window
  };

  struct partition {
    std::mutex lock;
    std::condition_variable changed;
    std::array<cursor, lanes> cursors;
    std::uint64_t used = 0;
  };

  struct wish {
    partition_number where{0};
    offset from = 0;
    std::size_t bytes_max = 0;
  };

  kafka_reader(const kafka_target& target, std::chrono::milliseconds fetch_limit, kafka_ends& ends);

  [[nodiscard]] result<std::shared_ptr<kafka_handle>> lane(std::size_t number);
  [[nodiscard]] result<void> ask_ends(std::chrono::milliseconds limit);
  [[nodiscard]] result<void> ask_ends_once(kafka_handle& handle, std::chrono::milliseconds limit);
  [[nodiscard]] result<offset> ask_end(partition_number where);
  [[nodiscard]] static bool take(partition& from, const wish& wanted, std::vector<record>& found);
  [[nodiscard]] static std::size_t choose(partition& of, offset from);
  [[nodiscard]] result<void> fetch(partition& of, std::size_t number, const wish& wanted,
                                   std::chrono::milliseconds patience);
  [[nodiscard]] result<void> move(partition& of, std::size_t number, const wish& wanted,
                                  bool is_there, std::uint64_t breaks);
  [[nodiscard]] result<std::vector<record>> pull(kafka_handle& handle, const wish& wanted,
                                                 std::chrono::milliseconds patience);
  [[nodiscard]] result<void> absorb(partition_number where, cursor& into,
                                    std::vector<record> records);
  [[nodiscard]] error failure(kafka_handle& handle, partition_number where, int code) const;

  const kafka_target x_target;
  const std::chrono::milliseconds x_fetch_limit;
  kafka_ends& x_ends;
  std::mutex x_lanes_lock;
  std::array<std::shared_ptr<kafka_handle>, lanes> x_lanes;
  std::vector<std::unique_ptr<partition>> x_partitions;
};

} // namespace orrery::log
