#include "events/log/kafka_bus.hpp"

#include "events/log/bus_check.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace orrery::log {

namespace {

using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

/// How long a command may wait for a broker. Its sender repeats it, so a late one is worth little.
constexpr milliseconds command_limit{5000};

/// How long a heartbeat may. One that is older than the others' suspicion says nothing.
constexpr milliseconds post_limit{1000};

/// Commands that wait for a broker, in KiB; then more are refused.
constexpr std::size_t waiting_kib_max = std::size_t{64} * 1024;

/// What one `receive` or `read` takes over at most in bytes, unless one message is larger.
constexpr std::size_t taken_bytes_max = std::size_t{4} * 1024 * 1024;

/// Fetched ahead by one process: all partitions together, and one of them at least. librdkafka
/// stops for a second when one is full.
constexpr std::size_t ahead_bytes_max = std::size_t{256} * 1024 * 1024;
constexpr std::size_t ahead_bytes_min_each = std::size_t{4} * 1024 * 1024;

/// A partition that is listened to from now on is part of the next fetch, so the long poll under
/// way is what a takeover waits for: short, at the price of 50 small requests a second and broker.
constexpr milliseconds fetch_wait{20};

/// How long the thread of a producer waits for a report before it looks around; it is woken.
constexpr milliseconds look_around{500};

constexpr partition_number board_partition{0};
constexpr std::int32_t board_number = 0; ///< the same, for the library

/// The library waits for ever for a negative time; 0 is at once.
int library_time(milliseconds patience) {
  return static_cast<int>(std::clamp<std::int64_t>(patience.count(), 0, INT32_MAX));
}

/// What one of so many partitions may have fetched ahead, in bytes.
std::size_t ahead_bytes_of_each(std::size_t partitions) {
  return std::max(ahead_bytes_max / std::max<std::size_t>(1, partitions), ahead_bytes_min_each);
}

/// A producer's thread, which serves its reports until the object ends.
class report_thread {
public:
  explicit report_thread(kafka_handle& of) : x_handle(of), x_thread([this] { run(); }) {}

  report_thread(const report_thread&) = delete;
  report_thread& operator=(const report_thread&) = delete;

  ~report_thread() {
    x_closing = true;
    auto* queue = rd_kafka_queue_get_main(x_handle.get());
    rd_kafka_queue_yield(queue);
    rd_kafka_queue_destroy(queue);
    x_thread.join();
  }

private:
  void run() {
    while (!x_closing)
      x_handle.poll(look_around);
  }

  kafka_handle& x_handle;
  std::atomic<bool> x_closing = false;
  std::thread x_thread;
};

/// Has the handle learn where the partitions of its topic are and connect, so that the first
/// message need not. A broker that has not heard of the topic yet is asked again.
result<void> warm_up(const kafka_handle& handle, const kafka_target& target,
                     steady::time_point deadline) {
  while (true) {
    const rd_kafka_metadata_t* seen = nullptr;
    auto told = rd_kafka_metadata(handle.get(), 0, handle.topic(), &seen,
                                  std::max(1, library_time(left_until(deadline))));
    if (told == RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (seen->topic_cnt == 1)
        told = seen->topics[0].err;
      rd_kafka_metadata_destroy(seen);
    }
    if (told == RD_KAFKA_RESP_ERR_NO_ERROR)
      return {};
    auto failure = kafka_failure(told, "topic " + target.topic + " at " + target.servers +
                                           handle.last_trouble());
    const bool may_come = failure.retryable || failure.code == error_code::not_found;
    if (!may_come || left_until(deadline).count() == 0)
      return failure;
    std::this_thread::sleep_for(milliseconds(20));
  }
}

/// Where the board ends.
result<offset> ask_end(kafka_handle& handle, const kafka_target& target,
                       steady::time_point deadline) {
  while (true) {
    auto end = ask_end_of(handle, target, board_partition, left_until(deadline));
    if (end || !end.error().retryable || left_until(deadline).count() == 0)
      return end;
    handle.poll(milliseconds(20)); // a leader that was elected just now does not know it yet
  }
}

/// A message of the library, given back at the end of the scope.
struct give_back {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};

using message_ptr = std::unique_ptr<rd_kafka_message_t, give_back>;

std::string bytes_of(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.payload), message.len};
}

/// Takes messages over from the library until there is enough: `next` gives one, waiting at most
/// so many ms, and `keep` tells whether it was one to count. Waits for the first one only.
template <class Next, class Keep>
result<void> take(milliseconds patience, const Next& next, const Keep& keep,
                  const std::string& what, const kafka_handle& handle) {
  const auto deadline = steady::now() + patience;
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < carried_count_max && bytes < taken_bytes_max) {
    const message_ptr message(next(count == 0 ? library_time(left_until(deadline)) : 0));
    if (!message && (count > 0 || left_until(deadline).count() == 0))
      break;
    if (!message)
      continue;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (count > 0)
        break; // the good ones first; a fault that lasts is told again
      return kafka_failure(message->err, what + handle.last_trouble());
    }
    bytes += message->len;
    if (message->len > 0 && keep(*message))
      ++count;
  }
  return {};
}

void forget_report(const void*, void*) {}

} // namespace

// --- commands ------------------------------------------------------------------------------------

class kafka_bus::commands {
public:
  [[nodiscard]] static result<std::unique_ptr<commands>> open(const kafka_target& target,
                                                              steady::time_point deadline);
  ~commands();

  [[nodiscard]] result<void> send(partition_number where, const std::string& bytes);
  [[nodiscard]] result<void> listen(partition_number where);
  void ignore(partition_number where);
  [[nodiscard]] result<std::vector<carried>> receive(milliseconds patience);

private:
  commands(kafka_target target, std::size_t partitions)
      : x_target(std::move(target)), x_partitions(partitions) {}

  const kafka_target x_target;
  const std::size_t x_partitions;
  std::unique_ptr<kafka_handle> x_producer;
  std::unique_ptr<kafka_handle> x_consumer;
  rd_kafka_queue_t* x_queue = nullptr; ///< of all partitions that are listened to
  std::optional<report_thread> x_reports;

  std::mutex x_switching; ///< held while a partition is started or stopped
  std::mutex x_lock;
  std::set<partition_number> x_listening;
};

result<std::unique_ptr<kafka_bus::commands>>
kafka_bus::commands::open(const kafka_target& target, steady::time_point deadline) {
  const auto partitions = topic_partitions(target, left_until(deadline));
  if (!partitions)
    return partitions.error();
  std::unique_ptr<commands> made(new commands(target, *partitions));
  auto producer =
      kafka_handle::make(kafka_handle::role::producer, target,
                         {{"acks", "1"},
                          {"linger.ms", "0"},
                          {"message.timeout.ms", std::to_string(command_limit.count())},
                          {"message.max.bytes", std::to_string(carried_bytes_max + 100'000)},
                          {"queue.buffering.max.kbytes", std::to_string(waiting_kib_max)},
                          {"retry.backoff.ms", "50"},
                          {"compression.type", "none"}},
                         forget_report);
  if (!producer)
    return producer.error();
  made->x_producer = std::move(*producer);
  // A place that is gone is no fault here: commands expire, and repetitions are harmless.
  auto consumer = kafka_handle::make(
      kafka_handle::role::consumer, target,
      consumer_settings("earliest", fetch_wait, ahead_bytes_of_each(*partitions)));
  if (!consumer)
    return consumer.error();
  made->x_consumer = std::move(*consumer);
  made->x_queue = rd_kafka_queue_new(made->x_consumer->get());
  made->x_reports.emplace(*made->x_producer);
  for (const auto* handle : {made->x_producer.get(), made->x_consumer.get()})
    if (auto warm = warm_up(*handle, target, deadline); !warm)
      return warm.error();
  return made;
}

kafka_bus::commands::~commands() {
  if (x_queue == nullptr)
    return;
  for (const auto where : x_listening)
    rd_kafka_consume_stop(x_consumer->topic(), static_cast<std::int32_t>(where));
  rd_kafka_queue_destroy(x_queue);
}

result<void> kafka_bus::commands::send(partition_number where, const std::string& bytes) {
  if (auto refused = send_refusal(where, bytes.size(), x_partitions))
    return *refused;
  // The library only reads the bytes, to copy them.
  if (rd_kafka_produce(x_producer->topic(), static_cast<std::int32_t>(where), RD_KAFKA_MSG_F_COPY,
                       const_cast<char*>(bytes.data()), bytes.size(), nullptr, 0, nullptr) == 0)
    return {};
  return kafka_failure(rd_kafka_last_error(), "a command for " +
                                                  name_of_partition(x_target, where) +
                                                  x_producer->last_trouble());
}

result<void> kafka_bus::commands::listen(partition_number where) {
  if (auto refused = partition_refusal(where, x_partitions))
    return *refused;
  const std::lock_guard switching(x_switching);
  {
    const std::lock_guard hold(x_lock);
    if (!x_listening.insert(where).second)
      return {};
  }
  if (rd_kafka_consume_start_queue(x_consumer->topic(), static_cast<std::int32_t>(where),
                                   RD_KAFKA_OFFSET_TAIL(std::int64_t{carried_before}),
                                   x_queue) == 0)
    return {};
  const std::lock_guard hold(x_lock);
  x_listening.erase(where);
  return kafka_failure(rd_kafka_last_error(), "listening to " + name_of_partition(x_target, where));
}

void kafka_bus::commands::ignore(partition_number where) {
  const std::lock_guard switching(x_switching);
  {
    const std::lock_guard hold(x_lock);
    if (x_listening.erase(where) == 0)
      return;
  }
  rd_kafka_consume_stop(x_consumer->topic(), static_cast<std::int32_t>(where));
}

result<std::vector<carried>> kafka_bus::commands::receive(milliseconds patience) {
  std::vector<carried> found;
  const auto next = [this](int wait) { return rd_kafka_consume_queue(x_queue, wait); };
  const auto keep = [&](const rd_kafka_message_t& message) {
    const auto where = static_cast<partition_number>(message.partition);
    const std::lock_guard hold(x_lock);
    if (!x_listening.contains(where))
      return false; // it was on its way when it was ignored
    found.push_back({where, bytes_of(message)});
    return true;
  };
  const auto taken = take(patience, next, keep, "commands of topic " + x_target.topic, *x_consumer);
  x_consumer->poll(milliseconds(0));
  if (!taken)
    return taken.error();
  return found;
}

// --- heartbeats ----------------------------------------------------------------------------------

class kafka_bus::posts {
public:
  [[nodiscard]] static result<std::unique_ptr<posts>> open(const kafka_target& target,
                                                           steady::time_point deadline);
  ~posts();

  [[nodiscard]] result<void> post(std::string bytes);
  [[nodiscard]] result<std::vector<std::string>> read(milliseconds patience);

  [[nodiscard]] std::uint64_t breaks() const {
    return x_producer->breaks() + x_consumer->breaks() + x_lost;
  }

private:
  struct waiting {
    std::string bytes;
    steady::time_point since;
  };

  explicit posts(kafka_target target) : x_target(std::move(target)) {}

  static void on_report(const void* message, void* context);
  [[nodiscard]] result<void> produce(const std::string& bytes);

  const kafka_target x_target;
  std::unique_ptr<kafka_handle> x_producer;
  std::unique_ptr<kafka_handle> x_consumer;
  bool x_is_started = false;
  std::atomic<std::uint64_t> x_lost = 0; ///< heartbeats that no broker took

  std::mutex x_lock;
  bool x_is_under_way = false; ///< a heartbeat is with the library
  std::optional<waiting> x_newest;

  std::optional<report_thread> x_reports; ///< ended first: it uses all of the above
};

result<std::unique_ptr<kafka_bus::posts>> kafka_bus::posts::open(const kafka_target& target,
                                                                 steady::time_point deadline) {
  if (const auto partitions = topic_partitions(target, left_until(deadline)); !partitions)
    return partitions.error();
  std::unique_ptr<posts> made(new posts(target));
  auto producer = kafka_handle::make(kafka_handle::role::producer, target,
                                     {{"acks", "1"},
                                      {"linger.ms", "0"},
                                      {"message.timeout.ms", std::to_string(post_limit.count())},
                                      {"message.send.max.retries", "0"}, // the next one is better
                                      {"max.in.flight", "1"},
                                      {"compression.type", "none"}},
                                     on_report, made.get());
  if (!producer)
    return producer.error();
  made->x_producer = std::move(*producer);
  auto consumer =
      kafka_handle::make(kafka_handle::role::consumer, target,
                         consumer_settings("latest", fetch_wait, ahead_bytes_of_each(1)));
  if (!consumer)
    return consumer.error();
  made->x_consumer = std::move(*consumer);
  made->x_reports.emplace(*made->x_producer);
  if (auto warm = warm_up(*made->x_producer, target, deadline); !warm)
    return warm.error();
  const auto end = ask_end(*made->x_consumer, target, deadline);
  if (!end)
    return end.error();
  if (rd_kafka_consume_start(made->x_consumer->topic(), board_number,
                             static_cast<std::int64_t>(*end)) != 0)
    return kafka_failure(rd_kafka_last_error(), "reading topic " + target.topic);
  made->x_is_started = true;
  return made;
}

kafka_bus::posts::~posts() {
  if (x_is_started)
    rd_kafka_consume_stop(x_consumer->topic(), board_number);
}

result<void> kafka_bus::posts::post(std::string bytes) {
  if (auto refused = post_refusal(bytes.size()))
    return *refused;
  const std::lock_guard hold(x_lock);
  if (!x_is_under_way)
    return produce(bytes);
  x_newest = waiting{std::move(bytes), steady::now()};
  return {};
}

/// Needs the lock.
result<void> kafka_bus::posts::produce(const std::string& bytes) {
  if (rd_kafka_produce(x_producer->topic(), board_number, RD_KAFKA_MSG_F_COPY,
                       const_cast<char*>(bytes.data()), bytes.size(), nullptr, 0, nullptr) == 0) {
    x_is_under_way = true;
    return {};
  }
  ++x_lost;
  return kafka_failure(rd_kafka_last_error(),
                       "a heartbeat for topic " + x_target.topic + x_producer->last_trouble());
}

/// From the library, in the thread that serves reports.
void kafka_bus::posts::on_report(const void* message, void* context) {
  auto& self = *static_cast<posts*>(context);
  if (static_cast<const rd_kafka_message_t*>(message)->err != RD_KAFKA_RESP_ERR_NO_ERROR)
    ++self.x_lost;
  const std::lock_guard hold(self.x_lock);
  self.x_is_under_way = false;
  const auto newest = std::exchange(self.x_newest, std::nullopt);
  if (newest && steady::now() - newest->since < post_limit)
    (void)self.produce(newest->bytes).has_value(); // counted in there
}

result<std::vector<std::string>> kafka_bus::posts::read(milliseconds patience) {
  std::vector<std::string> found;
  const auto next = [this](int wait) {
    return rd_kafka_consume(x_consumer->topic(), board_number, wait);
  };
  const auto keep = [&](const rd_kafka_message_t& message) {
    found.push_back(bytes_of(message));
    return true;
  };
  const auto taken = take(patience, next, keep, "reading topic " + x_target.topic, *x_consumer);
  x_consumer->poll(milliseconds(0));
  if (!taken)
    return taken.error();
  return found;
}

// --- both ----------------------------------------------------------------------------------------

kafka_bus::kafka_bus(std::unique_ptr<commands> carrying, std::unique_ptr<posts> posting)
    : x_commands(std::move(carrying)), x_posts(std::move(posting)) {}

kafka_bus::~kafka_bus() = default;

result<std::unique_ptr<kafka_bus>> kafka_bus::open(const kafka_bus_options& options) {
  const auto deadline = steady::now() + options.open_limit;
  auto carrying = commands::open(with_topic(options.target, options.topics.commands), deadline);
  if (!carrying)
    return carrying.error();
  auto posting = posts::open(with_topic(options.target, options.topics.liveness), deadline);
  if (!posting)
    return posting.error();
  return std::unique_ptr<kafka_bus>(new kafka_bus(std::move(*carrying), std::move(*posting)));
}

result<void> kafka_bus::send(partition_number where, std::string bytes) {
  return x_commands->send(where, bytes);
}

result<void> kafka_bus::listen(partition_number where) { return x_commands->listen(where); }

void kafka_bus::ignore(partition_number where) { x_commands->ignore(where); }

result<std::vector<carried>> kafka_bus::receive(milliseconds patience) {
  return x_commands->receive(patience);
}

result<void> kafka_bus::post(std::string bytes) { return x_posts->post(std::move(bytes)); }

result<std::vector<std::string>> kafka_bus::read(milliseconds patience) {
  return x_posts->read(patience);
}

std::uint64_t kafka_bus::breaks() const { return x_posts->breaks(); }

} // namespace orrery::log
