#include "events/log/kafka_log.hpp"
#include "tests/events/log/append_and_read.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

// Errors that a real broker gives too rarely to wait for, from librdkafka's own mock. It judges
// nothing (it checks neither sequences nor fences): `tests/kafka` does, with the real one.

namespace orrery::log {

namespace {

using contract::append_and_wait;
using contract::at_once;
using contract::outcomes;
using contract::zero;

/// Numbers of requests in Kafka's protocol.
enum class request : std::int16_t { produce = 0, fetch = 1, list_offsets = 2, init_producer = 22 };

constexpr std::uint16_t partitions = 8;

class mock_brokers {
public:
  mock_brokers() {
    auto* settings = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(settings, nullptr);
    x_client = rd_kafka_new(RD_KAFKA_PRODUCER, settings, nullptr, 0);
    x_cluster = rd_kafka_mock_cluster_new(x_client, 1);
    rd_kafka_mock_topic_create(x_cluster, kafka_target{}.topic.c_str(), partitions, 1);
  }

  mock_brokers(const mock_brokers&) = delete;
  mock_brokers& operator=(const mock_brokers&) = delete;

  ~mock_brokers() {
    rd_kafka_mock_cluster_destroy(x_cluster);
    rd_kafka_destroy(x_client);
  }

  /// The next answers to such requests.
  void answer(request to, const std::vector<rd_kafka_resp_err_t>& with) {
    rd_kafka_mock_push_request_errors_array(x_cluster, static_cast<std::int16_t>(to), with.size(),
                                            with.data());
  }

  [[nodiscard]] kafka_options options() const {
    kafka_options made;
    made.target.servers = rd_kafka_mock_cluster_bootstraps(x_cluster);
    made.wanted = {partitions, 1};
    made.check_settings = false;
    return made;
  }

  [[nodiscard]] std::unique_ptr<kafka_log> open() const {
    auto log = kafka_log::open(options());
    EXPECT_TRUE(log) << log.error().text;
    return log ? std::move(*log) : nullptr;
  }

  [[nodiscard]] std::unique_ptr<kafka_log> open_with_a_record() const {
    auto log = open();
    EXPECT_EQ(append_and_wait(*log, zero, "record").fate, append_fate::durable);
    return log;
  }

private:
  rd_kafka_t* x_client = nullptr;
  rd_kafka_mock_cluster_t* x_cluster = nullptr;
};

} // namespace

TEST(kafka_mock, a_refusal_that_is_final_is_not_written) {
  struct row {
    rd_kafka_resp_err_t theirs;
    error_code ours;
  };

  for (const auto& [theirs, ours] :
       {row{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, error_code::too_large},
        row{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, error_code::unauthenticated}}) {
    mock_brokers brokers;
    const auto log = brokers.open();
    brokers.answer(request::produce, {theirs});
    const auto refused = append_and_wait(*log, zero, "refused");
    EXPECT_EQ(refused.fate, append_fate::not_written);
    EXPECT_EQ(refused.failure.code, ours) << refused.failure.text;
    EXPECT_EQ(log->end(zero).value(), 0u);
    EXPECT_TRUE(log->read(zero, 0, 1000, at_once).value().empty());
  }
}

TEST(kafka_mock, a_refusal_that_passes_is_waited_out) {
  for (const auto code :
       {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR__TRANSPORT}) {
    mock_brokers brokers;
    const auto log = brokers.open();
    brokers.answer(request::produce, {code, code});
    const auto outcome = append_and_wait(*log, zero, "in the end");
    EXPECT_EQ(outcome.fate, append_fate::durable) << rd_kafka_err2name(code);
    EXPECT_EQ(outcome.at, 0u);
  }
}

TEST(kafka_mock, a_producer_that_failed_for_good_is_replaced_and_its_records_are_in_doubt) {
  mock_brokers brokers;
  const auto log = brokers.open_with_a_record();
  brokers.answer(request::produce, {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
  const auto doubted = append_and_wait(*log, zero, "doubted");
  EXPECT_EQ(doubted.fate, append_fate::unknown);
  EXPECT_EQ(doubted.failure.code, error_code::unavailable);
  EXPECT_THAT(doubted.failure.text, testing::HasSubstr("OUT_OF_ORDER_SEQUENCE_NUMBER"));
  append_outcome after;
  while (after.fate != append_fate::durable) { // until the new one has taken over
    after = append_and_wait(*log, zero, "after");
    ASSERT_NE(after.fate, append_fate::unknown) << after.failure.text;
  }
  EXPECT_EQ(log->statistics().producers_replaced, 1u);
  EXPECT_EQ(log->read(zero, after.at, 1000, at_once).value().front().bytes, "after");
}

TEST(kafka_mock, everything_under_way_is_told_in_order_when_the_producer_fails) {
  mock_brokers brokers;
  const auto log = brokers.open_with_a_record();
  brokers.answer(request::produce, {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
  constexpr std::size_t count = 200;
  outcomes seen;
  std::vector<std::size_t> order;
  for (std::size_t at = 0; at < count; ++at)
    log->append(zero, "record " + std::to_string(at),
                [&order, at, tell = seen.done()](const append_outcome& outcome) {
                  order.push_back(at);
                  tell(outcome);
                });
  const auto all = seen.wait(count);
  ASSERT_EQ(all.size(), count);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(all.front().fate, append_fate::unknown);
}

TEST(kafka_mock, a_record_whose_place_the_broker_forgot_is_in_doubt) {
  mock_brokers brokers;
  const auto log = brokers.open_with_a_record();
  brokers.answer(request::produce, {RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER});
  EXPECT_EQ(append_and_wait(*log, zero, "known already").fate, append_fate::unknown);
}

TEST(kafka_mock, a_lost_place_is_a_cut_log) {
  mock_brokers brokers;
  const auto log = brokers.open_with_a_record();
  brokers.answer(request::fetch, {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE});
  const auto read = log->read(zero, 0, 1000, at_once);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, error_code::log_cut);
}

TEST(kafka_mock, a_reader_without_permission_is_told_so) {
  mock_brokers brokers;
  const auto log = brokers.open_with_a_record();
  brokers.answer(request::fetch, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  const auto read = log->read(zero, 0, 1000, at_once);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, error_code::unauthenticated);
  EXPECT_EQ(log->read(zero, 0, 1000, at_once).value().size(), 1u);
}

TEST(kafka_mock, an_open_waits_for_a_leader) {
  mock_brokers brokers;
  brokers.answer(request::list_offsets, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                         RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE});
  EXPECT_NE(brokers.open(), nullptr);
}

} // namespace orrery::log
