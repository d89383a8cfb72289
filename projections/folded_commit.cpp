#include "projections/folded_commit.hpp"

#include "events/log/sha256.hpp"

#include <algorithm>

namespace orrery::projections {

namespace {

constexpr auto by_partition = &std::pair<partition_number, log_position>::first;

} // namespace

error built_from_another(const std::string& path, std::string_view projection,
                         const folded_commit& in_log,
                         const std::array<std::uint8_t, 32>& built_from) {
  return {error_code::log_cut,
          "projection '" + std::string(projection) + "' in " + path +
              " was built from another record " + std::to_string(in_log.seq) + " of partition " +
              to_text(in_log.where) + " (hash " + log::to_text(built_from) +
              ") than the log now has (" + log::to_text(in_log.head) +
              "): the log was cut or replaced. Restore the log that they were built from; only "
              "if this log is the right one, delete that folder, and they are rebuilt",
          false};
}

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
