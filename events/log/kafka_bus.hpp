#pragma once

#include "events/log/kafka_client.hpp"
#include "events/log/kafka_topic.hpp"
#include "events/log/transport.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace orrery::log {

struct kafka_bus_options {
  kafka_target target; ///< servers and settings; its topic does not matter here
  kafka_topics topics = topics_of(kafka_prefix_default);

  /// For brokers to answer when the bus is opened.
  std::chrono::milliseconds open_limit{15'000};
};

/// Transport and board on Apache Kafka: a topic of commands with a partition for each of the log's,
/// and one of heartbeats. Consumers are assigned, there are no groups.
///
/// `send`: `acks=1`; a command that no broker took within some seconds is lost, and while 64 MiB
/// wait more are refused. `post`: one heartbeat is with the library at a time, the newest one waits
/// behind it, and both are dropped after about a second, so that after an outage no bunch of old
/// ones comes. An outage looks like silence to `receive` and `read`; `breaks` tells of it.
class kafka_bus final : public transport, public board {
public:
  /// Connects to everything, so that the first command of a takeover pays for no beginning. Blocks
  /// up to `open_limit`. Errors: `not_found` (a topic is missing), `config_invalid`,
  /// `unauthenticated`, `unavailable`.
  [[nodiscard]] static result<std::unique_ptr<kafka_bus>> open(const kafka_bus_options& options);

  /// What was not sent yet is dropped. May take some 100 ms.
  ~kafka_bus() override;

  [[nodiscard]] result<void> send(partition_number where, std::string bytes) override;
  [[nodiscard]] result<void> listen(partition_number where) override;
  void ignore(partition_number where) override;
  [[nodiscard]] result<std::vector<carried>> receive(std::chrono::milliseconds patience) override;
  [[nodiscard]] result<void> post(std::string bytes) override;
  [[nodiscard]] result<std::vector<std::string>> read(std::chrono::milliseconds patience) override;
  [[nodiscard]] std::uint64_t breaks() const override;

private:
  class commands;
  class posts;

  kafka_bus(std::unique_ptr<commands> carrying, std::unique_ptr<posts> posting);

  std::unique_ptr<commands> x_commands;
  std::unique_ptr<posts> x_posts;
};

} // namespace orrery::log
