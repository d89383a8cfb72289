#include "actors/engine/outbox.hpp"

#include <algorithm>
#include <utility>

namespace orrery::actors {

void outbox::add(const v1::Command& sent) {
  auto& to = x_streams[domain::target_of(sent)];
  if (sent.stream().number() > to.acknowledged)
    to.waiting.push_back(sent);
}

void outbox::taken(partition_number target, std::uint64_t number) {
  auto& to = x_streams[target];
  if (number <= to.acknowledged)
    return;
  to.acknowledged = number;
  to.has_moved = true;
  while (!to.waiting.empty() && to.waiting.front().stream().number() <= number) {
    to.waiting.pop_front();
    to.sent -= std::min<std::size_t>(to.sent, 1);
  }
}

std::map<partition_number, std::uint64_t> outbox::acknowledged() const {
  std::map<partition_number, std::uint64_t> found;
  for (const auto& [target, to] : x_streams)
    found[target] = to.acknowledged;
  return found;
}

bool outbox::is_behind(partition_number target) const {
  const auto found = x_streams.find(target);
  return found != x_streams.end() && found->second.waiting.size() >= unacknowledged_max;
}

void outbox::begin_again() {
  for (auto& [target, to] : x_streams)
    to.sent = 0;
}

void outbox::send(steady_time now, const std::function<void(const v1::Command&)>& carry) {
  for (auto& [target, to] : x_streams) {
    if (std::exchange(to.has_moved, false))
      to.repeat = now + repeat_interval;
    else if (to.sent > 0 && now >= to.repeat)
      to.sent = 0;
    if (to.sent == 0)
      to.repeat = now + repeat_interval;
    const auto end = std::min(to.waiting.size(), window);
    for (; to.sent < end; ++to.sent)
      carry(to.waiting[to.sent]);
  }
}

} // namespace orrery::actors
