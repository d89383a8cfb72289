#include "tests/pvip/order_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace orrery::pvip {

host_state plan_of(std::vector<port> ports) {
  auto made = plan(std::move(ports));
  EXPECT_TRUE(made);
  return *std::move(made);
}

std::vector<port> told_by_arp(std::vector<port> ports) {
  for (port& each : ports) {
    each.arp_uplink = uplink;
  }
  return ports;
}

apply_report must_converge(memory_kernel& on, std::vector<port> ports) {
  auto report = converge(on, std::move(ports), prefix, std::nullopt);
  EXPECT_TRUE(report) << report.error().text;
  return report ? *std::move(report) : apply_report{};
}

found_link& link_of(memory_kernel& on, const std::string& name) {
  return *std::ranges::find(on.state().links, name, &found_link::name);
}

void expect_filtered(const found_filter& filter, const std::vector<port>& wanted) {
  EXPECT_EQ(filter.base, wanted.empty() ? base_state::missing : base_state::right);
  EXPECT_EQ(filter.ports.size(), wanted.size());
  for (const port& each : wanted) {
    const auto at = filter.ports.find(each.link);
    ASSERT_NE(at, filter.ports.end()) << each.link;
    EXPECT_TRUE(at->second.is_chain_right);
    std::vector<filter_element> right{
        {.link = each.link, .set = filter_set::mac, .value = to_text(each.mac)},
        {.link = each.link, .set = filter_set::address, .value = to_text(each.address)},
        {.link = each.link, .set = filter_set::received, .value = to_text(each.address)}};
    if (each.address6) {
      right.push_back({.link = each.link, .set = filter_set::mac6, .value = to_text(each.mac)});
      for (const filter_set set :
           {filter_set::address6, filter_set::received6, filter_set::target6}) {
        right.push_back({.link = each.link, .set = set, .value = to_text(*each.address6)});
      }
    }
    for (const ip_address& more : each.more_addresses) {
      const bool is_ipv4 = std::holds_alternative<ipv4>(more);
      for (const filter_set set : is_ipv4 ? std::vector{filter_set::address, filter_set::received}
                                          : std::vector{filter_set::address6, filter_set::received6,
                                                        filter_set::target6}) {
        right.push_back({.link = each.link, .set = set, .value = to_text(more)});
      }
    }
    if (each.bits_a_second_max) {
      right.push_back({.link = each.link,
                       .set = filter_set::rate,
                       .value = std::to_string(*each.bits_a_second_max / 8)});
    }
    for (const ip_prefix& behind : each.routed_prefixes) {
      const bool is_ipv4 = std::holds_alternative<ipv4>(behind.base);
      for (const filter_set set :
           is_ipv4 ? std::vector{filter_set::prefix, filter_set::received_prefix}
                   : std::vector{filter_set::prefix6, filter_set::received_prefix6}) {
        right.push_back({.link = each.link, .set = set, .value = to_text(behind)});
      }
    }
    std::ranges::sort(right);
    EXPECT_EQ(at->second.elements, right);
  }
}

void expect_answered(const found_state& state, const std::vector<ip_address>& wanted) {
  std::vector<ip_address> answered;
  for (const found_proxy& each : state.proxies) {
    EXPECT_TRUE(each.link == uplink && each.prompt);
    if (each.ours) {
      answered.push_back(each.address);
    }
  }
  std::ranges::sort(answered);
  EXPECT_EQ(answered, wanted);
}

void add_foreign(found_state& state) {
  found_link veth;
  veth.name = "vpn0";
  veth.index = foreign_index;
  veth.up = true;
  state.links.push_back(veth);
  found_link tap = veth;
  tap.name = "vptap"; // our prefix, but not our mark
  tap.index = foreign_index + 1;
  tap.tap = true;
  state.links.push_back(tap);
  found_link other = tap;
  other.name = "tap7"; // our mark, but not our prefix
  other.index = foreign_index + 2;
  other.alias = mark_of(ipv4{0x0a630001U});
  state.links.push_back(other);
  state.routes.push_back({.destination = {ipv4{0x0a630000U}, 24}, .protocol = 3, .link = "vpn0"});
  state.routes.push_back({.destination = alone(port_number(1).address),
                          .priority = 32,
                          .protocol = 12,
                          .link = "vpn0"});
  state.neighbours.push_back(
      {.address = port_number(1).address, .mac = {{2}}, .link = "vpn0", .permanent = true});
  state.neighbours.push_back(
      {.address = ipv4{7}, .mac = {{2}}, .link = "vptap", .permanent = true});
  state.addresses.push_back({.address = ipv4{0x7f000001U}, .length = 8});
  state.addresses.push_back({.address = ipv4{0x0a0a0a0aU}, .length = 32});
  state.addresses.push_back({.address = gateway6, .length = 64, .link = "vpn0", .ours = true});
  state.addresses.push_back({.address = ipv6{{0xfe, 0x80}}, .length = 64, .link = "vptap"});
}

} // namespace orrery::pvip
