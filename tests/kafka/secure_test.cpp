#include "events/log/kafka_topic.hpp"
#include "tests/events/log/append_and_read.hpp"
#include "tests/kafka/secure.hpp"
#include "tests/support/wait.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

// Who comes in to a Kafka with TLS, logins and ACLs, what the others are told, and that the rights
// of docs/kafka.md are enough and no more than enough.

namespace orrery::log {

namespace {

using contract::append_and_wait;
using contract::at_once;
using contract::read_all;
using contract::zero;
using testing::HasSubstr;
using testing::Not;
using testing_support::wait_until;
using door = kafka_cluster::door;

constexpr std::chrono::milliseconds limit{20'000};
constexpr std::chrono::seconds generous{60};
constexpr std::array both_doors{door::login, door::certificate};

constexpr auto may_read = RD_KAFKA_ACL_OPERATION_READ;
constexpr auto may_write = RD_KAFKA_ACL_OPERATION_WRITE;
constexpr auto may_create = RD_KAFKA_ACL_OPERATION_CREATE;
constexpr auto may_describe = RD_KAFKA_ACL_OPERATION_DESCRIBE;
constexpr auto may_see_settings = RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS;

kafka_options as(const std::string& user, door by, const std::string& topic = "orrery.events") {
  kafka_options options;
  options.target = secure_cluster().as(user, by);
  options.target.topic = topic;
  options.wanted = {1, 1};
  options.open_limit = limit;
  options.delivery_limit = limit;
  options.fetch_limit = limit;
  return options;
}

/// The topics whose settings an owner need not see.
kafka_options as_without_settings(const std::string& user, const std::string& topic) {
  auto options = as(user, door::login, topic);
  options.check_settings = false;
  return options;
}

kafka_options without(kafka_options options, const std::vector<std::string>& names) {
  auto& all = options.target.settings;
  all.erase(std::remove_if(all.begin(), all.end(),
                           [&](const kafka_setting& one) {
                             return std::find(names.begin(), names.end(), one.name) != names.end();
                           }),
            all.end());
  return options;
}

/// A topic on which `stranger` has these rights and nobody else any.
std::string topic_of_stranger(const std::vector<rd_kafka_AclOperation_t>& rights,
                              bool is_made = true) {
  auto& at = secure_cluster();
  const auto topic = is_made ? fresh_log(at, 1).target.topic : at.fresh_target().topic;
  grant("stranger", topic, rights);
  return topic;
}

/// An error that says what, why and what to do.
void expect_shut_out(const error& why, const kafka_options& options, const std::string& reason) {
  EXPECT_EQ(why.code, error_code::unauthenticated) << why.text;
  EXPECT_FALSE(why.retryable);
  EXPECT_THAT(why.text, HasSubstr(options.target.servers));
  EXPECT_THAT(why.text, HasSubstr(reason));
  EXPECT_THAT(why.text, HasSubstr("look at the Kafka settings for TLS and login"));
  for (const auto& one : options.target.settings) {
    if (one.name == "sasl.password") {
      EXPECT_THAT(why.text, Not(HasSubstr(one.value)));
    }
  }
}

/// The same from all three ways in.
void expect_all_shut_out(const kafka_options& options, const std::string& reason) {
  const auto before = std::chrono::steady_clock::now();
  const auto made = make_topic(options.target, options.wanted, limit);
  ASSERT_FALSE(made);
  expect_shut_out(made.error(), options, reason);
  const auto seen = check_topic(options.target, options.wanted, limit);
  ASSERT_FALSE(seen);
  expect_shut_out(seen.error(), options, reason);
  const auto opened_log = kafka_log::open(options);
  ASSERT_FALSE(opened_log);
  expect_shut_out(opened_log.error(), options, reason);
  EXPECT_LT(std::chrono::steady_clock::now() - before, limit) << "told after the patience only";
}

void expect_refused(log& to) {
  const auto outcome = append_and_wait(to, zero, "without the right");
  EXPECT_EQ(outcome.fate, append_fate::not_written);
  EXPECT_EQ(outcome.failure.code, error_code::unauthenticated) << outcome.failure.text;
  EXPECT_THAT(outcome.failure.text, HasSubstr("ACLs"));
}

void expect_written_and_read(log& to, const std::string& bytes) {
  const auto outcome = append_and_wait(to, zero, bytes);
  ASSERT_EQ(outcome.fate, append_fate::durable) << outcome.failure.text;
  const auto found = to.read(zero, outcome.at, 1, at_once);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found->front().bytes, bytes);
}

/// What Kafka says when a user tries to do something to the topic of events.
class mischief {
public:
  explicit mischief(const std::string& user)
      : x_handle(std::move(*kafka_handle::make(kafka_handle::role::administrator,
                                               as(user, door::login).target, {}))),
        x_queue(rd_kafka_queue_new(x_handle->get())) {}

  mischief(const mischief&) = delete;
  mischief& operator=(const mischief&) = delete;

  ~mischief() { rd_kafka_queue_destroy(x_queue); }

  rd_kafka_resp_err_t delete_topic() {
    auto* wanted = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(x_handle->get(), &wanted, 1, nullptr, x_queue);
    rd_kafka_DeleteTopic_destroy(wanted);
    return first_of_topics([](rd_kafka_event_t* answer, std::size_t& count) {
      return rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(answer),
                                                 &count);
    });
  }

  rd_kafka_resp_err_t add_partitions() {
    std::array<char, 256> why{};
    auto* wanted = rd_kafka_NewPartitions_new(topic, 2, why.data(), why.size());
    rd_kafka_CreatePartitions(x_handle->get(), &wanted, 1, nullptr, x_queue);
    rd_kafka_NewPartitions_destroy(wanted);
    return first_of_topics([](rd_kafka_event_t* answer, std::size_t& count) {
      return rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(answer),
                                                     &count);
    });
  }

  rd_kafka_resp_err_t alter_settings() {
    auto* wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_ConfigResource_set_config(wanted, "retention.ms", "1000");
    rd_kafka_AlterConfigs(x_handle->get(), &wanted, 1, nullptr, x_queue);
    rd_kafka_ConfigResource_destroy(wanted);
    auto* answer = rd_kafka_queue_poll(x_queue, static_cast<int>(limit.count()));
    std::size_t count = 0;
    const auto* const* all =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(answer), &count);
    const auto said =
        count == 1 ? rd_kafka_ConfigResource_error(all[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
    rd_kafka_event_destroy(answer);
    return said;
  }

  rd_kafka_resp_err_t delete_records() {
    auto* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 1;
    auto* wanted = rd_kafka_DeleteRecords_new(list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_DeleteRecords(x_handle->get(), &wanted, 1, nullptr, x_queue);
    rd_kafka_DeleteRecords_destroy(wanted);
    auto* answer = rd_kafka_queue_poll(x_queue, static_cast<int>(limit.count()));
    auto said = rd_kafka_event_error(answer);
    if (said == RD_KAFKA_RESP_ERR_NO_ERROR)
      said = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(answer))
                 ->elems[0]
                 .err;
    rd_kafka_event_destroy(answer);
    return said;
  }

private:
  static constexpr const char* topic = "orrery.events";

  template <class Results> rd_kafka_resp_err_t first_of_topics(Results results) {
    auto* answer = rd_kafka_queue_poll(x_queue, static_cast<int>(limit.count()));
    std::size_t count = 0;
    const auto* const* all = results(answer, count);
    const auto said = count == 1 ? rd_kafka_topic_result_error(all[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
    rd_kafka_event_destroy(answer);
    return said;
  }

  std::unique_ptr<kafka_handle> x_handle;
  rd_kafka_queue_t* x_queue;
};

} // namespace

TEST(kafka_door, a_wrong_password_is_told_without_it) {
  auto options = as("orreryd", door::login);
  for (auto& one : options.target.settings)
    if (one.name == "sasl.password")
      one.value = "hush-hush";
  expect_all_shut_out(options, "Invalid username or password");
}

TEST(kafka_door, a_server_by_an_unknown_authority_is_not_trusted) {
  for (const auto by : both_doors)
    expect_all_shut_out(without(as("orreryd", by), {"ssl.ca.location"}),
                        "certificate verify failed");
}

TEST(kafka_door, a_client_without_a_certificate_stays_out) {
  expect_all_shut_out(
      without(as("orreryd", door::certificate), {"ssl.certificate.location", "ssl.key.location"}),
      "alert");
}

TEST(kafka_door, a_certificate_by_another_authority_stays_out) {
  expect_all_shut_out(as("impostor", door::certificate), "alert");
}

TEST(kafka_door, a_login_without_a_name_is_a_wrong_setting) {
  const auto options = without(as("orreryd", door::login), {"sasl.username"});
  const auto log = kafka_log::open(options);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, error_code::config_invalid);
  EXPECT_THAT(log.error().text, HasSubstr("sasl.username"));
}

TEST(kafka_acl, one_without_any_is_told_by_every_way_in) {
  for (const auto by : both_doors)
    expect_all_shut_out(as("stranger", by), "orrery.events");
}

TEST(kafka_acl, a_topic_cannot_be_made_by_who_only_uses_it) {
  for (const std::string user : {"orreryd", "reader", "stranger"}) {
    const auto options = as(user, door::certificate, "orrery.test.never");
    const auto made = make_topic(options.target, options.wanted, limit);
    ASSERT_FALSE(made) << user;
    EXPECT_EQ(made.error().code, error_code::unauthenticated) << made.error().text;
    EXPECT_THAT(made.error().text, HasSubstr("orrery.test.never"));
  }
}

TEST(kafka_acl, neither_owner_nor_reader_can_harm_the_topic) {
  const auto owner = opened(as("orreryd", door::login));
  EXPECT_EQ(append_and_wait(*owner, zero, "to stay").fate, append_fate::durable);
  for (const std::string user : {"orreryd", "reader"}) {
    mischief by(user);
    EXPECT_EQ(by.delete_topic(), RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) << user;
    EXPECT_EQ(by.add_partitions(), RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) << user;
    EXPECT_EQ(by.alter_settings(), RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) << user;
    EXPECT_EQ(by.delete_records(), RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) << user;
  }
  const auto seen = check_topic(as("init", door::login).target, {1, 1}, limit);
  ASSERT_TRUE(seen) << seen.error().text;
  EXPECT_TRUE(seen->faults.empty());
  EXPECT_EQ(read_all(*opened(as("reader", door::login)), zero).back().bytes, "to stay");
}

TEST(kafka_acl, a_readers_append_is_not_written_and_its_reads_go_on) {
  for (const auto by : both_doors) {
    const auto owner = opened(as("orreryd", by));
    const auto reader = opened(as("reader", by));
    expect_refused(*reader);
    const auto outcome = append_and_wait(*owner, zero, "for the reader");
    ASSERT_EQ(outcome.fate, append_fate::durable) << outcome.failure.text;
    const auto found = reader->read(zero, outcome.at, 1000, limit);
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_EQ(found->front().bytes, "for the reader");
    expect_refused(*reader);
    EXPECT_EQ(read_all(*owner, zero).size(), outcome.at + 1) << "the reader has written";
    EXPECT_EQ(reader->statistics().producers_replaced, 0u) << "it troubles the brokers";
  }
}

TEST(kafka_acl, an_owner_can_write_and_read_what_it_must) {
  for (const auto by : both_doors)
    expect_written_and_read(*opened(as("orreryd", by)), "an event");
  expect_written_and_read(*opened(as_without_settings("orreryd", "orrery.commands")), "a command");
  expect_written_and_read(*opened(as_without_settings("orreryd", "orrery.liveness")), "a sign");
}

TEST(kafka_acl, the_identity_is_written_by_init_and_only_read_by_an_owner_and_a_reader) {
  expect_written_and_read(*opened(as("init", door::login, "orrery.meta")), "whose log it is");
  for (const std::string user : {"orreryd", "reader"}) {
    const auto log = opened(as_without_settings(user, "orrery.meta"));
    EXPECT_EQ(read_all(*log, zero).size(), 1u) << user;
    expect_refused(*log);
  }
}

TEST(kafka_acl, a_reader_sees_neither_commands_nor_heartbeats) {
  for (const std::string topic : {"orrery.commands", "orrery.liveness"}) {
    const auto log = kafka_log::open(as("reader", door::login, topic));
    ASSERT_FALSE(log) << topic;
    EXPECT_EQ(log.error().code, error_code::unauthenticated) << log.error().text;
  }
}

TEST(kafka_acl, an_owner_needs_each_of_its_rights) {
  const auto no_write =
      opened(as("stranger", door::login, topic_of_stranger({may_read, may_see_settings})));
  expect_refused(*no_write);
  const auto no_settings =
      kafka_log::open(as("stranger", door::login, topic_of_stranger({may_read, may_write})));
  ASSERT_FALSE(no_settings);
  EXPECT_EQ(no_settings.error().code, error_code::unauthenticated) << no_settings.error().text;
  const auto no_read =
      opened(as("stranger", door::login, topic_of_stranger({may_write, may_see_settings})));
  const auto outcome = append_and_wait(*no_read, zero, "unread");
  EXPECT_EQ(outcome.fate, append_fate::durable) << outcome.failure.text;
  const auto found = no_read->read(zero, 0, 1000, limit);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, error_code::unauthenticated) << found.error().text;
}

TEST(kafka_acl, init_needs_each_of_its_rights_and_no_other) {
  const auto make_and_check = [](const std::vector<rd_kafka_AclOperation_t>& rights) {
    const auto target = as("stranger", door::login, topic_of_stranger(rights, false)).target;
    auto made = make_topic(target, {1, 1}, limit);
    if (!made)
      return made;
    const auto seen = check_topic(target, {1, 1}, limit);
    return seen ? result<void>() : result<void>(seen.error());
  };
  const auto enough = make_and_check({may_create, may_describe, may_see_settings});
  EXPECT_TRUE(enough) << enough.error().text;
  for (const auto& rights :
       {std::vector{may_create, may_describe}, std::vector{may_create, may_see_settings},
        std::vector{may_describe, may_see_settings}}) {
    const auto less = make_and_check(rights);
    ASSERT_FALSE(less);
    EXPECT_EQ(less.error().code, error_code::unauthenticated) << less.error().text;
  }
}

TEST(kafka_acl, a_right_to_write_that_is_given_later_is_found_without_a_restart) {
  const auto topic = fresh_log(secure_cluster(), 1).target.topic;
  grant("newcomer", topic, {may_read, may_see_settings}); // who may write nowhere else either
  const auto log = opened(as("newcomer", door::login, topic));
  expect_refused(*log);
  grant("newcomer", topic, {may_write});
  append_outcome last;
  EXPECT_TRUE(wait_until(generous, [&] {
    last = append_and_wait(*log, zero, "allowed");
    EXPECT_NE(last.fate, append_fate::unknown) << last.failure.text;
    return last.fate == append_fate::durable;
  })) << last.failure.text;
  EXPECT_EQ(read_all(*log, zero).size(), 1u);
  EXPECT_EQ(log->statistics().producers_replaced, 1u);
}

TEST(kafka_acl, a_right_that_is_taken_away_makes_appends_not_written) {
  const auto topic = topic_of_stranger({may_read, may_write, may_see_settings});
  const auto log = opened(as("stranger", door::login, topic));
  std::size_t durable = 0;
  EXPECT_EQ(append_and_wait(*log, zero, "allowed").fate, append_fate::durable);
  ++durable;
  revoke("stranger", topic, may_write);
  append_outcome last;
  EXPECT_TRUE(wait_until(generous, [&] {
    last = append_and_wait(*log, zero, "perhaps");
    durable += last.fate == append_fate::durable ? 1 : 0;
    return last.fate != append_fate::durable;
  }));
  EXPECT_EQ(last.fate, append_fate::not_written);
  EXPECT_EQ(last.failure.code, error_code::unauthenticated) << last.failure.text;
  EXPECT_EQ(read_all(*log, zero).size(), durable);
}

} // namespace orrery::log
