#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::http {

/// What of a stream is on its way to its client, written a part at a time. One strand, but for the
/// count that `waiting` gives.
class outflow {
public:
  /// Pieces in one system call.
  static constexpr std::size_t gather_count_max = 16;

  /// Bytes that are not with the system yet. Whoever adds a piece counts it there first, since it
  /// comes to the strand later.
  [[nodiscard]] const std::shared_ptr<std::atomic<std::size_t>>& waiting() const {
    return x_waiting;
  }

  void add(std::shared_ptr<const std::string> piece) { x_queue.push_back(std::move(piece)); }

  [[nodiscard]] bool is_empty() const { return x_queue.empty(); }

  [[nodiscard]] bool is_writing() const { return x_is_writing; }

  /// What is to be written now; it stays where it is until `wrote`. Not while it is writing.
  [[nodiscard]] std::vector<std::string_view> begin_write();

  /// So many bytes of it were taken. True when nothing waits any more.
  bool wrote(std::size_t size);

  /// Forgets what was not begun: a client never gets a part of a piece without the rest.
  void keep_what_is_begun();

private:
  std::shared_ptr<std::atomic<std::size_t>> x_waiting =
      std::make_shared<std::atomic<std::size_t>>(0);
  std::deque<std::shared_ptr<const std::string>> x_queue;
  std::size_t x_sent = 0; ///< bytes of the first
  bool x_is_writing = false;
};

} // namespace orrery::http
