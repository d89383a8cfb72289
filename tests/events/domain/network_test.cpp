#include "events/domain/guest_settings.hpp"
#include "events/domain/network.hpp"
#include "events/domain/nic.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::support {
namespace {

using testing::ElementsAre;

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

TEST(network, gives_an_address_that_is_asked_for) {
  auto at = ready_world();
  at.must(reserve({"10.99.0.10-10.99.0.20"}, "printers"));
  at.must(place_vm({.number = 1, .name = "a", .address = "10.99.0.12"}));
  at.must(place_vm({.number = 2, .name = "b", .address = "10.99.0.200"}));
  at.must(place_vm({.number = 3, .name = "c"}));
  EXPECT_EQ(at.find_vm(1)->nic.address, address_of("10.99.0.12")) << "also a reserved one";
  EXPECT_EQ(at.find_vm(2)->nic.address, address_of("10.99.0.200"));
  EXPECT_EQ(at.find_vm(3)->nic.address, address_of("10.99.0.201"));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_refuses, an_address_that_no_vm_can_have) {
  auto at = ready_world();
  for (const auto* address :
       {"10.99.0.0", "10.99.0.1", "10.99.0.255", "10.98.255.255", "10.99.1.0", "255.255.255.255"})
    expect_refused(at, place_vm({.address = address}), error_code::invalid_argument, address);
}

TEST(network_refuses, an_address_that_another_vm_has) {
  auto at = world_with_vm();
  expect_refused(at, place_vm({.number = 2, .name = "b", .address = "10.99.0.2"}),
                 error_code::conflict, "held by a VM");
}

TEST(network, gives_no_address_that_still_rests) {
  auto at = founded_world();
  at.must(add_node());
  at.must(hello());
  at.must(add_network({.prefix = "10.99.0.0/30", .quarantine_seconds = 600}));
  at.must(place_vm());
  at.see(1, v1::VmObserved::RUNNING);
  at.must(remove_vm());
  at.see(1, v1::VmObserved::ABSENT);
  const auto again = place_vm({.number = 2, .name = "next"});
  const auto named = place_vm({.number = 2, .name = "next", .address = "10.99.0.2"});
  expect_refused(at, again, error_code::addresses_exhausted, "rested");
  expect_refused(at, named, error_code::conflict, "rests until");
  at.pass(std::chrono::seconds(601));
  at.must(hello());
  at.must(again);
  EXPECT_EQ(at.find_vm(2)->nic.address, address_of("10.99.0.2"));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network, changes_its_quarantine_for_what_is_released_from_then_on) {
  auto at = ready_world();
  at.must(set_quarantine(60));
  EXPECT_EQ(at.find_network()->quarantine_seconds, 60U);
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] { at.must(set_quarantine(60)); }));
  expect_refused(at, set_quarantine(86'401), error_code::invalid_argument, "longer than a day");
  at.must(set_quarantine(0));
  EXPECT_EQ(at.find_network()->quarantine_seconds, 0U);
}

TEST(network, reserves_ranges_all_or_none) {
  auto at = ready_world();
  at.must(reserve({"10.99.0.8-10.99.0.15", "10.99.0.4"}, "racks"));
  const auto& kept = at.find_network()->subnets[0].reserved;
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(to_text(kept[0].addresses), "10.99.0.4");
  EXPECT_EQ(to_text(kept[1].addresses), "10.99.0.8-10.99.0.15");
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    at.must(reserve({"10.99.0.9-10.99.0.15", "10.99.0.8"}, "racks"));
  })) << "what is so already is no news";
  expect_refused(at, reserve({"10.99.0.40", "10.99.0.15-10.99.0.16"}), error_code::conflict,
                 "overlaps 10.99.0.8-10.99.0.15, which is reserved as 'racks'");
  expect_refused(at, reserve({"10.99.0.9-10.99.0.8"}), error_code::invalid_argument,
                 "no range of addresses of network 'lan'");
  expect_refused(at, reserve({"10.99.0.250-10.99.1.5"}), error_code::invalid_argument,
                 "want FIRST-LAST within 10.99.0.0/24");
  expect_refused(at, reserve({}), error_code::invalid_argument, "no range to reserve");
  expect_refused(at, reserve({"10.99.0.40"}, std::string(101, 'x')), error_code::invalid_argument,
                 "at most 100 bytes");
  expect_refused(at, reserve({"10.99.0.40"}, "a\nb"), error_code::invalid_argument, "plain text");
}

std::string reserved_in(const world& at) {
  std::string made;
  for (const auto& [addresses, note] : at.find_network()->subnets[0].reserved)
    made += to_text(addresses) + (note.empty() ? "" : "=" + note) + " ";
  return made;
}

TEST(network, reserves_by_address_and_joins_what_touches) {
  auto at = ready_world();
  at.must(reserve({"10.99.0.40-10.99.0.50", "10.99.0.50-10.99.0.60", "10.99.0.62"}, "a"));
  EXPECT_EQ(reserved_in(at), "10.99.0.40-10.99.0.60=a 10.99.0.62=a ");
  at.must(reserve({"10.99.0.35-10.99.0.65"}, "a"));
  EXPECT_EQ(reserved_in(at), "10.99.0.35-10.99.0.65=a ");
  at.must(reserve({"10.99.0.66"}, "b"));
  at.must(reserve({"10.99.0.34"}));
  EXPECT_EQ(reserved_in(at), "10.99.0.34 10.99.0.35-10.99.0.65=a 10.99.0.66=b ");
  expect_refused(at, reserve({"10.99.0.30-10.99.0.34"}, "a"), error_code::conflict,
                 "reserved without a note");
  at.must(reserve({"10.99.0.0-10.99.0.33"}, "c"));
  at.must(reserve({"10.99.0.67-10.99.0.255"}, "b"));
  EXPECT_EQ(domain::reserved_size_of(at.find_network()->subnets[0]), 253U);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network, frees_by_address_out_of_whatever_ranges) {
  auto at = ready_world();
  at.must(reserve({"10.99.0.8-10.99.0.15"}, "a"));
  at.must(reserve({"10.99.0.16-10.99.0.20"}, "b"));
  expect_refused(at, free({"10.99.0.7-10.99.0.9"}), error_code::not_found,
                 "10.99.0.7 is not reserved in network 'lan'");
  expect_refused(at, free({"10.99.0.18-10.99.0.30"}), error_code::not_found, "10.99.0.21 is not");
  expect_refused(at, free({"10.99.0.9", "10.99.0.9"}), error_code::not_found, "10.99.0.9 is not");
  expect_refused(at, free({}), error_code::invalid_argument, "no range to free");
  at.must(place_vm({.address = "10.99.0.14"}));
  at.must(free({"10.99.0.14-10.99.0.17", "10.99.0.10"}));
  EXPECT_EQ(reserved_in(at),
            "10.99.0.8-10.99.0.9=a 10.99.0.11-10.99.0.13=a 10.99.0.18-10.99.0.20=b ");
  EXPECT_TRUE(keeps_invariants(at));
  at.must(free({"10.99.0.8-10.99.0.9", "10.99.0.11-10.99.0.13", "10.99.0.18-10.99.0.20"}));
  EXPECT_EQ(reserved_in(at), "");
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_refuses, more_ranges_than_it_may_have) {
  auto at = founded_world();
  at.must(add_network({.prefix = "10.99.0.0/22"}));
  std::vector<std::string> ranges;
  for (std::size_t i = 0; i < domain::reserved_ranges_max; ++i)
    ranges.push_back(
        to_text(ipv4{address_of("10.99.0.2").bits + 2 * static_cast<std::uint32_t>(i)}));
  at.must(reserve(ranges));
  expect_refused(at, reserve({"10.99.3.100"}), error_code::limit_reached, "at most 256");
  at.must(reserve({"10.99.0.3"})); // joins two
  at.must(reserve({"10.99.3.100"}));
  expect_refused(at, free({"10.99.0.3"}), error_code::limit_reached, "at most 256");
}

// IPv6 --------------------------------------------------------------------------------------------

ipv6 address6_of(std::string_view text) { return parse_ipv6(text).value(); }

TEST(network_ipv6, gives_the_address_with_the_number_of_the_other) {
  auto at = founded_world();
  at.must(add_node());
  at.must(hello());
  at.must(
      add_network({.prefix = "10.98.0.0/16", .gateway = "10.98.0.1", .prefix6 = "fd00:7::/64"}));
  const std::vector<std::pair<std::string, std::string>> wanted{
      {"10.98.0.2", "fd00:7::2"}, {"10.98.1.0", "fd00:7::100"}, {"10.98.255.254", "fd00:7::fffe"}};
  std::uint32_t number = 0;
  for (const auto& [address, address6] : wanted) {
    at.must(place_vm({.number = ++number, .name = "v" + address6.substr(9), .address = address}));
    EXPECT_EQ(at.find_vm(number)->nic.address6, address6_of(address6));
  }
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(network_ipv6, is_none_without_a_prefix) {
  auto at = world_with_vm();
  EXPECT_FALSE(at.find_vm()->nic.has_address6());
  EXPECT_EQ(at.find_network()->subnets[0].prefix6, std::nullopt);
}

TEST(network_ipv6, fills_the_longest_prefix_and_keeps_its_bits) {
  domain::subnet_state subnet;
  subnet.prefix = prefix_of("10.98.0.0/16");
  subnet.prefix6 = parse_ipv6_prefix("2001:db8:1:2:3:4:5:0/112").value();
  EXPECT_EQ(domain::address6_of(subnet, address_of("10.98.255.254")),
            address6_of("2001:db8:1:2:3:4:5:fffe"));
}

TEST(network_refuses, ipv6_prefixes_that_guests_cannot_have) {
  auto at = founded_world();
  for (const auto* prefix : {"2001:db8::/63", "2001:db8::/113", "fe80::/64", "ff05::/64", "::/64"})
    expect_refused(at, add_network({.prefix6 = prefix}), error_code::invalid_argument, prefix);
  auto with_host_bits = add_network({.prefix6 = "2001:db8::/64"});
  auto* prefix6 = with_host_bits.mutable_cluster()->mutable_add_network()->mutable_prefix6();
  prefix6->mutable_base()->set_b(1);
  expect_refused(at, with_host_bits, error_code::invalid_argument, "host bits");
  prefix6->set_length(1U << 20);
  expect_refused(at, with_host_bits, error_code::invalid_argument, "/64 to /112");
}

// What guests are told ----------------------------------------------------------------------------

TEST(network_guests, are_told_what_was_set_and_what_was_not_said_stays) {
  auto at = ready_world();
  at.must(set_guests(
      {.mtu = 1'400, .name_servers = std::vector<std::string>{"192.0.2.53", "2001:db8::53"}}));
  EXPECT_THAT(types_of(at.tell(set_guests({.classless_routes = true}))),
              ElementsAre("network.guests_changed"));
  const auto& guests = *at.find_network()->guests;
  EXPECT_EQ(domain::mtu_of(guests), 1'400U);
  EXPECT_THAT(domain::name_servers_of(guests), ElementsAre(address_of("192.0.2.53")));
  EXPECT_THAT(domain::name_servers6_of(guests), ElementsAre(address6_of("2001:db8::53")));
  EXPECT_TRUE(guests.classless_routes());
  EXPECT_TRUE(types_of(at.tell(set_guests({.mtu = 1'400}))).empty()) << "nothing new";
  at.must(set_guests({.mtu = 1'500, .name_servers = std::vector<std::string>{}}));
  EXPECT_EQ(at.find_network()->guests->mtu(), 0U) << "as if nobody had said anything";
  EXPECT_TRUE(domain::name_servers_of(*at.find_network()->guests).empty());
}

TEST(network_refuses, what_guests_cannot_be_told) {
  auto at = ready_world();
  at.must(add_network({.number = 2,
                       .name = "dual",
                       .prefix = "10.98.0.0/24",
                       .gateway = "10.98.0.1",
                       .prefix6 = "fd00:7::/64"}));
  using servers = std::vector<std::string>;
  expect_refused(at, set_guests({.mtu = 575}), error_code::invalid_argument, "576 to 1500");
  expect_refused(at, set_guests({.mtu = 1'501}), error_code::invalid_argument, "576 to 1500");
  expect_refused(at, set_guests({.mtu = 1'279}, 2), error_code::invalid_argument, "1280 to 1500");
  for (const std::string server :
       {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::1", "fe80::1", "ff02::1"})
    expect_refused(at, set_guests({.name_servers = servers{server}}), error_code::invalid_argument,
                   server);
  expect_refused(at, set_guests({.name_servers = servers{"192.0.2.1", "192.0.2.1"}}),
                 error_code::invalid_argument, "twice");
  expect_refused(
      at, set_guests({.name_servers = servers{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}}),
      error_code::invalid_argument, "not at 4");
}

// Rates -------------------------------------------------------------------------------------------

TEST(nic_rate, is_of_the_vm_from_its_start_and_changes) {
  auto at = ready_world();
  at.must(place_vm({.bits_a_second_max = 100'000'000}));
  EXPECT_EQ(at.find_vm()->nic.bits_a_second_max, 100'000'000U) << "its address does not undo it";
  EXPECT_THAT(types_of(at.tell(set_rate(0))), ElementsAre("vm.rate_changed"));
  EXPECT_EQ(at.find_vm()->nic.bits_a_second_max, 0U);
  EXPECT_TRUE(types_of(at.tell(set_rate(0))).empty());
}

TEST(nic_rate, is_within_what_a_nic_can_do) {
  auto at = world_with_vm();
  const std::vector<std::uint64_t> rates{1, guest_rate_min - 1, guest_rate_max + 1, UINT64_MAX};
  for (const auto rate : rates) {
    expect_refused(at, set_rate(rate), error_code::invalid_argument, std::to_string(rate));
    expect_refused(at, place_vm({.number = 2, .name = "other", .bits_a_second_max = rate}),
                   error_code::invalid_argument, std::to_string(rate));
  }
  at.must(remove_vm());
  expect_refused(at, set_rate(guest_rate_min), error_code::conflict, "being deleted");
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
  given.address = address_of("10.99.0.7");
  given.prefix_length = 24;
  given.gateway = address_of("10.99.0.1");
  given.mac = domain::mac_of(given.nic);
  given.address6 = parse_ipv6("2001:db8::7").value();
  domain::nic_state back;
  domain::give(back, domain::to_proto(given, network()));
  domain::state_bytes one;
  domain::state_bytes other;
  one.add(given);
  other.add(back);
  EXPECT_EQ(one.bytes(), other.bytes());
}

} // namespace
} // namespace orrery::support
