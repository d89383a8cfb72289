#pragma once

#include "actors/bench_support.hpp"
#include "events/core/id.hpp"
#include "tools/dev/bench/measure.hpp"

#include <string>
#include <vector>

/// Commands on their way through a partition, timed.
namespace orrery::bench {

/// Single commands whose latency makes a p99.
inline constexpr std::size_t latency_commands = 500;

struct flown {
  double rate = 0;          ///< commands a second, until the last is projected
  double answered_rate = 0; ///< until the last is answered
  double cpu_seconds_per_million = 0;
  double commands_per_record = 0;
};

/// As many commands as there are, always 4,000 of them under way, until the last is answered and
/// projected.
[[nodiscard]] flown fly(actors::bench_partition& partition, std::vector<v1::Command> commands);

/// Milliseconds from submission to answer.
[[nodiscard]] samples latencies_idle(actors::bench_partition& partition,
                                     std::vector<v1::Command> commands);

/// The same while commands come at a steady rate, whether or not they are answered.
[[nodiscard]] samples latencies_at(actors::bench_partition& partition,
                                   std::vector<v1::Command> commands, double rate);

[[nodiscard]] row row_of(const std::string& id, const std::string& what, const std::string& unit,
                         double value, double load);

} // namespace orrery::bench
