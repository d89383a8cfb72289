#include "events/log/kafka_identity.hpp"
#include "tests/kafka/cluster.hpp"
#include "tools/orrery/cli.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

// `orrery log init` and `orrery log check`, on a real Kafka.

namespace orrery::log {

namespace {

using testing::HasSubstr;

struct outcome {
  int exit = -1;
  std::string out;
  std::string err;
};

outcome orrery(std::vector<const char*> words) {
  words.insert(words.begin(), {"orrery", "log"});
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  outcome done;
  done.exit = cli::run_cli(static_cast<int>(words.size()), words.data());
  done.out = testing::internal::GetCapturedStdout();
  done.err = testing::internal::GetCapturedStderr();
  return done;
}

/// A log of its own on the cluster, which is not made yet.
class place {
public:
  outcome run(const char* command, std::vector<const char*> more = {}) const {
    std::vector<const char*> words{
        command,         "--kafka",     target.servers.c_str(), "--prefix", target.topic.c_str(),
        "--replication", copies.c_str()};
    words.insert(words.end(), more.begin(), more.end());
    return orrery(words);
  }

  [[nodiscard]] kafka_target topic(const std::string& end) const {
    return with_topic(target, target.topic + end);
  }

  void remove(const std::string& end) const {
    the_cluster().ask("tool org.apache.kafka.tools.TopicCommand --bootstrap-server " +
                      target.servers + " --delete --topic " + target.topic + end);
  }

  void alter(const std::string& end, const std::string& setting) const {
    the_cluster().ask("tool kafka.admin.ConfigCommand --bootstrap-server " + target.servers +
                      " --alter --entity-type topics --entity-name " + target.topic + end +
                      " --add-config " + setting);
  }

  kafka_target target = the_cluster().fresh_target();
  std::string copies = std::to_string(ORRERY_KAFKA_BROKERS);
};

constexpr std::chrono::milliseconds patience{60'000};

} // namespace

TEST(log_command, check_of_missing_topics_names_each_and_says_how_to_make_them) {
  const place at;
  const auto done = at.run("check");
  EXPECT_EQ(done.exit, 5);
  EXPECT_THAT(done.err, HasSubstr("orrery log init"));
  for (const auto* end : {".events", ".commands", ".liveness", ".meta"})
    EXPECT_THAT(done.out, HasSubstr("topic " + at.target.topic + end + ": missing\n"));
  EXPECT_THAT(done.out, HasSubstr("identity: missing\nNOT GOOD\n"));
}

TEST(log_command, a_settings_file_that_is_not_there_is_named) {
  const auto done =
      orrery({"check", "--kafka", the_cluster().servers().c_str(), "--settings-file", "/no/such"});
  EXPECT_EQ(done.exit, 1);
  EXPECT_THAT(done.err, HasSubstr("/no/such"));
}

TEST(log_command, more_copies_than_brokers_are_refused_and_no_log_begins) {
  const place at;
  const auto done = orrery({"init", "--kafka", at.target.servers.c_str(), "--prefix",
                            at.target.topic.c_str(), "--replication", "7"});
  EXPECT_EQ(done.exit, 1);
  EXPECT_THAT(done.err, HasSubstr(at.target.topic + ".events"));
  EXPECT_EQ(at.run("check").exit, 5);
}

TEST(log_command, a_prefix_that_cannot_be_is_refused) {
  const auto done = orrery({"init", "--kafka", the_cluster().servers().c_str(), "--prefix", "a/b",
                            "--replication", "1"});
  EXPECT_EQ(done.exit, 1);
  EXPECT_THAT(done.err, HasSubstr("a/b.meta"));
}

TEST(log_command, init_makes_a_log_that_check_finds_good_and_may_be_repeated) {
  const place at;
  const auto made = at.run("init", {"--partitions", "3"});
  EXPECT_EQ(made.exit, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr(at.target.topic + ".events: 3 partitions, made\n"));
  EXPECT_THAT(made.out, HasSubstr(at.target.topic + ".commands: 3 partitions, made\n"));
  EXPECT_THAT(made.out, HasSubstr(at.target.topic + ".liveness: 1 partition, made\n"));
  EXPECT_THAT(made.out, HasSubstr(at.target.topic + ".meta: 1 partition, made\n"));
  EXPECT_THAT(made.out, HasSubstr("good\n"));
  const auto identity = read_identity(at.topic(".meta"), patience);
  ASSERT_TRUE(identity) << identity.error().text;
  EXPECT_EQ(identity->partitions, 3u);
  EXPECT_THAT(made.out, HasSubstr("identity: " + to_text(identity->log.installation) + ", " +
                                  to_text(identity->log.log) + ", 3 partitions\n"));
  const auto again = at.run("init", {"--partitions", "3"});
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_THAT(again.out, testing::Not(HasSubstr("made")));
  EXPECT_EQ(read_identity(at.topic(".meta"), patience).value(), *identity);
  const auto check = at.run("check");
  EXPECT_EQ(check.exit, 0) << check.out << check.err;
  EXPECT_THAT(check.out, HasSubstr("good\n"));
}

TEST(log_command, init_makes_what_is_missing_and_leaves_the_rest) {
  const place at;
  ASSERT_TRUE(make_topic(at.topic(".events"), {3, ORRERY_KAFKA_BROKERS}, patience));
  const auto made = at.run("init", {"--partitions", "3"});
  EXPECT_EQ(made.exit, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr(".events: 3 partitions\n"));
  EXPECT_THAT(made.out, HasSubstr(".commands: 3 partitions, made\n"));
  at.remove(".commands");
  EXPECT_EQ(at.run("check").exit, 5);
  EXPECT_EQ(at.run("init", {"--partitions", "3"}).exit, 0);
  EXPECT_EQ(at.run("check").exit, 0);
}

TEST(log_command, init_begins_no_log_on_a_topic_that_is_not_fit) {
  const place at;
  ASSERT_TRUE(make_topic(at.topic(".events"), {3, ORRERY_KAFKA_BROKERS}, patience));
  at.alter(".events", "cleanup.policy=compact");
  const auto refused = at.run("init", {"--partitions", "3"});
  EXPECT_EQ(refused.exit, 3);
  EXPECT_THAT(refused.out, HasSubstr("cleanup.policy is compact, must be delete"));
  EXPECT_THAT(refused.out, HasSubstr("NOT GOOD\n"));
  EXPECT_EQ(read_identity(at.topic(".meta"), patience).error().code, error_code::not_found);
}

TEST(log_command, init_begins_no_new_log_where_the_events_of_one_are_gone) {
  const place at;
  EXPECT_EQ(at.run("init", {"--partitions", "3"}).exit, 0);
  at.remove(".events");
  const auto refused = at.run("init", {"--partitions", "3"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("restore it, or delete topic " + at.target.topic + ".meta"));
  EXPECT_EQ(topic_partitions(at.topic(".events"), patience).error().code, error_code::not_found);
}

TEST(log_command, check_names_what_is_wrong_with_each_topic) {
  const place at;
  EXPECT_EQ(at.run("init", {"--partitions", "3"}).exit, 0);
  at.alter(".events", "retention.ms=604800000");
  at.alter(".commands", "retention.ms=60000");
  at.alter(".liveness", "cleanup.policy=compact,retention.ms=-1");
  at.alter(".meta", "retention.bytes=1000000");
  const auto done = at.run("check", {"--partitions", "9"});
  EXPECT_EQ(done.exit, 3);
  for (const auto* words :
       {"partitions is 3, must be 9", "retention.ms is 604800000, must be -1",
        "retention.ms is 60000, must be 3600000 to 604800000", "cleanup.policy is compact",
        "retention.ms is -1, must be 60000 to 86400000", "retention.bytes is 1000000, must be -1",
        "NOT GOOD\n"})
    EXPECT_THAT(done.out, HasSubstr(words));
}

TEST(log_command, check_names_topics_of_other_sizes) {
  const place at;
  EXPECT_EQ(at.run("init", {"--partitions", "3"}).exit, 0);
  the_cluster().ask("tool org.apache.kafka.tools.TopicCommand --bootstrap-server " +
                    at.target.servers + " --alter --partitions 4 --topic " + at.target.topic +
                    ".events");
  const auto done = at.run("check");
  EXPECT_EQ(done.exit, 3);
  EXPECT_THAT(done.out, HasSubstr("partitions is 3, must be 4")); // of commands
  EXPECT_THAT(done.out, HasSubstr("the topic of events has 4 partitions, must have 3"));
}

TEST(log_command, topics_that_several_make_at_the_same_time_are_made_once) {
  const auto target = the_cluster().fresh_target();
  std::atomic<int> made = 0;
  std::vector<std::thread> makers;
  for (int number = 0; number < 4; ++number)
    makers.emplace_back([&] {
      const auto state = ensure_topic(target, {3, ORRERY_KAFKA_BROKERS}, patience);
      ASSERT_TRUE(state) << state.error().text;
      EXPECT_TRUE(state->faults.empty());
      made += state->was_made ? 1 : 0;
    });
  for (auto& one : makers)
    one.join();
  EXPECT_EQ(made, 1);
}

TEST(log_command, settings_are_lines_and_a_bad_line_is_named_without_its_text) {
  const auto good =
      parse_kafka_settings("# login\nsasl.password = a=b # c\r\n\n  security.protocol=ssl");
  ASSERT_TRUE(good);
  ASSERT_EQ(good->size(), 2u);
  EXPECT_EQ(good->front().name, "sasl.password");
  EXPECT_EQ(good->front().value, "a=b # c");
  EXPECT_EQ(good->back().value, "ssl");
  for (const auto* bad : {"a=1\nhush-hush\n", "a=1\n=hush-hush\n"}) {
    const auto refused = parse_kafka_settings(bad);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, error_code::config_invalid);
    EXPECT_THAT(refused.error().text, HasSubstr("line 2"));
    EXPECT_THAT(refused.error().text, testing::Not(HasSubstr("hush-hush")));
  }
}

} // namespace orrery::log
