#include "actors/api/http/hall.hpp"

#include "actors/api/http/session.hpp"

#include <utility>

namespace orrery::http {

void gate::post(const std::weak_ptr<session>& whom, std::function<void(session&)> act) {
  const std::lock_guard lock(x_mutex);
  if (!x_is_open)
    return;
  if (const auto visitor = whom.lock())
    visitor->post(std::move(act));
}

void gate::close() {
  const std::lock_guard lock(x_mutex);
  x_is_open = false;
}

std::size_t hall::enter(std::uint64_t number, const std::shared_ptr<session>& one,
                        std::size_t count_max) {
  const std::lock_guard lock(x_mutex);
  const auto count = x_sessions.size();
  if (count < count_max)
    x_sessions.emplace(number, one);
  return count;
}

bool hall::admit_plain() {
  const std::lock_guard lock(x_mutex);
  if (x_plain >= limits.connections)
    return false;
  ++x_plain;
  return true;
}

bool hall::admit_stream(bool was_plain) {
  const std::lock_guard lock(x_mutex);
  if (x_streams >= limits.streams)
    return false;
  ++x_streams;
  x_plain -= was_plain ? 1 : 0;
  return true;
}

void hall::leave(std::uint64_t number, bool is_stream, bool is_plain) {
  std::shared_ptr<session> last; // let go after the lock
  const std::lock_guard lock(x_mutex);
  x_streams -= is_stream ? 1 : 0;
  x_plain -= is_plain ? 1 : 0;
  const auto found = x_sessions.find(number);
  if (found == x_sessions.end())
    return;
  last = std::move(found->second);
  x_sessions.erase(found);
  if (x_sessions.empty())
    x_emptied.notify_all();
}

void hall::for_all(const std::function<void(session&)>& act) {
  const std::lock_guard lock(x_mutex);
  for (const auto& [number, one] : x_sessions)
    one->post(act);
}

void hall::wait_until_empty(std::chrono::milliseconds patience) {
  std::unique_lock lock(x_mutex);
  x_emptied.wait_for(lock, patience, [this] { return x_sessions.empty(); });
}

} // namespace orrery::http
