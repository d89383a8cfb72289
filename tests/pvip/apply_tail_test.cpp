#include "tests/pvip/apply_fixture.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

/// A node with an uplink on which another node is 192.0.2.12 and 2001:db8:f::12.
class pvip_apply_tail : public pvip_apply {
protected:
  void SetUp() override {
    pvip_apply::SetUp();
    x_lab.ip("link add up0 type veth peer name wire0");
    x_lab.ip("link set wire0 up");
    x_lab.ip("link set up0 up");
    x_lab.ip("addr add 192.0.2.11/24 dev up0");
    x_lab.ip("-6 addr add 2001:db8:f::11/64 dev up0 nodad");
    x_gone = x_here;
    x_gone.tail = next_node{.address = parse_ipv4("192.0.2.12").value(),
                            .address6 = parse_ipv6("2001:db8:f::12").value()};
    x_left = x_gone;
    x_left.announced = false;
  }

  /// All routes of one number, by iproute2's word.
  std::string routes_of(const std::string& number) {
    return x_lab.ip("-o -4 route show proto " + number) +
           x_lab.ip("-o -6 route show proto " + number);
  }

  static std::size_t lines(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count(text, '\n'));
  }

  /// That there are six routes by the other node, of this number alone; and that it rests.
  void expect_tail(const std::string& number, const port& wanted) {
    const std::string routes = routes_of(number);
    EXPECT_EQ(lines(routes), 6U) << routes;
    EXPECT_EQ(lines(routes_of("143") + routes_of("144")), 6U);
    for (const std::string destination : {"10.99.0.11 ", "10.100.0.11 ", "11.0.1.0/24 "}) {
      EXPECT_TRUE(has(routes, destination + "via 192.0.2.12 dev up0")) << routes;
    }
    for (const std::string destination : {"fd99::1 ", "fd99:100::1 ", "fd98:1::/64 "}) {
      EXPECT_TRUE(has(routes, destination + "via 2001:db8:f::12 dev up0")) << routes;
    }
    const auto rest = reconciled({wanted});
    EXPECT_EQ(rest.added + rest.repaired + rest.removed, 0U);
  }

  port x_here = wide_port_number(1);
  port x_gone; // and announced still
  port x_left; // and not announced any more
};

TEST_F(pvip_apply_tail, it_takes_the_place_of_the_routes_and_gives_it_back) {
  ensured(x_here);
  EXPECT_EQ(lines(routes_of("143")), 6U);
  ensured(x_gone);
  expect_tail("143", x_gone);
  ensured(x_left);
  expect_tail("144", x_left);
  ensured(x_here);
  EXPECT_FALSE(has(routes_of("143"), "192.0.2.12"));
  EXPECT_EQ(lines(routes_of("143")), 6U);
  EXPECT_EQ(routes_of("144"), "");
  expect_right({x_here});
}

TEST_F(pvip_apply_tail, a_guest_that_is_awaited_is_routed_and_nobody_is_told) {
  port awaited = x_here;
  awaited.announced = false;
  awaited.awaited = true;
  ensured(awaited);
  EXPECT_EQ(routes_of("143"), "");
  EXPECT_EQ(lines(routes_of("144")), 6U);
  EXPECT_TRUE(has(routes_of("144"), "10.99.0.11 dev " + x_here.link));
  EXPECT_TRUE(x_network->announced().empty());
  ASSERT_TRUE(x_network->announce(x_here.link, true));
  EXPECT_EQ(routes_of("144"), "");
  expect_right({x_here});
}

TEST_F(pvip_apply_tail, drift_of_it_is_repaired_and_it_goes_with_its_port) {
  ensured(port_number(2));
  ensured(x_left);
  x_lab.ip("route del 10.99.0.11");
  x_lab.ip("-6 route del fd99::1");
  x_lab.ip("route replace 11.0.1.0/24 dev up0 proto 144");
  const auto report = reconciled({x_left, port_number(2)});
  EXPECT_EQ(report.drift.size(), 3U);
  const auto rest = reconciled({x_left, port_number(2)});
  EXPECT_EQ(rest.added + rest.repaired + rest.removed, 0U);
  port quiet = x_left;
  quiet.tail.reset();
  ensured(quiet);
  EXPECT_EQ(routes_of("144"), "");
  ensured(x_left);
  EXPECT_EQ(lines(routes_of("144")), 6U);
  ASSERT_TRUE(x_network->remove(x_left.link));
  EXPECT_EQ(routes_of("144"), "");
  EXPECT_TRUE(has(routes_of("143"), "10.99.0.12 "));
}

TEST_F(pvip_apply_tail, a_node_that_is_on_no_link_is_told_and_the_route_to_the_port_stays) {
  x_here = port_number(1);
  ensured(x_here);
  x_gone = x_here;
  x_gone.tail = next_node{.address = parse_ipv4("203.0.113.9").value()};
  const auto done = x_network->ensure(x_gone);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, error_code::io_failed);
  EXPECT_TRUE(has(done.error().text, "10.99.0.11/32")) << done.error().text;
  expect_right({x_here});
}

} // namespace
} // namespace orrery::pvip
