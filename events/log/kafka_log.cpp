#include "events/log/kafka_log.hpp"

#include "events/log/kafka_producer.hpp"
#include "events/log/kafka_reader.hpp"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

namespace orrery::log {

class kafka_log::core {
public:
  core(kafka_target at, std::size_t partitions) : target(std::move(at)), ends(partitions) {}

  [[nodiscard]] std::optional<error> refusal(partition_number where) const {
    if (!ends.has(where))
      return error{error_code::invalid_argument,
                   name_of_partition(target, where) + " does not exist: it has " +
                       std::to_string(ends.partitions()) + ", from 0 on",
                   false};
    if (ends.is_cut(where))
      return kafka_cut(target, where);
    return std::nullopt;
  }

  const kafka_target target;
  kafka_ends ends;
  // The producer is ended first: what it still tells may make its hearer ask for an end.
  std::unique_ptr<kafka_reader> reader;
  std::unique_ptr<kafka_producer> producer;
};

namespace {

/// How long a topic may be missing before it is believed: a broker tells of a topic that another
/// one made only when its own copy of the metadata has come so far, some 10 ms later as a rule.
constexpr std::chrono::milliseconds topic_news_limit{3000};

/// Looks at the topic; one that was made a moment ago may be unknown to the broker that answers.
result<kafka_topic_state> look_at_topic(const kafka_options& options) {
  constexpr std::chrono::milliseconds pause(50);
  const auto deadline =
      std::chrono::steady_clock::now() + std::min(topic_news_limit, options.open_limit);
  while (true) {
    auto state = check_topic(options.target, options.wanted, options.open_limit);
    if (state || state.error().code != error_code::not_found || left_until(deadline).count() == 0)
      return state;
    std::this_thread::sleep_for(pause);
  }
}

/// How many partitions the topic has, or why it is no log.
result<std::uint16_t> checked_partitions(const kafka_options& options) {
  if (!options.check_settings)
    return options.wanted.partitions;
  const auto state = look_at_topic(options);
  if (!state)
    return state.error();
  if (!state->faults.empty())
    return topic_refusal(options.target, *state);
  return state->partitions;
}

} // namespace

result<std::unique_ptr<kafka_log>> kafka_log::open(const kafka_options& options) {
  const auto partitions = checked_partitions(options);
  if (!partitions)
    return partitions.error();
  auto made = std::make_unique<core>(options.target, *partitions);
  auto reader =
      kafka_reader::make(options.target, options.open_limit, options.fetch_limit, made->ends);
  if (!reader)
    return reader.error();
  made->reader = std::move(*reader);
  auto producer = kafka_producer::make(options.target,
                                       {options.delivery_limit, options.close_limit}, made->ends);
  if (!producer)
    return producer.error();
  made->producer = std::move(*producer);
  return std::unique_ptr<kafka_log>(new kafka_log(std::move(made)));
}

kafka_log::kafka_log(std::unique_ptr<core> made) : x_core(std::move(made)) {}

kafka_log::~kafka_log() = default;

void kafka_log::append(partition_number where, std::string bytes,
                       std::function<void(const append_outcome&)> done) {
  x_core->producer->append(where, std::move(bytes), std::move(done));
}

result<std::vector<record>> kafka_log::read(partition_number where, offset from,
                                            std::size_t bytes_max,
                                            std::chrono::milliseconds patience) {
  if (auto refused = x_core->refusal(where))
    return *refused;
  return x_core->reader->read(where, from, bytes_max, patience);
}

result<offset> kafka_log::end(partition_number where) {
  if (auto refused = x_core->refusal(where))
    return *refused;
  x_core->reader->refresh_end(where);
  return x_core->ends.known(where);
}

kafka_statistics kafka_log::statistics() const { return {x_core->producer->replaced()}; }

} // namespace orrery::log
