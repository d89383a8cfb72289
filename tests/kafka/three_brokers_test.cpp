#include "tests/events/log/append_and_read.hpp"
#include "tests/kafka/cluster.hpp"
#include "tests/kafka/truth.hpp"
#include "tests/support/wait.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

// What the log says while brokers of three go and come.

namespace orrery::log {

namespace {

using contract::append_and_wait;
using contract::read_all;
using contract::zero;
using testing_support::wait_until;

constexpr std::chrono::seconds generous{120};
constexpr unsigned partitions = 8;

/// One writer a partition, each with one record under way at a time, as owners have.
class writers {
public:
  explicit writers(log& to) {
    for (unsigned where = 0; where < partitions; ++where)
      x_threads.emplace_back([this, &to, where] { run(to, partition_number(where)); });
  }

  ~writers() { stop(); }

  void stop() {
    x_stopping = true;
    for (auto& thread : x_threads)
      if (thread.joinable())
        thread.join();
  }

  [[nodiscard]] truth& told() { return x_told; }

private:
  void run(log& to, partition_number where) {
    for (int at = 0; !x_stopping; ++at) {
      std::atomic<bool> answered = false;
      const auto bytes = to_text(where) + ":" + std::to_string(at);
      x_told.append(to, where, bytes, [&] { answered = true; });
      EXPECT_TRUE(wait_until(generous, [&] { return answered.load(); }));
    }
  }

  std::atomic<bool> x_stopping = false;
  truth x_told;
  std::vector<std::thread> x_threads;
};

void expect_progress(writers& at_work) {
  const auto before = at_work.told().count(append_fate::durable);
  EXPECT_TRUE(wait_until(generous, [&] {
    return at_work.told().count(append_fate::durable) > before + 10 * partitions;
  }));
}

/// The number of the broker that leads the controllers.
int leader_of_controllers() {
  const auto told = the_cluster().ask("tool org.apache.kafka.tools.MetadataQuorumCommand "
                                      "--bootstrap-server " +
                                      the_cluster().servers() + " describe --status");
  const std::string name = "LeaderId:";
  const auto at = told.find(name);
  EXPECT_NE(at, std::string::npos) << told;
  return at == std::string::npos ? 0 : std::stoi(told.substr(at + name.size()));
}

void check_all(const truth& told, const kafka_options& options) {
  const auto fresh = opened(options); // a reader that remembers nothing
  for (unsigned where = 0; where < partitions; ++where)
    told.check(partition_number(where), read_all(*fresh, partition_number(where)));
}

} // namespace

TEST(kafka_brokers, a_topic_is_opened_through_one_that_has_not_heard_of_it) {
  const auto servers = the_cluster().each_server();
  // Without the leader of the controllers no topic would be made.
  const std::size_t paused = leader_of_controllers() == 1 ? 1 : 0;
  const auto number = std::to_string(paused + 1);
  for (int round = 0; round < 4; ++round) {
    kafka_options options;
    options.target = the_cluster().fresh_target();
    options.target.servers = servers[1 - paused] + "," + servers[2];
    options.wanted = {1, 1};
    options.open_limit = generous;
    the_cluster().ask("pause " + number);
    const auto made = make_topic(options.target, options.wanted, generous);
    EXPECT_TRUE(made) << made.error().text;
    options.target.servers = servers[paused];
    std::thread opening([&] {
      const auto log = kafka_log::open(options);
      EXPECT_TRUE(log) << log.error().text;
    });
    the_cluster().ask("resume " + number);
    opening.join();
  }
}

TEST(kafka_brokers, killed_one_by_one_lose_and_double_nothing) {
  const auto options = fresh_log(the_cluster());
  const auto log = opened(options);
  writers at_work(*log);
  expect_progress(at_work);
  for (const std::string broker : {"1", "2", "3"}) {
    the_cluster().ask("kill " + broker);
    expect_progress(at_work); // two of three go on
    the_cluster().ask("start " + broker);
    expect_progress(at_work);
  }
  at_work.stop();
  EXPECT_EQ(at_work.told().answered(), at_work.told().sent());
  EXPECT_EQ(at_work.told().count(append_fate::durable), at_work.told().sent());
  check_all(at_work.told(), options);
}

TEST(kafka_brokers, killed_all_at_once_lose_and_double_nothing) {
  const auto options = fresh_log(the_cluster());
  const auto log = opened(options);
  writers at_work(*log);
  expect_progress(at_work);
  for (const std::string broker : {"1", "2", "3"})
    the_cluster().ask("kill " + broker);
  for (const std::string broker : {"1", "2", "3"})
    the_cluster().ask("launch " + broker);
  for (const std::string broker : {"1", "2", "3"})
    the_cluster().ask("start " + broker);
  expect_progress(at_work);
  at_work.stop();
  check_all(at_work.told(), options);
}

TEST(kafka_brokers, one_alone_takes_no_records) {
  auto options = fresh_log(the_cluster());
  options.delivery_limit = std::chrono::milliseconds(3000);
  const auto log = opened(options);
  truth told;
  for (unsigned where = 0; where < partitions; ++where)
    told.append(*log, partition_number(where), "before");
  EXPECT_TRUE(wait_until(generous, [&] { return told.answered() == partitions; }));
  EXPECT_EQ(told.count(append_fate::durable), partitions);
  the_cluster().ask("kill 2");
  the_cluster().ask("kill 3");
  for (unsigned where = 0; where < partitions; ++where)
    told.append(*log, partition_number(where), "alone");
  EXPECT_TRUE(wait_until(generous, [&] { return told.answered() == 2 * partitions; }));
  EXPECT_EQ(told.count(append_fate::durable), partitions);
  the_cluster().ask("launch 2");
  the_cluster().ask("start 3");
  the_cluster().ask("start 2");
  EXPECT_TRUE(wait_until(generous, [&] {
    return append_and_wait(*log, zero, "together " + std::to_string(told.sent())).fate ==
           append_fate::durable;
  }));
  check_all(told, options);
}

} // namespace orrery::log
