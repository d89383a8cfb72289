#include "events/domain/network.hpp"
#include "events/domain/nic.hpp"
#include "tests/support/expect.hpp"

#include <gtest/gtest.h>

namespace orrery::support {
namespace {

v1::Command assign(std::uint32_t vm_number, std::uint32_t nic_number) {
  v1::Command made;
  domain::set(made.mutable_entity(), network());
  auto* body = made.mutable_network()->mutable_assign_address();
  domain::set(body->mutable_vm(), vm(vm_number));
  domain::set(body->mutable_nic(), nic(nic_number));
  return made;
}

v1::Command release(std::uint32_t nic_number) {
  v1::Command made;
  domain::set(made.mutable_entity(), network());
  domain::set(made.mutable_network()->mutable_release_address()->mutable_nic(), nic(nic_number));
  return made;
}

TEST(network_refuses, everything_while_it_does_not_exist) {
  auto at = founded_world();
  EXPECT_TRUE(is_refused(at.tell(assign(1, 1)), error_code::not_found, {"no such network"}));
  EXPECT_TRUE(is_refused(at.tell(release(1)), error_code::not_found, {"no such network"}));
}

TEST(network_refuses, an_empty_command) {
  auto at = ready_world();
  v1::Command empty;
  domain::set(empty.mutable_entity(), network());
  empty.mutable_network();
  EXPECT_TRUE(is_refused(at.tell(empty), error_code::invalid_argument, {"network"}));
}

TEST(network_refuses, a_second_address_for_a_nic) {
  auto at = world_with_vm();
  EXPECT_TRUE(is_refused(at.tell(assign(1, 1)), error_code::conflict, {"NIC", "address already"}));
}

TEST(network_refuses, a_nic_whose_ethernet_address_is_taken) {
  auto at = world_with_vm();
  auto command = assign(1, 1);
  auto twin = nic(1);
  twin.b |= std::uint64_t{1} << 50; // above the 40 bits that make the address
  domain::set(command.mutable_network()->mutable_assign_address()->mutable_nic(), twin);
  EXPECT_EQ(domain::mac_of(twin), domain::mac_of(nic(1)));
  EXPECT_TRUE(is_refused(at.tell(command), error_code::conflict, {"try again"}));
}

TEST(network_refuses, to_release_what_it_did_not_give) {
  auto at = ready_world();
  EXPECT_TRUE(is_refused(at.tell(release(1)), error_code::internal, {"'lan'", "holds nothing"}));
}

TEST(network_refuses, an_address_for_a_vm_that_does_not_exist) {
  auto at = ready_world();
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    EXPECT_TRUE(is_refused(at.tell(assign(9, 9)), error_code::not_found, {"no such VM"}));
  }));
}

TEST(network, is_made_with_its_subnet) {
  auto at = founded_world();
  at.must(add_network());
  ASSERT_EQ(at.find_network()->subnets.size(), 1U);
  EXPECT_EQ(at.find_network()->subnets[0].prefix, prefix_of("10.99.0.0/24"));
  EXPECT_EQ(at.find_network()->subnets[0].gateway, address_of("10.99.0.1"));
  EXPECT_EQ(at.find_network()->mode, v1::NetworkEvent::PVIP);
}

TEST(network, gives_addresses_in_order_and_never_one_that_is_held) {
  auto at = founded_world();
  at.must(add_node());
  at.must(hello());
  at.must(add_network({.prefix = "10.99.0.0/29"})); // .2 to .6 for guests
  for (std::uint32_t number = 1; number <= 5; ++number) {
    at.must(place_vm({.number = number, .name = "v" + std::to_string(number)}));
    EXPECT_EQ(at.find_vm(number)->nic.address, (ipv4{address_of("10.99.0.1").bits + number}));
  }
  at.must(remove_vm(2));
  EXPECT_TRUE(is_refused(at.tell(place_vm({.number = 6, .name = "v6"})),
                         error_code::addresses_exhausted, {"'lan'"}))
      << "a removal that was only asked for releases nothing";
  at.see(2, v1::VmObserved::ABSENT);
  at.must(place_vm({.number = 6, .name = "v6"}));
  EXPECT_EQ(at.find_vm(6)->nic.address, address_of("10.99.0.3"));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network, lets_a_released_address_rest_as_long_as_the_range_allows) {
  auto at = world_with_running_vm();
  at.must(remove_vm());
  at.see(1, v1::VmObserved::ABSENT);
  at.must(place_vm({.number = 2, .name = "next"}));
  EXPECT_EQ(at.find_vm(2)->nic.address, address_of("10.99.0.3")) << "not .2 at once";
}

TEST(nic, has_a_local_unicast_ethernet_address_and_a_short_link_of_its_id) {
  const uuid given{0x0199'0000'0000'7000, 0x8000'0012'3456'789a};
  EXPECT_EQ(to_text(domain::mac_of(given)), "0a:12:34:56:78:9a");
  EXPECT_EQ(domain::link_of(given), "vp123456789a");
  EXPECT_LE(domain::link_of({~0ULL, ~0ULL}).size(), 15U);
}

TEST(nic, is_the_same_after_the_schema) {
  domain::nic_state given;
  given.nic = nic(3);
  given.network = network();
  given.address = address_of("10.99.0.7");
  given.prefix_length = 24;
  given.gateway = address_of("10.99.0.1");
  given.mac = domain::mac_of(given.nic);
  const auto back = domain::from_proto(domain::to_proto(given));
  domain::state_bytes one;
  domain::state_bytes other;
  one.add(given);
  other.add(back);
  EXPECT_EQ(one.bytes(), other.bytes());
}

} // namespace
} // namespace orrery::support
