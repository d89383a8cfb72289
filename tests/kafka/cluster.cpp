#include "tests/kafka/cluster.hpp"

#include "events/core/check.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace orrery::log {

namespace {

/// For what only a broken machine exceeds.
constexpr std::chrono::milliseconds generous{60'000};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "no Kafka to test with: %s\n", why.c_str());
  std::exit(1);
}

struct pipe_ends {
  int read = -1;
  int write = -1;
};

pipe_ends make_pipe() {
  std::array<int, 2> ends{};
  ORRERY_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
  return {ends[0], ends[1]};
}

} // namespace

kafka_cluster::kafka_cluster(int brokers, doors wanted) : x_brokers(brokers) {
  const auto to = make_pipe();
  const auto from = make_pipe();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, to.read, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, from.write, STDOUT_FILENO);
  std::string count = std::to_string(brokers);
  std::string python = "python3";
  std::string script = ORRERY_KAFKA_SCRIPT;
  std::string flag = "--brokers";
  std::string secure = "--secure";
  const std::array<char*, 6> words{python.data(),
                                   script.data(),
                                   flag.data(),
                                   count.data(),
                                   wanted == doors::guarded ? secure.data() : nullptr,
                                   nullptr};
  if (::posix_spawnp(&x_child, "python3", &actions, nullptr, words.data(), environ) != 0)
    give_up("python3 cannot be started");
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(to.read);
  ::close(from.write);
  x_to_child = to.write;
  x_from_child = from.read;
  const auto first = line();
  if (first.rfind("ready ", 0) != 0)
    give_up(first);
  std::istringstream said(first.substr(6));
  said >> x_servers >> x_servers_by_certificate >> x_clients;
  // Brokers listen before they take part: a topic with a copy on each shows that they do.
  const kafka_topic_wanted all{1, static_cast<std::uint16_t>(brokers)};
  const auto target = fresh_target();
  const auto deadline = std::chrono::steady_clock::now() + generous;
  auto made = make_topic(target, all, generous);
  while (!made && std::chrono::steady_clock::now() < deadline)
    made = make_topic(target, all, generous);
  if (!made)
    give_up(made.error().text);
}

kafka_cluster::~kafka_cluster() {
  ::close(x_to_child);
  ::close(x_from_child);
  int status = 0;
  ::waitpid(x_child, &status, 0);
}

/// The next line; ends the program when the child is gone.
std::string kafka_cluster::line() {
  while (true) {
    if (const auto end = x_unread.find('\n'); end != std::string::npos) {
      auto found = x_unread.substr(0, end);
      x_unread.erase(0, end + 1);
      return found;
    }
    std::array<char, 4096> piece{};
    const auto size = ::read(x_from_child, piece.data(), piece.size());
    if (size <= 0)
      give_up("cluster.py ended: " + x_unread);
    x_unread.append(piece.data(), static_cast<std::size_t>(size));
  }
}

std::string kafka_cluster::ask(const std::string& command) {
  const auto sent = command + "\n";
  ORRERY_CHECK(::write(x_to_child, sent.data(), sent.size()) == static_cast<ssize_t>(sent.size()));
  std::string printed;
  while (true) {
    const auto answer = line();
    if (answer.rfind("| ", 0) == 0) {
      printed += answer.substr(2) + "\n";
      continue;
    }
    EXPECT_EQ(answer, "ok") << command << "\n" << printed;
    return printed;
  }
}

std::vector<std::string> kafka_cluster::each_server() const {
  std::vector<std::string> all(1);
  for (const char letter : x_servers)
    if (letter == ',')
      all.emplace_back();
    else
      all.back() += letter;
  return all;
}

kafka_target kafka_cluster::as(const std::string& user, door by) const {
  kafka_target target;
  target.servers = by == door::login ? x_servers : x_servers_by_certificate;
  const auto path = x_clients + "/" + user + (by == door::login ? ".login" : ".certificate");
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  target.settings = parse_kafka_settings(text.str()).value();
  if (target.settings.empty())
    give_up("no settings in " + path);
  return target;
}

kafka_target kafka_cluster::fresh_target() const {
  static std::atomic<int> made = 0;
  kafka_target target;
  if (x_clients.empty())
    target.servers = x_servers;
  else
    target = as("admin", door::certificate);
  target.topic = "orrery.test." + std::to_string(++made);
  return target;
}

kafka_cluster& the_cluster() {
  static kafka_cluster only(ORRERY_KAFKA_BROKERS);
  return only;
}

kafka_options fresh_log(kafka_cluster& at, std::uint16_t partitions) {
  kafka_options options;
  options.target = at.fresh_target();
  options.wanted = {partitions, ORRERY_KAFKA_BROKERS};
  options.open_limit = generous;
  options.fetch_limit = generous;
  const auto made = make_topic(options.target, options.wanted, generous);
  EXPECT_TRUE(made) << made.error().text;
  return options;
}

std::unique_ptr<kafka_log> opened(const kafka_options& options) {
  auto made = kafka_log::open(options);
  if (!made) // an exception ends this test, and lets the other ones be run
    throw std::runtime_error("the log cannot be opened: " + made.error().text);
  return std::move(*made);
}

} // namespace orrery::log
