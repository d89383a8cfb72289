#include "tests/sim/plain_log.hpp"

namespace orrery::sim {

void plain_log::append(partition_number where, std::string bytes,
                       std::function<void(const orrery::log::append_outcome&)> done) {
  auto& records = x_records[where];
  const auto at = records.size();
  records.push_back({at, std::move(bytes), x_clock()});
  if (x_stored)
    x_stored(where, records.back());
  done({orrery::log::append_fate::durable, at, {}});
}

result<std::vector<orrery::log::record>> plain_log::read(partition_number where,
                                                         orrery::log::offset from,
                                                         std::size_t bytes_max,
                                                         std::chrono::milliseconds /*patience*/) {
  const auto& records = x_records[where];
  if (from > records.size())
    return error{error_code::log_cut, "the simulated log ends before that", false};
  std::vector<orrery::log::record> found;
  std::size_t bytes = 0;
  for (auto at = from; at < records.size() && (found.empty() || bytes < bytes_max); ++at) {
    bytes += records[at].bytes.size();
    found.push_back(records[at]);
  }
  return found;
}

result<orrery::log::offset> plain_log::end(partition_number where) {
  return x_records[where].size();
}

} // namespace orrery::sim
