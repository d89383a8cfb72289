#include "tests/pvip/order_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

/// The number in the contract at the top of apply.cpp, without what removals add: by the order of
/// `operation`'s alternatives, with settings told apart by whose they are.
int number_of(const operation& what) {
  struct numbers {
    int operator()(const write_setting& w) const {
      return std::ranges::find(node_settings, std::string_view(w.path), &node_setting::path) ==
                     node_settings.end()
                 ? 6
                 : 1;
    }

    int operator()(const add_address& a) const { return a.address.link == loopback ? 2 : 9; }

    int operator()(const make_tap&) const { return 3; }

    int operator()(const adopt_tap&) const { return 4; }

    int operator()(const dress_link&) const { return 5; }

    int operator()(const make_filter&) const { return 7; }

    int operator()(const filter_link&) const { return 7; }

    int operator()(const raise_link&) const { return 8; }

    int operator()(const set_neighbour&) const { return 10; }

    int operator()(const add_route&) const { return 11; }

    int operator()(const replace_route&) const { return 11; }

    int operator()(const add_proxy&) const { return 12; }

    int operator()(const remove_proxy&) const { return 13; }

    int operator()(const remove_route&) const { return 14; }

    int operator()(const remove_neighbour&) const { return 15; }

    int operator()(const remove_link&) const { return 17; }

    int operator()(const unfilter_link&) const { return 18; }

    int operator()(const remove_filter&) const { return 18; }

    int operator()(const remove_address& a) const { return a.address.link == loopback ? 19 : 16; }
  };

  return std::visit(numbers{}, what);
}

std::vector<int> numbers_of(const difference& of) {
  std::vector<int> numbers;
  for (const step& each : of.steps) {
    numbers.push_back(number_of(each.what));
  }
  return numbers;
}

TEST(pvip_order, a_wanted_name_on_a_link_that_is_no_tap_is_refused_and_the_rest_done) {
  memory_kernel on;
  found_link veth;
  veth.name = port_number(1).link;
  veth.index = 900;
  on.state().links.push_back(veth);
  const auto report = converge(on, ports_up_to(3), prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::already_exists);
  EXPECT_NE(report.error().text.find(veth.name), std::string::npos);
  EXPECT_EQ(on.state().routes.size(), 2U);
  EXPECT_EQ(link_of(on, veth.name).index, 900U);
}

TEST(pvip_order, a_foreign_route_in_the_place_of_ours_is_refused_and_left) {
  memory_kernel on;
  on.state().routes.push_back(
      {.destination = alone(port_number(1).address), .protocol = 4, .link = "eth0"});
  const auto report = converge(on, ports_up_to(3), prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::already_exists);
  EXPECT_EQ(on.state().routes.size(), 3U);
  EXPECT_EQ(on.state().routes.front().link, "eth0");
}

TEST(pvip_order, a_loose_filter_for_all_links_is_refused) {
  memory_kernel on;
  on.state().filter_of_all.assign(1, '2');
  const auto report = converge(on, {}, prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::conflict);
}

TEST(pvip_order, a_link_without_the_prefix_is_refused) {
  memory_kernel on;
  port other = port_number(1);
  other.link = "tap0";
  const auto report = converge(on, {other}, prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::invalid_argument);
  EXPECT_EQ(on.state().links.size(), 1U);
}

TEST(pvip_order, a_guest_that_left_is_no_longer_answered_for_before_its_route_goes) {
  memory_kernel on;
  must_converge(on, told_by_arp(ports6_up_to(1)));
  const auto found = on.read({});
  const auto numbers =
      numbers_of(compare_without(port_number(0).link, *found, prefix, apply_scope::whole_node));
  EXPECT_EQ(numbers, (std::vector<int>{13, 13, 14, 14, 15, 15, 17, 18, 19}));
}

TEST(pvip_order, somebody_who_always_undoes_it_is_told) {
  /// Loses its routes before each reading.
  class forgetful final : public other_kernel {
  public:
    result<found_state> read(const reading& wanted) override {
      on.state().routes.clear();
      return on.read(wanted);
    }
  };

  forgetful on;
  const auto report = converge(on, ports_up_to(1), prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::conflict);
  EXPECT_NE(report.error().text.find("10.99.0.10/32"), std::string::npos) << report.error().text;
}

TEST(pvip_order, a_step_that_fails_stops_what_refers_to_it_only) {
  refusing on(error_code::io_failed,
              [](const operation& what) { return is_on<raise_link>(what, 1); });
  const auto report = converge(on, ports_up_to(3), prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::io_failed);
  EXPECT_NE(report.error().text.find("vp0000000001"), std::string::npos) << report.error().text;
  EXPECT_EQ(report.error().text.find("more"), std::string::npos) << report.error().text;
  EXPECT_EQ(on.on.state().routes.size(), 2U);
}

TEST(pvip_order, all_that_is_added_stands_after_what_it_refers_to) {
  memory_kernel on;
  const auto found = on.read({});
  const auto numbers = numbers_of(
      compare(plan_of(told_by_arp(ports6_up_to(3))), *found, prefix, apply_scope::whole_node));
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
  for (const int number : {1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12}) {
    EXPECT_TRUE(std::ranges::binary_search(numbers, number)) << number;
  }
}

TEST(pvip_order, what_is_removed_goes_in_the_reverse_order_and_after_what_is_added) {
  memory_kernel on;
  must_converge(on, told_by_arp(ports6_up_to(3)));
  port other = told_by_arp({port6_number(9)}).front();
  other.gateway.bits += 0x10000;
  link_of(on, port_number(1).link).persistent = false;
  const auto found = on.read({});
  const auto numbers = numbers_of(
      compare(plan_of({port_number(1), other}), *found, prefix, apply_scope::whole_node));
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
  for (const int number : {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}) {
    EXPECT_TRUE(std::ranges::binary_search(numbers, number)) << number;
  }
  const auto all_gone = numbers_of(compare({}, *found, prefix, apply_scope::whole_node));
  EXPECT_EQ(all_gone, (std::vector<int>{13, 13, 13, 13, 13, 13, 14, 14, 14, 14, 14, 14,
                                        15, 15, 15, 15, 15, 15, 17, 17, 17, 18, 19}));
}

TEST(pvip_order, what_is_behind_a_guest_is_routed_after_the_guest) {
  memory_kernel on;
  port of = port6_number(1);
  of.routed_prefixes = {parse_ip_prefix("2001:db8::/48").value(),
                        parse_ip_prefix("10.0.0.0/24").value()}; // sorted before its addresses
  const auto found = on.read({});
  std::vector<bool> are_behind;
  for (const step& each : compare(plan_of({of}), *found, prefix, apply_scope::whole_node).steps) {
    if (const auto* route = std::get_if<add_route>(&each.what)) {
      are_behind.push_back(route->route.via.has_value());
    }
  }
  EXPECT_EQ(are_behind, (std::vector{false, false, true, true}));
}

TEST(pvip_order, proxy_delay_is_written_before_proxy_arp_and_both_before_the_link_is_up) {
  memory_kernel on;
  const auto found = on.read({});
  const auto steps =
      compare(plan_of(ports_up_to(1)), *found, prefix, apply_scope::whole_node).steps;
  const auto place_of = [&](std::string_view ending) {
    return std::ranges::find_if(steps, [&](const step& s) {
      const auto* setting = std::get_if<write_setting>(&s.what);
      return setting != nullptr && setting->path.ends_with(ending);
    });
  };
  const auto up = std::ranges::find_if(
      steps, [](const step& s) { return std::holds_alternative<raise_link>(s.what); });
  ASSERT_NE(up, steps.end());
  EXPECT_LT(place_of("/vp0000000000/proxy_delay"), place_of("/vp0000000000/proxy_arp"));
  EXPECT_LT(place_of("/vp0000000000/proxy_arp"), up);
}

TEST(pvip_order, a_second_reconciliation_finds_nothing) {
  memory_kernel on;
  const auto first = must_converge(on, ports_up_to(20));
  EXPECT_EQ(first.added, 3 * 20 + 2U); // and a gateway, and the filter that all share
  const auto second = must_converge(on, ports_up_to(20));
  EXPECT_EQ(second.added + second.repaired + second.removed, 0U);
  EXPECT_TRUE(second.drift.empty());
}

TEST(pvip_order, an_address_that_moved_to_another_link_is_replaced_not_removed_first) {
  memory_kernel on;
  must_converge(on, ports_up_to(1));
  port moved = port_number(0);
  moved.link = "vp00000000aa";
  const auto found = on.read({});
  const auto steps = compare(plan_of({moved}), *found, prefix, apply_scope::whole_node).steps;
  EXPECT_TRUE(std::ranges::none_of(
      steps, [](const step& s) { return std::holds_alternative<remove_route>(s.what); }));
  must_converge(on, {moved});
  ASSERT_EQ(on.state().routes.size(), 1U);
  EXPECT_EQ(on.state().routes.front().link, moved.link);
  EXPECT_EQ(on.state().links.size(), 2U);
}

TEST(pvip_order, a_changed_mac_is_repaired_without_making_the_tap_anew) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  const auto index = link_of(on, port_number(1).link).index;
  link_of(on, port_number(1).link).mac = {{0xfe, 1, 2, 3, 4, 5}};
  const auto report = must_converge(on, ports_up_to(2));
  EXPECT_EQ(link_of(on, port_number(1).link).index, index);
  EXPECT_EQ(link_of(on, port_number(1).link).mac, gateway_mac);
  EXPECT_EQ(on.state().neighbours.size(), 2U); // the change dropped one, a second round brought it
  ASSERT_FALSE(report.drift.empty());
  EXPECT_NE(report.drift.front().find("fe:01:02:03:04:05"), std::string::npos);
}

TEST(pvip_order, a_gateway_goes_with_its_last_port) {
  memory_kernel on;
  port other = port_number(5);
  other.gateway = {0x0a640001U};
  must_converge(on, {port_number(0), port_number(1), other});
  ASSERT_TRUE(remove_port(on, port_number(0).link, prefix));
  EXPECT_EQ(on.state().addresses.size(), 2U);
  ASSERT_TRUE(remove_port(on, port_number(1).link, prefix));
  ASSERT_EQ(on.state().addresses.size(), 1U);
  EXPECT_EQ(on.state().addresses.front().address, ip_address(other.gateway));
  ASSERT_TRUE(remove_port(on, port_number(1).link, prefix)); // again: nothing to do
  ASSERT_TRUE(remove_port(on, other.link, prefix));
  EXPECT_TRUE(on.state().addresses.empty());
  EXPECT_EQ(on.state().links.size(), 1U);
}

TEST(pvip_order, a_gateway_stays_while_a_link_of_ours_has_lost_its_mark) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  link_of(on, port_number(1).link).alias.clear();
  ASSERT_TRUE(remove_port(on, port_number(0).link, prefix));
  EXPECT_EQ(on.state().addresses.size(), 1U);
}

TEST(pvip_order, the_mark_in_an_alias_is_read_strictly) {
  EXPECT_EQ(gateway_in_mark(mark_of({0x0a630001U})), ipv4{0x0a630001U});
  for (const char* other : {"", "orrery", "orrery gateway", "orrery gateway ", "10.99.0.1",
                            "orrery gateway 10.99.0.1 ", "orrery gateway 10.99.0.256"}) {
    EXPECT_FALSE(gateway_in_mark(other)) << other;
  }
}

} // namespace
} // namespace orrery::pvip
