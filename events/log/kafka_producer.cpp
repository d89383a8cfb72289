#include "events/log/kafka_producer.hpp"

#include "events/core/check.hpp"
#include "events/log/append_check.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <utility>

namespace orrery::log {

namespace {

/// Records that may wait in one log, beside the limit in bytes: 16 for each of 4,096 partitions.
constexpr std::size_t pending_count_max = 65'536;

/// How long the thread waits for a report before it looks around. It is woken for all that matters,
/// so this only bounds the damage of a lost wake-up.
constexpr std::chrono::milliseconds look_around{500};

/// How long a producer that was given up may take to hand back what it holds. It answers at once;
/// the limit is there so that nothing waits for ever.
constexpr std::chrono::milliseconds purge_limit{5000};

/// How long a producer that may not write is not tried again: one who only reads must not trouble
/// the brokers, and a right that was given must be found without a restart.
constexpr std::chrono::milliseconds denied_pause{5000};

error being_replaced() {
  return {error_code::unavailable,
          "the Kafka producer is being replaced after a fatal error: try again in a moment", true};
}

} // namespace

result<std::unique_ptr<kafka_producer>>
kafka_producer::make(const kafka_target& target, kafka_producer_limits limits, kafka_ends& ends) {
  std::unique_ptr<kafka_producer> made(new kafka_producer(target, limits, ends));
  auto connected = made->connect();
  if (!connected)
    return connected.error();
  made->x_handle = std::move(*connected);
  made->x_is_open = true;
  made->x_thread = std::thread([self = made.get()] { self->run(); });
  return made;
}

kafka_producer::kafka_producer(const kafka_target& target, kafka_producer_limits limits,
                               kafka_ends& ends)
    : x_target(target), x_limits(limits), x_ends(ends) {}

kafka_producer::~kafka_producer() {
  if (!x_thread.joinable())
    return;
  {
    const std::lock_guard hold(x_lock);
    x_closing = true;
    wake();
  }
  x_thread.join();
}

result<std::unique_ptr<kafka_handle>> kafka_producer::connect() {
  const std::vector<kafka_setting> fixed{
      {"enable.idempotence", "true"}, // acks=all, retries without end, order kept
      {"acks", "all"},
      {"linger.ms", "0"},
      {"message.timeout.ms", std::to_string(x_limits.delivery.count())},
      {"message.max.bytes", std::to_string(record_size_max + 100'000)},
      {"queue.buffering.max.messages", std::to_string(2 * pending_count_max)},
      {"queue.buffering.max.kbytes", std::to_string(2 * pending_bytes_max / 1024)},
      {"retry.backoff.ms", "50"},
      {"compression.type", "none"},
  };
  return kafka_handle::make(kafka_handle::role::producer, x_target, fixed, on_report, this);
}

std::uint64_t kafka_producer::replaced() const {
  const std::lock_guard hold(x_lock);
  return x_replaced;
}

std::size_t kafka_producer::under_way() const {
  const std::lock_guard hold(x_lock);
  return x_under_way;
}

/// Needs the lock. Makes the thread leave its poll.
void kafka_producer::wake() {
  x_wake.notify_all();
  if (!x_handle)
    return;
  auto* queue = rd_kafka_queue_get_main(x_handle->get());
  rd_kafka_queue_yield(queue);
  rd_kafka_queue_destroy(queue);
}

/// Needs the lock. Why a record cannot go out at all.
std::optional<error> kafka_producer::refusal(partition_number where, std::size_t size) const {
  if (auto never = append_refusal(where, size, x_pending_bytes))
    return never;
  if (!x_ends.has(where))
    return error{error_code::invalid_argument,
                 name_of_partition(x_target, where) + " does not exist: it has " +
                     std::to_string(x_ends.partitions()) + ", from 0 on",
                 false};
  if (x_ends.is_cut(where))
    return kafka_cut(x_target, where);
  if (x_under_way >= pending_count_max)
    return error{error_code::too_many_requests,
                 std::to_string(x_under_way) +
                     " records wait for Kafka already: try again when it caught up",
                 true};
  if (x_is_denied || (x_is_open && x_handle->is_denied()))
    return kafka_failure(RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
                         "a record for " + name_of_partition(x_target, where));
  if (!x_is_open || x_handle->is_dead())
    return being_replaced();
  return std::nullopt;
}

void kafka_producer::append(partition_number where, std::string bytes,
                            std::function<void(const append_outcome&)> done) {
  const std::lock_guard hold(x_lock);
  auto one = std::make_unique<pending>();
  one->where = where;
  one->done = std::move(done);
  auto refused = refusal(where, bytes.size());
  if (!refused) {
    one->bytes = std::move(bytes);
    one->end_before = x_ends.known(where);
    refused = produce(*one);
  }
  if (refused)
    one->outcome = append_outcome{append_fate::not_written, 0, *refused};
  x_waiting[where].push_back(std::move(one));
  if (refused) {
    finish_first(where);
    wake();
  }
}

/// Needs the lock. Hands a record to the library, which never blocks.
std::optional<error> kafka_producer::produce(pending& one) {
  const int taken = rd_kafka_produce(x_handle->topic(), static_cast<std::int32_t>(one.where), 0,
                                     one.bytes.data(), one.bytes.size(), nullptr, 0, &one);
  if (taken == 0) {
    ++x_under_way;
    x_pending_bytes += one.bytes.size();
    return std::nullopt;
  }
  const auto code = rd_kafka_last_error();
  if (code == RD_KAFKA_RESP_ERR__FATAL)
    return being_replaced();
  return kafka_failure(code, "a record for " + name_of_partition(x_target, one.where));
}

/// From the library, inside `poll`, in the thread.
void kafka_producer::on_report(const void* message, void* context) {
  auto& self = *static_cast<kafka_producer*>(context);
  auto& one = *static_cast<pending*>(static_cast<const rd_kafka_message_t*>(message)->_private);
  const std::lock_guard hold(self.x_lock);
  self.settle(one, self.judge(one, message));
}

/// What a report means. In doubt it is `unknown`: the owner then claims again, which is always
/// safe.
append_outcome kafka_producer::judge(const pending& one, const void* message) {
  const auto& report = *static_cast<const rd_kafka_message_t*>(message);
  const auto what = "a record for " + name_of_partition(x_target, one.where);
  if (report.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const bool is_denied = x_handle->is_denied();
    const bool surely_not = (!x_handle->is_dead() || is_denied) &&
                            rd_kafka_message_status(&report) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
    auto failure =
        kafka_failure(is_denied ? RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED : report.err,
                      what + x_handle->last_trouble());
    return {surely_not ? append_fate::not_written : append_fate::unknown, 0, std::move(failure)};
  }
  if (report.offset < 0) // the broker knew it for a repetition, but no longer where it is
    return {append_fate::unknown,
            0,
            {error_code::unavailable, what + " is stored, but the broker did not say where", true}};
  const auto at = static_cast<offset>(report.offset);
  if (at < one.end_before) { // its place was taken before it was sent: what was there is gone
    x_ends.mark_cut(one.where);
    return {append_fate::unknown, 0, kafka_cut(x_target, one.where)};
  }
  x_ends.raise(one.where, at + 1);
  return {append_fate::durable, at, {}};
}

/// Needs the lock. Gives a record its outcome.
void kafka_producer::settle(pending& one, append_outcome outcome) {
  --x_under_way;
  x_pending_bytes -= one.bytes.size();
  one.outcome = std::move(outcome);
  finish_first(one.where);
}

/// Needs the lock. What is at the head of a partition's line and has its outcome can be told.
void kafka_producer::finish_first(partition_number where) {
  auto& line = x_waiting[where];
  while (!line.empty() && line.front()->outcome) {
    x_finished.push_back(std::move(line.front()));
    line.pop_front();
  }
  if (line.empty())
    x_waiting.erase(where);
}

void kafka_producer::tell_finished() {
  std::vector<std::unique_ptr<pending>> finished;
  {
    const std::lock_guard hold(x_lock);
    finished.swap(x_finished);
  }
  for (const auto& one : finished)
    one->done(*one->outcome);
}

void kafka_producer::run() {
  while (true) {
    x_handle->poll(look_around);
    tell_finished();
    if (x_handle->is_dead())
      replace();
    const std::lock_guard hold(x_lock);
    if (x_closing)
      break;
  }
  end_under_way(x_limits.closing);
}

/// Polls until nothing is under way any more, then ends what is left.
void kafka_producer::end_under_way(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  constexpr std::chrono::milliseconds step(50);
  while (under_way() > 0 && !x_handle->is_dead() && std::chrono::steady_clock::now() < deadline) {
    x_handle->poll(step);
    tell_finished();
  }
  abandon({error_code::unavailable,
           "the log was closed before Kafka answered" + x_handle->last_trouble(), false});
}

/// Takes everything back from the library and tells what is left.
void kafka_producer::abandon(const error& why) {
  rd_kafka_purge(x_handle->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  const auto deadline = std::chrono::steady_clock::now() + purge_limit;
  constexpr std::chrono::milliseconds step(10);
  while (under_way() > 0 && std::chrono::steady_clock::now() < deadline) {
    x_handle->poll(step);
    tell_finished();
  }
  const std::string last_words = x_handle->last_trouble();
  std::unique_ptr<kafka_handle> gone;
  {
    const std::lock_guard hold(x_lock);
    gone = std::move(x_handle);
  }
  gone.reset(); // from here on the library reads none of our bytes
  {
    const std::lock_guard hold(x_lock);
    std::vector<pending*> left;
    for (const auto& [where, line] : x_waiting)
      for (const auto& one : line)
        if (!one->outcome)
          left.push_back(one.get());
    for (auto* one : left)
      settle(*one, {append_fate::unknown, 0, why});
  }
  tell_finished();
}

/// Tells what is refused meanwhile.
void kafka_producer::pause_denied() {
  const auto deadline = std::chrono::steady_clock::now() + denied_pause;
  bool is_over = false;
  while (!is_over) {
    {
      std::unique_lock hold(x_lock);
      x_wake.wait_until(hold, deadline, [this] { return x_closing || !x_finished.empty(); });
      is_over = x_closing || left_until(deadline).count() == 0;
    }
    tell_finished();
  }
}

/// The library gave the producer up: all of its records are in doubt, and a new one takes over.
void kafka_producer::replace() {
  const bool is_denied = x_handle->is_denied();
  {
    const std::lock_guard hold(x_lock);
    x_is_open = false;
    x_is_denied = is_denied;
  }
  abandon(
      {error_code::unavailable,
       "the Kafka producer failed for good" + x_handle->last_trouble() + "; a new one takes over",
       true});
  if (is_denied)
    pause_denied();
  auto connected = connect();
  ORRERY_CHECK(connected); // with the very settings of the first one
  const std::lock_guard hold(x_lock);
  x_is_denied = false;
  x_handle = std::move(*connected);
  x_is_open = true;
  ++x_replaced;
}

} // namespace orrery::log
