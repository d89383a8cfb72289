#include "tests/kafka/secure.hpp"

#include "events/core/check.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>

namespace orrery::log {

namespace {

using door = kafka_cluster::door;

constexpr std::chrono::milliseconds limit{30'000};

const std::string four_topics =
    "--topic orrery.events --topic orrery.commands --topic orrery.liveness --topic orrery.meta";

/// A question to the administration of the cluster, as `admin`.
class admin_call {
public:
  explicit admin_call(kafka_cluster& at)
      : handle(std::move(
            *kafka_handle::make(kafka_handle::role::administrator, at.fresh_target(), {}))),
        queue(rd_kafka_queue_new(handle->get())) {}

  admin_call(const admin_call&) = delete;
  admin_call& operator=(const admin_call&) = delete;

  ~admin_call() { rd_kafka_queue_destroy(queue); }

  void expect_done() const {
    auto* answer = rd_kafka_queue_poll(queue, static_cast<int>(limit.count()));
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(rd_kafka_event_error(answer), RD_KAFKA_RESP_ERR_NO_ERROR)
        << rd_kafka_event_error_string(answer);
    rd_kafka_event_destroy(answer);
  }

  std::unique_ptr<kafka_handle> handle;
  rd_kafka_queue_t* queue;
};

void grant_at(kafka_cluster& at, const std::string& user, const std::string& topic,
              const std::vector<rd_kafka_AclOperation_t>& rights,
              rd_kafka_ResourcePatternType_t pattern) {
  const admin_call call(at);
  std::array<char, 256> why{};
  std::vector<rd_kafka_AclBinding_t*> wanted;
  for (const auto right : rights)
    wanted.push_back(rd_kafka_AclBinding_new(
        RD_KAFKA_RESOURCE_TOPIC, topic.c_str(), pattern, ("User:" + user).c_str(), "*", right,
        RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, why.data(), why.size()));
  rd_kafka_CreateAcls(call.handle->get(), wanted.data(), wanted.size(), nullptr, call.queue);
  rd_kafka_AclBinding_destroy_array(wanted.data(), wanted.size());
  call.expect_done();
}

void make_four_topics(kafka_cluster& at) {
  auto target = at.fresh_target();
  for (const auto* topic : {"orrery.events", "orrery.commands", "orrery.liveness", "orrery.meta"}) {
    target.topic = topic;
    const auto made = make_topic(target, {1, 1}, limit);
    EXPECT_TRUE(made) << made.error().text;
  }
}

/// The very words of docs/kafka.md.
void follow_the_book(kafka_cluster& at) {
  run_acl_command(at, "--allow-principal User:init --operation Create --operation Describe "
                      "--operation DescribeConfigs " +
                          four_topics);
  run_acl_command(at, "--allow-principal User:init --operation Read --operation Write "
                      "--topic orrery.meta");
  run_acl_command(at, "--allow-principal User:orreryd --operation Read --operation Write "
                      "--topic orrery.events --topic orrery.commands --topic orrery.liveness");
  run_acl_command(at, "--allow-principal User:orreryd --operation DescribeConfigs "
                      "--topic orrery.events");
  run_acl_command(at, "--allow-principal User:orreryd --operation Read --topic orrery.meta");
  run_acl_command(at, "--allow-principal User:reader --operation Read --operation "
                      "DescribeConfigs --topic orrery.events");
  run_acl_command(at, "--allow-principal User:reader --operation Read --topic orrery.meta");
}

} // namespace

kafka_cluster& secure_cluster() {
  static kafka_cluster only(1, kafka_cluster::doors::guarded);
  static const bool is_ready = [] {
    make_four_topics(only);
    follow_the_book(only);
    grant_at(only, "orreryd", "orrery.test.",
             {RD_KAFKA_ACL_OPERATION_READ, RD_KAFKA_ACL_OPERATION_WRITE,
              RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS},
             RD_KAFKA_RESOURCE_PATTERN_PREFIXED);
    return true;
  }();
  ORRERY_CHECK(is_ready);
  return only;
}

void run_acl_command(kafka_cluster& at, const std::string& words) {
  at.ask("tool org.apache.kafka.tools.AclCommand --bootstrap-server " +
         at.as("admin", door::certificate).servers + " --command-config " + at.tool_settings() +
         " --add " + words);
}

void grant(const std::string& user, const std::string& topic,
           const std::vector<rd_kafka_AclOperation_t>& rights) {
  grant_at(secure_cluster(), user, topic, rights, RD_KAFKA_RESOURCE_PATTERN_LITERAL);
}

void revoke(const std::string& user, const std::string& topic, rd_kafka_AclOperation_t right) {
  const admin_call call(secure_cluster());
  std::array<char, 256> why{};
  auto* unwanted = rd_kafka_AclBindingFilter_new(
      RD_KAFKA_RESOURCE_TOPIC, topic.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL,
      ("User:" + user).c_str(), "*", right, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, why.data(),
      why.size());
  rd_kafka_DeleteAcls(call.handle->get(), &unwanted, 1, nullptr, call.queue);
  rd_kafka_AclBinding_destroy(unwanted);
  call.expect_done();
}

} // namespace orrery::log
