#include "actors/hypervisors/workbench.hpp"

namespace orrery::actors {

workbench::workbench(std::size_t threads) {
  x_threads.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i)
    x_threads.emplace_back([this] { run(); });
}

workbench::~workbench() {
  {
    const std::lock_guard lock(x_guard);
    x_closing = true;
    x_ready.clear();
  }
  x_changed.notify_all();
  for (auto& thread : x_threads)
    thread.join();
}

void workbench::add(const uuid& key, work todo) {
  {
    const std::lock_guard lock(x_guard);
    if (x_closing)
      return;
    auto& mine = x_lanes[key];
    mine.waiting.push_back(std::move(todo));
    if (mine.is_running || mine.waiting.size() > 1)
      return; // whoever works on this key takes it
    x_ready.push_back(key);
  }
  x_changed.notify_one();
}

std::unordered_set<uuid> workbench::busy() {
  const std::lock_guard lock(x_guard);
  std::unordered_set<uuid> found;
  for (const auto& [key, mine] : x_lanes)
    found.insert(key);
  return found;
}

void workbench::run() {
  std::unique_lock lock(x_guard);
  while (true) {
    x_changed.wait(lock, [this] { return x_closing || !x_ready.empty(); });
    if (x_closing)
      return;
    const auto key = x_ready.front();
    x_ready.pop_front();
    auto& mine = x_lanes[key];
    auto todo = std::move(mine.waiting.front());
    mine.waiting.pop_front();
    mine.is_running = true;
    lock.unlock();
    todo();
    lock.lock();
    auto& after = x_lanes[key]; // the table may have grown meanwhile
    after.is_running = false;
    if (after.waiting.empty()) {
      x_lanes.erase(key);
    } else {
      x_ready.push_back(key);
      x_changed.notify_one();
    }
  }
}

} // namespace orrery::actors
