#pragma once

#include "events/log/kafka_client.hpp"
#include "events/log/log.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace orrery::log {

/// How long the writing side waits.
struct kafka_producer_limits {
  std::chrono::milliseconds delivery; ///< for one record; then its fate is told as it is known
  std::chrono::milliseconds closing;  ///< for what is under way when the log is closed
};

/// The writing half of a Kafka log: one idempotent producer, one thread that serves its reports.
///
///   append ──> waiting[partition] ──produce──> librdkafka ──> broker
///                    │                              │
///              done, in order <──── thread <──── report
///
/// A producer that the library gave up (it lost its place in the sequence) is replaced: all that
/// was under way is `unknown`, and what comes next goes out by the new one. One that may not write
/// is replaced after a pause: until then all records are `not_written`, `unauthenticated`.
class kafka_producer {
public:
  /// Errors: `config_invalid`.
  [[nodiscard]] static result<std::unique_ptr<kafka_producer>>
  make(const kafka_target& target, kafka_producer_limits limits, kafka_ends& ends);

  /// Waits for what is under way, at most `limits.closing`; then tells it as `unknown`.
  ~kafka_producer();

  kafka_producer(const kafka_producer&) = delete;
  kafka_producer& operator=(const kafka_producer&) = delete;

  /// See `log::append`.
  void append(partition_number where, std::string bytes,
              std::function<void(const append_outcome&)> done);

  /// How many producers were given up and replaced.
  [[nodiscard]] std::uint64_t replaced() const;

private:
  struct pending {
    partition_number where{0};
    std::string bytes; ///< the library reads it in place until the report
    std::function<void(const append_outcome&)> done;
    offset end_before = 0; ///< the record must not land below it
    std::optional<append_outcome> outcome;
  };

  kafka_producer(const kafka_target& target, kafka_producer_limits limits, kafka_ends& ends);

  [[nodiscard]] result<std::unique_ptr<kafka_handle>> connect();
  [[nodiscard]] std::optional<error> refusal(partition_number where, std::size_t size) const;
  [[nodiscard]] std::optional<error> produce(pending& one);
  static void on_report(const void* message, void* context);
  [[nodiscard]] append_outcome judge(const pending& one, const void* message);
  void settle(pending& one, append_outcome outcome);
  void finish_first(partition_number where);
  void run();
  void tell_finished();
  void replace();
  void pause_denied();
  void abandon(const error& why);
  void end_under_way(std::chrono::milliseconds patience);
  [[nodiscard]] std::size_t under_way() const;
  void wake();

  const kafka_target x_target;
  const kafka_producer_limits x_limits;
  kafka_ends& x_ends;

  mutable std::mutex x_lock;
  std::map<partition_number, std::deque<std::unique_ptr<pending>>> x_waiting; ///< in order
  std::vector<std::unique_ptr<pending>> x_finished; ///< to be told, in order
  std::size_t x_pending_bytes = 0;
  std::size_t x_under_way = 0; ///< with the library
  std::uint64_t x_replaced = 0;
  bool x_is_open = false;   ///< a producer is there and takes records
  bool x_is_denied = false; ///< the last producer might not write, and there is no new one yet
  bool x_closing = false;
  std::condition_variable x_wake; ///< for the thread, while it has no producer to poll

  std::unique_ptr<kafka_handle> x_handle; ///< changed by the thread only, under the lock
  std::thread x_thread;
};

} // namespace orrery::log
