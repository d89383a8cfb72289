#include "pvip/apply/apply.hpp"
#include "pvip/apply/converge.hpp"
#include "pvip/apply/memory_kernel.hpp"
#include "tests/pvip/ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr std::string_view prefix = "vp";
constexpr const char* uplink = "up0";

/// Above every number that the memory kernel gives in these tests.
constexpr std::uint32_t foreign_index = 1'000'000;

/// A kernel in memory, for those that do something else than it.
class other_kernel : public kernel {
public:
  result<found_state> read(const std::optional<std::string>& only) override {
    return on.read(only);
  }

  result<outcome> apply(const operation& what) override { return on.apply(what); }

  memory_kernel on;
};

/// Refuses some operations.
class refusing final : public other_kernel {
public:
  refusing(error_code code, std::function<bool(const operation&)> which)
      : x_code(code), x_which(std::move(which)) {}

  result<outcome> apply(const operation& what) override {
    if (x_which(what)) {
      return error{.code = x_code, .text = "no"};
    }
    return on.apply(what);
  }

private:
  error_code x_code;
  std::function<bool(const operation&)> x_which;
};

/// Whether it is that operation, on the link of the port with that number.
template <class Operation> bool is_on(const operation& what, std::uint16_t number) {
  const auto* one = std::get_if<Operation>(&what);
  return one != nullptr && one->link == port_number(number).link;
}

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

    int operator()(const add_address&) const { return 2; }

    int operator()(const make_tap&) const { return 3; }

    int operator()(const adopt_tap&) const { return 4; }

    int operator()(const dress_link&) const { return 5; }

    int operator()(const make_filter&) const { return 7; }

    int operator()(const filter_link&) const { return 7; }

    int operator()(const raise_link&) const { return 8; }

    int operator()(const set_neighbour&) const { return 9; }

    int operator()(const add_route&) const { return 10; }

    int operator()(const replace_route&) const { return 10; }

    int operator()(const add_proxy&) const { return 11; }

    int operator()(const remove_proxy&) const { return 12; }

    int operator()(const remove_route&) const { return 13; }

    int operator()(const remove_neighbour&) const { return 14; }

    int operator()(const remove_link&) const { return 15; }

    int operator()(const unfilter_link&) const { return 16; }

    int operator()(const remove_filter&) const { return 16; }

    int operator()(const remove_address&) const { return 17; }
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

host_state plan_of(std::vector<port> ports) {
  auto made = plan(std::move(ports));
  EXPECT_TRUE(made);
  return *std::move(made);
}

/// The same, with ARP answered for them.
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

/// That the filter lets each guest send from its addresses and nobody else from anywhere.
void expect_filtered(const found_filter& filter, const std::vector<port>& wanted) {
  EXPECT_EQ(filter.base, wanted.empty() ? base_state::missing : base_state::right);
  EXPECT_EQ(filter.ports.size(), wanted.size());
  for (const port& each : wanted) {
    const auto at = filter.ports.find(each.link);
    ASSERT_NE(at, filter.ports.end()) << each.link;
    EXPECT_TRUE(at->second.is_chain_right);
    const std::vector<filter_element> right{
        {.link = each.link, .set = filter_set::mac, .value = to_text(each.mac)},
        {.link = each.link, .set = filter_set::address, .value = to_text(each.address)}};
    EXPECT_EQ(at->second.elements, right);
  }
}

/// What stands in the way of no port, and must stand there as before afterwards.
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
  state.routes.push_back(
      {.destination = {0x0a630000U}, .length = 24, .protocol = 3, .link = "vpn0"});
  state.routes.push_back(
      {.destination = port_number(1).address, .priority = 32, .protocol = 12, .link = "vpn0"});
  state.neighbours.push_back(
      {.address = port_number(1).address, .mac = {{2}}, .link = "vpn0", .permanent = true});
  state.neighbours.push_back({.address = {7}, .mac = {{2}}, .link = "vptap", .permanent = true});
  state.addresses.push_back({.address = {0x7f000001U}, .length = 8});
  state.addresses.push_back({.address = {0x0a0a0a0aU}, .length = 32});
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
      {.destination = port_number(1).address, .protocol = 4, .link = "eth0"});
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

TEST(pvip_order, a_link_without_a_filter_is_not_raised) {
  // As nftables does: also all together.
  refusing on(error_code::driver_failed,
              [](const operation& what) { return is_on<filter_link>(what, 1); });
  const auto report = converge(on, ports_up_to(3), prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::driver_failed);
  EXPECT_NE(report.error().text.find("vp0000000001"), std::string::npos) << report.error().text;
  EXPECT_FALSE(link_of(on.on, port_number(1).link).up);
  EXPECT_TRUE(link_of(on.on, port_number(2).link).up);
  EXPECT_EQ(on.on.state().routes.size(), 2U);
}

TEST(pvip_order, when_the_filter_cannot_be_reached_no_link_is_raised_and_each_is_not_tried) {
  class deaf final : public other_kernel {
  public:
    result<outcome> apply(const operation& what) override {
      EXPECT_FALSE(is_of_filter(what));
      return on.apply(what);
    }

    result<void> apply_together(const std::vector<const operation*>& all) override {
      (void)all;
      return error{.code = error_code::timed_out, .text = "no answer"};
    }
  };

  deaf on;
  const auto report = converge(on, ports_up_to(3), prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::timed_out);
  EXPECT_TRUE(on.on.state().routes.empty());
  EXPECT_FALSE(link_of(on.on, port_number(1).link).up);
}

TEST(pvip_order, drift_of_the_filter_is_said) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  const std::string link = port_number(1).link;
  const auto said = [&](const std::string& part) {
    const auto report = must_converge(on, ports_up_to(2));
    EXPECT_EQ(report.drift.size(), 1U);
    EXPECT_NE(report.drift.at(0).find(part), std::string::npos) << report.drift.at(0);
    expect_filtered(on.state().filter, ports_up_to(2));
  };
  const auto elements = [&]() -> auto& { return on.state().filter.ports[link].elements; };
  on.state().filter.ports.erase(link);
  said(link + " did not let its guest send from 0a:00:00:00:00:01");
  elements().push_back({.link = link, .set = filter_set::address, .value = "10.99.0.77"});
  said(link + " let its guest send from 10.99.0.77");
  elements().pop_back();
  said(link + " did not let its guest send from 10.99.0.11");
  on.state().filter.ports[link].is_chain_right = false;
  said(link + " had another filter");
  on.state().filter.base = base_state::changed;
  said("the filter's shared rules were not ours");
  on.state().filter.base = base_state::broken;
  said("the filter's sets were not ours");
  on.state().filter = {};
  said("the filter of what guests send was missing");
  on.state().filter.ports["vpnobodys"].has_chain = true;
  said("filter of vpnobodys is wanted by nobody");
}

TEST(pvip_order, one_port_loses_the_addresses_that_it_had_and_no_other_port_does) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  port changed = port_number(1);
  changed.address.bits += 100;
  ASSERT_TRUE(converge(on, {changed}, prefix, changed.link));
  expect_filtered(on.state().filter, {port_number(0), changed});
  ASSERT_TRUE(remove_port(on, changed.link, prefix));
  expect_filtered(on.state().filter, {port_number(0)});
}

/// That ARP is answered for these addresses on the uplink, and for no others of ours.
void expect_answered(const found_state& state, const std::vector<ipv4>& wanted) {
  std::vector<ipv4> answered;
  for (const found_proxy& each : state.proxies) {
    EXPECT_TRUE(each.link == uplink && each.prompt);
    if (each.ours) {
      answered.push_back(each.address);
    }
  }
  std::ranges::sort(answered);
  EXPECT_EQ(answered, wanted);
}

TEST(pvip_order, arp_is_answered_for_guests_that_are_announced_and_only_while_they_are) {
  memory_kernel on;
  std::vector<port> ports = told_by_arp(ports_up_to(3));
  must_converge(on, ports);
  expect_answered(on.state(), {ports[0].address, ports[1].address, ports[2].address});
  ports[1].announced = false;
  ASSERT_TRUE(converge(on, {ports[1]}, prefix, ports[1].link));
  expect_answered(on.state(), {ports[0].address, ports[2].address});
  EXPECT_EQ(on.state().routes.size(), 2U);
  EXPECT_EQ(on.state().links.size(), 4U);
  ASSERT_TRUE(remove_port(on, ports[2].link, prefix));
  expect_answered(on.state(), {ports[0].address});
  ports[0].arp_uplink.clear();
  ASSERT_TRUE(converge(on, {ports[0]}, prefix, ports[0].link));
  expect_answered(on.state(), {});
}

TEST(pvip_order, a_guest_that_left_is_no_longer_answered_for_before_its_route_goes) {
  memory_kernel on;
  must_converge(on, told_by_arp(ports_up_to(1)));
  const auto found = on.read(std::nullopt);
  const auto numbers = numbers_of(compare_without(port_number(0).link, *found, prefix));
  EXPECT_EQ(numbers, (std::vector<int>{12, 13, 14, 15, 16, 17}));
}

TEST(pvip_order, one_port_changes_its_address_and_is_answered_for_at_the_new_one) {
  memory_kernel on;
  must_converge(on, told_by_arp(ports_up_to(2)));
  port changed = told_by_arp({port_number(1)}).front();
  changed.address.bits += 100;
  ASSERT_TRUE(converge(on, {changed}, prefix, changed.link));
  expect_answered(on.state(), {port_number(0).address, changed.address});
}

TEST(pvip_order, drift_of_what_is_answered_for_is_said_and_repaired) {
  memory_kernel on;
  const std::vector<port> ports = told_by_arp(ports_up_to(1));
  must_converge(on, ports);
  const auto said = [&](const std::string& part) {
    const auto report = must_converge(on, ports);
    EXPECT_EQ(report.drift.size(), 1U);
    EXPECT_NE(report.drift.at(0).find(part), std::string::npos) << report.drift.at(0);
    expect_answered(on.state(), {ports[0].address});
  };
  on.state().proxies.clear();
  said("answer for 10.99.0.10 on up0 was missing");
  on.state().proxies.front().prompt = false;
  said("answer for 10.99.0.10 on up0 was given after a delay");
  on.state().proxies.push_back({.address = {7}, .link = uplink, .ours = true, .prompt = true});
  said("answer for 0.0.0.7 on up0 is wanted by nobody");
}

TEST(pvip_order, a_foreign_answer_in_the_place_of_ours_is_refused_and_left) {
  memory_kernel on;
  const std::vector<port> ports = told_by_arp(ports_up_to(1));
  on.state().proxies.push_back({.address = ports[0].address, .link = uplink});
  on.state().proxies.push_back({.address = {7}, .link = "eth7"});
  const auto report = converge(on, ports, prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::already_exists);
  EXPECT_NE(report.error().text.find("10.99.0.10 on up0"), std::string::npos);
  must_converge(on, {});
  EXPECT_EQ(on.state().proxies.size(), 2U);
}

TEST(pvip_order, somebody_who_always_undoes_it_is_told) {
  /// Loses its routes before each reading.
  class forgetful final : public other_kernel {
  public:
    result<found_state> read(const std::optional<std::string>& only) override {
      on.state().routes.clear();
      return on.read(only);
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
  const auto found = on.read(std::nullopt);
  const auto numbers = numbers_of(
      compare(plan_of(told_by_arp(ports_up_to(3))), *found, prefix, apply_scope::whole_node));
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
  for (const int number : {1, 2, 3, 5, 6, 7, 8, 9, 10, 11}) {
    EXPECT_TRUE(std::ranges::binary_search(numbers, number)) << number;
  }
}

TEST(pvip_order, what_is_removed_goes_in_the_reverse_order_and_after_what_is_added) {
  memory_kernel on;
  must_converge(on, told_by_arp(ports_up_to(3)));
  port other = told_by_arp({port_number(9)}).front();
  other.gateway.bits += 0x10000;
  link_of(on, port_number(1).link).persistent = false;
  const auto found = on.read(std::nullopt);
  const auto numbers = numbers_of(
      compare(plan_of({port_number(1), other}), *found, prefix, apply_scope::whole_node));
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
  for (const int number : {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}) {
    EXPECT_TRUE(std::ranges::binary_search(numbers, number)) << number;
  }
  const auto all_gone = numbers_of(compare({}, *found, prefix, apply_scope::whole_node));
  EXPECT_EQ(all_gone, (std::vector<int>{12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15, 16, 17}));
}

TEST(pvip_order, proxy_delay_is_written_before_proxy_arp_and_both_before_the_link_is_up) {
  memory_kernel on;
  const auto found = on.read(std::nullopt);
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
  const auto found = on.read(std::nullopt);
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
  EXPECT_EQ(on.state().addresses.front().address, other.gateway);
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

TEST(pvip_order, one_port_is_made_without_touching_others) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  link_of(on, port_number(1).link).up = false;
  const auto report = converge(on, {port_number(5)}, prefix, port_number(5).link);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(on.state().links.size(), 4U);
  EXPECT_FALSE(link_of(on, port_number(1).link).up);
}

/// Counts the routes that were read.
class counting final : public other_kernel {
public:
  result<found_state> read(const std::optional<std::string>& only) override {
    auto found = on.read(only);
    routes_read += found ? found->routes.size() : 0;
    return found;
  }

  std::size_t routes_read = 0;
};

TEST(pvip_order, one_port_among_many_reads_no_routes_but_its_own) {
  counting on;
  ASSERT_TRUE(converge(on, ports_up_to(50), prefix, std::nullopt));
  on.routes_read = 0;
  ASSERT_TRUE(converge(on, {port_number(77)}, prefix, port_number(77).link));
  EXPECT_EQ(on.routes_read, 1U); // after it was made
}

TEST(pvip_order, one_port_takes_its_route_from_a_port_of_ours_that_had_it) {
  counting on;
  ASSERT_TRUE(converge(on, ports_up_to(3), prefix, std::nullopt));
  port moved = port_number(1);
  moved.link = port_number(9).link;
  const auto report = converge(on, {moved}, prefix, moved.link);
  ASSERT_TRUE(report) << report.error().text;
  const auto& routes = on.on.state().routes;
  EXPECT_EQ(routes.size(), 3U);
  EXPECT_EQ(std::ranges::find(routes, moved.address, &found_route::destination)->link, moved.link);
}

TEST(pvip_order, one_port_is_told_of_a_foreign_route_in_its_place) {
  memory_kernel on;
  on.state().routes.push_back(
      {.destination = port_number(1).address, .protocol = 4, .link = "eth0"});
  const auto report = converge(on, {port_number(1)}, prefix, port_number(1).link);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::already_exists);
  EXPECT_NE(report.error().text.find("of protocol 4"), std::string::npos) << report.error().text;
}

TEST(pvip_order, one_port_loses_what_it_no_longer_has) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  port changed = port_number(1);
  changed.address.bits += 100;
  ASSERT_TRUE(converge(on, {changed}, prefix, changed.link));
  EXPECT_EQ(on.state().routes.size(), 2U);
  EXPECT_EQ(on.state().neighbours.size(), 2U);
}

TEST(pvip_order, what_is_not_ours_stays_as_it_is) {
  memory_kernel on;
  add_foreign(on.state());
  const auto sizes = [&] {
    return std::vector<std::size_t>{on.state().links.size(), on.state().routes.size(),
                                    on.state().neighbours.size(), on.state().addresses.size()};
  };
  const auto before = sizes();
  must_converge(on, ports_up_to(4));
  must_converge(on, {});
  EXPECT_EQ(sizes(), before);
  for (const char* name : {"vpn0", "vptap", "tap7"}) {
    EXPECT_NE(std::ranges::find(on.state().links, name, &found_link::name), on.state().links.end());
  }
}

/// Of one link of ours: it or what stands on it.
void damage_links(found_state& state, std::mt19937& random) {
  for (found_link& link : state.links) {
    if (!link.alias.starts_with("orrery") || !link.name.starts_with(prefix)) {
      continue;
    }
    switch (random() % 12) {
    case 0:
      link.mac.bytes[5] ^= 1;
      break;
    case 1:
      link.up = false;
      std::erase_if(state.routes, [&](const found_route& r) { return r.link == link.name; });
      break;
    case 2:
      link.owner_uid.reset();
      break;
    case 3:
      link.settings[random() % link.settings.size()] = "7";
      break;
    case 4:
      link.makes_addresses = true;
      break;
    case 5:
      state.filter.ports.erase(link.name);
      break;
    case 6:
      state.filter.ports[link.name].is_chain_right = false;
      break;
    case 7:
      state.filter.ports[link.name].elements.assign(
          1, {.link = link.name, .set = filter_set::address, .value = "10.99.0.77"});
      break;
    default:
      break;
    }
  }
}

/// Damages the state at random, as an operator, another program or a crash may.
void damage(found_state& state, std::mt19937& random) {
  damage_links(state, random);
  constexpr std::array bases{base_state::missing, base_state::changed, base_state::broken,
                             base_state::right,   base_state::right,   base_state::right};
  state.filter.base = bases[random() % bases.size()];
  if (state.filter.base == base_state::missing) {
    state.filter.ports.clear();
  } else if (random() % 3 == 0) {
    state.filter.ports["vpnobodys"].has_chain = true;
  }
  const auto lose = [&random](const auto& object) {
    (void)object;
    return random() % 10 == 0;
  };
  std::erase_if(state.links, [&](const found_link& l) {
    return l.index < foreign_index && l.index > 1 && lose(l);
  });
  std::erase_if(state.routes,
                [&](const found_route& r) { return r.protocol == route_protocol && lose(r); });
  std::erase_if(state.proxies, lose);
  for (found_proxy& proxy : state.proxies) {
    proxy.prompt = random() % 8 != 0;
  }
  std::erase_if(state.addresses, [&](const found_address& a) { return a.ours && lose(a); });
  for (found_neighbour& neighbour : state.neighbours) {
    if (neighbour.link != "vpn0" && random() % 8 == 0) {
      neighbour.permanent = !neighbour.permanent;
      neighbour.mac.bytes[1] ^= static_cast<std::uint8_t>(random() % 2);
    }
  }
  for (const found_link& link : std::vector<found_link>(state.links)) {
    if (random() % 10 == 0) {
      state.routes.push_back({.destination = {static_cast<std::uint32_t>(random())},
                              .length = static_cast<std::uint8_t>(random() % 33),
                              .protocol = route_protocol,
                              .link = link.name});
    }
  }
}

TEST(pvip_order, from_any_damage_it_comes_back_and_then_rests) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  memory_kernel on;
  add_foreign(on.state());
  for (int round = 0; round < 200; ++round) {
    std::vector<port> wanted;
    for (std::uint16_t n = 2; n < 30; ++n) {
      if (random() % 2 == 0) {
        wanted.push_back(port_number(n));
        wanted.back().gateway.bits = 0x0a640001U + (n % 3U);
        wanted.back().announced = random() % 5 != 0;
        wanted.back().arp_uplink = random() % 2 == 0 ? uplink : "";
      }
    }
    std::size_t announced = 0;
    std::vector<ipv4> answered;
    for (const port& each : wanted) {
      announced += each.announced ? 1U : 0U;
      if (each.announced && !each.arp_uplink.empty()) {
        answered.push_back(each.address);
      }
    }
    must_converge(on, wanted);
    const auto rest = must_converge(on, wanted);
    expect_answered(on.state(), answered);
    ASSERT_EQ(rest.added + rest.repaired + rest.removed, 0U);
    ASSERT_EQ(on.state().links.size(), wanted.size() + 4);
    ASSERT_EQ(on.state().routes.size(), announced + 2);
    expect_filtered(on.state().filter, wanted);
    damage(on.state(), random);
  }
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
