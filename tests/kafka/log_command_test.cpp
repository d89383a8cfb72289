#include "tests/kafka/cluster.hpp"
#include "tools/orrery/cli.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
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

} // namespace

TEST(log_command, check_of_a_missing_topic_says_how_to_make_it) {
  const auto target = the_cluster().fresh_target();
  const auto done =
      orrery({"check", "--kafka", target.servers.c_str(), "--topic", target.topic.c_str()});
  EXPECT_EQ(done.exit, 5);
  EXPECT_THAT(done.err, HasSubstr("orrery log init"));
  EXPECT_EQ(done.out, "");
}

TEST(log_command, a_settings_file_that_is_not_there_is_named) {
  const auto done =
      orrery({"check", "--kafka", the_cluster().servers().c_str(), "--settings-file", "/no/such"});
  EXPECT_EQ(done.exit, 1);
  EXPECT_THAT(done.err, HasSubstr("/no/such"));
}

TEST(log_command, init_makes_a_topic_that_check_finds_good_and_leaves_it_alone) {
  const auto target = the_cluster().fresh_target();
  const auto* servers = target.servers.c_str();
  const auto* topic = target.topic.c_str();
  const auto init = orrery(
      {"init", "--kafka", servers, "--topic", topic, "--partitions", "3", "--replication", "1"});
  EXPECT_EQ(init.exit, 0) << init.err;
  EXPECT_THAT(init.out, HasSubstr("3 partitions, 1 copies"));
  const auto check = orrery({"check", "--kafka", servers, "--topic", topic, "--replication", "1"});
  EXPECT_EQ(check.exit, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("good\n"));
  const auto again = orrery({"init", "--kafka", servers, "--topic", topic, "--replication", "1"});
  EXPECT_EQ(again.exit, 6);
  EXPECT_THAT(again.err, HasSubstr("orrery log check"));
}

TEST(log_command, check_names_what_is_wrong) {
  const auto made = fresh_log(the_cluster());
  const auto done = orrery({"check", "--kafka", made.target.servers.c_str(), "--topic",
                            made.target.topic.c_str(), "--partitions", "9"});
  EXPECT_EQ(done.exit, 3);
  EXPECT_THAT(done.out, HasSubstr("partitions is 8, must be 9"));
  EXPECT_THAT(done.out, HasSubstr("replication is 1, must be 3 or more")); // what it is by default
  EXPECT_THAT(done.out, HasSubstr("NOT GOOD\n"));
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
