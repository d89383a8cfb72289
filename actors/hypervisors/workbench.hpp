#pragma once

#include "actors/hypervisors/driving.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace orrery::actors {

/// A bench of threads, so that no verb ever runs on a scheduler thread. Different keys run side by
/// side, up to the number of threads.
class workbench final : public bench {
public:
  explicit workbench(std::size_t threads);

  /// Drops work that has not begun and waits for what has.
  ~workbench() override;

  void add(const uuid& key, work todo) override;
  std::unordered_set<uuid> busy() override;

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
