#include "events/log/bench_support.hpp"

#include <librdkafka/rdkafka.h>

#include <array>
#include <string>

namespace orrery::log {

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds poll_wait{10};
constexpr milliseconds end_limit{30'000};
constexpr partition_number the_partition{0};

/// As the log's own reader has, where that does not limit.
constexpr milliseconds fetch_wait{100};
constexpr std::size_t ahead_bytes = std::size_t{256} * 1024 * 1024;
constexpr std::size_t batch_max = 10'000;

double seconds_since(steady::time_point began) {
  return std::chrono::duration<double>(steady::now() - began).count();
}

/// Counts reports; a record that was not stored makes the figure worthless.
struct reports {
  std::size_t stored = 0;
  int failure = RD_KAFKA_RESP_ERR_NO_ERROR;

  static void note(const void* message, void* context) {
    auto& self = *static_cast<reports*>(context);
    const auto code = static_cast<const rd_kafka_message_t*>(message)->err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
      ++self.stored;
    else
      self.failure = code;
  }
};

/// So many records, until all are stored.
result<void> produce_all(kafka_handle& producer, reports& told, std::string& bytes,
                         std::size_t count) {
  const auto wanted = told.stored + count;
  for (std::size_t sent = 0; sent < count;) {
    if (rd_kafka_produce(producer.topic(), 0, RD_KAFKA_MSG_F_COPY, bytes.data(), bytes.size(),
                         nullptr, 0, nullptr) == 0)
      ++sent;
    else if (rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL)
      producer.poll(poll_wait);
    else
      return kafka_failure(rd_kafka_last_error(), "producing" + producer.last_trouble());
  }
  while (told.stored < wanted && told.failure == RD_KAFKA_RESP_ERR_NO_ERROR)
    producer.poll(poll_wait);
  if (told.failure != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_failure(told.failure, "producing" + producer.last_trouble());
  return {};
}

} // namespace

result<double> produce_raw(const kafka_target& target, std::size_t count, std::size_t bytes_each) {
  reports told;
  auto producer = kafka_handle::make(kafka_handle::role::producer, target,
                                     {{"enable.idempotence", "true"},
                                      {"acks", "all"},
                                      {"queue.buffering.max.messages", std::to_string(count + 1)}},
                                     reports::note, &told);
  if (!producer)
    return producer.error();
  std::string bytes(bytes_each, 'x');
  if (auto warm = produce_all(**producer, told, bytes, 1); !warm)
    return warm.error();
  const auto began = steady::now();
  if (auto done = produce_all(**producer, told, bytes, count); !done)
    return done.error();
  return seconds_since(began);
}

result<consumed> consume_raw(const kafka_target& target) {
  const auto began = steady::now();
  auto consumer = kafka_handle::make(kafka_handle::role::consumer, target,
                                     consumer_settings("error", fetch_wait, ahead_bytes));
  if (!consumer)
    return consumer.error();
  const auto end = ask_end_of(**consumer, target, the_partition, end_limit);
  if (!end)
    return end.error();
  if (rd_kafka_consume_start((*consumer)->topic(), 0, 0) != 0)
    return kafka_failure(rd_kafka_last_error(), "consuming");
  consumed sum;
  result<void> done{};
  std::array<rd_kafka_message_t*, batch_max> batch{};
  while (done && sum.records < *end) {
    const auto came = rd_kafka_consume_batch(
        (*consumer)->topic(), 0, static_cast<int>(poll_wait.count()), batch.data(), batch.size());
    for (std::size_t i = 0; came > 0 && i < static_cast<std::size_t>(came); ++i) {
      if (batch[i]->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        done = kafka_failure(batch[i]->err, "consuming");
      ++sum.records;
      sum.bytes += batch[i]->len;
      rd_kafka_message_destroy(batch[i]);
    }
  }
  sum.seconds = seconds_since(began);
  rd_kafka_consume_stop((*consumer)->topic(), 0);
  if (!done)
    return done.error();
  return sum;
}

} // namespace orrery::log
