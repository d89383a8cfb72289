#include "events/log/memory_bus.hpp"

#include "events/core/check.hpp"
#include "events/log/bus_check.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace orrery::log {

namespace {

/// Messages in a row, of which the first ones are forgotten when no participant needs them.
class line {
public:
  [[nodiscard]] std::uint64_t end() const { return x_first + x_kept.size(); }

  void add(std::string bytes) { x_kept.push_back(std::move(bytes)); }

  /// The one at `at` or, when that is forgotten, the first one that is left; moves `at` behind it.
  [[nodiscard]] const std::string* take(std::uint64_t& at) const {
    at = std::max(at, x_first);
    return at < end() ? &x_kept[static_cast<std::size_t>(at++ - x_first)] : nullptr;
  }

  void forget_before(std::uint64_t at) {
    for (; x_first < at && !x_kept.empty(); ++x_first)
      x_kept.pop_front();
  }

private:
  std::uint64_t x_first = 0;
  std::deque<std::string> x_kept;
};

} // namespace

struct memory_bus_place {
  std::map<partition_number, std::uint64_t> listening;
  std::uint64_t board_at = 0;
  std::uint64_t breaks = 0;
  bool is_cut = false;
};

class memory_bus_store {
public:
  explicit memory_bus_store(std::uint16_t partitions) : lines(partitions) {}

  /// Needs the lock. Forgets what nobody listens to, but for what a new listener begins with.
  void forget(partition_number where) {
    auto& one = lines[static_cast<std::size_t>(where)];
    auto needed = one.end() - std::min<std::uint64_t>(one.end(), carried_before);
    for (const auto* participant : participants)
      if (const auto found = participant->listening.find(where);
          found != participant->listening.end())
        needed = std::min(needed, found->second);
    one.forget_before(needed);
  }

  /// Needs the lock.
  void forget_posts() {
    auto needed = posts.end();
    for (const auto* participant : participants)
      needed = std::min(needed, participant->board_at);
    posts.forget_before(needed);
  }

  std::mutex lock;
  std::condition_variable changed;
  std::vector<line> lines;
  line posts;
  std::set<memory_bus_place*> participants;
};

std::shared_ptr<memory_bus_store> make_memory_bus_store(std::uint16_t partitions) {
  ORRERY_CHECK(partitions > 0);
  ORRERY_CHECK(partitions <= partition_number_max + 1);
  return std::make_shared<memory_bus_store>(partitions);
}

memory_bus::memory_bus(std::shared_ptr<memory_bus_store> shared)
    : x_store(std::move(shared)), x_place(std::make_unique<memory_bus_place>()) {
  const std::lock_guard hold(x_store->lock);
  x_place->board_at = x_store->posts.end();
  x_store->participants.insert(x_place.get());
}

memory_bus::~memory_bus() {
  const std::lock_guard hold(x_store->lock);
  x_store->participants.erase(x_place.get());
}

result<void> memory_bus::send(partition_number where, std::string bytes) {
  const std::lock_guard hold(x_store->lock);
  if (auto refused = send_refusal(where, bytes.size(), x_store->lines.size()))
    return *refused;
  if (x_place->is_cut)
    return {};
  x_store->lines[static_cast<std::size_t>(where)].add(std::move(bytes));
  x_store->forget(where);
  x_store->changed.notify_all();
  return {};
}

result<void> memory_bus::listen(partition_number where) {
  const std::lock_guard hold(x_store->lock);
  if (auto refused = partition_refusal(where, x_store->lines.size()))
    return *refused;
  const auto end = x_store->lines[static_cast<std::size_t>(where)].end();
  x_place->listening.emplace(where, end - std::min<std::uint64_t>(end, carried_before));
  return {};
}

void memory_bus::ignore(partition_number where) {
  const std::lock_guard hold(x_store->lock);
  x_place->listening.erase(where);
}

result<std::vector<carried>> memory_bus::receive(std::chrono::milliseconds patience) {
  std::vector<carried> found;
  const auto take_all = [&] {
    if (x_place->is_cut)
      return false;
    for (auto& [where, at] : x_place->listening) {
      auto& from = x_store->lines[static_cast<std::size_t>(where)];
      while (found.size() < carried_count_max) {
        const auto* bytes = from.take(at);
        if (bytes == nullptr)
          break;
        found.push_back({where, *bytes});
      }
      x_store->forget(where);
    }
    return !found.empty();
  };
  std::unique_lock hold(x_store->lock);
  x_store->changed.wait_for(hold, patience, take_all);
  return found;
}

result<void> memory_bus::post(std::string bytes) {
  const std::lock_guard hold(x_store->lock);
  if (auto refused = post_refusal(bytes.size()))
    return *refused;
  if (x_place->is_cut)
    return {};
  x_store->posts.add(std::move(bytes));
  x_store->changed.notify_all();
  return {};
}

result<std::vector<std::string>> memory_bus::read(std::chrono::milliseconds patience) {
  std::vector<std::string> found;
  std::unique_lock hold(x_store->lock);
  x_store->changed.wait_for(hold, patience, [&] {
    while (!x_place->is_cut && found.size() < carried_count_max) {
      const auto* bytes = x_store->posts.take(x_place->board_at);
      if (bytes == nullptr)
        break;
      found.push_back(*bytes);
    }
    return !found.empty();
  });
  x_store->forget_posts();
  return found;
}

std::uint64_t memory_bus::breaks() const {
  const std::lock_guard hold(x_store->lock);
  return x_place->breaks;
}

void memory_bus::cut(bool is_cut) {
  const std::lock_guard hold(x_store->lock);
  if (is_cut && !x_place->is_cut)
    ++x_place->breaks;
  x_place->is_cut = is_cut;
  x_store->changed.notify_all();
}

} // namespace orrery::log
