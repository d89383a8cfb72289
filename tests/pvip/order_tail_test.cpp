#include "tests/pvip/order_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

namespace orrery::pvip {
namespace {

const next_node other_node{.address = {0xc000020cU}}; // 192.0.2.12

port with_tail(port of, bool announced = true) {
  of.tail = other_node;
  of.tail->address6 = ipv6{{0x20, 0x01, 0x0d, 0xb8, 1}};
  of.announced = announced;
  return of;
}

port awaited(port of) {
  of.announced = false;
  of.awaited = true;
  return of;
}

const found_route& route_to(memory_kernel& on, const ip_prefix& destination) {
  return *std::ranges::find(on.state().routes, destination, &found_route::destination);
}

/// That one port is made so, without more routes than there were, and then rests.
void must_be(memory_kernel& on, const port& wanted) {
  const auto done = converge(on, {wanted}, prefix, wanted.link, former_tail::perhaps);
  ASSERT_TRUE(done) << done.error().text;
  const auto rest = converge(on, {wanted}, prefix, wanted.link);
  ASSERT_TRUE(rest) << rest.error().text;
  EXPECT_EQ(rest->added + rest->repaired + rest->removed, 0U);
}

std::vector<operation> steps_to(memory_kernel& on, const port& wanted, const reading& part) {
  const auto found = on.read(part);
  std::vector<operation> all;
  for (const step& each : compare(plan_of({wanted}), *found, prefix, apply_scope::one_port).steps) {
    all.push_back(each.what);
  }
  return all;
}

TEST(pvip_tail, it_takes_the_place_of_the_route_in_one_step_and_gives_it_back_in_one) {
  memory_kernel on;
  const port here = wide_port_number(1);
  must_converge(on, {here, wide_port_number(2)});
  const auto leave = steps_to(on, with_tail(here), {.only_link = here.link, .with_tails = true});
  EXPECT_EQ(leave.size(), 6U); // each address, and each network behind
  EXPECT_TRUE(std::ranges::all_of(
      leave, [](const operation& o) { return std::holds_alternative<replace_route>(o); }));
  must_be(on, with_tail(here));
  EXPECT_EQ(on.state().routes.size(), 12U);
  const auto back = steps_to(on, here, {.only_link = here.link, .with_tails = true});
  EXPECT_EQ(back.size(), 6U);
  EXPECT_TRUE(std::ranges::all_of(
      back, [](const operation& o) { return std::holds_alternative<replace_route>(o); }));
}

TEST(pvip_tail, others_are_told_of_it_until_they_are_told_no_more) {
  memory_kernel on;
  must_be(on, with_tail(port_number(1)));
  const ip_prefix guest = alone(port_number(1).address);
  EXPECT_EQ(route_to(on, guest).via, std::optional<ip_address>(other_node.address));
  EXPECT_EQ(route_to(on, guest).protocol, route_protocol);
  must_be(on, with_tail(port_number(1), false));
  EXPECT_EQ(route_to(on, guest).protocol, untold_route_protocol);
  EXPECT_EQ(on.state().routes.size(), 1U);
}

TEST(pvip_tail, a_guest_that_is_awaited_is_routed_and_nobody_is_told) {
  memory_kernel on;
  const port wanted = told_by_arp({wide_port_number(1)}).front();
  must_be(on, awaited(wanted));
  EXPECT_EQ(on.state().routes.size(), 6U);
  for (const found_route& route : on.state().routes) {
    EXPECT_EQ(route.protocol, untold_route_protocol);
    EXPECT_EQ(route.link, wanted.link);
  }
  expect_answered(on.state(), {});
  must_be(on, wanted);
  EXPECT_EQ(on.state().routes.size(), 6U);
  for (const found_route& route : on.state().routes) {
    EXPECT_EQ(route.protocol, route_protocol);
  }
  EXPECT_EQ(on.state().proxies.size(), addresses_of(wanted).size()) << "of both families";
}

TEST(pvip_tail, arp_is_answered_by_one_node_alone_and_the_tail_stands_before_it_is_not) {
  memory_kernel on;
  const port here = told_by_arp({port_number(1)}).front();
  must_be(on, here);
  const auto steps = steps_to(on, with_tail(here), {.only_link = here.link, .with_tails = true});
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<replace_route>(steps[0]));
  EXPECT_TRUE(std::holds_alternative<remove_proxy>(steps[1]));
  must_be(on, with_tail(here));
  expect_answered(on.state(), {});
}

TEST(pvip_tail, one_that_is_no_longer_wanted_goes_and_those_of_others_stay) {
  memory_kernel on;
  must_be(on, with_tail(wide_port_number(1)));
  must_be(on, with_tail(wide_port_number(2)));
  port quiet = wide_port_number(1);
  quiet.announced = false;
  must_be(on, quiet);
  EXPECT_EQ(on.state().routes.size(), 6U);
  EXPECT_EQ(route_to(on, alone(port_number(2).address)).link, "");
}

TEST(pvip_tail, it_goes_with_its_port_and_those_of_others_stay) {
  memory_kernel on;
  must_be(on, with_tail(wide_port_number(1)));
  must_be(on, with_tail(wide_port_number(2), false));
  ASSERT_TRUE(remove_port(on, wide_port_number(2).link, prefix));
  EXPECT_EQ(on.state().routes.size(), 6U);
  ASSERT_TRUE(remove_port(on, wide_port_number(1).link, prefix));
  EXPECT_TRUE(on.state().routes.empty());
}

TEST(pvip_tail, a_port_that_went_leaves_the_route_of_another_that_has_its_address) {
  memory_kernel on;
  must_be(on, with_tail(port_number(1)));
  port again = port_number(1);
  again.link = port_number(9).link;
  const auto done = converge(on, {again}, prefix, again.link);
  ASSERT_TRUE(done) << done.error().text;
  ASSERT_TRUE(remove_port(on, port_number(1).link, prefix));
  ASSERT_EQ(on.state().routes.size(), 1U);
  EXPECT_EQ(on.state().routes.front().link, again.link);
}

TEST(pvip_tail, drift_of_it_is_said_and_repaired) {
  memory_kernel on;
  const std::vector<port> ports{with_tail(port_number(1)), port_number(2)};
  must_converge(on, ports);
  const auto said = [&](const std::string& sentence) {
    const auto report = must_converge(on, ports);
    EXPECT_EQ(report.drift, std::vector<std::string>{sentence});
    EXPECT_EQ(on.state().routes.size(), 2U);
  };
  on.state().routes.front().via = ipv4{7};
  said("route 10.99.0.11/32 led to 0.0.0.7, wanted 192.0.2.12");
  on.state().routes.back().protocol = untold_route_protocol;
  said("route 10.99.0.11/32 led to 192.0.2.12 untold, wanted 192.0.2.12");
  std::erase_if(on.state().routes, [](const found_route& r) { return r.via.has_value(); });
  said("route 10.99.0.11/32 to 192.0.2.12 was missing");
  on.state().routes.push_back({.destination = alone(ipv4{9}),
                               .protocol = untold_route_protocol,
                               .link = "up0",
                               .direct = false,
                               .via = ipv4{7}});
  said("route 0.0.0.9/32 to up0 is wanted by nobody");
}

} // namespace
} // namespace orrery::pvip
