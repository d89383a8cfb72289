#include "pvip/apply/apply.hpp"
#include "tests/pvip/apply_fixture.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

ino_t namespace_of_this_thread() {
  struct stat now {};

  return ::stat("/proc/thread-self/ns/net", &now) == 0 ? now.st_ino : 0;
}

const ino_t namespace_at_start = namespace_of_this_thread();

TEST(pvip_open, a_missing_namespace_is_said) {
  const auto opened = host_network::open("orrery-pvip-no-such", "vp");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, error_code::not_found);
  EXPECT_TRUE(has(opened.error().text, "orrery-pvip-no-such"));
}

TEST(pvip_open, names_that_are_no_file_names_are_refused) {
  for (const std::string name : {"..", ".", "a/b", "../../etc/passwd"}) {
    const auto opened = host_network::open(name, "vp");
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().code, error_code::invalid_argument);
  }
}

TEST(pvip_open, prefixes_of_other_bytes_or_length_are_refused) {
  for (const std::string prefix : {"", "vpvpvpvpv", "Vp", "v1", "v-"}) {
    const auto opened = host_network::open("", prefix);
    ASSERT_FALSE(opened) << prefix;
    EXPECT_EQ(opened.error().code, error_code::invalid_argument);
  }
}

TEST_F(pvip_apply, a_namespace_that_went_is_said_and_one_that_came_again_is_used) {
  ensured(port_number(1));
  x_lab.destroy();
  const auto gone = x_network->ensure(port_number(1));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, error_code::not_found);
  EXPECT_FALSE(x_network->answers_arp(port_number(1), 1s));
  x_lab.make();
  ensured(port_number(1));
  expect_right({port_number(1)});
}

TEST_F(pvip_apply, bad_ports_are_refused_and_nothing_is_made) {
  const std::string before = everything();
  port twin = port_number(2);
  twin.address = port_number(1).address;
  const auto report = x_network->reconcile({port_number(1), twin});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::invalid_argument);
  port other = port_number(1);
  other.link = "eth9";
  EXPECT_FALSE(x_network->ensure(other));
  EXPECT_FALSE(x_network->remove("eth9"));
  EXPECT_EQ(everything(), before);
}

TEST_F(pvip_apply, a_name_taken_by_a_foreign_link_is_refused_and_the_others_are_made) {
  x_lab.ip("link add " + port_number(1).link + " type veth peer name peer0");
  const auto report = x_network->reconcile(ports_up_to(3));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::already_exists);
  EXPECT_TRUE(has(report.error().text, port_number(1).link)) << report.error().text;
  const auto ensured_taken = x_network->ensure(port_number(1));
  ASSERT_FALSE(ensured_taken);
  EXPECT_EQ(ensured_taken.error().code, error_code::already_exists);
  EXPECT_TRUE(has(x_lab.ip("-d link show dev " + port_number(1).link), "veth"));
  ASSERT_TRUE(x_network->remove(port_number(1).link)); // ours does not exist: nothing to do
  EXPECT_TRUE(has(x_lab.ip("-d link show dev " + port_number(1).link), "veth"));
  EXPECT_TRUE(has(x_lab.ip("route"), port_number(2).link));
}

TEST_F(pvip_apply, a_foreign_route_in_the_place_of_ours_is_refused_and_left) {
  x_lab.ip("link add up0 type veth peer name up1");
  x_lab.ip("link set up0 up");
  x_lab.ip("route add " + to_text(port_number(1).address) + " dev up0 proto static");
  const auto done = x_network->ensure(port_number(1));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, error_code::already_exists);
  EXPECT_TRUE(has(x_lab.ip("route"), "dev up0 proto static"));
}

TEST_F(pvip_apply, a_loose_filter_of_all_is_refused) {
  x_lab.set("/proc/sys/net/ipv4/conf/all/rp_filter", "2");
  const auto report = x_network->reconcile({port_number(1)});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::conflict);
  EXPECT_TRUE(has(x_lab.ip("route"), port_number(1).link)); // what could be done is done
}

TEST_F(pvip_apply, a_port_is_made_as_the_recipe_says) {
  const port wanted = port_number(1);
  ensured(wanted);
  const std::string link = x_lab.ip("-d -o link show dev " + wanted.link);
  for (const std::string part :
       {"link/ether 0e:00:00:00:00:01", "addrgenmode none", "tun type tap", "pi off", "vnet_hdr on",
        "persist on", "user 64999", ",UP", "alias orrery gateway 10.99.0.1"}) {
    EXPECT_TRUE(has(link, part)) << part << " not in " << link;
  }
  for (const link_setting& setting : link_settings) {
    if (setting.use != setting_use::with_ipv6) {
      EXPECT_EQ(x_lab.setting(path_of(setting, wanted.link)), setting.value) << setting.name;
    }
  }
  for (const node_setting& setting : node_settings) {
    if (setting.use != setting_use::with_ipv6) {
      EXPECT_EQ(x_lab.setting(std::string(setting.path)), setting.value) << setting.path;
    }
  }
  EXPECT_TRUE(has(x_lab.ip("-o -4 addr show dev lo"), "inet 10.99.0.1/32 "));
  // The node itself reaches the guest, and as the gateway, to which the guest knows the way.
  EXPECT_TRUE(
      has(x_lab.ip("route get " + to_text(wanted.address)), wanted.link + " src 10.99.0.1"));
  EXPECT_FALSE(has(x_lab.ip("-o addr show dev " + wanted.link), "fe80"));
  expect_right({wanted});
}

TEST_F(pvip_apply, making_and_removing_again_changes_nothing) {
  ensured(port_number(1));
  const std::string once = everything();
  ensured(port_number(1));
  EXPECT_EQ(everything(), once);
  ASSERT_TRUE(x_network->remove(port_number(1).link));
  const std::string gone = everything();
  ASSERT_TRUE(x_network->remove(port_number(1).link));
  EXPECT_EQ(everything(), gone);
  EXPECT_FALSE(has(gone, "vp"));
  EXPECT_FALSE(has(gone, "10.99.0."));
}

TEST_F(pvip_apply, the_callers_stay_in_their_namespace) {
  ensured(port_number(1));

  EXPECT_NE(namespace_at_start, 0U);
  EXPECT_EQ(namespace_of_this_thread(), namespace_at_start);
}

TEST_F(pvip_apply, each_drift_is_repaired_and_said) {
  const std::vector<port> ports = ports_up_to(3);
  const std::string link = port_number(1).link;
  const std::string address = to_text(port_number(1).address);
  reconciled(ports);
  expect_right(ports);
  const std::string index = index_of(link);

  x_lab.ip("link set dev " + link + " address fe:01:02:03:04:05");
  expect_repaired(ports, "fe:01:02:03:04:05");
  x_lab.ip("link set dev " + link + " down");
  expect_repaired(ports, link + " was down");
  x_lab.ip("route del " + address);
  expect_repaired(ports, "route " + address + "/32");
  x_lab.ip("route replace " + address + " dev " + port_number(2).link + " proto 143");
  expect_repaired(ports, "led to " + port_number(2).link);
  x_lab.ip("neigh replace " + address + " lladdr 02:02:02:02:02:02 dev " + link + " nud permanent");
  expect_repaired(ports, "02:02:02:02:02:02");
  x_lab.ip("neigh change " + address + " lladdr " + to_text(port_number(1).mac) + " dev " + link +
           " nud stale");
  expect_repaired(ports, "not permanent");
  x_lab.ip("neigh del " + address + " dev " + link);
  expect_repaired(ports, "neighbour " + address);
  x_lab.ip("link set dev " + link + " alias somebody");
  expect_repaired(ports, "mark");
  x_lab.ip("link set dev " + link + " addrgenmode eui64");
  expect_repaired(ports, "IPv6");
  x_lab.ip("addr del 10.99.0.1/32 dev lo");
  expect_repaired(ports, "gateway 10.99.0.1");
  x_lab.set("/proc/sys/net/ipv4/conf/" + link + "/rp_filter", "0");
  expect_repaired(ports, "rp_filter");
  x_lab.set("/proc/sys/net/ipv4/neigh/" + link + "/proxy_delay", "80");
  expect_repaired(ports, "proxy_delay");
  x_lab.set("/proc/sys/net/ipv4/ip_forward", "0");
  expect_repaired(ports, "ip_forward");
  EXPECT_EQ(index_of(link), index) << "a repair made the tap anew";

  std::vector<port> others = ports;
  others[1].tap_owner_uid = 1;
  const auto report = reconciled(others);
  EXPECT_EQ(report.repaired, 1U);
  EXPECT_TRUE(has(x_lab.ip("-d -o link show dev " + link), "user "));
  expect_right(others);

  x_lab.ip("link del dev " + link);
  expect_repaired(ports, link + " was missing");
}

TEST_F(pvip_apply, a_gateway_goes_with_the_last_port_that_has_it) {
  port other = port_number(3);
  other.gateway = {0x0a640001U};
  reconciled({port_number(1), port_number(2), other});
  const auto gateways = [this] { return x_lab.ip("-o -4 addr show dev lo"); };
  ASSERT_TRUE(x_network->remove(port_number(1).link));
  EXPECT_TRUE(has(gateways(), "10.99.0.1/32"));
  expect_right({port_number(2), other});
  ASSERT_TRUE(x_network->remove(port_number(2).link));
  EXPECT_FALSE(has(gateways(), "10.99.0.1/32"));
  EXPECT_TRUE(has(gateways(), "10.100.0.1/32"));
  expect_right({other});
}

TEST_F(pvip_apply, a_look_again_repairs_what_is_wanted_by_then) {
  const auto looked = [this] {
    auto report = x_network->recheck();
    EXPECT_TRUE(report) << report.error().text;
    return report ? *std::move(report) : apply_report{};
  };
  EXPECT_TRUE(looked().drift.empty()) << "nobody has said what is wanted";
  reconciled(ports_up_to(2));
  ensured(port_number(3));
  ASSERT_TRUE(x_network->remove(port_number(0).link));
  EXPECT_TRUE(looked().drift.empty());
  x_lab.nft("delete table netdev orrery_vp");
  x_lab.ip("route delete " + to_text(port_number(3).address) + "/32");
  const auto report = looked();
  ASSERT_EQ(report.drift.size(), 2U);
  EXPECT_TRUE(has(report.drift[0] + report.drift[1], "filter of what guests send was missing"));
  EXPECT_TRUE(has(report.drift[0] + report.drift[1], to_text(port_number(3).address)));
  expect_right({port_number(1), port_number(3)});
  x_lab.destroy();
  EXPECT_FALSE(x_network->recheck());
  x_lab.make();
  EXPECT_GT(looked().added, 0U);
  expect_right({port_number(1), port_number(3)});
}

TEST_F(pvip_apply, what_nobody_wants_is_removed_and_said) {
  reconciled(ports_up_to(4));
  x_lab.ip("route add 10.1.2.0/24 dev " + port_number(1).link + " proto 143 metric 7");
  x_lab.ip("route add blackhole 10.1.3.0/24 proto 143");
  x_lab.ip("neigh add 10.1.2.3 lladdr 02:00:00:00:00:07 dev " + port_number(1).link +
           " nud permanent");
  const auto report = reconciled({port_number(1)});
  // Three links with a route and a neighbour each, and the three above.
  EXPECT_EQ(report.removed, 3U * 3U + 3U);
  EXPECT_EQ(report.drift.size(), report.removed);
  EXPECT_FALSE(has(everything(), port_number(2).link));
  EXPECT_FALSE(has(everything(), "10.1."));
  expect_right({port_number(1)});
}

TEST_F(pvip_apply, what_is_not_ours_is_never_touched) {
  x_lab.ip("link add vpn0 type veth peer name vpn1");
  x_lab.ip("link set vpn0 up");
  x_lab.ip("link set vpn1 up");
  x_lab.ip("addr add 192.0.2.11/24 dev vpn0");
  x_lab.ip("addr add 10.99.0.2/32 dev lo");
  x_lab.ip("tuntap add dev vptap mode tap"); // our prefix, a tap even, but not our mark
  x_lab.ip("link set vptap up");
  x_lab.ip("neigh add 10.99.0.77 lladdr 02:00:00:00:00:08 dev vptap nud permanent");
  x_lab.ip("tuntap add dev tap7 mode tap");
  x_lab.ip("link set dev tap7 alias orrery"); // our word, but not our prefix
  x_lab.ip("route add 10.99.0.0/16 via 192.0.2.1");
  x_lab.ip("route add 10.99.0.99/32 dev vpn0 proto bird metric 32");
  x_lab.ip("route add " + to_text(port_number(1).address) + " dev vpn0 proto bird metric 32");
  x_lab.ip("route add 10.99.0.98/32 dev vpn0 table 100 proto 143"); // another table is not ours
  x_lab.ip("neigh add 192.0.2.1 lladdr 02:00:00:00:00:09 dev vpn0 nud permanent");
  x_lab.ip("neigh add proxy 10.99.0.11 dev vpn0");
  const std::string before = everything();
  reconciled(ports_up_to(3));
  ASSERT_TRUE(x_network->remove(port_number(1).link));
  const auto report = reconciled({});
  EXPECT_TRUE(std::ranges::none_of(report.drift, [](const auto& s) { return has(s, "vpn0"); }));
  EXPECT_EQ(everything(), before);
  EXPECT_TRUE(has(x_lab.ip("neigh show proxy"), "10.99.0.11"));
}

TEST_F(pvip_apply, a_gateway_that_somebody_else_put_on_lo_stays) {
  x_lab.ip("addr add 10.99.0.1/32 dev lo");
  reconciled(ports_up_to(1));
  reconciled({});
  EXPECT_TRUE(has(x_lab.ip("-o -4 addr show dev lo"), "10.99.0.1/32"));
}

TEST_F(pvip_apply, a_new_process_finds_what_the_old_one_made) {
  reconciled(ports_up_to(5));
  const std::string before = everything();
  auto opened = host_network::open(x_lab.name(), "vp", ORRERY_NFT);
  ASSERT_TRUE(opened) << opened.error().text;
  x_network = *std::move(opened);
  expect_right(ports_up_to(5));
  EXPECT_EQ(everything(), before);
}

TEST_F(pvip_apply, two_hundred_ports) {
  constexpr std::uint16_t count = 200;
  const std::string before = everything();
  const auto ports = ports_up_to(count);
  const auto timed = [](const char* what, auto task) {
    const auto begin = std::chrono::steady_clock::now();
    task();
    const auto took = std::chrono::steady_clock::now() - begin;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
    std::cout << "[ measured ] 200 ports " << what << ": " << ms << " ms\n";
    testing::Test::RecordProperty(what, static_cast<int>(ms));
  };
  timed("made", [&] {
    const auto report = reconciled(ports);
    EXPECT_EQ(report.added, 3U * count + 2U); // and a gateway, and the filter that all share
  });
  timed("found right", [&] { reconciled(ports); });
  expect_right(ports);
  timed("with_every_route_and_neighbour_gone", [&] {
    x_lab.ip("route flush proto 143");
    x_lab.ip("neigh flush nud permanent");
    const auto report = reconciled(ports);
    EXPECT_EQ(report.added, 2U * count);
    EXPECT_EQ(report.drift.size(), 2U * count);
  });
  timed("one more by ensure", [&] { ensured(port_number(count)); });
  timed("one less by remove", [&] { ASSERT_TRUE(x_network->remove(port_number(count).link)); });
  timed("removed", [&] {
    const auto report = reconciled({});
    EXPECT_EQ(report.removed, 3U * count + 2U);
  });
  EXPECT_EQ(everything(), before);
}

} // namespace
} // namespace orrery::pvip
