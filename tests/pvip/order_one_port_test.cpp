#include "tests/pvip/order_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

TEST(pvip_order, one_port_is_made_without_touching_others) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  link_of(on, port_number(1).link).up = false;
  const auto report = converge(on, {port_number(5)}, prefix, port_number(5).link);
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(on.state().links.size(), 4U);
  EXPECT_FALSE(link_of(on, port_number(1).link).up);
}

/// Counts the routes and links that were read.
class counting final : public other_kernel {
public:
  result<found_state> read(const reading& wanted) override {
    auto found = on.read(wanted);
    routes_read += found ? found->routes.size() : 0;
    links_read += found ? found->links.size() : 0;
    return found;
  }

  std::size_t routes_read = 0;
  std::size_t links_read = 0;
};

TEST(pvip_order, one_port_among_many_reads_no_routes_but_its_own) {
  counting on;
  ASSERT_TRUE(converge(on, ports_up_to(50), prefix, std::nullopt));
  on.routes_read = 0;
  ASSERT_TRUE(converge(on, {port_number(77)}, prefix, port_number(77).link));
  EXPECT_EQ(on.routes_read, 1U); // after it was made
}

TEST(pvip_order, one_port_goes_without_a_look_at_others_and_their_gateway_stays) {
  counting on;
  const std::vector<port> ports{wide_port_number(1), wide_port_number(2)};
  ASSERT_TRUE(converge(on, ports, prefix, std::nullopt));
  on.routes_read = 0;
  on.links_read = 0;
  ASSERT_TRUE(remove_port(on, ports[0].link, prefix, apply_scope::one_port));
  EXPECT_EQ(on.links_read, 1U);
  EXPECT_EQ(on.routes_read, 6U); // its own
  const auto rest = converge(on, {ports[1]}, prefix, std::nullopt);
  ASSERT_TRUE(rest) << rest.error().text;
  EXPECT_EQ(rest->added + rest->repaired + rest->removed, 0U);
  ASSERT_TRUE(remove_port(on, ports[0].link, prefix, apply_scope::one_port)); // again
  ASSERT_TRUE(remove_port(on, ports[1].link, prefix, apply_scope::one_port));
  ASSERT_EQ(on.on.state().addresses.size(), 1U);
  EXPECT_EQ(on.on.state().addresses.front().address, ip_address(ports[1].gateway));
  EXPECT_TRUE(on.on.state().routes.empty());
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
  EXPECT_EQ(std::ranges::find(routes, alone(moved.address), &found_route::destination)->link,
            moved.link);
}

TEST(pvip_order, one_port_is_told_of_a_foreign_route_in_its_place) {
  memory_kernel on;
  on.state().routes.push_back(
      {.destination = alone(port_number(1).address), .protocol = 4, .link = "eth0"});
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

} // namespace
} // namespace orrery::pvip
