#include "events/log/kafka_identity.hpp"
#include "tests/events/log/append_and_read.hpp"
#include "tests/kafka/cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace orrery::log {

namespace {

using contract::append_and_wait;
using contract::zero;
using testing::HasSubstr;

constexpr std::chrono::milliseconds patience{60'000};
constexpr kafka_topic_wanted meta{1, ORRERY_KAFKA_BROKERS, kafka_topic_kind::meta};

kafka_identity numbered(std::uint64_t number) {
  return {{installation_id{uuid{1, number}}, log_id{uuid{2, number}}}, 64};
}

kafka_target fresh_meta() {
  auto target = the_cluster().fresh_target();
  const auto made = make_topic(target, meta, patience);
  EXPECT_TRUE(made) << made.error().text;
  return target;
}

error_code refused(const result<kafka_identity>& read, const std::string& word) {
  EXPECT_FALSE(read);
  if (read)
    return error_code::internal;
  EXPECT_THAT(read.error().text, HasSubstr(word));
  return read.error().code;
}

} // namespace

TEST(kafka_identity_topic, a_missing_topic_and_one_without_a_record_say_how_to_make_it) {
  const auto missing = the_cluster().fresh_target();
  EXPECT_EQ(refused(read_identity(missing, patience), "orrery log init"), error_code::not_found);
  EXPECT_EQ(refused(write_identity(missing, numbered(1), patience), "orrery log init"),
            error_code::not_found);
  const auto empty = fresh_meta();
  EXPECT_EQ(refused(read_identity(empty, patience), "orrery log init"), error_code::not_found);
}

TEST(kafka_identity_topic, no_answering_broker_is_unavailable) {
  kafka_target target;
  target.servers = "127.0.0.1:1"; // a port on which nothing listens
  EXPECT_EQ(refused(read_identity(target, std::chrono::milliseconds(500)), "127.0.0.1:1"),
            error_code::unavailable);
}

TEST(kafka_identity_topic, another_first_record_is_damage_that_nobody_writes_behind) {
  const auto target = fresh_meta();
  kafka_options options;
  options.target = target;
  options.wanted = meta;
  EXPECT_EQ(append_and_wait(*opened(options), zero, "something else").fate, append_fate::durable);
  EXPECT_EQ(refused(read_identity(target, patience), target.topic), error_code::damaged);
  EXPECT_EQ(refused(write_identity(target, numbered(1), patience), "restore"), error_code::damaged);
  EXPECT_EQ(opened(options)->end(zero).value(), 1U);
}

TEST(kafka_identity_topic, what_was_written_is_read_and_never_changes) {
  const auto target = fresh_meta();
  EXPECT_EQ(write_identity(target, numbered(1), patience).value(), numbered(1));
  EXPECT_EQ(write_identity(target, numbered(2), patience).value(), numbered(1));
  EXPECT_EQ(read_identity(target, patience).value(), numbered(1));
}

TEST(kafka_identity_topic, records_behind_the_first_one_mean_nothing) {
  const auto target = fresh_meta();
  EXPECT_EQ(write_identity(target, numbered(1), patience).value(), numbered(1));
  kafka_options options;
  options.target = target;
  options.wanted = meta;
  const auto log = opened(options);
  EXPECT_EQ(append_and_wait(*log, zero, encode(numbered(2))).fate, append_fate::durable);
  EXPECT_EQ(append_and_wait(*log, zero, "nonsense").fate, append_fate::durable);
  EXPECT_EQ(read_identity(target, patience).value(), numbered(1));
}

TEST(kafka_identity_topic, those_that_write_at_the_same_time_agree) {
  for (int again = 0; again < 3; ++again) {
    const auto target = fresh_meta();
    std::vector<kafka_identity> told(4);
    std::vector<std::thread> writers;
    for (std::size_t at = 0; at < told.size(); ++at)
      writers.emplace_back([&, at] {
        const auto written = write_identity(target, numbered(at + 1), patience);
        EXPECT_TRUE(written) << written.error().text;
        if (written)
          told[at] = *written;
      });
    for (auto& one : writers)
      one.join();
    for (const auto& one : told)
      EXPECT_EQ(one, read_identity(target, patience).value());
  }
}

} // namespace orrery::log
