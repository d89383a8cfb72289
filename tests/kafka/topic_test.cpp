#include "events/log/kafka_topic.hpp"
#include "tests/kafka/cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace orrery::log {

namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::chrono::milliseconds patience{30'000};
constexpr std::uint16_t copies = ORRERY_KAFKA_BROKERS;

const std::string topic_tool = "tool org.apache.kafka.tools.TopicCommand --bootstrap-server ";

error refusal(const kafka_options& options) {
  const auto opened_log = kafka_log::open(options);
  EXPECT_FALSE(opened_log);
  return opened_log ? error{} : opened_log.error();
}

kafka_options unmade() {
  kafka_options options;
  options.target = the_cluster().fresh_target();
  options.wanted = {8, copies};
  return options;
}

} // namespace

TEST(kafka_topic, a_missing_topic_is_not_found_and_the_way_out_is_told) {
  const auto why = refusal(unmade());
  EXPECT_EQ(why.code, error_code::not_found);
  EXPECT_THAT(why.text, HasSubstr("orrery log init"));
}

TEST(kafka_topic, no_answering_broker_is_unavailable) {
  auto options = unmade();
  options.target.servers = "127.0.0.1:1"; // a port on which nothing listens
  options.open_limit = std::chrono::milliseconds(500);
  const auto why = refusal(options);
  EXPECT_EQ(why.code, error_code::unavailable);
  EXPECT_TRUE(why.retryable);
  EXPECT_THAT(why.text, HasSubstr("127.0.0.1:1"));
}

TEST(kafka_topic, what_the_log_depends_on_cannot_be_set) {
  for (const auto* name : {"acks", "enable.idempotence", "auto.offset.reset", "group.id",
                           "message.timeout.ms", "bootstrap.servers"}) {
    auto options = unmade();
    options.target.settings = {{name, "1"}};
    const auto why = refusal(options);
    EXPECT_EQ(why.code, error_code::config_invalid) << name;
    EXPECT_THAT(why.text, HasSubstr(name));
  }
}

TEST(kafka_topic, a_wrong_setting_of_the_connection_is_named_without_its_value) {
  for (const auto* name : {"ssl.no.such.thing", "security.protocol"}) {
    auto options = unmade();
    options.target.settings = {{name, "hush-hush"}};
    const auto why = refusal(options);
    EXPECT_EQ(why.code, error_code::config_invalid) << name;
    EXPECT_THAT(why.text, HasSubstr(name));
    EXPECT_THAT(why.text, Not(HasSubstr("hush-hush")));
  }
}

TEST(kafka_topic, a_name_that_cannot_be_is_refused) {
  auto options = unmade();
  options.target.topic = "no/such name";
  EXPECT_FALSE(make_topic(options.target, options.wanted, patience));
  EXPECT_FALSE(kafka_log::open(options));
}

TEST(kafka_topic, numbers_that_cannot_be_are_refused) {
  const auto target = the_cluster().fresh_target();
  for (const kafka_topic_wanted wanted :
       {kafka_topic_wanted{0, copies}, kafka_topic_wanted{4097, copies}, kafka_topic_wanted{8, 0},
        kafka_topic_wanted{8, 7}}) {
    const auto made = make_topic(target, wanted, patience);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, error_code::invalid_argument) << made.error().text;
  }
  EXPECT_EQ(refusal(unmade()).code, error_code::not_found);
}

TEST(kafka_topic, one_that_is_there_is_left_as_it_is) {
  const auto options = fresh_log(the_cluster());
  const auto again = make_topic(options.target, {9, copies}, patience);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, error_code::already_exists);
  EXPECT_EQ(check_topic(options.target, {}, patience).value().partitions, 8u);
}

TEST(kafka_topic, another_number_of_partitions_is_refused_by_name) {
  auto options = fresh_log(the_cluster());
  options.wanted.partitions = 16;
  const auto why = refusal(options);
  EXPECT_EQ(why.code, error_code::config_invalid);
  EXPECT_THAT(why.text, HasSubstr("partitions is 8, not 16"));
}

TEST(kafka_topic, fewer_copies_than_wanted_are_refused_by_name) {
  auto options = fresh_log(the_cluster());
  options.wanted.replication = copies + 2;
  const auto why = refusal(options);
  EXPECT_EQ(why.code, error_code::config_invalid);
  EXPECT_THAT(why.text, HasSubstr("replication is " + std::to_string(copies)));
  EXPECT_THAT(why.text, HasSubstr("min.insync.replicas is "));
}

TEST(kafka_topic, every_setting_that_may_lose_records_is_refused_by_name) {
  const auto options = unmade();
  the_cluster().ask(
      topic_tool + the_cluster().servers() + " --create --topic " + options.target.topic +
      " --partitions 8 --replication-factor " + std::to_string(copies) +
      " --config cleanup.policy=compact --config retention.ms=604800000"
      " --config retention.bytes=1000000 --config min.insync.replicas=9"
      " --config unclean.leader.election.enable=true"
      " --config message.timestamp.type=CreateTime --config max.message.bytes=500000");
  const auto seen = check_topic(options.target, options.wanted, patience);
  ASSERT_TRUE(seen) << seen.error().text;
  std::set<std::string> named;
  for (const auto& fault : seen->faults) {
    named.insert(fault.name);
    EXPECT_NE(fault.found, fault.wanted);
    EXPECT_NE(fault.reason, "");
  }
  const std::set<std::string> all{"cleanup.policy",
                                  "max.message.bytes",
                                  "message.timestamp.type",
                                  "min.insync.replicas",
                                  "retention.bytes",
                                  "retention.ms",
                                  "unclean.leader.election.enable"};
  EXPECT_EQ(named, all);
  const auto why = refusal(options);
  EXPECT_EQ(why.code, error_code::config_invalid);
  for (const auto& name : all)
    EXPECT_THAT(why.text, HasSubstr(name));
}

TEST(kafka_topic, a_made_one_is_right_by_our_word_and_by_kafkas) {
  const auto options = fresh_log(the_cluster());
  const auto seen = check_topic(options.target, options.wanted, patience);
  ASSERT_TRUE(seen) << seen.error().text;
  EXPECT_TRUE(seen->faults.empty());
  const auto told = the_cluster().ask(topic_tool + the_cluster().servers() +
                                      " --describe --topic " + options.target.topic);
  EXPECT_THAT(told, HasSubstr("PartitionCount: 8"));
  EXPECT_THAT(told, HasSubstr("ReplicationFactor: " + std::to_string(copies)));
  for (const std::string setting :
       {"cleanup.policy=delete", "retention.ms=-1", "retention.bytes=-1",
        "unclean.leader.election.enable=false", "message.timestamp.type=LogAppendTime",
        "max.message.bytes=2097152"})
    EXPECT_THAT(told, HasSubstr(setting));
  EXPECT_THAT(told, HasSubstr("min.insync.replicas=" + std::to_string(copies / 2 + 1)));
}

} // namespace orrery::log
