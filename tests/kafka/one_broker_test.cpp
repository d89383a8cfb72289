#include "tests/events/log/append_and_read.hpp"
#include "tests/kafka/cluster.hpp"
#include "tests/kafka/truth.hpp"
#include "tests/support/wait.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <string>
#include <thread>

// What the log says when its one broker is killed, stopped, cut or replaced.

namespace orrery::log {

namespace {

using contract::append_and_wait;
using contract::at_once;
using contract::outcomes;
using contract::read_all;
using contract::zero;
using testing::HasSubstr;
using testing_support::wait_until;

constexpr std::chrono::seconds generous{90};

/// Ends the way the test found it: with a running broker.
class broker_down {
public:
  explicit broker_down(const std::string& how = "kill 1") { the_cluster().ask(how); }

  broker_down(const broker_down&) = delete;
  broker_down& operator=(const broker_down&) = delete;

  ~broker_down() { back(); }

  void back() {
    if (!std::exchange(x_is_back, true))
      the_cluster().ask("start 1");
  }

private:
  bool x_is_back = false;
};

void append_some(log& to, truth& told, const std::string& name, int count) {
  for (int at = 0; at < count; ++at)
    told.append(to, zero, name + " " + std::to_string(at));
}

void expect_all_answered(const truth& told) {
  EXPECT_TRUE(wait_until(generous, [&] { return told.answered() == told.sent(); }))
      << told.answered() << " of " << told.sent() << " appends were answered";
}

/// A log whose appends are told within the limit, with one record that was told.
struct begun {
  explicit begun(kafka_options wanted) : options(std::move(wanted)), log(opened(options)) {
    append_some(*log, told, "before", 1);
    expect_all_answered(told);
  }

  kafka_options options;
  std::unique_ptr<kafka_log> log;
  truth told;
};

kafka_options with_delivery_limit(std::chrono::milliseconds limit) {
  auto options = fresh_log(the_cluster());
  options.delivery_limit = limit;
  return options;
}

/// A log with ten records.
std::unique_ptr<kafka_log> log_of_ten(const kafka_options& options) {
  auto log = opened(options);
  for (int count = 0; count < 10; ++count)
    append_and_wait(*log, zero, "record " + std::to_string(count));
  return log;
}

/// A client of librdkafka's own, to do to a topic what a log never does.
rd_kafka_t* plain_client(const char* transactional_id = nullptr) {
  rd_kafka_conf_t* settings = rd_kafka_conf_new();
  rd_kafka_conf_set(settings, "bootstrap.servers", the_cluster().servers().c_str(), nullptr, 0);
  if (transactional_id != nullptr)
    rd_kafka_conf_set(settings, "transactional.id", transactional_id, nullptr, 0);
  return rd_kafka_new(RD_KAFKA_PRODUCER, settings, nullptr, 0);
}

} // namespace

TEST(kafka_broker, a_record_that_the_topic_refuses_is_not_written) {
  auto options = fresh_log(the_cluster());
  the_cluster().ask("tool kafka.admin.ConfigCommand --bootstrap-server " + the_cluster().servers() +
                    " --alter --entity-type topics --entity-name " + options.target.topic +
                    " --add-config max.message.bytes=1000");
  options.check_settings = false; // as if it was changed behind our back
  const auto log = opened(options);
  const auto outcome = append_and_wait(*log, zero, std::string(5000, 'x'));
  EXPECT_EQ(outcome.fate, append_fate::not_written);
  EXPECT_EQ(outcome.failure.code, error_code::too_large);
  EXPECT_THAT(outcome.failure.text, HasSubstr("max.message.bytes"));
  const auto next = append_and_wait(*log, zero, "small");
  EXPECT_EQ(next.fate, append_fate::durable);
  EXPECT_EQ(next.at, 0u);
}

TEST(kafka_broker, a_kill_that_is_waited_out_loses_and_doubles_nothing) {
  const auto options = fresh_log(the_cluster());
  auto log = opened(options);
  truth told;
  append_some(*log, told, "before", 200);
  {
    broker_down down;
    append_some(*log, told, "while down", 200);
  }
  append_some(*log, told, "after", 200);
  expect_all_answered(told);
  EXPECT_EQ(told.count(append_fate::durable), 600u);
  told.check(zero, read_all(*log, zero));
}

TEST(kafka_broker, what_is_told_of_a_kill_that_lasts_too_long_is_true) {
  const auto options = with_delivery_limit(std::chrono::milliseconds(1500));
  auto log = opened(options);
  truth told;
  append_some(*log, told, "before", 20);
  expect_all_answered(told);
  std::thread during([&] {
    for (int at = 0; at < 5000 && told.count(append_fate::durable) < 2500; ++at)
      told.append(*log, zero, "during " + std::to_string(at));
  });
  broker_down down;
  during.join();
  append_some(*log, told, "while down", 20);
  expect_all_answered(told); // still down
  EXPECT_GE(told.count(append_fate::not_written) + told.count(append_fate::unknown), 20u);
  down.back();
  EXPECT_TRUE(wait_until(generous, [&] {
    return append_and_wait(*log, zero, "at last " + std::to_string(told.sent())).fate ==
           append_fate::durable;
  }));
  told.check(zero, read_all(*opened(options), zero));
}

TEST(kafka_broker, a_record_sent_to_a_stopped_broker_is_in_doubt_and_may_land_later) {
  begun one(with_delivery_limit(std::chrono::milliseconds(1500)));
  auto& [options, log, told] = one;
  the_cluster().ask("pause 1");
  append_some(*log, told, "while stopped", 1);
  expect_all_answered(told);
  EXPECT_EQ(told.count(append_fate::durable), 1u);
  the_cluster().ask("resume 1");
  append_some(*log, told, "after", 1);
  expect_all_answered(told);
  const auto stored = read_all(*opened(options), zero);
  told.check(zero, stored);
  EXPECT_EQ(told.count(append_fate::unknown), 1u);
}

TEST(kafka_broker, closing_while_it_is_down_tells_every_append) {
  auto options = fresh_log(the_cluster());
  options.close_limit = std::chrono::milliseconds(300);
  begun one(options);
  auto& [with, log, told] = one;
  broker_down down;
  append_some(*log, told, "while down", 10);
  log.reset();
  EXPECT_EQ(told.answered(), 11u);
  EXPECT_EQ(told.count(append_fate::durable), 1u);
  down.back();
  told.check(zero, read_all(*opened(options), zero));
}

TEST(kafka_broker, reads_say_that_it_is_down_and_go_on_when_it_is_back) {
  auto options = fresh_log(the_cluster());
  options.fetch_limit = std::chrono::milliseconds(300);
  const auto log = opened(options);
  for (int count = 0; count < 3; ++count)
    append_and_wait(*log, zero, "record " + std::to_string(count));
  broker_down down;
  const auto unseen = log->read(zero, 0, 1000, at_once); // nothing was fetched before
  ASSERT_FALSE(unseen);
  EXPECT_EQ(unseen.error().code, error_code::unavailable);
  EXPECT_TRUE(unseen.error().retryable);
  EXPECT_TRUE(log->read(zero, 3, 1000, at_once).value().empty());
  const auto above = log->read(zero, 4, 1000, at_once); // cannot be asked: not a cut log
  ASSERT_FALSE(above);
  EXPECT_EQ(above.error().code, error_code::unavailable);
  down.back();
  EXPECT_TRUE(wait_until(generous, [&] {
    const auto again = log->read(zero, 0, 1000, at_once);
    return again && again->size() == 3;
  }));
}

TEST(kafka_broker, a_reader_that_follows_goes_on_after_a_kill) {
  const auto log = opened(fresh_log(the_cluster()));
  append_and_wait(*log, zero, "before");
  EXPECT_EQ(read_all(*log, zero).size(), 1u);
  { broker_down down; }
  append_and_wait(*log, zero, "after");
  std::vector<record> found;
  EXPECT_TRUE(wait_until(generous, [&] {
    auto next = log->read(zero, 1, 1000, std::chrono::milliseconds(500));
    EXPECT_TRUE(next) << next.error().text;
    found = next ? *next : found;
    return !next || !found.empty();
  }));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].bytes, "after");
}

TEST(kafka_broker, a_cut_log_is_told_to_readers_and_writers) {
  const auto options = with_delivery_limit(std::chrono::milliseconds(5000));
  const auto log = log_of_ten(options);
  EXPECT_EQ(read_all(*log, zero).size(), 10u);
  {
    broker_down down;
    the_cluster().ask("cut 1 " + options.target.topic + " 0 100");
  }
  error seen;
  EXPECT_TRUE(wait_until(generous, [&] {
    const auto next = log->read(zero, 10, 1000, std::chrono::milliseconds(200));
    if (!next)
      seen = next.error();
    return !next && next.error().code == error_code::log_cut;
  })) << seen.text;
  EXPECT_THAT(seen.text, HasSubstr(options.target.topic));
  append_outcome last;
  EXPECT_TRUE(wait_until(generous, [&] {
    last = append_and_wait(*log, zero, "on top");
    EXPECT_NE(last.fate, append_fate::durable);
    return last.failure.code == error_code::log_cut;
  })) << last.failure.text;
  EXPECT_EQ(append_and_wait(*log, zero, "on top").fate, append_fate::not_written);
  EXPECT_FALSE(log->end(zero));
}

TEST(kafka_broker, a_writer_alone_notices_that_its_topic_was_made_anew) {
  const auto options = with_delivery_limit(std::chrono::milliseconds(5000));
  const auto log = log_of_ten(options);
  the_cluster().ask("tool org.apache.kafka.tools.TopicCommand --bootstrap-server " +
                    the_cluster().servers() + " --delete --topic " + options.target.topic);
  EXPECT_TRUE(wait_until(generous, [&] {
    return bool(make_topic(options.target, options.wanted, std::chrono::milliseconds(30'000)));
  }));
  append_outcome last;
  EXPECT_TRUE(wait_until(generous, [&] {
    last = append_and_wait(*log, zero, "on another log");
    EXPECT_NE(last.fate, append_fate::durable);
    return last.failure.code == error_code::log_cut;
  })) << last.failure.text;
  const auto read = log->read(zero, 10, 1000, at_once);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, error_code::log_cut);
}

TEST(kafka_broker, another_last_record_after_a_pause_is_a_cut_log) {
  const auto options = fresh_log(the_cluster(), 1);
  const auto log = log_of_ten(options);
  EXPECT_EQ(read_all(*log, zero).size(), 10u);
  the_cluster().ask("rewrite 1 " + options.target.topic + " 10 20");
  EXPECT_GT(read_all(*opened(options), zero).size(), 20u); // no place of ours is missing
  error seen;
  EXPECT_TRUE(wait_until(generous, [&] {
    const auto next = log->read(zero, 10, 1000, std::chrono::milliseconds(200));
    EXPECT_FALSE(next && !next->empty()) << "read on, on another log";
    if (!next)
      seen = next.error();
    return !next || !next->empty();
  }));
  EXPECT_EQ(seen.code, error_code::log_cut) << seen.text;
}

TEST(kafka_broker, a_gap_between_offsets_is_a_cut_log) {
  const auto options = fresh_log(the_cluster());
  std::string text = "in a transaction";
  rd_kafka_t* client = plain_client("somebody-else");
  EXPECT_EQ(rd_kafka_init_transactions(client, 30'000), nullptr);
  EXPECT_EQ(rd_kafka_begin_transaction(client), nullptr);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(client, options.target.topic.c_str(), nullptr);
  EXPECT_EQ(rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, text.data(), text.size(), nullptr, 0,
                             nullptr),
            0);
  EXPECT_EQ(rd_kafka_commit_transaction(client, 30'000), nullptr); // its mark takes offset 1
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(client);
  // Kafka answers the commit before it writes the mark.
  EXPECT_TRUE(wait_until(generous, [&] { return opened(options)->end(zero).value() == 2; }));
  const auto log = opened(options);
  EXPECT_EQ(append_and_wait(*log, zero, "behind the gap").at, 2u);
  EXPECT_EQ(log->read(zero, 0, 1, at_once).value().size(), 1u);
  const auto next = log->read(zero, 1, 1000, at_once);
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, error_code::log_cut);
  EXPECT_THAT(next.error().text, HasSubstr("has no record 1"));
}

TEST(kafka_broker, a_topic_without_its_begin_is_refused) {
  const auto options = fresh_log(the_cluster());
  log_of_ten(options).reset();
  rd_kafka_t* client = plain_client();
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, options.target.topic.c_str(), 0)->offset = 4;
  rd_kafka_DeleteRecords_t* wanted = rd_kafka_DeleteRecords_new(list);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  rd_kafka_DeleteRecords(client, &wanted, 1, nullptr, queue);
  rd_kafka_event_destroy(rd_kafka_queue_poll(queue, 30'000));
  rd_kafka_queue_destroy(queue);
  rd_kafka_DeleteRecords_destroy(wanted);
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_destroy(client);
  const auto log = kafka_log::open(options);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, error_code::log_cut);
  EXPECT_THAT(log.error().text, HasSubstr("begins at offset 4"));
}

} // namespace orrery::log
