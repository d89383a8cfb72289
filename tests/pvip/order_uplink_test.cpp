#include "tests/pvip/order_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

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
  said("answer for 10.99.0.10 on up0 was not given at once");
  on.state().proxies.push_back({.address = ipv4{7}, .link = uplink, .ours = true, .prompt = true});
  said("answer for 0.0.0.7 on up0 is wanted by nobody");
}

TEST(pvip_order, a_foreign_answer_in_the_place_of_ours_is_refused_and_left) {
  memory_kernel on;
  const std::vector<port> ports = told_by_arp(ports_up_to(1));
  on.state().proxies.push_back({.address = ports[0].address, .link = uplink});
  on.state().proxies.push_back({.address = ipv4{7}, .link = "eth7"});
  const auto report = converge(on, ports, prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::already_exists);
  EXPECT_NE(report.error().text.find("10.99.0.10 on up0"), std::string::npos);
  must_converge(on, {});
  EXPECT_EQ(on.state().proxies.size(), 2U);
}

} // namespace
} // namespace orrery::pvip
