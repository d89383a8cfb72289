#include "events/log/kafka_client.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <fstream>

namespace orrery::log {

namespace {

/// What a caller may set: the connection, never how records are written or read.
constexpr std::array<std::string_view, 5> settable{"security.", "ssl.", "sasl.", "client.",
                                                   "socket."};

/// For every handle. A broker that came back is found within the back-off's limit; no log of its
/// own; a topic is made by `orrery log init` alone, never by asking for it. Topics are asked after
/// every 2 s: a broker that has not heard of a new one yet says that there is none, and until it
/// is asked again the library takes that for the truth.
const std::vector<kafka_setting>& common_settings() {
  static const std::vector<kafka_setting> all{
      {"client.id", "orrery"},
      {"socket.nagle.disable", "true"},
      {"socket.timeout.ms", "10000"},
      {"reconnect.backoff.ms", "50"},
      {"reconnect.backoff.max.ms", "250"},
      {"topic.metadata.refresh.interval.ms", "2000"},
      {"topic.metadata.refresh.fast.interval.ms", "100"},
      {"allow.auto.create.topics", "false"},
      {"log.connection.close", "false"},
  };
  return all;
}

bool may_be_set(std::string_view name) {
  return std::any_of(settable.begin(), settable.end(), [&](std::string_view prefix) {
    return name.substr(0, prefix.size()) == prefix;
  });
}

/// Sets one value. The library's own text would repeat the value, which may be secret.
result<void> set(rd_kafka_conf_t* configuration, const kafka_setting& one) {
  std::array<char, 512> ignored{};
  switch (rd_kafka_conf_set(configuration, one.name.c_str(), one.value.c_str(), ignored.data(),
                            ignored.size())) {
  case RD_KAFKA_CONF_OK:
    return {};
  case RD_KAFKA_CONF_UNKNOWN:
    return error{error_code::config_invalid,
                 "the Kafka setting " + one.name +
                     " is unknown to librdkafka: see its CONFIGURATION.md for the names",
                 false};
  case RD_KAFKA_CONF_INVALID:
    break;
  }
  return error{error_code::config_invalid,
               "the value of the Kafka setting " + one.name +
                   " is refused by librdkafka: see its CONFIGURATION.md for what it takes",
               false};
}

/// How long an administrator waits for the first word of the brokers. A wrong login is told 0.3 s
/// after the question; the limit is for a machine without time.
constexpr std::chrono::milliseconds knock_limit{3000};
constexpr std::chrono::milliseconds knock_step{100};

/// Whether this trouble of a connection means that the server does not want us, or we not it. A
/// server that misses our certificate says so by an alert of TLS, which has no code of its own in
/// the library: it is known by OpenSSL's words, which stand in front of the number of RFC 8446, 6.
/// A server's certificate that we do not trust has a code, but comes as a lost connection, too.
bool is_shut_out(int code, std::string_view text) {
  return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
         text.find("SSL alert number") != std::string_view::npos ||
         text.find("certificate verify failed") != std::string_view::npos;
}

error_code code_of(rd_kafka_resp_err_t code) {
  // Only what deserves a code of its own; librdkafka has some 200 numbers.
  if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
      code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
    return error_code::not_found;
  if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
    return error_code::already_exists;
  if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
      code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
      code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
      code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL)
    return error_code::unauthenticated;
  if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
    return error_code::too_large;
  if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
    return error_code::too_many_requests;
  if (code == RD_KAFKA_RESP_ERR__BAD_MSG || code == RD_KAFKA_RESP_ERR_INVALID_MSG ||
      code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION)
    return error_code::damaged;
  if (code == RD_KAFKA_RESP_ERR_INVALID_PARTITIONS ||
      code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR ||
      code == RD_KAFKA_RESP_ERR_INVALID_CONFIG || code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION)
    return error_code::invalid_argument;
  return error_code::unavailable;
}

std::string_view way_out(error_code code) {
  if (code == error_code::not_found)
    return "; `orrery log init` makes the topic";
  if (code == error_code::already_exists)
    return "; `orrery log check` says whether it is right";
  if (code == error_code::unauthenticated)
    return "; look at the Kafka settings for TLS and login, and at the topic's ACLs";
  if (code == error_code::too_large)
    return "; `orrery log check` compares max.message.bytes with what a log needs";
  if (code == error_code::damaged)
    return "; check the brokers' disks, and restore the log";
  if (code == error_code::unavailable)
    return "; are the brokers up, and does this machine reach them?";
  return "";
}

} // namespace

result<std::vector<kafka_setting>> parse_kafka_settings(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const auto trimmed = [&](std::string_view word) {
    const auto begin = word.find_first_not_of(blank);
    if (begin == std::string_view::npos)
      return std::string_view();
    return word.substr(begin, word.find_last_not_of(blank) - begin + 1);
  };
  std::vector<kafka_setting> all;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#')
      continue;
    const auto equals = line.find('=');
    const auto name = trimmed(line.substr(0, std::min(equals, line.size())));
    if (equals == std::string_view::npos || name.empty())
      return error{error_code::config_invalid,
                   "line " + std::to_string(number) + " is no setting: write name=value", false};
    all.push_back({std::string(name), std::string(trimmed(line.substr(equals + 1)))});
  }
  return all;
}

result<rd_kafka_conf_s*> kafka_handle::configuration(role wanted, const kafka_target& target,
                                                     const std::vector<kafka_setting>& fixed) {
  for (const auto& one : target.settings)
    if (!may_be_set(one.name))
      return error{error_code::config_invalid,
                   "the Kafka setting " + one.name +
                       " cannot be changed: only settings of the connection can (security., ssl., "
                       "sasl., client., socket.)",
                   false};
  auto* made = rd_kafka_conf_new();
  std::vector<kafka_setting> all = common_settings();
  all.insert(all.end(), target.settings.begin(), target.settings.end());
  all.push_back({"bootstrap.servers", target.servers});
  all.insert(all.end(), fixed.begin(), fixed.end());
  for (const auto& one : all)
    if (auto done = set(made, one); !done) {
      rd_kafka_conf_destroy(made);
      return done.error();
    }
  rd_kafka_conf_set_opaque(made, this);
  rd_kafka_conf_set_log_cb(made, nullptr);
  rd_kafka_conf_set_error_cb(made, on_error);
  if (wanted == role::producer)
    rd_kafka_conf_set_dr_msg_cb(made, [](rd_kafka_t* handle, const rd_kafka_message_t* message,
                                         void* opaque) { on_delivery(handle, message, opaque); });
  return made;
}

result<std::unique_ptr<kafka_handle>> kafka_handle::make(role wanted, const kafka_target& target,
                                                         const std::vector<kafka_setting>& fixed,
                                                         void (*on_report)(const void*, void*),
                                                         void* context) {
  std::unique_ptr<kafka_handle> made(new kafka_handle);
  made->x_on_report = on_report;
  made->x_report_context = context;
  auto configured = made->configuration(wanted, target, fixed);
  if (!configured)
    return configured.error();
  std::array<char, 512> why{};
  const auto type = wanted == role::consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
  made->x_handle = rd_kafka_new(type, *configured, why.data(), why.size());
  if (made->x_handle == nullptr) {
    rd_kafka_conf_destroy(*configured);
    return error{error_code::config_invalid,
                 "the Kafka client for " + target.servers + " cannot be made: " + why.data(),
                 false};
  }
  made->x_topic = rd_kafka_topic_new(made->x_handle, target.topic.c_str(), nullptr);
  if (made->x_topic == nullptr)
    return error{error_code::config_invalid,
                 "\"" + target.topic +
                     "\" cannot be the name of a topic: " + rd_kafka_err2str(rd_kafka_last_error()),
                 false};
  if (wanted == role::administrator)
    if (auto let_in = made->knock(target); !let_in)
      return let_in.error();
  return made;
}

/// Waits until a server answers, or all of them are known to be out of reach. Only one that refuses
/// us makes an error: what is merely down may come back, which is for the caller to wait for.
result<void> kafka_handle::knock(const kafka_target& target) {
  const auto deadline = std::chrono::steady_clock::now() + knock_limit;
  while (left_until(deadline).count() > 0 && !x_is_all_down) {
    const rd_kafka_metadata_t* seen = nullptr;
    const auto asked =
        rd_kafka_metadata(x_handle, 0, x_topic, &seen, static_cast<int>(knock_step.count()));
    if (asked == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(seen);
      return {};
    }
    poll(std::chrono::milliseconds(0));
  }
  if (!x_is_shut_out)
    return {};
  return kafka_failure(RD_KAFKA_RESP_ERR__AUTHENTICATION, "no Kafka broker of " + target.servers +
                                                              " can be used by this client" +
                                                              last_trouble());
}

kafka_handle::~kafka_handle() {
  if (x_topic != nullptr)
    rd_kafka_topic_destroy(x_topic);
  if (x_handle != nullptr)
    rd_kafka_destroy_flags(x_handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void kafka_handle::poll(std::chrono::milliseconds patience) {
  rd_kafka_poll(x_handle, static_cast<int>(patience.count()));
}

std::string kafka_handle::last_trouble() const {
  const std::lock_guard hold(x_lock);
  return x_trouble.empty() ? "" : ": " + x_trouble;
}

void kafka_handle::on_error(rd_kafka_s* handle, int code, const char* text, void* opaque) {
  auto& self = *static_cast<kafka_handle*>(opaque);
  std::string trouble = text;
  if (code == RD_KAFKA_RESP_ERR__FATAL) {
    std::array<char, 512> why{};
    const auto cause = rd_kafka_fatal_error(handle, why.data(), why.size());
    trouble = std::string(rd_kafka_err2name(cause)) + ", " + why.data();
    self.x_is_denied = cause == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    self.x_dead = true;
  }
  ++self.x_breaks;
  const std::lock_guard hold(self.x_lock);
  if (is_shut_out(code, trouble))
    self.x_is_shut_out = true;
  if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || self.x_trouble.empty())
    self.x_trouble = std::move(trouble); // why they are down says more than that they are
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
    self.x_is_all_down = true;
}

void kafka_handle::on_delivery(rd_kafka_s*, const void* message, void* opaque) {
  const auto& self = *static_cast<kafka_handle*>(opaque);
  self.x_on_report(message, self.x_report_context);
}

result<std::vector<kafka_setting>> read_kafka_settings(const std::string& path) {
  // Certificates are named in it, not written.
  constexpr std::size_t settings_bytes_max = 65'536;
  if (path.empty())
    return std::vector<kafka_setting>{};
  std::ifstream file(path, std::ios::binary);
  std::string text(settings_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (!file.eof() || text.size() > settings_bytes_max)
    return error{error_code::invalid_argument,
                 "the settings file " + path +
                     " cannot be read whole: is it there, and below 64 KiB?",
                 false};
  auto settings = parse_kafka_settings(text);
  if (!settings)
    return error{settings.error().code, path + ": " + settings.error().text, false};
  return settings;
}

std::vector<kafka_setting> consumer_settings(const char* reset,
                                             std::chrono::milliseconds fetch_wait,
                                             std::size_t ahead_bytes) {
  return {
      {"auto.offset.reset", reset},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"check.crcs", "true"},
      {"isolation.level", "read_uncommitted"}, // up to the high watermark; we use no transactions
      {"fetch.wait.max.ms", std::to_string(fetch_wait.count())},
      {"fetch.error.backoff.ms", "20"},
      {"queued.min.messages", "5000000"}, // bytes are what limits
      {"queued.max.messages.kbytes", std::to_string(ahead_bytes / 1024)},
  };
}

result<offset> ask_end_of(const kafka_handle& handle, const kafka_target& target,
                          partition_number where, std::chrono::milliseconds limit) {
  constexpr std::int64_t at_end = -1; // as a place in time, by Kafka's protocol
  auto* list = rd_kafka_topic_partition_list_new(1);
  auto* one = rd_kafka_topic_partition_list_add(list, target.topic.c_str(),
                                                static_cast<std::int32_t>(where));
  one->offset = at_end;
  auto code =
      rd_kafka_offsets_for_times(handle.get(), list, std::max(1, static_cast<int>(limit.count())));
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    code = one->err;
  const auto end = static_cast<offset>(std::max<std::int64_t>(0, one->offset));
  rd_kafka_topic_partition_list_destroy(list);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_failure(code,
                         "the end of " + name_of_partition(target, where) + handle.last_trouble());
  return end;
}

error kafka_failure(int code, const std::string& what) {
  const auto theirs = static_cast<rd_kafka_resp_err_t>(code);
  const auto ours = code_of(theirs);
  const bool may_pass = ours == error_code::unavailable || ours == error_code::too_many_requests;
  return {ours, what + ": " + rd_kafka_err2str(theirs) + std::string(way_out(ours)), may_pass};
}

std::chrono::milliseconds left_until(std::chrono::steady_clock::time_point deadline) {
  return std::max(std::chrono::milliseconds(0), std::chrono::ceil<std::chrono::milliseconds>(
                                                    deadline - std::chrono::steady_clock::now()));
}

std::string name_of_partition(const kafka_target& target, partition_number where) {
  return "partition " + to_text(where) + " of topic " + target.topic;
}

void kafka_ends::raise(partition_number where, offset end) {
  auto& known = at(where).end;
  auto seen = known.load();
  while (seen < end && !known.compare_exchange_weak(seen, end)) {
  }
}

error kafka_cut(const kafka_target& target, partition_number where) {
  return {error_code::log_cut,
          name_of_partition(target, where) +
              " lost records that were there before (a power cut, an unclean election, or the "
              "topic was made anew): stop every orreryd, and restore the topic or delete what was "
              "built from the lost part",
          false};
}

} // namespace orrery::log
