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
  for (const wanted_address& held : state.local_addresses) {
    text +=
        held.link + " holds " + to_text(held.address) + "/" + std::to_string(held.length) + "\n";
  }
  for (const wanted_link& link : state.links) {
    text += "tap " + link.name + " of user " + std::to_string(link.owner_uid) + " gateway " +
            to_text(link.gateway) + (link.has_ipv6 ? " with IPv6" : "") + "\n";
  }
  for (const wanted_neighbour& neighbour : state.neighbours) {
    text += "neighbour " + to_text(neighbour.address) + " is " + to_text(neighbour.mac) + " on " +
            neighbour.link + "\n";
  }
  for (const wanted_route& route : state.routes) {
    text += "route " + to_text(route.destination) + " to " + route.link +
            (route.via ? " via " + to_text(*route.via) : "") + (route.is_tail ? " (a tail)" : "") +
            (route.is_told ? "" : " (untold)") + "\n";
  }
  for (const wanted_proxy& proxy : state.proxies) {
    text +=
        "answer for " + to_text(proxy.address) + " of " + proxy.link + " on " + proxy.uplink + "\n";
  }
  for (const filter_element& element : state.filter) {
    const bool is_sent = !name_of(element.set).starts_with("received");
    text += element.link + (is_sent ? " may send from " : " is counted in ") +
            std::string(name_of(element.set)) + " " + element.value + "\n";
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

TEST(pvip_plan, ipv6_addresses_that_no_guest_has_are_refused) {
  for (const char* text : {"::", "::1", "fe80::7", "ff02::1", "::ffff:10.99.0.7", "4000::1",
                           "1fff::1", "fec0::1", "fe80::1", "64:ff9b::1"}) {
    expect_refused({with(port_number(1), [&](port& p) { p.address6 = *parse_ipv6(text); })}, text);
  }
  for (const char* text : {"2001:db8::17", "3fff::", "fc00::1", "fdff:ffff::1"}) {
    EXPECT_TRUE(plan({with(port_number(1), [&](port& p) { p.address6 = *parse_ipv6(text); })}));
  }
}

TEST(pvip_plan, two_ports_with_one_ipv6_address_are_refused_naming_both) {
  const auto twin = with(port_number(2), [](port& p) { p.address6 = port6_number(1).address6; });
  expect_refused({port6_number(1), twin}, "vp0000000001");
  expect_refused({port6_number(1), twin}, "vp0000000002");
  expect_refused({port6_number(1), twin}, "fd99::1");
}

ip_prefix prefix_of(const std::string& text) {
  const auto of_ipv4 = parse_ipv4_prefix(text);
  if (of_ipv4) {
    return {of_ipv4->base, of_ipv4->length};
  }
  const auto of_ipv6 = *parse_ipv6_prefix(text);
  return {of_ipv6.base, of_ipv6.length};
}

TEST(pvip_plan, rates_that_cannot_be_kept_are_refused) {
  for (const std::uint64_t rate : {std::uint64_t{0}, guest_rate_min - 1, guest_rate_max + 1}) {
    expect_refused({with(port_number(1), [&](port& p) { p.bits_a_second_max = rate; })}, "rate");
  }
  for (const std::uint64_t rate : {guest_rate_min, guest_rate_max}) {
    EXPECT_TRUE(plan({with(port_number(1), [&](port& p) { p.bits_a_second_max = rate; })}));
  }
}

TEST(pvip_plan, more_addresses_that_a_guest_cannot_have_are_refused) {
  const auto more = [](std::vector<ip_address> addresses) {
    return with(port6_number(1), [&](port& p) { p.more_addresses = std::move(addresses); });
  };
  expect_refused({more(std::vector<ip_address>(more_addresses_max + 1, ipv4{0x0a000001U}))}, "14");
  expect_refused({more({ipv4{0x7f000001U}})}, "127.0.0.1");
  expect_refused({more({gateway6})}, "fe80::1");
  expect_refused({more({port_number(1).address})}, "also that of");
  expect_refused({more({port_number(2).address}), port_number(2)}, "10.99.0.12");
  expect_refused({more({*port6_number(2).address6}), port6_number(2)}, "fd99::2");
  expect_refused({more({port_number(1).gateway})}, "is the gateway");
  expect_refused(
      {with(port_number(1), [](port& p) { p.more_addresses = {*port6_number(1).address6}; })},
      "no first IPv6 address");
}

TEST(pvip_plan, prefixes_that_cannot_be_behind_a_guest_are_refused) {
  const auto behind = [](std::vector<ip_prefix> prefixes) {
    return with(port6_number(1), [&](port& p) { p.routed_prefixes = std::move(prefixes); });
  };
  expect_refused({behind(std::vector(routed_prefixes_max + 1, prefix_of("10.0.0.0/24")))}, "16");
  for (const char* text : {"10.0.0.0/11", "0.0.0.0/12", "224.0.0.0/24", "fd00::/31", "fe80::/64",
                           "ff00::/32", "::/32"}) {
    expect_refused({behind({prefix_of(text)})}, text);
  }
  expect_refused({behind({{ipv4{0x0a000001U}, 24}})}, "10.0.0.1/24");
  expect_refused({behind({{*parse_ipv6("fd98::1"), 64}})}, "fd98::1/64");
  expect_refused({behind({{ipv4{0x0a000000U}, 33}})}, "10.0.0.0/33");
  for (const char* text : {"10.99.0.0/24", "10.99.0.1/32", "10.99.0.12/32", "fd99::/64",
                           "fd99::1/128", "fd99::2/127"}) {
    expect_refused({behind({prefix_of(text)}), port6_number(2)}, text);
  }
  expect_refused({behind({prefix_of("10.0.0.0/16"), prefix_of("10.0.7.0/24")})}, "10.0.7.0/24");
  expect_refused(
      {behind({prefix_of("fd98::/48")}),
       with(port6_number(2), [](port& p) { p.routed_prefixes = {prefix_of("fd98:0:0:7::/64")}; })},
      "vp0000000002");
  expect_refused(
      {with(port_number(1), [](port& p) { p.routed_prefixes = {prefix_of("fd98::/64")}; })},
      "no IPv6 address");
}

/// The text of a plan from the first of some words up to the first of others; the error of none.
std::string part_of(const result<host_state>& made, std::string_view from, std::string_view to) {
  if (!made) {
    return made.error().text;
  }
  const std::string text = as_text(*made);
  const auto begin = text.find(from);
  return text.substr(begin, text.find(to) - begin);
}

TEST(pvip_plan, golden_of_what_is_behind_a_guest) {
  port quiet = wide_port_number(2);
  quiet.announced = false;
  EXPECT_EQ(part_of(plan({quiet, wide_port_number(1)}), "neighbour", "vp0000000002 may"),
            "neighbour 10.99.0.11 is 0a:00:00:00:00:01 on vp0000000001\n"
            "neighbour 10.99.0.12 is 0a:00:00:00:00:02 on vp0000000002\n"
            "neighbour 10.100.0.11 is 0a:00:00:00:00:01 on vp0000000001\n"
            "neighbour 10.100.0.12 is 0a:00:00:00:00:02 on vp0000000002\n"
            "neighbour fd99::1 is 0a:00:00:00:00:01 on vp0000000001\n"
            "neighbour fd99::2 is 0a:00:00:00:00:02 on vp0000000002\n"
            "neighbour fd99:100::1 is 0a:00:00:00:00:01 on vp0000000001\n"
            "neighbour fd99:100::2 is 0a:00:00:00:00:02 on vp0000000002\n"
            "route 10.99.0.11/32 to vp0000000001\n"
            "route 10.100.0.11/32 to vp0000000001\n"
            "route 11.0.1.0/24 to vp0000000001 via 10.99.0.11\n"
            "route fd98:1::/64 to vp0000000001 via fd99::1\n"
            "route fd99::1/128 to vp0000000001\n"
            "route fd99:100::1/128 to vp0000000001\n"
            "vp0000000001 may send from mac 0a:00:00:00:00:01\n"
            "vp0000000001 may send from address 10.100.0.11\n"
            "vp0000000001 may send from address 10.99.0.11\n"
            "vp0000000001 may send from mac6 0a:00:00:00:00:01\n"
            "vp0000000001 may send from address6 fd99:100::1\n"
            "vp0000000001 may send from address6 fd99::1\n"
            "vp0000000001 is counted in received 10.100.0.11\n"
            "vp0000000001 is counted in received 10.99.0.11\n"
            "vp0000000001 is counted in received6 fd99:100::1\n"
            "vp0000000001 is counted in received6 fd99::1\n"
            "vp0000000001 may send from prefix 11.0.1.0/24\n"
            "vp0000000001 may send from prefix6 fd98:1::/64\n"
            "vp0000000001 is counted in received_prefix 11.0.1.0/24\n"
            "vp0000000001 is counted in received_prefix6 fd98:1::/64\n"
            "vp0000000001 may send from target6 fd99:100::1\n"
            "vp0000000001 may send from target6 fd99::1\n");
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
  EXPECT_EQ(made->filter.size(), 9U);
  const std::string text = as_text(*made);
  EXPECT_NE(text.find("route 10.99.0.11/32 to vp0000000001\n"
                      "route 10.99.0.13/32 to vp0000000003\n"
                      "answer for 10.99.0.11 of vp0000000001 on up0\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(made->routes.size(), 2U);
  EXPECT_EQ(made->proxies.size(), 1U);
}

TEST(pvip_plan, an_uplink_is_answered_on_for_each_address_and_for_no_prefix) {
  port of = port6_number(1);
  of.arp_uplink = "up0";
  of.more_addresses = {parse_ip_address("10.99.0.77").value(),
                       parse_ip_address("2001:db8:77::5").value()};
  of.routed_prefixes = {parse_ip_prefix("10.60.0.0/24").value()};
  const auto made = plan({of});
  ASSERT_TRUE(made) << made.error().text;
  std::vector<ip_address> answered;
  for (const wanted_proxy& each : made->proxies) {
    EXPECT_EQ(each.uplink, "up0");
    answered.push_back(each.address);
  }
  auto wanted = addresses_of(of);
  std::ranges::sort(wanted);
  EXPECT_EQ(answered, wanted);
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
  expect_refused(
      {with(port_number(1), [](port& p) { p.name_servers6.resize(name_servers_max + 1); })},
      "IPv6 name servers");
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

TEST(pvip_plan, golden_of_guests_that_move) {
  const next_node node{.address = parse_ipv4("192.0.2.12").value()};
  port gone = wide_port_number(1);
  gone.tail = node;
  gone.arp_uplink = "up0";
  port left = port_number(2);
  left.tail = node;
  left.announced = false;
  port awaited = port_number(3);
  awaited.announced = false;
  awaited.awaited = true;
  awaited.arp_uplink = "up0";
  EXPECT_EQ(part_of(plan({gone, left, awaited}), "route ", "vp0000000001 may"),
            "route 10.99.0.11/32 to vp0000000001 via 192.0.2.12 (a tail)\n"
            "route 10.99.0.12/32 to vp0000000002 via 192.0.2.12 (a tail) (untold)\n"
            "route 10.99.0.13/32 to vp0000000003 (untold)\n"
            "route 10.100.0.11/32 to vp0000000001 via 192.0.2.12 (a tail)\n"
            "route 11.0.1.0/24 to vp0000000001 via 192.0.2.12 (a tail)\n");
}

TEST(pvip_plan, a_guest_is_here_or_awaited_or_gone_to_another_node) {
  const auto awaited = [](port& p) { p.awaited = true; };
  expect_refused({with(port_number(1), awaited)}, "awaited");
  const auto both = [](port& p) {
    p.announced = false;
    p.awaited = true;
    p.tail = next_node{.address = {0xc000020cU}};
  };
  expect_refused({with(port_number(1), both)}, "awaited");
  const auto to = [](const next_node& node) {
    return with(port_number(1), [&](port& p) { p.tail = node; });
  };
  expect_refused({to({.address = {0x7f000001U}})}, "127.0.0.1");
  expect_refused({to({.address = {0xc000020cU}, .address6 = gateway6})}, "fe80::1");
  expect_refused({to({.address = port_number(2).address}), port_number(2)}, "vp0000000002");
  expect_refused({to({.address = port_number(1).gateway})}, "10.99.0.1");
  expect_refused(
      {to({.address = {0xc000020cU}, .address6 = port6_number(2).address6}), port6_number(2)},
      "vp0000000002");
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
                            "vp0000000001 is counted in received 10.99.0.11\n"
                            "vp0000000002 may send from mac 0a:00:00:00:00:02\n"
                            "vp0000000002 may send from address 10.99.0.12\n"
                            "vp0000000002 is counted in received 10.99.0.12\n"
                            "vp000000012c may send from mac 0a:00:00:00:01:2c\n"
                            "vp000000012c may send from address 10.99.1.54\n"
                            "vp000000012c is counted in received 10.99.1.54\n");
}

TEST(pvip_plan, golden_of_ipv6) {
  port quiet = port6_number(2);
  quiet.announced = false;
  const auto made = plan({quiet, port6_number(1), port_number(3)});
  ASSERT_TRUE(made) << made.error().text;
  const std::string text = as_text(*made);
  EXPECT_EQ(text.substr(0, text.find("vp0000000001 may")),
            "lo holds 10.99.0.1/32\n"
            "vp0000000001 holds fe80::1/64\n"
            "vp0000000002 holds fe80::1/64\n"
            "tap vp0000000001 of user 64999 gateway 10.99.0.1 with IPv6\n"
            "tap vp0000000002 of user 64999 gateway 10.99.0.1 with IPv6\n"
            "tap vp0000000003 of user 64999 gateway 10.99.0.1\n"
            "neighbour 10.99.0.11 is 0a:00:00:00:00:01 on vp0000000001\n"
            "neighbour 10.99.0.12 is 0a:00:00:00:00:02 on vp0000000002\n"
            "neighbour 10.99.0.13 is 0a:00:00:00:00:03 on vp0000000003\n"
            "neighbour fd99::1 is 0a:00:00:00:00:01 on vp0000000001\n"
            "neighbour fd99::2 is 0a:00:00:00:00:02 on vp0000000002\n"
            "route 10.99.0.11/32 to vp0000000001\n"
            "route 10.99.0.13/32 to vp0000000003\n"
            "route fd99::1/128 to vp0000000001\n");
  EXPECT_EQ(text.substr(text.find("vp0000000002 may")),
            "vp0000000002 may send from mac 0a:00:00:00:00:02\n"
            "vp0000000002 may send from address 10.99.0.12\n"
            "vp0000000002 may send from mac6 0a:00:00:00:00:02\n"
            "vp0000000002 may send from address6 fd99::2\n"
            "vp0000000002 is counted in received 10.99.0.12\n"
            "vp0000000002 is counted in received6 fd99::2\n"
            "vp0000000002 may send from target6 fd99::2\n"
            "vp0000000003 may send from mac 0a:00:00:00:00:03\n"
            "vp0000000003 may send from address 10.99.0.13\n"
            "vp0000000003 is counted in received 10.99.0.13\n");
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
