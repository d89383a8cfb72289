#include "events/domain/node.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::support {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(node_refuses, everything_while_it_does_not_exist) {
  auto at = founded_world();
  EXPECT_TRUE(is_refused(at.tell(hello()), error_code::not_found, {"no such node"}));
  EXPECT_TRUE(is_refused(at.tell(lose(1, 1)), error_code::not_found, {"no such node"}));
  EXPECT_TRUE(
      is_refused(at.tell(see_alive(1, 1, at.now())), error_code::not_found, {"no such node"}));
}

TEST(node_refuses, an_empty_command) {
  auto at = ready_world();
  v1::Command empty;
  domain::set(empty.mutable_entity(), node());
  empty.mutable_node();
  EXPECT_TRUE(is_refused(at.tell(empty), error_code::invalid_argument, {"node"}));
}

TEST(node_refuses, more_images_than_its_limit) {
  auto at = founded_world();
  at.must(add_node());
  greeting said;
  said.images.assign(1001, "x");
  EXPECT_TRUE(is_refused(at.tell(hello(said)), error_code::too_large, {"'n1'", "1000 images"}));
}

TEST(node, is_registered_with_what_the_operator_said) {
  auto at = founded_world();
  const auto told = at.tell(add_node({.vcpus = 6, .memory_mib = 4000}));
  EXPECT_THAT(types_of(told), ElementsAre("cluster.node_joined", "node.registered"));
  EXPECT_EQ(domain::from_proto(told.reply().entity()), node());
  EXPECT_EQ(at.find_node()->libvirt_socket, "/run/n1/libvirt-sock");
  EXPECT_EQ(at.find_node()->network_namespace, "n1");
  EXPECT_EQ(at.find_node()->kind, v1::SIMULATED);
  EXPECT_FALSE(at.find_node()->connected);
  EXPECT_FALSE(at.find_node()->ever_connected);
}

TEST(node_hello, tells_the_cluster_what_it_offers) {
  auto at = founded_world();
  at.must(add_node());
  const auto told = at.tell(hello({.images = {"b", "a", "b"}}));
  EXPECT_THAT(types_of(told), ElementsAre("node.connected", "cluster.node_noted"));
  EXPECT_EQ(at.find_node()->epoch, 1U);
  EXPECT_EQ(at.find_node()->vcpus.count, 32U) << "four for each thread";
  EXPECT_EQ(at.find_node()->memory.count, 8192U) << "less the node's own reserve";
  EXPECT_THAT(at.find_node()->images, ElementsAre("a", "b"));
  const auto* known = at.find_cluster()->nodes.find(node());
  EXPECT_TRUE(known->connected);
  EXPECT_EQ(known->vcpus.count, 32U);
  EXPECT_EQ(known->memory.count, 8192U);
  EXPECT_THAT(known->images, ElementsAre("a", "b"));
}

TEST(node_hello, of_a_tiny_node_offers_no_memory) {
  auto at = founded_world();
  at.must(add_node());
  at.must(hello({.memory_mib = 1000}));
  EXPECT_EQ(at.find_node()->memory.count, 0U);
}

TEST(node_hello, offers_what_the_operator_wished) {
  auto at = founded_world();
  at.must(add_node({.vcpus = 5, .memory_mib = 700}));
  at.must(hello());
  EXPECT_EQ(at.find_node()->vcpus.count, 5U);
  EXPECT_EQ(at.find_node()->memory.count, 700U);
}

TEST(node_hello, again_from_the_same_connection_changes_nothing) {
  auto at = ready_world();
  EXPECT_THAT(types_of(at.tell(hello())), IsEmpty());
}

TEST(node_hello, of_another_connection_begins_a_new_epoch) {
  auto at = ready_world();
  EXPECT_THAT(types_of(at.tell(hello({.nonce = 2}))), ElementsAre("node.connected"))
      << "the cluster knows all of it already";
  EXPECT_EQ(at.find_node()->epoch, 2U);
  EXPECT_THAT(types_of(at.tell(hello({.nonce = 1}))), ElementsAre("node.connected"));
  EXPECT_EQ(at.find_node()->epoch, 3U);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(node_hello, of_a_lost_connection_brings_it_back_in_a_new_epoch) {
  auto at = ready_world();
  at.must(lose(1, 1));
  EXPECT_THAT(types_of(at.tell(hello())), ElementsAre("node.connected", "cluster.node_noted"));
  EXPECT_TRUE(at.find_node()->connected);
  EXPECT_EQ(at.find_node()->epoch, 2U);
  EXPECT_EQ(at.find_node()->lost_reason, "");
}

TEST(node_hello, cleans_the_words_of_a_hypervisor) {
  auto at = founded_world();
  at.must(add_node());
  auto command = hello();
  command.mutable_node()->mutable_hello()->set_hypervisor("q\x02" + std::string(500, 'x'));
  at.must(command);
  EXPECT_THAT(at.find_node()->hypervisor, testing::StartsWith("q?x"));
  EXPECT_EQ(at.find_node()->hypervisor.size(), 200U);
}

TEST(node_lose, tells_the_cluster) {
  auto at = ready_world();
  EXPECT_THAT(types_of(at.tell(lose(1, 1, "no route\x07"))),
              ElementsAre("node.lost", "cluster.node_noted"));
  EXPECT_FALSE(at.find_node()->connected);
  EXPECT_TRUE(at.find_node()->ever_connected);
  EXPECT_EQ(at.find_node()->lost_reason, "no route?");
  EXPECT_FALSE(at.find_cluster()->nodes.find(node())->connected);
  EXPECT_THAT(types_of(at.tell(lose(1, 1))), IsEmpty()) << "it is lost already";
}

TEST(node_lose, of_a_connection_that_was_replaced_is_dropped) {
  auto at = ready_world();
  at.must(hello({.nonce = 2}));
  EXPECT_THAT(types_of(at.tell(lose(1, 1))), IsEmpty());
  EXPECT_TRUE(at.find_node()->connected);
}

TEST(node_lose, keeps_every_vm_and_what_it_holds) {
  auto at = world_with_running_vm();
  at.must(lose(1, 1));
  EXPECT_EQ(at.find_vm()->observed.state, v1::VmObserved::REACHABLE)
      << "what its guests are is told by an observation of each";
  EXPECT_TRUE(at.find_cluster()->placements.contains(vm()));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(node_alive, is_recorded_at_most_once_a_minute) {
  auto at = ready_world();
  const auto began = at.find_node()->seen_until;
  at.pass(std::chrono::seconds(59));
  EXPECT_THAT(types_of(at.tell(see_alive(1, 1, began + std::chrono::seconds(59)))), IsEmpty());
  at.pass(std::chrono::seconds(2));
  EXPECT_THAT(types_of(at.tell(see_alive(1, 1, began + std::chrono::seconds(60)))),
              ElementsAre("node.seen_until"));
  EXPECT_EQ(at.find_node()->seen_until, began + std::chrono::seconds(60));
  EXPECT_THAT(types_of(at.tell(see_alive(1, 1, began + std::chrono::seconds(61)))), IsEmpty());
}

TEST(node_alive, of_the_future_counts_as_now) {
  auto at = ready_world();
  at.pass(std::chrono::minutes(5));
  at.tell(see_alive(1, 1, at.now() + std::chrono::hours(9'000)));
  EXPECT_EQ(at.find_node()->seen_until, at.now());
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(node_alive, of_a_lost_or_replaced_connection_is_dropped) {
  auto at = ready_world();
  at.pass(std::chrono::minutes(5));
  EXPECT_THAT(types_of(at.tell(see_alive(1, 2, at.now()))), IsEmpty());
  at.must(lose(1, 1));
  EXPECT_THAT(types_of(at.tell(see_alive(1, 1, at.now()))), IsEmpty());
}

TEST(node_upstream, is_noted_when_it_changed_and_forgotten_when_the_node_is_lost) {
  auto at = ready_world();
  const auto nonce = at.find_node()->nonce;
  const standing one_up{.up = {"192.0.2.1"}, .down = {"192.0.2.2"}};
  EXPECT_THAT(types_of(at.tell(note_upstream(1, nonce, one_up))),
              ElementsAre("node.upstream_noted"));
  ASSERT_EQ(at.find_node()->upstream.size(), 2U);
  EXPECT_TRUE(at.find_node()->upstream[0].established);
  EXPECT_EQ(at.find_node()->upstream[1].reason, "Connection refused");
  EXPECT_THAT(types_of(at.tell(note_upstream(1, nonce, one_up))), IsEmpty());
  EXPECT_THAT(types_of(at.tell(note_upstream(1, nonce + 1, {.problem = "none"}))), IsEmpty())
      << "of a connection that was replaced";
  at.must(note_upstream(1, nonce, {.problem = "no file \x1b[31m"}));
  EXPECT_TRUE(at.find_node()->upstream.empty());
  EXPECT_EQ(at.find_node()->upstream_problem.find('\x1b'), std::string::npos);
  at.must(lose(1, nonce));
  EXPECT_EQ(at.find_node()->upstream_problem, "");
}

TEST(node_upstream, more_routers_than_its_limit_are_refused) {
  auto at = ready_world();
  standing seen;
  seen.up.assign(domain::upstream_sessions_max + 1, "192.0.2.1");
  EXPECT_TRUE(is_refused(at.tell(note_upstream(1, at.find_node()->nonce, seen)),
                         error_code::too_large, {"'n1'", "64 routers"}));
}

} // namespace
} // namespace orrery::support
