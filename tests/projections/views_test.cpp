#include "events/domain/nic.hpp"
#include "projections/views.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace orrery::projections {
namespace {

using support::cluster;
using support::network;
using support::nic;
using support::node;
using support::vm;

TEST(vm_view, of_a_new_vm_shows_address_job_and_no_source) {
  const auto world = support::world_with_vm();
  const auto shown = view(vm(), *world.find_vm());
  EXPECT_EQ(shown.id(), to_text(vm_id{vm()}));
  EXPECT_EQ(shown.name(), "web");
  EXPECT_EQ(shown.cluster().id(), to_text(cluster_id{cluster()}));
  EXPECT_EQ(shown.cluster().name(), ""); // joined when it is read
  EXPECT_EQ(shown.node().id(), to_text(node_id{node()}));
  EXPECT_EQ(shown.network().id(), to_text(network_id{network()}));
  EXPECT_EQ(shown.address(), "10.99.0.2");
  EXPECT_EQ(shown.gateway(), "10.99.0.1");
  EXPECT_EQ(shown.mac(), to_text(domain::mac_of(nic())));
  EXPECT_EQ(shown.link(), domain::link_of(nic()));
  EXPECT_EQ(shown.desired(), v1::Vm::RUNNING);
  EXPECT_EQ(shown.observed().state(), v1::VmObserved::ABSENT);
  EXPECT_FALSE(shown.observed().has_source());
  EXPECT_EQ(shown.activity().kind(), "vm.create");
  EXPECT_EQ(shown.activity().step(), "accepted");
  EXPECT_EQ(shown.generation(), 1U);
}

TEST(vm_view, of_a_running_vm_names_the_node_that_saw_it) {
  const auto world = support::world_with_running_vm();
  const auto shown = view(vm(), *world.find_vm());
  EXPECT_EQ(shown.observed().state(), v1::VmObserved::REACHABLE);
  EXPECT_EQ(shown.observed().source().id(), to_text(node_id{node()}));
  EXPECT_FALSE(shown.has_activity());
}

TEST(vm_view, of_a_vm_whose_delete_job_gave_up_shows_the_cleanup) {
  auto world = support::world_with_running_vm();
  world.must(support::remove_vm());
  EXPECT_EQ(view(vm(), *world.find_vm()).activity().kind(), "vm.delete");
  world.pass_the_deadline(1);
  const auto shown = view(vm(), *world.find_vm());
  EXPECT_EQ(shown.desired(), v1::Vm::DELETED);
  EXPECT_EQ(shown.activity().kind(), "vm.cleanup");
  EXPECT_EQ(shown.activity().job(), "");
}

TEST(node_view, goes_from_registered_over_connected_to_unreachable) {
  auto world = support::founded_world();
  world.must(support::add_node());
  auto shown = view(node(), *world.find_node());
  EXPECT_EQ(shown.state(), v1::Node::REGISTERED);
  EXPECT_FALSE(shown.has_seen_until());
  world.must(support::hello());
  shown = view(node(), *world.find_node());
  EXPECT_EQ(shown.state(), v1::Node::CONNECTED);
  EXPECT_TRUE(shown.has_seen_until());
  EXPECT_EQ(shown.vcpus(), 32U);
  ASSERT_EQ(shown.images_size(), 1);
  world.must(support::lose(1, 1, "no route"));
  shown = view(node(), *world.find_node());
  EXPECT_EQ(shown.state(), v1::Node::UNREACHABLE);
  EXPECT_EQ(shown.reason(), "no route");
}

TEST(cluster_view, offers_only_what_is_in_sight_and_counts_all_that_is_taken) {
  auto world = support::world_with_vm();
  auto shown = view(cluster(), *world.find_cluster());
  EXPECT_EQ(shown.hypervisor(), "simulated");
  EXPECT_EQ(shown.nodes(), 1U);
  EXPECT_EQ(shown.vms(), 1U);
  EXPECT_EQ(shown.vcpus_offered(), 32U);
  EXPECT_EQ(shown.memory_mib_offered(), 8192U);
  EXPECT_EQ(shown.vcpus_taken(), 1U);
  EXPECT_EQ(shown.memory_mib_taken(), 256U);
  world.must(support::lose(1, 1));
  shown = view(cluster(), *world.find_cluster());
  EXPECT_EQ(shown.vcpus_offered(), 0U);
  EXPECT_EQ(shown.memory_mib_taken(), 256U);
}

TEST(network_view, counts_free_taken_and_reserved_addresses) {
  auto world = support::world_with_vm();
  world.must(support::reserve({"10.99.0.0-10.99.0.3"}, "printers"));
  world.must(support::set_quarantine(600));
  const auto shown = view(network(), *world.find_network());
  EXPECT_EQ(shown.mode(), "pvip");
  ASSERT_EQ(shown.subnets_size(), 1);
  EXPECT_EQ(shown.subnets(0).prefix(), "10.99.0.0/24");
  EXPECT_EQ(shown.subnets(0).gateway(), "10.99.0.1");
  EXPECT_EQ(shown.subnets(0).addresses_taken(), 1U);
  EXPECT_EQ(shown.subnets(0).addresses_free(), 251U);
  EXPECT_EQ(shown.subnets(0).addresses_reserved(), 1U) << "neither .0, the gateway nor the taken";
  ASSERT_EQ(shown.subnets(0).reserved_size(), 1);
  EXPECT_EQ(shown.subnets(0).reserved(0).first(), "10.99.0.0");
  EXPECT_EQ(shown.subnets(0).reserved(0).last(), "10.99.0.3");
  EXPECT_EQ(shown.subnets(0).reserved(0).note(), "printers");
  EXPECT_EQ(shown.quarantine_seconds(), 600U);
}

TEST(network_view, says_what_guests_are_told_and_have_of_ipv6) {
  auto world = support::founded_world();
  world.must(support::add_node());
  world.must(support::hello());
  world.must(support::add_network({.prefix6 = "2001:db8:7::/64"}));
  world.must(support::place_vm({.bits_a_second_max = 5'000'000}));
  auto shown = view(network(), *world.find_network());
  EXPECT_EQ(shown.mtu(), 1'500U);
  EXPECT_EQ(shown.name_servers_size(), 0);
  EXPECT_EQ(shown.subnets(0).prefix6(), "2001:db8:7::/64");
  const auto of_vm = view(support::vm(), *world.find_vm());
  EXPECT_EQ(of_vm.address6(), "2001:db8:7::2");
  EXPECT_EQ(of_vm.gateway6(), "fe80::1");
  EXPECT_EQ(of_vm.bits_a_second_max(), 5'000'000U);
  world.must(
      support::set_guests({.mtu = 1'400,
                           .name_servers = std::vector<std::string>{"2001:db8::53", "192.0.2.53"},
                           .classless_routes = true}));
  shown = view(network(), *world.find_network());
  EXPECT_EQ(shown.mtu(), 1'400U);
  ASSERT_EQ(shown.name_servers_size(), 2);
  EXPECT_EQ(shown.name_servers(0), "192.0.2.53");
  EXPECT_EQ(shown.name_servers(1), "2001:db8::53");
  EXPECT_TRUE(shown.classless_routes());
}

TEST(network_view, goes_from_requested_over_ready_to_removing) {
  support::world world;
  world.must(support::create_far_cluster());
  world.must(support::add_network());
  auto shown = view(network(), *world.find_network());
  EXPECT_EQ(shown.state(), v1::Network::REQUESTED);
  EXPECT_EQ(shown.activity().kind(), "network.create");
  EXPECT_EQ(shown.activity().step(), "accepted");
  auto withdrawn = world;
  withdrawn.must(support::remove_network());
  EXPECT_EQ(view(network(), *withdrawn.find_network()).state(), v1::Network::REMOVING);
  world.must(support::settle_claim());
  shown = view(network(), *world.find_network());
  EXPECT_EQ(shown.state(), v1::Network::READY);
  EXPECT_FALSE(shown.has_activity());
  world.must(support::remove_network());
  shown = view(network(), *world.find_network());
  EXPECT_EQ(shown.state(), v1::Network::REMOVING);
  EXPECT_EQ(shown.activity().kind(), "network.delete");
}

TEST(time_view, keeps_microseconds) {
  google::protobuf::Timestamp shown;
  const auto when = from_micros(1'763'802'842'113'007);
  set_time(&shown, when);
  EXPECT_EQ(shown.seconds(), 1'763'802'842);
  EXPECT_EQ(shown.nanos(), 113'007'000);
  EXPECT_EQ(from_proto(shown), when);
}

TEST(who, is_the_operators_name_or_the_kind) {
  v1::Principal principal;
  principal.set_kind(v1::Principal::OPERATOR);
  EXPECT_EQ(who(principal), "operator");
  principal.set_name("ada");
  EXPECT_EQ(who(principal), "ada");
  principal.set_kind(v1::Principal::HYPERVISOR);
  principal.set_name("n1");
  EXPECT_EQ(who(principal), "hypervisor n1");
}

} // namespace
} // namespace orrery::projections
