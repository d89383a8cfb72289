#pragma once

#include "events/core/error.hpp"
#include "events/log/kafka_client.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace orrery::log {

/// What the topic of an event log must be like.
struct kafka_topic_wanted {
  std::uint16_t partitions = 0; ///< 1 to 4,096; 0: whatever it has (for `check_topic` only)

  /// Copies of each record. 3 survive one lost broker without a word; 1 is for one broker, whose
  /// disk is then all there is.
  std::uint16_t replication = 3;
};

/// How many copies must be written before a record counts: a majority, so that two halves of a
/// cluster never both take records.
[[nodiscard]] constexpr std::uint16_t min_insync(std::uint16_t replication) {
  return static_cast<std::uint16_t>(replication / 2 + 1);
}

/// One thing about a topic that must not be so.
struct kafka_topic_fault {
  std::string name;   ///< Kafka's name for it: `cleanup.policy`, `replication`, …
  std::string found;  ///< its value
  std::string wanted; ///< what it must be
  std::string reason; ///< what would be lost, and when
};

/// What `check_topic` saw.
struct kafka_topic_state {
  std::uint16_t partitions = 0;
  std::vector<kafka_topic_fault> faults; ///< none: the topic is right
};

/// Makes the topic with the right settings and waits until every partition has a leader. Blocks up
/// to `patience`. Errors: `already_exists` (it is left as it is), `invalid_argument` (more copies
/// than brokers, a number of partitions that cannot be), `config_invalid`, `unauthenticated`,
/// `unavailable`.
[[nodiscard]] result<void> make_topic(const kafka_target& target, const kafka_topic_wanted& wanted,
                                      std::chrono::milliseconds patience);

/// Compares the topic with what is wanted, changes nothing. Blocks up to `patience`. Errors:
/// `not_found`, `config_invalid` (the client's settings), `unauthenticated`, `unavailable`.
[[nodiscard]] result<kafka_topic_state> check_topic(const kafka_target& target,
                                                    const kafka_topic_wanted& wanted,
                                                    std::chrono::milliseconds patience);

/// The faults as one error (`config_invalid`), each with its name; the state must have some.
[[nodiscard]] error topic_refusal(const kafka_target& target, const kafka_topic_state& state);

} // namespace orrery::log
