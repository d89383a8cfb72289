#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"
#include "events/log/log.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

// The C library's own types; its header is included by our .cpp files only.
struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_topic_s;

namespace orrery::log {

/// One setting of the connection by librdkafka's name, as `ssl.ca.location`. A value may be secret:
/// it never enters an error.
struct kafka_setting {
  std::string name;
  std::string value;
};

/// Settings from lines `name=value`; `#` begins a comment line. Errors: `config_invalid` with the
/// number of the line, never its text.
[[nodiscard]] result<std::vector<kafka_setting>> parse_kafka_settings(std::string_view text);

/// The same from a file of at most 64 KiB; none for an empty path. Blocks. Errors:
/// `invalid_argument` (it cannot be read whole), `config_invalid`; both name the file.
[[nodiscard]] result<std::vector<kafka_setting>> read_kafka_settings(const std::string& path);

/// Where an event log is.
struct kafka_target {
  std::string servers;                 ///< `HOST:PORT,…`, any live one is enough
  std::string topic = "orrery.events"; ///< one topic holds all partitions

  /// TLS, login, names and timeouts of the connection (`security.`, `ssl.`, `sasl.`, `client.`,
  /// `socket.`). What the log's safety depends on is fixed and cannot be set here.
  std::vector<kafka_setting> settings;
};

/// One handle of the library with its topic, and what it said about its connections. Its own log is
/// off: what it has to say comes in errors.
class kafka_handle {
public:
  enum class role : std::uint8_t { producer, consumer, administrator };

  /// Connects in the background: an unreachable server is no error here. `fixed` are the settings
  /// of the role beyond the common ones. `on_report` is called for each delivery report, from
  /// `poll` (the library's message, as `const rd_kafka_message_s*`). An administrator knocks first,
  /// which takes a few ms, and up to 3 s if servers say nothing. Errors: `config_invalid`;
  /// `unauthenticated` (an administrator that no server lets in).
  [[nodiscard]] static result<std::unique_ptr<kafka_handle>>
  make(role wanted, const kafka_target& target, const std::vector<kafka_setting>& fixed,
       void (*on_report)(const void* message, void* context) = nullptr, void* context = nullptr);

  /// Ends the handle's threads: takes up to some 100 ms. What it still held is dropped.
  ~kafka_handle();

  kafka_handle(const kafka_handle&) = delete;
  kafka_handle& operator=(const kafka_handle&) = delete;

  [[nodiscard]] rd_kafka_s* get() const { return x_handle; }

  [[nodiscard]] rd_kafka_topic_s* topic() const { return x_topic; }

  /// Serves what the library has to tell, waiting at most `patience` for it.
  void poll(std::chrono::milliseconds patience);

  /// How often a connection broke. A reader that sees it change looks at its last record again.
  [[nodiscard]] std::uint64_t breaks() const { return x_breaks; }

  /// Whether the library gave this handle up (an idempotent producer that lost its place).
  [[nodiscard]] bool is_dead() const { return x_dead; }

  /// Whether it was given up because its principal may write nowhere. Nothing that it was given and
  /// had not sent before can be stored any more.
  [[nodiscard]] bool is_denied() const { return x_is_denied; }

  /// The last thing that it complained about, as ": connection refused"; "" when it never did.
  [[nodiscard]] std::string last_trouble() const;

private:
  kafka_handle() = default;

  static void on_error(rd_kafka_s*, int code, const char* text, void* opaque);
  static void on_delivery(rd_kafka_s*, const void* message, void* opaque);
  [[nodiscard]] result<void> knock(const kafka_target& target);
  [[nodiscard]] result<rd_kafka_conf_s*> configuration(role wanted, const kafka_target& target,
                                                       const std::vector<kafka_setting>& fixed);

  rd_kafka_s* x_handle = nullptr;
  rd_kafka_topic_s* x_topic = nullptr;
  void (*x_on_report)(const void*, void*) = nullptr;
  void* x_report_context = nullptr;
  std::atomic<std::uint64_t> x_breaks = 0;
  std::atomic<bool> x_dead = false;
  std::atomic<bool> x_is_denied = false;
  std::atomic<bool> x_is_shut_out = false; ///< a server refused the certificate or the login
  std::atomic<bool> x_is_all_down = false; ///< no server was left to connect to
  mutable std::mutex x_lock;
  std::string x_trouble;
};

/// What every consumer of ours has: no group, no stored offsets, checked records. `reset`: what
/// becomes of a place that is gone ("error", "earliest", "latest"). `fetch_wait`: an idle long
/// poll; an answer comes with data. `ahead_bytes`: fetched ahead for each partition; the library
/// stops for a second when it is full.
[[nodiscard]] std::vector<kafka_setting>
consumer_settings(const char* reset, std::chrono::milliseconds fetch_wait, std::size_t ahead_bytes);

/// Where a partition of the handle's topic ends now, by its leader. (The library's own question for
/// the two ends of one partition waits for ever for a leader that is down.) Blocks up to `limit`.
/// Errors: those of `kafka_failure`.
[[nodiscard]] result<offset> ask_end_of(const kafka_handle& handle, const kafka_target& target,
                                        partition_number where, std::chrono::milliseconds limit);

/// The library's code as an error of ours: "`what`: the library's words; what to do".
[[nodiscard]] error kafka_failure(int code, const std::string& what);

/// How long it is until then, not below 0: rounded up, so that 0 means that it has come.
[[nodiscard]] std::chrono::milliseconds left_until(std::chrono::steady_clock::time_point deadline);

/// "partition 7 of topic orrery.events"
[[nodiscard]] std::string name_of_partition(const kafka_target& target, partition_number where);

/// The ends of all partitions as far as this process knows them, and which of them lost records.
/// They only grow. Any thread.
class kafka_ends {
public:
  explicit kafka_ends(std::size_t partitions) : x_partitions(partitions) {}

  [[nodiscard]] std::size_t partitions() const { return x_partitions.size(); }

  [[nodiscard]] bool has(partition_number where) const {
    return static_cast<std::size_t>(where) < x_partitions.size();
  }

  [[nodiscard]] offset known(partition_number where) const { return at(where).end; }

  void raise(partition_number where, offset end);

  /// Marks a partition as cut: nothing is read from it or appended to it any more.
  void mark_cut(partition_number where) { at(where).is_cut = true; }

  [[nodiscard]] bool is_cut(partition_number where) const { return at(where).is_cut; }

private:
  struct state {
    std::atomic<offset> end = 0;
    std::atomic<bool> is_cut = false;
  };

  [[nodiscard]] state& at(partition_number where) {
    return x_partitions[static_cast<std::size_t>(where)];
  }

  [[nodiscard]] const state& at(partition_number where) const {
    return x_partitions[static_cast<std::size_t>(where)];
  }

  std::vector<state> x_partitions;
};

/// The error of a partition that was marked as cut.
[[nodiscard]] error kafka_cut(const kafka_target& target, partition_number where);

} // namespace orrery::log
