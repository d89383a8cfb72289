#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace orrery::actors {

/// How much is on its way between two threads: a producer waits while it is too much. Keeps a long
/// replay from filling memory with records that nobody has folded yet.
class flow {
public:
  explicit flow(std::size_t limit) : x_limit(limit) {}

  /// Blocks while `limit` units are under way; false once it was closed.
  bool enter() {
    std::unique_lock lock(x_guard);
    x_changed.wait(lock, [this] { return x_closed || x_count < x_limit; });
    ++x_count;
    return !x_closed;
  }

  /// Adds a unit without waiting (the producer must not block).
  void add() {
    const std::lock_guard lock(x_guard);
    ++x_count;
  }

  void leave() {
    {
      const std::lock_guard lock(x_guard);
      --x_count;
    }
    x_changed.notify_all();
  }

  /// Blocks while `limit` or more units are under way; false once it was closed.
  bool wait_for_room() {
    std::unique_lock lock(x_guard);
    x_changed.wait(lock, [this] { return x_closed || x_count < x_limit; });
    return !x_closed;
  }

  void close() {
    {
      const std::lock_guard lock(x_guard);
      x_closed = true;
    }
    x_changed.notify_all();
  }

private:
  const std::size_t x_limit;
  std::mutex x_guard;
  std::condition_variable x_changed;
  std::size_t x_count = 0;
  bool x_closed = false;
};

} // namespace orrery::actors
