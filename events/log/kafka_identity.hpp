#pragma once

#include "events/core/error.hpp"
#include "events/log/history.hpp"
#include "events/log/kafka_log.hpp"
#include "events/log/kafka_topic.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace orrery::log {

/// What is written once about a log on Kafka, and holds for ever.
struct kafka_identity {
  log_identity log;
  std::uint16_t partitions = 0; ///< 1 to 4,096

  friend bool operator==(const kafka_identity&, const kafka_identity&) = default;
};

// It is the first record of a topic of its own. Those behind it mean nothing, so two that write at
// the same time agree on the first. Little endian, no gaps:
//
//   at  size
//    0    4  magic "OrrI"
//    4    4  version of this format: 1
//    8   16  installation id
//   24   16  log id
//   40    2  partitions
//   42    2  zero
//   44    4  crc32c of 0 to 44
inline constexpr std::size_t kafka_identity_size = 48;

/// The record's bytes.
[[nodiscard]] std::string encode(const kafka_identity& identity);

/// Strict: a record has one form. Errors: `damaged`, `unknown_record` (of a later version).
[[nodiscard]] result<kafka_identity> parse_kafka_identity(std::string_view bytes);

/// Reads the identity from `target.topic`. Blocks up to about `patience`. Errors: `not_found` (no
/// such topic, or nothing in it yet: `orrery log init`), `damaged`, `log_cut` (its first record was
/// deleted), `unknown_record`, `config_invalid`, `unauthenticated`, `unavailable`.
[[nodiscard]] result<kafka_identity> read_identity(const kafka_target& target,
                                                   std::chrono::milliseconds patience);

/// Writes `wanted` if there is none, and answers the one that holds: another one when that was
/// there before. Blocks up to about `patience`. May be repeated after any error. Errors as
/// `read_identity`; not `not_found` for a topic without a record.
[[nodiscard]] result<kafka_identity> write_identity(const kafka_target& target,
                                                    const kafka_identity& wanted,
                                                    std::chrono::milliseconds patience);

/// A log that was found by its prefix.
struct identified_log {
  std::unique_ptr<kafka_log> log;
  log_identity identity;
  std::uint16_t partitions = 0;
};

/// Reads the identity of the log with that prefix and opens it: topic and number of partitions in
/// `options` are taken from there. Blocks up to three times `options.open_limit`. Errors: those of
/// `read_identity` and of `kafka_log::open`.
[[nodiscard]] result<identified_log> open_by_prefix(kafka_options options, std::string_view prefix);

} // namespace orrery::log
