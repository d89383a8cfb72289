#pragma once

#include "events/core/error.hpp"
#include "events/log/kafka_client.hpp"

#include <cstddef>
#include <cstdint>

/// What the bench needs of librdkafka alone, without its header: the least that a client of Kafka
/// must do. Not part of orreryd.
namespace orrery::log {

/// Produces so many records of so many bytes into partition 0, as an idempotent producer with
/// `acks=all` does at its fastest, after one that is not counted. The seconds from the first to the
/// last report. Blocks. Errors: those of the client, and of a record that was not stored.
[[nodiscard]] result<double> produce_raw(const kafka_target& target, std::size_t count,
                                         std::size_t bytes_each);

struct consumed {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  double seconds = 0; ///< from the making of the consumer on
};

/// Consumes partition 0 by a new consumer, from its begin to the end that it has now. Blocks.
/// Errors: those of the client.
[[nodiscard]] result<consumed> consume_raw(const kafka_target& target);

} // namespace orrery::log
