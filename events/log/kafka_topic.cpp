#include "events/log/kafka_topic.hpp"

#include "events/core/check.hpp"
#include "events/log/heartbeat.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

namespace orrery::log {

namespace {

using steady = std::chrono::steady_clock;

/// Kafka refuses a record above this; 2 MiB leave room for what the protocol adds to the largest.
constexpr std::uint64_t message_bytes_wanted = std::uint64_t{2} * 1024 * 1024;

/// What the protocol may add to one record of ours: some 100 bytes, measured below 100,000.
constexpr std::uint64_t message_bytes_min = record_size_max + 100'000;

/// How long one look at the brokers may take before it is tried again within the patience.
constexpr std::chrono::milliseconds look_limit{3000};

/// A setting whose value must be exactly this.
struct exact_setting {
  const char* name;
  const char* value;
  const char* reason;
};

/// What keeps records for ever.
constexpr std::array<exact_setting, 5> durable_settings{{
    {"cleanup.policy", "delete", "compaction drops every record but the last one of a key"},
    {"retention.ms", "-1", "records older than this are deleted"},
    {"retention.bytes", "-1", "the oldest records are deleted when the topic is larger"},
    {"unclean.leader.election.enable", "false",
     "a broker that fell behind may become leader and drop acknowledged records"},
    {"message.timestamp.type", "LogAppendTime",
     "the brokers' clock is compared with ours, which then only compares with itself"},
}};

/// How a topic is that may lose records.
struct passing_settings {
  std::uint64_t retention_ms; ///< how it is made
  std::uint64_t retention_ms_min;
  std::uint64_t retention_ms_max;
  const char* retention_reason;
  std::uint64_t message_bytes_least;
  const char* segment_bytes; ///< only whole segments expire, so they are small
  const char* segment_ms;
};

constexpr std::uint64_t minute_ms = 60'000;
constexpr std::uint64_t hour_ms = 60 * minute_ms;
constexpr std::uint64_t day_ms = 24 * hour_ms;

/// A command is repeated until its deadline, so an hour is plenty; a day lets one look afterwards.
/// Segments of 64 MiB or an hour.
constexpr passing_settings commands_settings{
    day_ms,
    hour_ms,
    7 * day_ms,
    "commands that are answered long ago fill the disks, or waiting ones are gone",
    message_bytes_min,
    "67108864",
    "3600000"};

/// Heartbeats are read within seconds. Segments of 1 MiB, the least that Kafka 4 allows, or a
/// minute.
constexpr passing_settings liveness_settings{
    10 * minute_ms,
    minute_ms,
    day_ms,
    "old heartbeats fill the disks, or fresh ones are gone",
    2 * heartbeat_bytes_max,
    "1048576",
    "60000"};

/// Nothing for a topic that keeps its records.
const passing_settings* passing_of(kafka_topic_kind kind) {
  switch (kind) {
  case kafka_topic_kind::commands:
    return &commands_settings;
  case kafka_topic_kind::liveness:
    return &liveness_settings;
  case kafka_topic_kind::events:
  case kafka_topic_kind::meta:
    break;
  }
  return nullptr;
}

std::map<std::string, std::string> settings_of(const kafka_topic_wanted& wanted) {
  std::map<std::string, std::string> all;
  all["max.message.bytes"] = std::to_string(message_bytes_wanted);
  if (const auto* passing = passing_of(wanted.kind)) {
    all["cleanup.policy"] = "delete";
    all["retention.ms"] = std::to_string(passing->retention_ms);
    all["segment.bytes"] = passing->segment_bytes;
    all["segment.ms"] = passing->segment_ms;
    all["message.timestamp.type"] = "LogAppendTime"; // a wrong clock of ours expires nothing
    all["min.insync.replicas"] = "1";                // as acks=1, which is what they are sent with
    return all;
  }
  for (const auto& one : durable_settings)
    all[one.name] = one.value;
  all["min.insync.replicas"] = std::to_string(min_insync(wanted.replication));
  return all;
}

int milliseconds(std::chrono::milliseconds span) { return static_cast<int>(span.count()); }

/// What the brokers say about the topic itself.
struct topic_shape {
  bool is_there = false;
  bool has_leaders = false;
  std::uint16_t partitions = 0;
  std::uint16_t replication = 0; ///< the least of all partitions
};

result<topic_shape> look_once(const kafka_handle& handle, const kafka_target& target,
                              std::chrono::milliseconds patience) {
  const rd_kafka_metadata_t* seen = nullptr;
  const auto asked =
      rd_kafka_metadata(handle.get(), 0, handle.topic(), &seen, milliseconds(patience));
  if (asked != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_failure(asked, "no Kafka broker of " + target.servers + " answers" +
                                    handle.last_trouble());
  topic_shape shape;
  auto said = seen->topic_cnt == 1 ? seen->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  if (said == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const auto& topic = seen->topics[0];
    shape.is_there = true;
    shape.has_leaders = true;
    shape.partitions = static_cast<std::uint16_t>(topic.partition_cnt);
    shape.replication = UINT16_MAX;
    for (int at = 0; at < topic.partition_cnt; ++at) {
      const auto& partition = topic.partitions[at];
      shape.has_leaders = shape.has_leaders && partition.leader >= 0;
      shape.replication =
          std::min(shape.replication, static_cast<std::uint16_t>(partition.replica_cnt));
    }
  }
  rd_kafka_metadata_destroy(seen);
  if (said == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || said == RD_KAFKA_RESP_ERR_NO_ERROR)
    return shape;
  if (said == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
    shape.is_there = true;
    return shape;
  }
  return kafka_failure(said, "topic " + target.topic + " at " + target.servers);
}

/// Looks until the brokers give an answer; brokers that start refuse for a moment.
result<topic_shape> look(kafka_handle& handle, const kafka_target& target,
                         steady::time_point deadline) {
  while (true) {
    handle.poll(std::chrono::milliseconds(0));
    auto seen = look_once(handle, target, std::min(look_limit, left_until(deadline)));
    if (seen || seen.error().code != error_code::unavailable)
      return seen;
    if (left_until(deadline).count() == 0)
      return seen;
    handle.poll(std::chrono::milliseconds(50));
  }
}

/// One question to the brokers' administration and its answer; frees everything.
class admin_call {
public:
  admin_call(const kafka_handle& handle, rd_kafka_admin_op_t kind, steady::time_point deadline)
      : x_options(rd_kafka_AdminOptions_new(handle.get(), kind)),
        x_queue(rd_kafka_queue_new(handle.get())), x_deadline(deadline) {
    std::array<char, 256> ignored{};
    // 1 ms is the least that it takes.
    const int limit = std::max(1, milliseconds(left_until(deadline)));
    rd_kafka_AdminOptions_set_request_timeout(x_options, limit, ignored.data(), ignored.size());
  }

  admin_call(const admin_call&) = delete;
  admin_call& operator=(const admin_call&) = delete;

  ~admin_call() {
    if (x_answer != nullptr)
      rd_kafka_event_destroy(x_answer);
    rd_kafka_queue_destroy(x_queue);
    rd_kafka_AdminOptions_destroy(x_options);
  }

  [[nodiscard]] rd_kafka_AdminOptions_t* options() const { return x_options; }

  [[nodiscard]] rd_kafka_queue_t* queue() const { return x_queue; }

  /// The answer, or why there is none.
  [[nodiscard]] result<rd_kafka_event_t*> wait(const std::string& what) {
    // A little longer than the request itself, so that its own error comes first.
    x_answer = rd_kafka_queue_poll(x_queue, milliseconds(left_until(x_deadline)) + 1000);
    if (x_answer == nullptr)
      return kafka_failure(RD_KAFKA_RESP_ERR__TIMED_OUT, what);
    if (rd_kafka_event_error(x_answer) != RD_KAFKA_RESP_ERR_NO_ERROR)
      return kafka_failure(rd_kafka_event_error(x_answer),
                           what + " (" + rd_kafka_event_error_string(x_answer) + ")");
    return x_answer;
  }

private:
  rd_kafka_AdminOptions_t* x_options;
  rd_kafka_queue_t* x_queue;
  rd_kafka_event_t* x_answer = nullptr;
  steady::time_point x_deadline;
};

result<void> create(const kafka_handle& handle, const kafka_target& target,
                    const kafka_topic_wanted& wanted, steady::time_point deadline) {
  std::array<char, 512> why{};
  auto* topic = rd_kafka_NewTopic_new(target.topic.c_str(), wanted.partitions, wanted.replication,
                                      why.data(), why.size());
  if (topic == nullptr)
    return error{error_code::invalid_argument,
                 "topic " + target.topic + " cannot be made: " + why.data(), false};
  for (const auto& [name, value] : settings_of(wanted))
    rd_kafka_NewTopic_set_config(topic, name.c_str(), value.c_str());
  admin_call call(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline);
  rd_kafka_CreateTopics(handle.get(), &topic, 1, call.options(), call.queue());
  rd_kafka_NewTopic_destroy(topic);
  const auto answer = call.wait("making topic " + target.topic);
  if (!answer)
    return answer.error();
  std::size_t count = 0;
  const auto* const* made =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(*answer), &count);
  if (count == 1 && rd_kafka_topic_result_error(made[0]) == RD_KAFKA_RESP_ERR_NO_ERROR)
    return {};
  const auto code = count == 1 ? rd_kafka_topic_result_error(made[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
  const char* text = count == 1 ? rd_kafka_topic_result_error_string(made[0]) : nullptr;
  return kafka_failure(code, "making topic " + target.topic +
                                 (text == nullptr ? "" : " (" + std::string(text) + ")"));
}

result<std::map<std::string, std::string>>
settings_now(const kafka_handle& handle, const kafka_target& target, steady::time_point deadline) {
  auto* about = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, target.topic.c_str());
  admin_call call(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, deadline);
  rd_kafka_DescribeConfigs(handle.get(), &about, 1, call.options(), call.queue());
  rd_kafka_ConfigResource_destroy(about);
  const auto what = "the settings of topic " + target.topic;
  const auto answer = call.wait(what);
  if (!answer)
    return answer.error();
  std::size_t count = 0;
  const auto* const* resources = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(*answer), &count);
  if (count != 1)
    return kafka_failure(RD_KAFKA_RESP_ERR_UNKNOWN, what);
  if (const auto code = rd_kafka_ConfigResource_error(resources[0]);
      code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_failure(code, what);
  std::map<std::string, std::string> all;
  const auto* const* entries = rd_kafka_ConfigResource_configs(resources[0], &count);
  for (std::size_t at = 0; at < count; ++at)
    if (const char* value = rd_kafka_ConfigEntry_value(entries[at]); value != nullptr)
      all[rd_kafka_ConfigEntry_name(entries[at])] = value;
  return all;
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

/// What a wrong number of partitions does.
const char* partitions_reason(kafka_topic_kind kind) {
  switch (kind) {
  case kafka_topic_kind::events:
    return "an entity's partition is part of its id, so their number is for ever";
  case kafka_topic_kind::commands:
    return "each partition of the log has one here, or its commands go nowhere";
  case kafka_topic_kind::liveness:
  case kafka_topic_kind::meta:
    break;
  }
  return "only the first one is read";
}

std::vector<kafka_topic_fault> faults_of_shape(const topic_shape& shape,
                                               const kafka_topic_wanted& wanted) {
  std::vector<kafka_topic_fault> faults;
  if (wanted.partitions != 0 && shape.partitions != wanted.partitions)
    faults.push_back({"partitions", std::to_string(shape.partitions),
                      std::to_string(wanted.partitions), partitions_reason(wanted.kind)});
  if (shape.replication < wanted.replication)
    faults.push_back({"replication", std::to_string(shape.replication),
                      std::to_string(wanted.replication) + " or more",
                      passing_of(wanted.kind) == nullptr
                          ? "with so few copies lost brokers mean lost records"
                          : "with so few copies lost brokers mean that nobody hears anybody"});
  return faults;
}

/// The value of a setting as Kafka told it.
std::string value_of(const std::map<std::string, std::string>& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? "unknown" : found->second;
}

void add_size_fault(const std::map<std::string, std::string>& settings, std::uint64_t least,
                    std::vector<kafka_topic_fault>& faults) {
  const auto largest = value_of(settings, "max.message.bytes");
  if (number(largest).value_or(0) < least)
    faults.push_back({"max.message.bytes", largest, std::to_string(least) + " or more",
                      "the largest records are refused"});
}

std::vector<kafka_topic_fault> faults_of_passing(const std::map<std::string, std::string>& settings,
                                                 const passing_settings& wanted) {
  std::vector<kafka_topic_fault> faults;
  if (const auto policy = value_of(settings, "cleanup.policy"); policy != "delete")
    faults.push_back({"cleanup.policy", policy, "delete",
                      "compaction refuses records without a key, and ours have none"});
  const auto retention = value_of(settings, "retention.ms");
  if (const auto kept = number(retention).value_or(0);
      kept < wanted.retention_ms_min || kept > wanted.retention_ms_max)
    faults.push_back(
        {"retention.ms", retention,
         std::to_string(wanted.retention_ms_min) + " to " + std::to_string(wanted.retention_ms_max),
         wanted.retention_reason});
  add_size_fault(settings, wanted.message_bytes_least, faults);
  return faults;
}

std::vector<kafka_topic_fault>
faults_of_settings(const std::map<std::string, std::string>& settings,
                   const kafka_topic_wanted& wanted) {
  if (const auto* passing = passing_of(wanted.kind))
    return faults_of_passing(settings, *passing);
  std::vector<kafka_topic_fault> faults;
  for (const auto& one : durable_settings)
    if (const auto found = value_of(settings, one.name); found != one.value)
      faults.push_back({one.name, found, one.value, one.reason});
  const auto insync = value_of(settings, "min.insync.replicas");
  if (const auto count = number(insync); count.value_or(0) < min_insync(wanted.replication))
    faults.push_back({"min.insync.replicas", insync,
                      std::to_string(min_insync(wanted.replication)) + " or more",
                      "an acknowledged record may be on too few disks"});
  else if (*count > wanted.replication)
    faults.push_back({"min.insync.replicas", insync,
                      std::to_string(wanted.replication) + " or less", "nothing can be written"});
  add_size_fault(settings, message_bytes_min, faults);
  return faults;
}

} // namespace

kafka_topics topics_of(std::string_view prefix) {
  const std::string begin(prefix);
  return {begin + ".events", begin + ".commands", begin + ".liveness", begin + ".meta"};
}

kafka_target with_topic(kafka_target target, std::string topic) {
  target.topic = std::move(topic);
  return target;
}

result<void> make_topic(const kafka_target& target, const kafka_topic_wanted& wanted,
                        std::chrono::milliseconds patience) {
  if (wanted.partitions == 0 || wanted.partitions > partition_number_max + 1)
    return error{error_code::invalid_argument,
                 std::to_string(wanted.partitions) + " partitions cannot be: take 1 to " +
                     std::to_string(partition_number_max + 1),
                 false};
  if (wanted.replication == 0)
    return error{error_code::invalid_argument, "0 copies cannot be: take 3, or 1 for one broker",
                 false};
  const auto deadline = steady::now() + patience;
  auto handle = kafka_handle::make(kafka_handle::role::administrator, target, {});
  if (!handle)
    return handle.error();
  if (const auto seen = look(**handle, target, deadline); !seen)
    return seen.error();
  if (auto made = create(**handle, target, wanted, deadline); !made)
    return made;
  while (true) {
    const auto seen = look(**handle, target, deadline);
    if (!seen)
      return seen.error();
    if (seen->has_leaders && seen->partitions == wanted.partitions)
      return {};
    if (left_until(deadline).count() == 0)
      return error{error_code::unavailable,
                   "topic " + target.topic +
                       " is made, but not all of its partitions have a "
                       "leader yet: `orrery log check` says when",
                   true};
    (*handle)->poll(std::chrono::milliseconds(20));
  }
}

result<kafka_topic_state> check_topic(const kafka_target& target, const kafka_topic_wanted& wanted,
                                      std::chrono::milliseconds patience) {
  const auto deadline = steady::now() + patience;
  auto handle = kafka_handle::make(kafka_handle::role::administrator, target, {});
  if (!handle)
    return handle.error();
  const auto shape = look(**handle, target, deadline);
  if (!shape)
    return shape.error();
  if (!shape->is_there)
    return kafka_failure(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                         "topic " + target.topic + " at " + target.servers);
  const auto settings = settings_now(**handle, target, deadline);
  if (!settings)
    return settings.error();
  kafka_topic_state state{false, shape->partitions, faults_of_shape(*shape, wanted)};
  for (auto& fault : faults_of_settings(*settings, wanted))
    state.faults.push_back(std::move(fault));
  return state;
}

result<kafka_topic_state> ensure_topic(const kafka_target& target, const kafka_topic_wanted& wanted,
                                       std::chrono::milliseconds patience) {
  const auto deadline = steady::now() + patience;
  const auto made = make_topic(target, wanted, patience);
  if (!made && made.error().code != error_code::already_exists)
    return made.error();
  while (true) {
    auto state = check_topic(target, wanted, left_until(deadline));
    if (state)
      state->was_made = made.has_value();
    // A topic that another made just now is not known to every broker at once.
    if (state || state.error().code != error_code::not_found || left_until(deadline).count() == 0)
      return state;
  }
}

result<std::uint16_t> topic_partitions(const kafka_target& target,
                                       std::chrono::milliseconds patience) {
  auto handle = kafka_handle::make(kafka_handle::role::administrator, target, {});
  if (!handle)
    return handle.error();
  const auto shape = look(**handle, target, steady::now() + patience);
  if (!shape)
    return shape.error();
  if (!shape->is_there)
    return kafka_failure(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                         "topic " + target.topic + " at " + target.servers);
  return shape->partitions;
}

error topic_refusal(const kafka_target& target, const kafka_topic_state& state) {
  ORRERY_CHECK(!state.faults.empty());
  std::string text = "topic " + target.topic + " is not fit for a log:";
  for (const auto& one : state.faults)
    text += " " + one.name + " is " + one.found + ", not " + one.wanted + " (" + one.reason + ");";
  text += " mend it with Kafka's own tools, then look with `orrery log check`";
  return {error_code::config_invalid, text, false};
}

} // namespace orrery::log
