#pragma once

#include "events/core/id.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace orrery::actors {

/// Threads for the blocking verbs of one node's hypervisor, so that none ever runs on a scheduler
/// thread. Work of the same key (a VM) runs one after the other, in order; different keys run side
/// by side, up to the number of threads.
class workbench {
public:
  using work = std::function<void()>;

  explicit workbench(std::size_t threads);
  workbench(const workbench&) = delete;
  workbench& operator=(const workbench&) = delete;

  /// Drops work that has not begun and waits for what has.
  ~workbench();

  /// Hands over a piece of work. Does not block. A key of none is a key like any other (work on the
  /// node itself).
  void add(const uuid& key, work todo);

private:
  struct lane {
    std::deque<work> waiting;
    bool is_running = false;
  };

  void run();

  std::mutex x_guard;
  std::condition_variable x_changed;
  std::unordered_map<uuid, lane> x_lanes;
  std::deque<uuid> x_ready; ///< keys with work and nobody on it
  bool x_closing = false;
  std::vector<std::thread> x_threads;
};

} // namespace orrery::actors
