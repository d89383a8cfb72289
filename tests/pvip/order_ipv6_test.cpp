#include "tests/pvip/order_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

std::string setting_of(memory_kernel& on, const std::string& link, std::string_view name) {
  const auto& values = link_of(on, link).settings;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (path_of(link_settings[i], link).ends_with("ipv6/conf/" + link + "/" + std::string(name))) {
      return values[i].value_or("none");
    }
  }
  return "no such setting";
}

std::string node_value(memory_kernel& on, std::string_view path) {
  const auto* const at = std::ranges::find(node_settings, path, &node_setting::path);
  return on.state().node_values.at(static_cast<std::size_t>(at - node_settings.begin()));
}

/// The links that hold the gateway.
std::vector<std::string> holders(memory_kernel& on) {
  std::vector<std::string> links;
  for (const found_address& each : on.state().addresses) {
    if (each.address == ip_address(gateway6) && each.ours) {
      links.push_back(each.link);
    }
  }
  return links;
}

TEST(pvip_order_ipv6, a_foreign_route_in_the_place_of_ours_is_refused_and_left) {
  memory_kernel on;
  const ip_prefix destination = alone(*port6_number(1).address6);
  on.state().routes.push_back(
      {.destination = destination, .priority = 1, .protocol = 4, .link = "eth0"});
  const auto report = converge(on, {port6_number(1)}, prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::already_exists);
  EXPECT_NE(report.error().text.find("fd99::1/128"), std::string::npos) << report.error().text;
  EXPECT_EQ(on.state().routes.front().link, "eth0");
}

TEST(pvip_order_ipv6, a_node_without_such_guests_is_left_as_it_is) {
  memory_kernel on;
  on.state().router_listeners = {"up0"};
  must_converge(on, ports_up_to(2));
  EXPECT_EQ(node_value(on, ipv6_forwarding_path), "new");
  EXPECT_EQ(on.state().router_listeners.size(), 1U);
  EXPECT_EQ(setting_of(on, port_number(1).link, "accept_ra"), "0");
  EXPECT_EQ(setting_of(on, port_number(1).link, "disable_ipv6"), "new");
  EXPECT_TRUE(holders(on).empty());
}

TEST(pvip_order_ipv6, each_port_with_an_address_has_the_gateway_and_what_it_needs) {
  memory_kernel on;
  must_converge(on, {port6_number(1), port_number(2), port6_number(3)});
  EXPECT_EQ(holders(on), (std::vector{port_number(1).link, port_number(3).link}));
  EXPECT_EQ(node_value(on, ipv6_forwarding_path), "1");
  EXPECT_EQ(on.state().routes.size(), 5U);
  EXPECT_EQ(on.state().neighbours.size(), 5U);
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"accept_ra", "0"},
                                                        {"accept_redirects", "0"},
                                                        {"forwarding", "1"},
                                                        {"disable_ipv6", "0"}}) {
    EXPECT_EQ(setting_of(on, port_number(1).link, name), value) << name;
  }
}

TEST(pvip_order_ipv6, links_that_listen_to_routers_go_on_listening) {
  memory_kernel on;
  on.state().router_listeners = {"up0", port_number(1).link};
  const auto found = on.read({});
  const auto steps =
      compare(plan_of({port6_number(1)}), *found, prefix, apply_scope::whole_node).steps;
  const auto place_of = [&](const std::string& path) {
    return std::ranges::find_if(steps, [&](const step& s) {
      const auto* setting = std::get_if<write_setting>(&s.what);
      return setting != nullptr && setting->path == path;
    });
  };
  const auto listening = place_of(path_of_router_listening("up0"));
  ASSERT_NE(listening, steps.end());
  EXPECT_EQ(std::get<write_setting>(listening->what).value, "2");
  EXPECT_LT(listening, place_of(std::string(ipv6_forwarding_path)));
  // A link of ours never does.
  const auto own = place_of(path_of_router_listening(port_number(1).link));
  ASSERT_NE(own, steps.end());
  EXPECT_EQ(std::get<write_setting>(own->what).value, "0");
  must_converge(on, {port6_number(1)});
  EXPECT_TRUE(on.state().router_listeners.empty());
}

TEST(pvip_order_ipv6, drift_is_said_and_repaired) {
  memory_kernel on;
  const std::vector<port> ports{port6_number(1), port6_number(2)};
  must_converge(on, ports);
  const std::string link = port_number(1).link;
  const ip_address guest = *port6_number(1).address6;
  const auto said = [&](const std::string& part) {
    const auto report = must_converge(on, ports);
    EXPECT_EQ(report.drift.size(), 1U);
    EXPECT_NE(report.drift.at(0).find(part), std::string::npos) << report.drift.at(0);
    EXPECT_EQ(holders(on).size(), 2U);
    EXPECT_EQ(on.state().routes.size(), 4U);
    EXPECT_EQ(on.state().neighbours.size(), 4U);
  };
  std::erase_if(on.state().addresses, [&](const found_address& a) { return a.link == link; });
  said("gateway fe80::1 on " + link + " was missing");
  on.state().addresses.push_back(
      {.address = ipv6{{0xfe, 0x80, 9}}, .length = 64, .link = link, .ours = true});
  said("gateway fe80:900:: on " + link + " is wanted by nobody");
  std::erase_if(on.state().routes,
                [&](const found_route& r) { return r.destination == alone(guest); });
  said("route fd99::1/128 to " + link + " was missing");
  std::ranges::find(on.state().routes, alone(guest), &found_route::destination)->link = "vpx";
  said("route fd99::1/128 led to vpx, wanted " + link);
  std::ranges::find(on.state().neighbours, guest, &found_neighbour::address)->mac = {{2}};
  said("neighbour fd99::1 on " + link + " was 02:");
  on.state().neighbours.push_back(
      {.address = ipv6{{0xfd, 7}}, .mac = {{2}}, .link = link, .permanent = true});
  said("neighbour fd07:: on " + link + " is wanted by nobody");
  link_of(on, link).settings.back() = "1";
  said("/disable_ipv6 was 1, wanted 0");
  on.state().node_values.at(5) = "0";
  said("/ipv6/conf/all/forwarding was 0, wanted 1");
}

TEST(pvip_order_ipv6, drift_of_what_is_behind_a_guest_is_said_and_repaired) {
  memory_kernel on;
  const std::vector<port> ports{wide_port_number(1), wide_port_number(2)};
  must_converge(on, ports);
  expect_filtered(on.state().filter, ports);
  EXPECT_EQ(on.state().routes.size(), 12U);
  EXPECT_EQ(on.state().neighbours.size(), 8U);
  const auto route_to = [&](const char* text) -> found_route& {
    return *std::ranges::find_if(
        on.state().routes, [&](const found_route& r) { return to_text(r.destination) == text; });
  };
  const auto said = [&](const std::string& part) {
    const auto report = must_converge(on, ports);
    EXPECT_EQ(report.drift.size(), 1U);
    EXPECT_NE(report.drift.at(0).find(part), std::string::npos) << report.drift.at(0);
    EXPECT_EQ(on.state().routes.size(), 12U);
    EXPECT_EQ(route_to("11.0.1.0/24").via, std::optional<ip_address>(ports[0].address));
  };
  route_to("11.0.1.0/24").via = ipv4{7};
  said("route 11.0.1.0/24 led to vp0000000001");
  route_to("11.0.1.0/24").via.reset();
  route_to("11.0.1.0/24").direct = true;
  said("route 11.0.1.0/24 led to vp0000000001");
  route_to("fd98:1::/64").link = "vpx";
  said("route fd98:1::/64 led to vpx");
  // A guest that leaves takes all of it along.
  ASSERT_TRUE(remove_port(on, ports[0].link, prefix));
  EXPECT_EQ(on.state().routes.size(), 6U);
  port less = ports[1];
  less.routed_prefixes.clear();
  less.more_addresses.clear();
  ASSERT_TRUE(converge(on, {less}, prefix, less.link));
  EXPECT_EQ(on.state().routes.size(), 2U);
  EXPECT_EQ(on.state().neighbours.size(), 2U);
  expect_filtered(on.state().filter, {less});
}

TEST(pvip_order_ipv6, a_link_that_was_down_has_its_gateway_again) {
  memory_kernel on;
  must_converge(on, ports6_up_to(1));
  link_of(on, port_number(0).link).up = false;
  std::erase_if(on.state().addresses, [](const found_address& a) { return a.link != loopback; });
  must_converge(on, ports6_up_to(1));
  EXPECT_EQ(holders(on).size(), 1U);
}

TEST(pvip_order_ipv6, one_port_gains_and_loses_its_address_and_no_other_does) {
  memory_kernel on;
  must_converge(on, {port_number(0), port6_number(1)});
  ASSERT_TRUE(converge(on, {port6_number(0)}, prefix, port_number(0).link));
  EXPECT_EQ(holders(on).size(), 2U);
  EXPECT_EQ(on.state().routes.size(), 4U);
  ASSERT_TRUE(converge(on, {port_number(0)}, prefix, port_number(0).link));
  EXPECT_EQ(holders(on), std::vector{port_number(1).link});
  EXPECT_EQ(on.state().routes.size(), 3U);
  EXPECT_EQ(on.state().neighbours.size(), 3U);
  ASSERT_TRUE(remove_port(on, port_number(1).link, prefix));
  EXPECT_TRUE(holders(on).empty());
  EXPECT_EQ(on.state().routes.size(), 1U);
}

} // namespace
} // namespace orrery::pvip
