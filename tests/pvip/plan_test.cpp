#include "pvip/plan/plan.hpp"
#include "tests/pvip/ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace orrery::pvip {
namespace {

void expect_refused(std::vector<port> ports, const std::string& named) {
  const auto made = plan(std::move(ports));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, error_code::invalid_argument);
  EXPECT_NE(made.error().text.find(named), std::string::npos) << made.error().text;
}

port with(port of, auto change) {
  change(of);
  return of;
}

std::string as_text(const host_state& state) {
  std::string text;
  for (const ipv4 address : state.local_addresses) {
    text += "lo holds " + to_text(address) + "/32\n";
  }
  for (const wanted_link& link : state.links) {
    text += "tap " + link.name + " of user " + std::to_string(link.owner_uid) + " gateway " +
            to_text(link.gateway) + "\n";
  }
  for (const wanted_neighbour& neighbour : state.neighbours) {
    text += "neighbour " + to_text(neighbour.address) + " is " + to_text(neighbour.mac) + " on " +
            neighbour.link + "\n";
  }
  for (const wanted_route& route : state.routes) {
    text += "route " + to_text(route.destination) + "/32 to " + route.link + "\n";
  }
  for (const wanted_proxy& proxy : state.proxies) {
    text +=
        "answer for " + to_text(proxy.address) + " of " + proxy.link + " on " + proxy.uplink + "\n";
  }
  for (const filter_element& element : state.filter) {
    text += element.link + " may send from " + std::string(name_of(element.set)) + " " +
            element.value + "\n";
  }
  return text;
}

TEST(pvip_plan, two_ports_with_one_link_are_refused) {
  expect_refused({port_number(1), with(port_number(2), [](port& p) { p.link = "vp0000000001"; })},
                 "vp0000000001");
}

TEST(pvip_plan, two_ports_with_one_address_are_refused_naming_both) {
  const auto twin = with(port_number(2), [](port& p) { p.address = port_number(1).address; });
  expect_refused({port_number(1), twin}, "vp0000000001");
  expect_refused({port_number(1), twin}, "vp0000000002");
}

TEST(pvip_plan, a_link_name_of_other_bytes_or_length_is_refused) {
  for (const std::string& name :
       {std::string(), std::string("vp000000000000000"), std::string("VP01"), std::string("vp/1"),
        std::string("vp 1"), std::string("vp.1"), std::string("vp\0001", 4),
        std::string("vp\xc3\xa4")}) {
    expect_refused({with(port_number(1), [&](port& p) { p.link = name; })}, "link name");
  }
}

TEST(pvip_plan, a_guest_with_the_address_of_its_gateway_is_refused) {
  expect_refused({with(port_number(1), [](port& p) { p.address = p.gateway; })}, "10.99.0.1");
}

TEST(pvip_plan, a_guest_with_the_gateway_of_another_subnet_is_refused) {
  const auto other = with(port_number(2), [](port& p) { p.gateway = port_number(1).address; });
  expect_refused({port_number(1), other}, "vp0000000001");
}

TEST(pvip_plan, addresses_that_no_host_has_are_refused) {
  for (const std::uint32_t bits : {0U, 0x00ffffffU, 0x7f000001U, 0xe0000001U, 0xffffffffU}) {
    expect_refused({with(port_number(1), [&](port& p) { p.address.bits = bits; })}, "vp0000000001");
    expect_refused({with(port_number(1), [&](port& p) { p.gateway.bits = bits; })}, "gateway");
  }
}

TEST(pvip_plan, macs_that_no_guest_has_are_refused) {
  for (const mac_address mac : {mac_address{}, mac_address{{0x01, 0, 0x5e, 0, 0, 1}}, gateway_mac,
                                mac_address{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}}) {
    expect_refused({with(port_number(1), [&](port& p) { p.mac = mac; })}, "MAC");
  }
}

TEST(pvip_plan, an_uplink_that_cannot_be_one_is_refused) {
  for (const std::string& name :
       {std::string("../all"), std::string("up*"), std::string(16, 'u'), port_number(1).link}) {
    expect_refused({with(port_number(1), [&](port& p) { p.arp_uplink = name; })}, "uplink");
  }
}

TEST(pvip_plan, a_guest_that_is_not_announced_has_all_but_its_route_and_is_not_answered_for) {
  const auto quiet = with(port_number(2), [](port& p) {
    p.announced = false;
    p.arp_uplink = "up0";
  });
  const auto told = with(port_number(1), [](port& p) { p.arp_uplink = "up0"; });
  const auto made = plan({quiet, told, port_number(3)});
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->links.size(), 3U);
  EXPECT_EQ(made->neighbours.size(), 3U);
  EXPECT_EQ(made->filter.size(), 6U);
  const std::string text = as_text(*made);
  EXPECT_NE(text.find("route 10.99.0.11/32 to vp0000000001\n"
                      "route 10.99.0.13/32 to vp0000000003\n"
                      "answer for 10.99.0.11 of vp0000000001 on up0\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(made->routes.size(), 2U);
  EXPECT_EQ(made->proxies.size(), 1U);
}

TEST(pvip_plan, what_a_guest_cannot_be_told_is_refused) {
  for (const int length : {0, 33, 255}) {
    expect_refused({with(port_number(1),
                         [&](port& p) { p.prefix_length = static_cast<std::uint8_t>(length); })},
                   "prefix");
  }
  for (const int mtu : {0, guest_mtu_min - 1, guest_mtu + 1, 65'535}) {
    expect_refused(
        {with(port_number(1), [&](port& p) { p.mtu = static_cast<std::uint16_t>(mtu); })}, "MTU");
  }
  expect_refused(
      {with(port_number(1), [](port& p) { p.name_servers.resize(name_servers_max + 1); })},
      "name servers");
}

TEST(pvip_plan, more_ports_than_the_limit_are_refused) {
  const auto made = plan(ports_up_to(ports_per_node_max + 1));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, error_code::too_large);
}

TEST(pvip_plan, a_refusal_does_not_depend_on_the_order) {
  std::vector<port> ports = ports_up_to(5);
  ports[1].address = ports[3].address;
  ports[4].mac = {};
  const auto first = plan(ports);
  std::ranges::reverse(ports);
  const auto second = plan(ports);
  ASSERT_FALSE(first);
  ASSERT_FALSE(second);
  EXPECT_EQ(first.error(), second.error());
}

TEST(pvip_plan, no_ports_want_nothing) {
  const auto made = plan({});
  ASSERT_TRUE(made);
  EXPECT_EQ(*made, host_state{});
}

TEST(pvip_plan, the_limit_itself_is_planned) {
  const auto made = plan(ports_up_to(ports_per_node_max));
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->links.size(), ports_per_node_max);
}

TEST(pvip_plan, golden) {
  std::vector<port> ports{port_number(2), port_number(1), port_number(300)};
  ports[2].gateway = ipv4{0x0a640001U};
  ports[2].tap_owner_uid = 0;
  const auto made = plan(ports);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(as_text(*made), "lo holds 10.99.0.1/32\n"
                            "lo holds 10.100.0.1/32\n"
                            "tap vp0000000001 of user 64999 gateway 10.99.0.1\n"
                            "tap vp0000000002 of user 64999 gateway 10.99.0.1\n"
                            "tap vp000000012c of user 0 gateway 10.100.0.1\n"
                            "neighbour 10.99.0.11 is 0a:00:00:00:00:01 on vp0000000001\n"
                            "neighbour 10.99.0.12 is 0a:00:00:00:00:02 on vp0000000002\n"
                            "neighbour 10.99.1.54 is 0a:00:00:00:01:2c on vp000000012c\n"
                            "route 10.99.0.11/32 to vp0000000001\n"
                            "route 10.99.0.12/32 to vp0000000002\n"
                            "route 10.99.1.54/32 to vp000000012c\n"
                            "vp0000000001 may send from mac 0a:00:00:00:00:01\n"
                            "vp0000000001 may send from address 10.99.0.11\n"
                            "vp0000000002 may send from mac 0a:00:00:00:00:02\n"
                            "vp0000000002 may send from address 10.99.0.12\n"
                            "vp000000012c may send from mac 0a:00:00:00:01:2c\n"
                            "vp000000012c may send from address 10.99.1.54\n");
}

TEST(pvip_plan, every_order_of_the_ports_gives_the_same_plan) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  std::vector<port> ports = ports_up_to(50);
  for (port& each : ports) {
    each.gateway.bits = 0x0a640001U + static_cast<std::uint32_t>(random() % 3);
  }
  const auto first = plan(ports);
  ASSERT_TRUE(first);
  for (int i = 0; i < 20; ++i) {
    std::ranges::shuffle(ports, random);
    const auto next = plan(ports);
    ASSERT_TRUE(next);
    ASSERT_EQ(*first, *next) << "seed " << seed;
  }
}

} // namespace
} // namespace orrery::pvip
