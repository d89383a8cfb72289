#pragma once

#include "events/log/kafka_log.hpp"

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace orrery::log {

/// A real Kafka on the loopback (`cluster.py`), ended with this object, or with this process when
/// that dies.
class kafka_cluster {
public:
  /// Who may come in.
  enum class doors : std::uint8_t {
    open,    ///< everybody, and may do everything
    guarded, ///< TLS with a login or a certificate; then ACLs say what may be done
  };

  /// Which of the two guarded doors.
  enum class door : std::uint8_t { login, certificate };

  /// Starts 1 or 3 brokers and waits until all of them take part. A failure ends the test program:
  /// nothing can be tested then.
  explicit kafka_cluster(int brokers, doors wanted = doors::open);
  ~kafka_cluster();

  kafka_cluster(const kafka_cluster&) = delete;
  kafka_cluster& operator=(const kafka_cluster&) = delete;

  [[nodiscard]] const std::string& servers() const { return x_servers; }

  /// The same, each on its own.
  [[nodiscard]] std::vector<std::string> each_server() const;

  /// How `user` comes in to a guarded cluster; no topic is named. A user is one of USERS of
  /// `cluster.py`, which has keys and passwords for them.
  [[nodiscard]] kafka_target as(const std::string& user, door by) const;

  /// A guarded cluster's file with the settings of Kafka's own tools for `admin`.
  [[nodiscard]] std::string tool_settings() const { return x_clients + "/admin.tool"; }

  /// One command of `cluster.py`, as "kill 1", and what a tool printed. Blocks until it is done; a
  /// refusal fails the test.
  std::string ask(const std::string& command);

  /// The way to a topic of its own, which is not made yet; as `admin` to a guarded cluster.
  [[nodiscard]] kafka_target fresh_target() const;

private:
  [[nodiscard]] std::string line();

  int x_brokers = 0;
  pid_t x_child = -1;
  int x_to_child = -1;
  int x_from_child = -1;
  std::string x_unread;
  std::string x_servers;                ///< those with a login, if guarded
  std::string x_servers_by_certificate; ///< guarded only
  std::string x_clients;                ///< guarded only: the folder with settings for clients
};

/// The cluster of this test program (`ORRERY_KAFKA_BROKERS` brokers), started when first used.
[[nodiscard]] kafka_cluster& the_cluster();

/// A topic of its own with as many copies as there are brokers, and how to open it.
[[nodiscard]] kafka_options fresh_log(kafka_cluster& at, std::uint16_t partitions = 8);

/// Opens a log; fails the test when that does not work.
[[nodiscard]] std::unique_ptr<kafka_log> opened(const kafka_options& options);

} // namespace orrery::log
