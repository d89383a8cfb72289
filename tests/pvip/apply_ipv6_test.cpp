#include "pvip/apply/apply.hpp"
#include "tests/pvip/apply_fixture.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

class pvip_apply_ipv6 : public pvip_apply {
protected:
  /// As `expect_right`, and by iproute2's word what IPv6 needs.
  void expect_right6(const std::vector<port>& ports) {
    const std::string routes = x_lab.ip("-o -6 route show proto 143");
    const std::string neighbours = x_lab.ip("-o -6 neigh show nud permanent");
    const std::string addresses = x_lab.ip("-o -6 addr");
    for (const port& each : ports) {
      const std::string guest = to_text(*each.address6) + " dev " + each.link;
      EXPECT_TRUE(has(routes, guest + " metric 1 ")) << routes;
      EXPECT_TRUE(has(neighbours, guest + " lladdr " + to_text(each.mac))) << neighbours;
      EXPECT_TRUE(has(addresses, each.link + "    inet6 fe80::1/64 scope link nodad "))
          << addresses;
    }
    expect_right(ports);
  }

  void expect_repaired6(const std::vector<port>& ports, const std::string& part) {
    expect_repaired(ports, part);
    expect_right6(ports);
  }
};

TEST_F(pvip_apply_ipv6, a_foreign_route_in_the_place_of_ours_is_refused_and_left) {
  x_lab.ip("link add up0 type veth peer name up1");
  x_lab.ip("link set up0 up");
  x_lab.ip("-6 route add fd99::1/128 dev up0 proto static metric 1");
  const auto done = x_network->ensure(port6_number(1));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, error_code::already_exists);
  EXPECT_TRUE(has(x_lab.ip("-6 route show fd99::1"), "dev up0 proto static"));
}

TEST_F(pvip_apply_ipv6, a_port_is_made_as_the_recipe_says) {
  const port wanted = port6_number(1);
  // As on a node that is hardened by switching IPv6 off.
  x_lab.set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  ensured(wanted);
  for (const link_setting& setting : link_settings) {
    EXPECT_EQ(x_lab.setting(path_of(setting, wanted.link)), setting.value) << setting.name;
  }
  for (const node_setting& setting : node_settings) {
    EXPECT_EQ(x_lab.setting(std::string(setting.path)), setting.value) << setting.path;
  }
  expect_right6({wanted});
  // Behind what a routing daemon learned, ours would be of no use.
  x_lab.ip("-6 route add unreachable fd99::1/128 metric 32");
  EXPECT_TRUE(has(x_lab.ip("-6 route get fd99::1"), "dev " + wanted.link));
  expect_right6({wanted});
}

TEST_F(pvip_apply_ipv6, a_node_whose_guests_have_none_does_not_forward_it) {
  ensured(port_number(1));
  EXPECT_EQ(x_lab.setting(std::string(ipv6_forwarding_path)), "0");
  EXPECT_FALSE(has(x_lab.ip("-o -6 addr"), port_number(1).link));
}

TEST_F(pvip_apply_ipv6, what_a_node_learned_from_a_router_survives_that_it_forwards) {
  x_lab.ip("link add up0 type veth peer name up1");
  x_lab.ip("link add up2 type veth peer name up3");
  for (const std::string link : {"up0", "up1", "up2", "up3"}) {
    x_lab.ip("link set " + link + " up");
  }
  x_lab.set("/proc/sys/net/ipv6/conf/up2/accept_ra", "0");
  // As the kernel makes it of an advertisement.
  x_lab.ip("-6 route add default via fe80::99 dev up0 proto ra metric 1024");
  ensured(port6_number(1));
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv6/conf/up0/accept_ra"), "2");
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv6/conf/up0/forwarding"), "1");
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv6/conf/up2/accept_ra"), "0");
  EXPECT_TRUE(has(x_lab.ip("-6 route show default"), "via fe80::99 dev up0"));
  // Whom an operator makes deaf then stays so.
  x_lab.set("/proc/sys/net/ipv6/conf/up0/accept_ra", "1");
  expect_right6({port6_number(1)});
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv6/conf/up0/accept_ra"), "1");
}

TEST_F(pvip_apply_ipv6, each_drift_is_repaired_and_said) {
  const std::vector<port> ports = ports6_up_to(3);
  const std::string link = port_number(1).link;
  reconciled(ports);
  expect_right6(ports);
  x_lab.ip("-6 route del fd99::1");
  expect_repaired6(ports, "route fd99::1/128");
  x_lab.ip("-6 route replace fd99::1 dev " + port_number(2).link + " proto 143 metric 1");
  expect_repaired6(ports, "led to " + port_number(2).link);
  x_lab.ip("-6 route replace fd99::1 via fe80::2 dev " + link + " proto 143 metric 1");
  expect_repaired6(ports, "route fd99::1/128 led to");
  x_lab.ip("-6 route add blackhole fd99:1::/64 proto 143");
  expect_repaired6(ports, "route fd99:1::/64");
  x_lab.ip("-6 neigh replace fd99::1 lladdr 02:02:02:02:02:02 dev " + link + " nud permanent");
  expect_repaired6(ports, "02:02:02:02:02:02");
  x_lab.ip("-6 neigh del fd99::1 dev " + link);
  expect_repaired6(ports, "neighbour fd99::1");
  x_lab.ip("-6 neigh add fd99::77 lladdr 02:02:02:02:02:02 dev " + link + " nud permanent");
  expect_repaired6(ports, "neighbour fd99::77");
  x_lab.ip("-6 addr del fe80::1/64 dev " + link);
  expect_repaired6(ports, "gateway fe80::1 on " + link);
  x_lab.ip("link set dev " + link + " down");
  expect_repaired6(ports, link + " was down");
  x_lab.set("/proc/sys/net/ipv6/conf/" + link + "/disable_ipv6", "1");
  expect_repaired6(ports, "disable_ipv6");
  x_lab.set("/proc/sys/net/ipv6/conf/all/forwarding", "0");
  expect_repaired6(ports, "/ipv6/conf/all/forwarding");
  x_lab.set("/proc/sys/net/ipv6/conf/" + link + "/forwarding", "0");
  expect_repaired6(ports, link + "/forwarding");
}

TEST_F(pvip_apply_ipv6, what_is_behind_a_guest_is_made_kept_and_repaired) {
  const std::vector<port> ports{wide_port_number(1), wide_port_number(2)};
  const std::string link = port_number(1).link;
  reconciled(ports);
  expect_right6(ports);
  EXPECT_TRUE(has(x_lab.ip("route"), "11.0.1.0/24 via 10.99.0.11 dev " + link + " proto 143"));
  EXPECT_TRUE(has(x_lab.ip("route"), "10.100.0.11 dev " + link + " proto 143"));
  EXPECT_TRUE(has(x_lab.ip("-6 route"), "fd98:1::/64 via fd99::1 dev " + link + " proto 143"));
  x_lab.ip("route replace 11.0.1.0/24 dev " + link + " proto 143");
  expect_repaired6(ports, "route 11.0.1.0/24 led to");
  x_lab.ip("-6 route del fd98:1::/64");
  expect_repaired6(ports, "route fd98:1::/64");
  x_lab.nft("delete element netdev orrery_vp prefix { " + link + " . 11.0.1.0/24 }");
  expect_repaired6(ports, "did not let its guest send from 11.0.1.0/24");
  x_lab.nft("add element netdev orrery_vp prefix6 { " + link + " . fd97::/64 }");
  expect_repaired6(ports, "let its guest send from fd97::/64");
  ensured(port_number(1));
  EXPECT_FALSE(has(x_lab.ip("route"), "11.0.1.0/24"));
  EXPECT_FALSE(has(x_lab.nft("list table netdev orrery_vp"), "fd98:1::/64"));
  expect_right({port_number(1), wide_port_number(2)});
}

TEST_F(pvip_apply_ipv6, what_is_not_ours_is_never_touched) {
  x_lab.ip("link add vpn0 type veth peer name vpn1");
  x_lab.ip("link set vpn0 up");
  x_lab.ip("-6 addr add fe80::1/64 dev vpn0 nodad");
  x_lab.ip("-6 addr add fd99::2/128 dev lo");
  x_lab.ip("-6 neigh add fd99::9 lladdr 02:00:00:00:00:09 dev vpn0 nud permanent");
  x_lab.ip("-6 route add fd99::1 dev vpn0 proto bird metric 32");
  x_lab.ip("-6 route add fd99::5 dev vpn0 table 100 proto 143 metric 1");
  const auto all = [this] {
    return x_lab.ip("-o -6 route show table all proto bird") +
           x_lab.ip("-o -6 route show table 100") + x_lab.ip("-o -6 neigh show nud permanent") +
           x_lab.ip("-o -6 addr show dev lo") + x_lab.ip("-o -6 addr show dev vpn0 permanent");
  };
  const std::string before = all();
  reconciled(ports6_up_to(3));
  ASSERT_TRUE(x_network->remove(port_number(1).link));
  reconciled({});
  EXPECT_EQ(all(), before);
}

TEST_F(pvip_apply_ipv6, a_port_that_loses_its_address_loses_all_of_it) {
  reconciled(ports6_up_to(2));
  ensured(port_number(1));
  const std::string link = port_number(1).link;
  EXPECT_FALSE(has(x_lab.ip("-o -6 addr"), link));
  EXPECT_FALSE(has(x_lab.ip("-o -6 route show proto 143"), link));
  EXPECT_FALSE(has(x_lab.ip("-o -6 neigh show nud permanent"), link));
  expect_right({port6_number(0), port_number(1)});
}

} // namespace
} // namespace orrery::pvip
