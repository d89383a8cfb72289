#include "tests/sim/timeline.hpp"

#include <algorithm>
#include <utility>

namespace orrery::sim {

void timeline::in(micros delay, std::function<void()> act) {
  x_heap.push_back({x_now + std::max(delay, micros(0)), ++x_tie, std::move(act)});
  std::push_heap(x_heap.begin(), x_heap.end(), is_later);
}

bool timeline::step(micros until) {
  if (x_heap.empty() || x_heap.front().when > until) {
    x_now = std::max(x_now, until);
    return false;
  }
  std::pop_heap(x_heap.begin(), x_heap.end(), is_later);
  const auto next = std::move(x_heap.back());
  x_heap.pop_back();
  x_now = next.when;
  ++x_steps;
  next.act();
  return true;
}

} // namespace orrery::sim
