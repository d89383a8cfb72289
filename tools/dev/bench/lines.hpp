#pragma once

#include "tools/dev/bench/measure.hpp"

#include <vector>

/// The lines of the bench: each gives its rows, the main one first. Each ends the program when
/// something fails.
namespace orrery::bench {

[[nodiscard]] std::vector<row> pipeline_embedded(const settings& wanted);
[[nodiscard]] std::vector<row> burst(const settings& wanted);
[[nodiscard]] std::vector<row> log_append(const settings& wanted);
[[nodiscard]] std::vector<row> replay(const settings& wanted);
[[nodiscard]] std::vector<row> project(const settings& wanted);
[[nodiscard]] std::vector<row> restart(const settings& wanted);
[[nodiscard]] std::vector<row> rebuild(const settings& wanted);

// On a Kafka that is there already, on a log that is empty (`kafka_consume`: that is filled).
[[nodiscard]] std::vector<row> pipeline_kafka(const settings& wanted);
[[nodiscard]] std::vector<row> kafka_fill(const settings& wanted);
[[nodiscard]] std::vector<row> kafka_consume(const settings& wanted);

/// What `--check` has against a line's rows; empty: nothing.
[[nodiscard]] std::string objection_to(const row& made);

} // namespace orrery::bench
