#include "actors/engine/batch.hpp"
#include "actors/engine/outbox.hpp"
#include "tests/support/builders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::actors {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr partition_number here{0};
constexpr partition_number there{3};

v1::Command message(std::uint64_t number, partition_number target = there) {
  v1::Command made;
  domain::set(made.mutable_entity(), make_uuid(support::start_of_time(), target, 7));
  made.mutable_stream()->set_source(static_cast<std::uint32_t>(here));
  made.mutable_stream()->set_number(number);
  return made;
}

/// An outbox in virtual time, and the numbers that it sends.
class sending {
public:
  std::vector<std::uint64_t> after(milliseconds pause) {
    x_now += pause;
    std::vector<std::uint64_t> numbers;
    box.send(x_now,
             [&numbers](const v1::Command& sent) { numbers.push_back(sent.stream().number()); });
    return numbers;
  }

  outbox box;

private:
  outbox::steady_time x_now{std::chrono::hours(1)};
};

TEST(outbox, sends_each_message_once_and_again_only_when_nothing_moves) {
  sending at;
  at.box.add(message(1));
  at.box.add(message(2));
  EXPECT_THAT(at.after(milliseconds(0)), ElementsAre(1, 2));
  EXPECT_THAT(at.after(outbox::repeat_interval - milliseconds(1)), IsEmpty());
  EXPECT_THAT(at.after(milliseconds(1)), ElementsAre(1, 2));
  at.box.taken(there, 1);
  EXPECT_THAT(at.after(outbox::repeat_interval), IsEmpty()) << "it moved, so it is given time";
  EXPECT_THAT(at.after(outbox::repeat_interval), ElementsAre(2));
  at.box.taken(there, 2);
  EXPECT_THAT(at.after(std::chrono::hours(1)), IsEmpty());
}

TEST(outbox, holds_nothing_that_its_target_has_decided_already) {
  sending at;
  at.box.taken(there, 2); // the target's log was read first
  for (std::uint64_t number = 1; number <= 3; ++number)
    at.box.add(message(number));
  EXPECT_THAT(at.after(milliseconds(0)), ElementsAre(3));
}

TEST(outbox, begins_again_for_a_new_owner) {
  sending at;
  at.box.add(message(1));
  EXPECT_THAT(at.after(milliseconds(0)), ElementsAre(1));
  at.box.begin_again();
  EXPECT_THAT(at.after(milliseconds(0)), ElementsAre(1));
}

TEST(outbox, has_a_window_of_messages_under_way) {
  sending at;
  for (std::uint64_t number = 1; number <= outbox::window + 5; ++number)
    at.box.add(message(number));
  EXPECT_EQ(at.after(milliseconds(0)).size(), outbox::window);
  EXPECT_THAT(at.after(milliseconds(0)), IsEmpty());
  at.box.taken(there, 2);
  EXPECT_THAT(at.after(milliseconds(0)), ElementsAre(outbox::window + 1, outbox::window + 2));
}

TEST(outbox, tells_who_is_behind) {
  outbox box;
  for (std::uint64_t number = 1; number <= unacknowledged_max; ++number) {
    EXPECT_FALSE(box.is_behind(there));
    box.add(message(number));
  }
  EXPECT_TRUE(box.is_behind(there));
  EXPECT_FALSE(box.is_behind(partition_number{4}));
  box.taken(there, 1);
  EXPECT_FALSE(box.is_behind(there));
}

// What a batch makes of messages to other partitions.

uuid remote_cluster(std::uint64_t number) {
  return make_uuid(support::start_of_time(), there, number);
}

v1::Command add_remote_cluster(std::uint64_t number) {
  auto made = support::add_cluster({.name = "c" + std::to_string(number)});
  domain::set(made.mutable_installation()->mutable_add_cluster()->mutable_cluster(),
              remote_cluster(number));
  made.mutable_principal()->set_name("somebody");
  domain::set(made.mutable_id(), support::command_number(static_cast<std::uint32_t>(number)));
  return made;
}

/// Decides commands in one batch, on the accepted state.
batch::built decide(const std::vector<v1::Command>& commands,
                    const domain::partition_state& accepted, const outbox& outgoing) {
  std::vector<std::shared_ptr<submission>> submitted;
  for (const auto& command : commands) {
    submitted.push_back(std::make_shared<submission>());
    submitted.back()->command = command;
  }
  const auto now =
      std::max(support::start_of_time(), accepted.head_time() + std::chrono::microseconds(1));
  batch asked(1, submitted, {now, {}, &support::default_policies()});
  while (!asked.is_decided())
    for (auto& [entity, request] : asked.ask())
      asked.on_answer(decide_all(entity, accepted.find(entity), request));
  return asked.build(1'000'000, accepted, outgoing);
}

domain::partition_state founded() {
  domain::partition_state state;
  state.fold(decide({support::found()}, state, {}).body, 1);
  return state;
}

TEST(outbox, a_message_to_another_partition_is_numbered_and_names_who_began_it) {
  auto state = founded();
  const auto first = decide({add_remote_cluster(1), add_remote_cluster(2)}, state, {}).body;
  ASSERT_EQ(first.outbox_size(), 2);
  const auto& sent = first.outbox(1);
  EXPECT_EQ(sent.stream().source(), static_cast<std::uint32_t>(here));
  EXPECT_EQ(sent.stream().number(), 2U);
  EXPECT_EQ(domain::from_proto(sent.entity()), remote_cluster(2));
  EXPECT_EQ(sent.cluster().create().name(), "c2");
  EXPECT_EQ(sent.principal().name(), "somebody");
  EXPECT_EQ(domain::from_proto(sent.id()), support::command_number(2));
  EXPECT_EQ(first.decisions(0).steps_size(), 1) << "the cluster decides elsewhere";
  state.fold(first, 2);
  EXPECT_EQ(state.last_sent(there), 2U);
  EXPECT_EQ(decide({add_remote_cluster(3)}, state, {}).body.outbox(0).stream().number(), 3U);
}

TEST(outbox, what_a_partition_takes_of_a_stream_is_part_of_its_state) {
  const auto sent = decide({add_remote_cluster(1)}, founded(), {}).body.outbox(0);
  domain::partition_state target;
  const auto body = decide({sent}, target, {}).body;
  ASSERT_EQ(body.decisions_size(), 1);
  EXPECT_EQ(body.decisions(0).command().SerializeAsString(), sent.SerializeAsString());
  const auto before = target.to_bytes();
  target.fold(body, 1);
  EXPECT_EQ(target.last_taken(here), 1U);
  EXPECT_NE(target.find(remote_cluster(1)), nullptr);
  EXPECT_NE(before, target.to_bytes());
}

TEST(outbox, a_refused_command_sends_nothing) {
  auto state = founded();
  state.fold(decide({add_remote_cluster(1)}, state, {}).body, 2);
  auto again = add_remote_cluster(1);
  domain::set(again.mutable_installation()->mutable_add_cluster()->mutable_cluster(),
              remote_cluster(9));
  const auto body = decide({again}, state, {}).body;
  ASSERT_EQ(body.decisions_size(), 1);
  EXPECT_NE(body.decisions(0).reply().code(), 0U);
  EXPECT_EQ(body.outbox_size(), 0);
}

TEST(outbox, a_command_for_a_partition_that_is_behind_is_refused_and_changes_nothing) {
  outbox full;
  for (std::uint64_t number = 1; number <= unacknowledged_max; ++number)
    full.add(message(number));
  const auto built = decide({add_remote_cluster(1), add_remote_cluster(2)}, founded(), full);
  ASSERT_EQ(built.body.decisions_size(), 1);
  const auto& refused = built.body.decisions(0);
  EXPECT_EQ(refused.reply().code(), static_cast<std::uint32_t>(error_code::target_behind));
  EXPECT_TRUE(refused.reply().retryable());
  EXPECT_THAT(refused.reply().text(), testing::HasSubstr("partition 3"));
  EXPECT_EQ(refused.steps_size(), 0);
  EXPECT_EQ(built.body.outbox_size(), 0);
  EXPECT_EQ(built.left.size(), 1U) << "it was decided as if the first had happened";
}

TEST(outbox, an_answer_to_another_partition_is_sent_however_far_that_is_behind) {
  outbox full;
  for (std::uint64_t number = 1; number <= unacknowledged_max; ++number)
    full.add(message(number));
  v1::Command claim;
  domain::set(claim.mutable_entity(), support::installation());
  claim.mutable_stream()->set_source(static_cast<std::uint32_t>(there));
  claim.mutable_stream()->set_number(1);
  auto* body = claim.mutable_installation()->mutable_claim_prefix();
  domain::set(body->mutable_network(), make_uuid(support::start_of_time(), there, 8));
  body->set_prefix(support::address_of("10.0.0.0").bits);
  body->set_prefix_length(24);
  const auto built = decide({claim}, founded(), full);
  ASSERT_EQ(built.body.outbox_size(), 1);
  EXPECT_TRUE(built.body.outbox(0).network().has_settle_claim());
  EXPECT_EQ(built.body.outbox(0).network().settle_claim().code(), 0U);
  EXPECT_EQ(built.body.decisions(0).reply().code(), 0U);
}

} // namespace
} // namespace orrery::actors
