#include "events/domain/cluster.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::support {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A cluster of a kind, with its node and network where the kind allows them.
world world_of(v1::HypervisorKind kind) {
  world at;
  at.must(found());
  at.must(add_cluster({.kind = kind}));
  at.tell(add_node());
  at.tell(hello());
  at.tell(add_network());
  return at;
}

TEST(cluster_refuses, everything_while_it_does_not_exist) {
  world at;
  at.must(found());
  EXPECT_TRUE(is_refused(at.tell(add_node()), error_code::not_found, {"no such cluster"}));
  EXPECT_TRUE(is_refused(at.tell(add_network()), error_code::not_found, {"no such cluster"}));
  EXPECT_TRUE(is_refused(at.tell(place_vm()), error_code::not_found, {"no such cluster"}));
}

TEST(cluster_refuses, an_empty_command) {
  auto at = founded_world();
  v1::Command empty;
  domain::set(empty.mutable_entity(), cluster());
  empty.mutable_cluster();
  EXPECT_TRUE(is_refused(at.tell(empty), error_code::invalid_argument, {"cluster"}));
}

// Nodes

TEST(cluster_refuses, a_node_with_a_bad_or_taken_name) {
  auto at = ready_world();
  EXPECT_TRUE(is_refused(at.tell(add_node({.number = 2, .name = "N!"})),
                         error_code::invalid_argument, {"node", "'N!'", "a-z"}));
  EXPECT_TRUE(is_refused(at.tell(add_node({.number = 2})), error_code::already_exists,
                         {"'c1'", "'n1'", "another name"}));
}

TEST(cluster_refuses, a_node_id_that_is_taken_and_keeps_no_name_of_it) {
  auto at = ready_world();
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    EXPECT_TRUE(is_refused(at.tell(add_node({.name = "n2"})), error_code::already_exists,
                           {"node with that id"}));
  }));
}

TEST(cluster_refuses, a_node_of_a_kind_without_a_driver) {
  // Of a cluster that an earlier version made.
  domain::cluster_state state;
  state.name = "c1";
  state.kind = v1::XEN;
  const auto said = domain::decide(&state, cluster(), add_node().cluster(),
                                   {start_of_time(), {}, &default_policies()});
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code, error_code::unsupported);
  EXPECT_NE(said.error().text.find("no driver"), std::string::npos) << said.error().text;
}

// Upstream

TEST(cluster_upstream, is_what_was_said_last) {
  auto at = ready_world();
  EXPECT_THAT(types_of(at.tell(set_upstream(bgp_upstream(2)))),
              ElementsAre("cluster.upstream_changed"));
  EXPECT_EQ(at.find_cluster()->upstream->bgp().routers_size(), 2);
  EXPECT_THAT(types_of(at.tell(set_upstream(bgp_upstream(2)))), IsEmpty()) << "as it is already";
  at.must(set_upstream({}));
  EXPECT_EQ(at.find_cluster()->upstream->protocol_case(), v1::Upstream::PROTOCOL_NOT_SET);
}

TEST(cluster_upstream, is_refused_by_the_capability_table) {
  domain::cluster_state state;
  state.name = "c1";
  state.kind = v1::KVM;
  auto policies = default_policies();
  policies[v1::KVM].upstream_bgp = false;
  const auto said = domain::decide(&state, cluster(), set_upstream(bgp_upstream(1)).cluster(),
                                   {start_of_time(), {}, &policies});
  ASSERT_FALSE(said);
  EXPECT_EQ(said.error().code, error_code::unsupported);
  EXPECT_NE(said.error().text.find("'upstream_bgp'"), std::string::npos) << said.error().text;
}

// Networks

TEST(cluster_refuses, a_network_with_a_bad_or_taken_name) {
  auto at = ready_world();
  EXPECT_TRUE(is_refused(at.tell(add_network({.number = 2, .name = "", .prefix = "10.1.0.0/24"})),
                         error_code::invalid_argument, {"network", "is not a name"}));
  EXPECT_TRUE(is_refused(at.tell(add_network({.number = 2, .prefix = "10.1.0.0/24"})),
                         error_code::already_exists, {"'c1'", "'lan'", "another name"}));
}

TEST(cluster_refuses, a_pvip_network_where_the_kind_has_none) {
  auto at = world_of(v1::VMWARE);
  EXPECT_TRUE(is_refused(at.tell(add_network()), error_code::unsupported,
                         {"vmware", "network_pvip", "/v1/hypervisors"}));
}

TEST(cluster_refuses, overlapping_prefixes) {
  auto at = ready_world();
  for (const auto* prefix : {"10.99.0.0/24", "10.99.0.128/25", "10.99.0.0/16"})
    EXPECT_TRUE(
        is_refused(at.tell(add_network(
                       {.number = 2, .name = "dmz", .prefix = prefix, .gateway = "10.99.0.129"})),
                   error_code::conflict, {prefix, "10.99.0.0/24", "'lan'", "another"}));
  at.must(
      add_network({.number = 2, .name = "dmz", .prefix = "10.99.1.0/24", .gateway = "10.99.1.1"}));
}

TEST(cluster_refuses, a_subnet_that_the_network_refuses_and_keeps_no_name_of_it) {
  auto at = founded_world();
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    EXPECT_TRUE(is_refused(at.tell(add_network({.prefix = "10.0.0.0/31", .gateway = "10.0.0.1"})),
                           error_code::invalid_argument, {"/31", "/16 to /30"}));
    auto command = add_network();
    command.mutable_cluster()->mutable_add_network()->set_prefix_length(1000);
    EXPECT_TRUE(is_refused(at.tell(command), error_code::invalid_argument, {"/16 to /30"}));
    command = add_network();
    command.mutable_cluster()->mutable_add_network()->set_prefix(address_of("10.99.0.7").bits);
    EXPECT_TRUE(is_refused(at.tell(command), error_code::invalid_argument, {"host bits"}));
  }));
}

TEST(cluster_refuses, a_network_id_that_is_taken_and_keeps_no_name_of_it) {
  auto at = ready_world();
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    EXPECT_TRUE(is_refused(
        at.tell(add_network({.name = "dmz", .prefix = "10.1.0.0/24", .gateway = "10.1.0.1"})),
        error_code::already_exists, {"network with that id"}));
  }));
}

// VMs

TEST(cluster_refuses, a_vm_with_a_bad_or_taken_name) {
  auto at = world_with_vm();
  EXPECT_TRUE(is_refused(at.tell(place_vm({.number = 2, .name = "Ä"})),
                         error_code::invalid_argument, {"vm", "'Ä'", "a-z"}));
  EXPECT_TRUE(is_refused(at.tell(place_vm({.number = 2})), error_code::already_exists,
                         {"'c1'", "'web'", "another name"}));
}

TEST(cluster_refuses, a_vm_of_a_size_out_of_range) {
  auto at = ready_world();
  for (const std::uint32_t vcpus : {0U, 256U, ~0U})
    EXPECT_TRUE(is_refused(at.tell(place_vm({.vcpus = vcpus})), error_code::invalid_argument,
                           {"1 to 255", std::to_string(vcpus)}));
  for (const std::uint64_t memory : {0ULL, 15ULL, 4'194'305ULL, ~0ULL})
    EXPECT_TRUE(is_refused(at.tell(place_vm({.memory_mib = memory})), error_code::invalid_argument,
                           {"16 to 4194304", std::to_string(memory)}));
}

TEST(cluster_refuses, a_vm_that_its_kind_cannot_boot) {
  auto vmware = world_of(v1::VMWARE);
  EXPECT_TRUE(is_refused(vmware.tell(place_vm()), error_code::unsupported,
                         {"vmware", "direct_kernel_boot", "/v1/hypervisors"}));
  auto hyperv = world_of(v1::HYPERV);
  EXPECT_TRUE(
      is_refused(hyperv.tell(place_vm()), error_code::unsupported, {"hyperv", "linux_guest"}));
}

TEST(cluster_refuses, a_vm_in_a_network_that_it_does_not_have) {
  auto at = ready_world();
  EXPECT_TRUE(is_refused(at.tell(place_vm({.network = 7})), error_code::not_found,
                         {"'c1'", "no such network"}));
}

TEST(cluster_refuses, a_vm_while_no_node_is_in_sight) {
  auto at = founded_world();
  at.must(add_node());
  at.must(add_network());
  const auto never_seen = at.tell(place_vm());
  EXPECT_TRUE(
      is_refused(never_seen, error_code::unavailable, {"'c1'", "no node", "orrery node list"}));
  EXPECT_TRUE(never_seen.reply().retryable());
  at.must(hello());
  at.must(lose(1, 1));
  EXPECT_TRUE(is_refused(at.tell(place_vm()), error_code::unavailable, {"no node in sight"}));
}

TEST(cluster_refuses, an_image_that_no_node_has_and_lists_those_there_are) {
  auto at = founded_world();
  at.must(add_node());
  at.must(add_network());
  at.must(hello({.images = {"debian", "alpine"}}));
  const auto told = at.tell(place_vm({.image = "beos\x01"}));
  EXPECT_TRUE(is_refused(told, error_code::image_unknown, {"'c1'", "'beos?'", "alpine, debian"}));
  EXPECT_FALSE(told.reply().retryable());
}

TEST(cluster_refuses, an_image_and_lists_at_most_ten) {
  auto at = founded_world();
  at.must(add_node());
  at.must(add_network());
  greeting said;
  said.images.clear();
  for (char name = 'a'; name <= 'p'; ++name)
    said.images.emplace_back(1, name);
  at.must(hello(said));
  const auto told = at.tell(place_vm());
  EXPECT_TRUE(is_refused(told, error_code::image_unknown, {"a, b", "i, j, …"}));
  EXPECT_EQ(told.reply().text().find(", k"), std::string::npos) << told.reply().text();
}

TEST(cluster_refuses, a_vm_beyond_its_capacity_and_leaves_nothing_behind) {
  auto at = ready_world(); // 32 vcpus, 8192 MiB
  at.must(place_vm({.number = 1, .name = "a", .vcpus = 30, .memory_mib = 4096}));
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    const auto cpus = at.tell(place_vm({.number = 2, .name = "b", .vcpus = 3}));
    EXPECT_TRUE(is_refused(cpus, error_code::capacity_exhausted,
                           {"'c1'", "3 vcpus", "delete a VM", "add a node"}));
    EXPECT_TRUE(cpus.reply().retryable());
    EXPECT_TRUE(
        is_refused(at.tell(place_vm({.number = 2, .name = "b", .vcpus = 1, .memory_mib = 4097})),
                   error_code::capacity_exhausted, {"4097 MiB"}));
  }));
  at.must(place_vm({.number = 2, .name = "b", .vcpus = 2, .memory_mib = 4096}));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(cluster_refuses, a_vm_when_addresses_run_out_and_keeps_no_capacity_and_no_name) {
  auto at = founded_world();
  at.must(add_node());
  at.must(hello());
  at.must(add_network({.prefix = "10.99.0.0/30"})); // one address beside the gateway
  at.must(place_vm({.number = 1, .name = "a"}));
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    const auto told = at.tell(place_vm({.number = 2, .name = "b"}));
    EXPECT_TRUE(is_refused(told, error_code::addresses_exhausted,
                           {"'lan'", "no free address", "another network"}));
    EXPECT_TRUE(told.reply().retryable());
    EXPECT_FALSE(told.reply().has_job());
  }));
  EXPECT_EQ(at.find_vm(2), nullptr);
  EXPECT_EQ(at.find_cluster()->nodes.find(node())->vcpus_taken.count, 1U);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(cluster_refuses, a_nic_that_has_an_address_and_keeps_no_capacity) {
  auto at = world_with_vm();
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    auto command = place_vm({.number = 2, .name = "db"});
    domain::set(command.mutable_cluster()->mutable_place_vm()->mutable_nic(), nic(1));
    EXPECT_TRUE(is_refused(at.tell(command), error_code::conflict, {"NIC", "try again"}));
  }));
}

TEST(cluster, creates_a_vm_in_one_record) {
  auto at = ready_world();
  const auto records = at.commits().size();
  const auto told = at.tell(place_vm());
  EXPECT_THAT(types_of(told),
              ElementsAre("cluster.vm_placed", "vm.created", "vm.start_requested", "vm.job_started",
                          "network.address_assigned", "vm.address_given"));
  EXPECT_EQ(at.commits().size(), records + 1);
  EXPECT_EQ(told.steps(0).caused_by(), 0U);
  EXPECT_EQ(told.steps(1).caused_by(), 0U);
  EXPECT_EQ(told.steps(2).caused_by(), 0U);
  EXPECT_EQ(told.steps(3).caused_by(), 2U) << "the network gives the address";
  EXPECT_EQ(at.find_vm()->nic.address, address_of("10.99.0.2"));
  EXPECT_EQ(at.find_vm()->nic.gateway, address_of("10.99.0.1"));
  EXPECT_EQ(at.find_vm()->node, node());
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(cluster, places_on_the_node_with_the_image_and_the_most_free_memory) {
  auto at = founded_world();
  at.must(add_network());
  at.must(add_node({.number = 1, .name = "n1"}));
  at.must(add_node({.number = 2, .name = "n2"}));
  at.must(add_node({.number = 3, .name = "n3"}));
  at.must(hello({.node = 1, .memory_mib = 3072}));
  at.must(hello({.node = 2, .memory_mib = 3072}));
  at.must(hello({.node = 3, .memory_mib = 9216, .images = {"alpine"}}));
  at.must(place_vm({.number = 1, .name = "a"}));
  EXPECT_EQ(at.find_vm(1)->node, node(1)) << "the lowest id among equals";
  at.must(place_vm({.number = 2, .name = "b"}));
  EXPECT_EQ(at.find_vm(2)->node, node(2)) << "it has more free now";
  at.must(place_vm({.number = 3, .name = "c", .image = "alpine"}));
  EXPECT_EQ(at.find_vm(3)->node, node(3)) << "only it has the image";
}

TEST(cluster, never_places_on_a_node_out_of_sight) {
  auto at = ready_world();
  at.must(add_node({.number = 2, .name = "n2"}));
  at.must(hello({.node = 2, .memory_mib = 65'536}));
  at.must(lose(2, 1));
  at.must(place_vm());
  EXPECT_EQ(at.find_vm()->node, node(1));
}

TEST(cluster, keeps_what_is_taken_when_a_node_shrinks) {
  auto at = world_with_vm();
  at.must(place_vm({.number = 2, .name = "db", .memory_mib = 4096}));
  at.must(hello({.nonce = 2, .vcpus = 1, .memory_mib = 2048}));
  const auto* known = at.find_cluster()->nodes.find(node());
  EXPECT_EQ(known->memory.count, 1024U);
  EXPECT_EQ(known->memory_taken.count, 4352U) << "more than there is: nothing is lost of it";
  EXPECT_TRUE(is_refused(at.tell(place_vm({.number = 3, .name = "x", .memory_mib = 16})),
                         error_code::capacity_exhausted, {"16 MiB"}));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(cluster, gives_name_and_room_again_after_a_vm_was_seen_gone) {
  auto at = world_with_running_vm();
  at.must(remove_vm());
  EXPECT_TRUE(is_refused(at.tell(place_vm({.number = 2})), error_code::already_exists, {"'web'"}))
      << "not before the fact";
  at.see(1, v1::VmObserved::ABSENT);
  at.must(place_vm({.number = 2}));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(cluster, refuses_what_only_a_bug_could_ask) {
  auto at = ready_world();
  v1::Command release;
  domain::set(release.mutable_entity(), cluster());
  domain::set(release.mutable_cluster()->mutable_release_vm()->mutable_vm(), vm(5));
  EXPECT_TRUE(is_refused(at.tell(release), error_code::internal, {"'c1'", "holds nothing"}));
  v1::Command note;
  domain::set(note.mutable_entity(), cluster());
  domain::set(note.mutable_cluster()->mutable_note_node()->mutable_node(), node(5));
  EXPECT_TRUE(is_refused(at.tell(note), error_code::not_found, {"'c1'", "no such node"}));
}

TEST(cluster, notes_nothing_that_it_knows) {
  auto at = ready_world();
  v1::Command note;
  domain::set(note.mutable_entity(), cluster());
  auto* body = note.mutable_cluster()->mutable_note_node();
  domain::set(body->mutable_node(), node());
  body->set_connected(true);
  body->set_vcpus(32);
  body->set_memory_mib(8192);
  body->add_images("debian");
  EXPECT_THAT(types_of(at.tell(note)), IsEmpty());
}

} // namespace
} // namespace orrery::support
