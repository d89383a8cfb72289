#pragma once

#include "events/log/kafka_client.hpp"
#include "events/log/kafka_topic.hpp"
#include "events/log/log.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orrery::log {

struct kafka_options {
  kafka_target target;
  kafka_topic_wanted wanted; ///< a topic that is otherwise is refused

  /// For one record, all of librdkafka's repetitions included. Longer than a leader election (10 s
  /// and less), so that one does not put records in doubt; then the owner must claim again.
  std::chrono::milliseconds delivery_limit{60'000};

  /// For brokers to answer when the log is opened.
  std::chrono::milliseconds open_limit{15'000};

  /// For a record that is known to be there. Then the read is `unavailable`.
  std::chrono::milliseconds fetch_limit{10'000};

  /// For appends under way when the log is closed. Then they are told as `unknown`.
  std::chrono::milliseconds close_limit{10'000};

  /// Tests with librdkafka's mock cluster, which cannot be asked for a topic's settings, say false.
  bool check_settings = true;
};

struct kafka_statistics {
  std::uint64_t producers_replaced = 0; ///< after a fatal error of the library
};

/// The log on Apache Kafka: one topic, whose partitions are ours. Any number of processes may have
/// it open; who may write is the acceptance rule's business, not Kafka's.
///
/// `append`: idempotent, `acks=all`, one produce a record; `durable` means that the broker said so.
/// An outage shorter than `delivery_limit` is waited out. A record that was never handed to a
/// broker is `not_written`, all other failures are `unknown`. `read`: only what all brokers in sync
/// have. An outage looks like silence until a record that is known to be there cannot be had for
/// `fetch_limit`. Records that were there and are not any more are `log_cut`: a gap, an offset out
/// of range, another last record after a connection broke, a report for a place that was taken.
/// `end`: what this process knows. It is exact when the log is opened and after an own append; the
/// records of other processes count once they were read or fetched.
class kafka_log final : public log {
public:
  /// Blocks up to `open_limit`, and again as long to ask for the ends. Errors: `not_found` (no such
  /// topic), `config_invalid` (a topic that may lose records, or has another number of partitions;
  /// a wrong setting), `unauthenticated`, `unavailable`, `log_cut` (a partition without its begin).
  [[nodiscard]] static result<std::unique_ptr<kafka_log>> open(const kafka_options& options);

  ~kafka_log() override;

  void append(partition_number where, std::string bytes,
              std::function<void(const append_outcome&)> done) override;
  [[nodiscard]] result<std::vector<record>> read(partition_number where, offset from,
                                                 std::size_t bytes_max,
                                                 std::chrono::milliseconds patience) override;
  [[nodiscard]] result<offset> end(partition_number where) override;

  [[nodiscard]] kafka_statistics statistics() const;

private:
  class core;

  explicit kafka_log(std::unique_ptr<core> made);

  std::unique_ptr<core> x_core;
};

} // namespace orrery::log
