#pragma once

#include "events/core/error.hpp"
#include "events/log/kafka_client.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::log {

/// What a topic is for, which says how it must be.
enum class kafka_topic_kind : std::uint8_t {
  events,   ///< the log: a lost record is lost for ever
  commands, ///< transport: kept for a day, may lose
  liveness, ///< the board of heartbeats: kept for minutes
  meta,     ///< the log's identity: as durable as the log
};

/// The topics of one installation.
struct kafka_topics {
  std::string events;
  std::string commands;
  std::string liveness;
  std::string meta;
};

inline constexpr std::string_view kafka_prefix_default = "orrery";

/// `<prefix>.events` and so on.
[[nodiscard]] kafka_topics topics_of(std::string_view prefix);

/// The same servers and settings, another topic.
[[nodiscard]] kafka_target with_topic(kafka_target target, std::string topic);

/// What a topic must be like.
struct kafka_topic_wanted {
  std::uint16_t partitions = 0; ///< 1 to 4,096; 0: whatever it has (for `check_topic` only)

  /// Copies of each record. 3 survive one lost broker without a word; 1 is for one broker, whose
  /// disk is then all there is.
  std::uint16_t replication = 3;

  kafka_topic_kind kind = kafka_topic_kind::events;
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
  bool was_made = false; ///< by `ensure_topic`, just now
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

/// Makes the topic unless it is there already, then compares it with what is wanted: may be
/// repeated, by several at once too. One that is there is left as it is. Blocks up to `patience`.
/// Errors as `make_topic` but for `already_exists`.
[[nodiscard]] result<kafka_topic_state> ensure_topic(const kafka_target& target,
                                                     const kafka_topic_wanted& wanted,
                                                     std::chrono::milliseconds patience);

/// How many partitions it has, and nothing more. Blocks up to `patience`. Errors: `not_found`,
/// `config_invalid` (the client's settings), `unauthenticated`, `unavailable`.
[[nodiscard]] result<std::uint16_t> topic_partitions(const kafka_target& target,
                                                     std::chrono::milliseconds patience);

/// The faults as one error (`config_invalid`), each with its name; the state must have some.
[[nodiscard]] error topic_refusal(const kafka_target& target, const kafka_topic_state& state);

} // namespace orrery::log
