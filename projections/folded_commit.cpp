#include "projections/folded_commit.hpp"

#include <algorithm>

namespace orrery::projections {

namespace {

constexpr auto by_partition = &std::pair<partition_number, log_position>::first;

} // namespace

const log_position& log_positions::at(partition_number where) const {
  static const log_position none;
  const auto found = std::ranges::lower_bound(x_all, where, {}, by_partition);
  return found == x_all.end() || found->first != where ? none : found->second;
}

void log_positions::set(partition_number where, const log_position& position) {
  const auto found = std::ranges::lower_bound(x_all, where, {}, by_partition);
  const bool is_there = found != x_all.end() && found->first == where;
  if (position.seq == 0) {
    if (is_there)
      x_all.erase(found);
  } else if (is_there) {
    found->second = position;
  } else {
    x_all.insert(found, {where, position});
  }
}

std::uint64_t log_positions::total() const {
  std::uint64_t sum = 0;
  for (const auto& [where, position] : x_all)
    sum += position.seq;
  return sum;
}

} // namespace orrery::projections
