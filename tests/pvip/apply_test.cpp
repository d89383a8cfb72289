#include "pvip/apply/apply.hpp"
#include "pvip/apply/arp.hpp"
#include "pvip/apply/arp_probe.hpp"
#include "pvip/apply/host_network.hpp"
#include "tests/pvip/dhcp_questions.hpp"
#include "tests/pvip/net_lab.hpp"
#include "tests/pvip/ports.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <future>
#include <iostream>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

/// Generous: only a failure waits for so long.
constexpr auto long_patience = 30s;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ino_t namespace_of_this_thread() {
  struct stat now {};

  return ::stat("/proc/thread-self/ns/net", &now) == 0 ? now.st_ino : 0;
}

const ino_t namespace_at_start = namespace_of_this_thread();

class pvip_apply : public testing::Test {
protected:
  void SetUp() override {
    auto opened = host_network::open(x_lab.name(), "vp", ORRERY_NFT);
    ASSERT_TRUE(opened) << opened.error().text;
    x_network = *std::move(opened);
  }

  apply_report reconciled(std::vector<port> ports) {
    auto report = x_network->reconcile(std::move(ports));
    EXPECT_TRUE(report) << report.error().text;
    return report ? *std::move(report) : apply_report{};
  }

  void ensured(const port& wanted) {
    const auto done = x_network->ensure(wanted);
    EXPECT_TRUE(done) << done.error().text;
  }

  /// That what is there is what `ports` want, by iproute2's word, and that we find nothing to do.
  void expect_right(const std::vector<port>& ports) {
    const std::string links = x_lab.ip("-d -o link");
    const std::string routes = x_lab.ip("-o -4 route show proto 143");
    const std::string neighbours = x_lab.ip("-o -4 neigh show nud permanent");
    for (const port& each : ports) {
      EXPECT_TRUE(has(links, each.link)) << each.link;
      EXPECT_TRUE(has(routes, to_text(each.address) + " dev " + each.link + " ")) << routes;
      EXPECT_TRUE(has(neighbours,
                      to_text(each.address) + " dev " + each.link + " lladdr " + to_text(each.mac)))
          << neighbours;
    }
    const auto rest = reconciled(ports);
    EXPECT_EQ(rest.added + rest.repaired + rest.removed, 0U);
    EXPECT_TRUE(rest.drift.empty()) << rest.drift.front();
  }

  /// One repair: the report names `part`, and all is right afterwards.
  void expect_repaired(const std::vector<port>& ports, const std::string& part) {
    const auto report = reconciled(ports);
    EXPECT_GT(report.added + report.repaired + report.removed, 0U);
    EXPECT_TRUE(std::ranges::any_of(report.drift, [&](const auto& s) { return has(s, part); }))
        << part << " not in: " << (report.drift.empty() ? "nothing" : report.drift.front());
    expect_right(ports);
  }

  std::string index_of(const std::string& link) {
    const std::string line = x_lab.ip("-o link show dev " + link);
    return line.substr(0, line.find(':'));
  }

  std::string everything() {
    // Without times, which change: links, addresses, routes and neighbours.
    return x_lab.ip("-o link") + x_lab.ip("-o -4 addr") + x_lab.ip("-o -4 route show table all") +
           x_lab.ip("-o -4 neigh");
  }

  net_lab x_lab;
  std::unique_ptr<host_network> x_network;
};

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
    EXPECT_EQ(x_lab.setting(path_of(setting, wanted.link)), setting.value) << setting.name;
  }
  for (const node_setting& setting : node_settings) {
    EXPECT_EQ(x_lab.setting(std::string(setting.path)), setting.value) << setting.path;
  }
  EXPECT_TRUE(has(x_lab.ip("-o -4 addr show dev lo"), "inet 10.99.0.1/32 "));
  // The node itself reaches the guest, and as the gateway, to which the guest knows the way.
  EXPECT_TRUE(
      has(x_lab.ip("route get " + to_text(wanted.address)), wanted.link + " src 10.99.0.1"));
  EXPECT_FALSE(has(x_lab.ip("-o addr show dev " + wanted.link), "fe80"));
  expect_right({wanted});
}

/// Gratuitous ARP that left the uplink until so many frames came.
std::vector<arp_frame> heard_at(const file_descriptor& wire, std::size_t count) {
  std::vector<arp_frame> frames;
  while (frames.size() < count) {
    pollfd ready{.fd = wire.number(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(long_patience).count())) !=
        1) {
      ADD_FAILURE() << "only " << frames.size() << " frames came";
      break;
    }
    std::array<std::byte, 256> bytes{};
    const auto size = ::recv(wire.number(), bytes.data(), bytes.size(), 0);
    if (const auto frame = read_arp(std::span<const std::byte>(bytes).first(
            static_cast<std::size_t>(std::max(size, 0L))))) {
      frames.push_back(*frame);
    }
  }
  return frames;
}

/// How many frames have come; they are taken.
int taken_from(const file_descriptor& wire) {
  int count = 0;
  std::array<std::byte, 256> bytes{};
  while (::recv(wire.number(), bytes.data(), bytes.size(), MSG_DONTWAIT) >= 0) {
    ++count;
  }
  return count;
}

class pvip_static_arp : public pvip_apply {
protected:
  void SetUp() override {
    pvip_apply::SetUp();
    x_lab.ip("link add up0 type veth peer name wire0");
    x_lab.ip("link set up0 up address 0a:00:00:00:00:99");
    x_lab.ip("link set wire0 up");
    x_told.arp_uplink = "up0";
  }

  [[nodiscard]] std::string answered_for() { return x_lab.ip("neigh show proxy"); }

  port x_told = port_number(1);
};

TEST_F(pvip_static_arp, a_guest_is_answered_for_by_an_entry_of_its_own_and_everybody_is_told) {
  auto wire = x_lab.inside().run([] { return open_arp_socket("wire0"); });
  ASSERT_TRUE(wire) << wire.error().text;
  ensured(x_told);
  EXPECT_TRUE(has(answered_for(), "10.99.0.11 dev up0 proxy proto 143")) << answered_for();
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv4/conf/up0/proxy_arp"), "0");
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv4/neigh/up0/proxy_delay"), "0");
  expect_right({x_told});
  const auto frames = heard_at(*wire, 3);
  ASSERT_EQ(frames.size(), 3U);
  const mac_address own{{0x0a, 0, 0, 0, 0, 0x99}};
  for (std::size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(frames[n], gratuitous_arp(own, x_told.address,
                                        n == 1 ? arp_operation::reply : arp_operation::request));
  }
  ensured(x_told); // nothing to do, nothing to tell
  EXPECT_EQ(taken_from(*wire), 0);
  x_told.announced = false;
  ensured(x_told);
  EXPECT_EQ(answered_for(), "");
  EXPECT_FALSE(has(x_lab.ip("route"), to_text(x_told.address)));
}

TEST_F(pvip_static_arp, what_went_is_told_no_more) {
  auto wire = x_lab.inside().run([] { return open_arp_socket("wire0"); });
  ASSERT_TRUE(wire) << wire.error().text;
  ensured(x_told);
  ASSERT_TRUE(x_network->remove(x_told.link));
  EXPECT_EQ(answered_for(), "");
  (void)taken_from(*wire);
  // Another's three come after all that the first one's would have.
  port next = port_number(2);
  next.arp_uplink = "up0";
  ensured(next);
  for (const arp_frame& frame : heard_at(*wire, 3)) {
    EXPECT_EQ(frame.sender, next.address);
  }
}

TEST_F(pvip_static_arp, drift_is_repaired_and_what_is_foreign_left) {
  x_lab.ip("neigh add proxy 10.99.0.200 dev up0 protocol static");
  ensured(x_told);
  x_lab.ip("neigh del proxy 10.99.0.11 dev up0");
  expect_repaired({x_told}, "answer for 10.99.0.11 on up0 was missing");
  x_lab.set("/proc/sys/net/ipv4/neigh/up0/proxy_delay", "80");
  expect_repaired({x_told}, "was given after a delay");
  x_lab.ip("neigh add proxy 10.99.0.77 dev up0 protocol 143");
  expect_repaired({x_told}, "answer for 10.99.0.77 on up0 is wanted by nobody");
  const auto report = reconciled({});
  EXPECT_GT(report.removed, 0U);
  EXPECT_TRUE(has(answered_for(), "10.99.0.200"));
  EXPECT_FALSE(has(answered_for(), "10.99.0.11"));
}

TEST_F(pvip_static_arp, an_uplink_that_is_not_there_is_told_and_a_foreign_answer_too) {
  x_told.arp_uplink = "nowhere0";
  const auto nowhere = x_network->ensure(x_told);
  ASSERT_FALSE(nowhere);
  EXPECT_TRUE(has(nowhere.error().text, "nowhere0")) << nowhere.error().text;
  x_told.arp_uplink = "up0";
  x_lab.ip("neigh add proxy 10.99.0.11 dev up0 protocol static");
  const auto taken = x_network->ensure(x_told);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, error_code::already_exists) << taken.error().text;
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

TEST_F(pvip_apply, the_filter_is_as_the_plan_says) {
  ensured(port_number(1));
  std::string table = x_lab.nft("-n -s list table netdev orrery_vp");
  std::ranges::replace(table, '\t', ' ');
  for (const std::string part :
       {"elements = { \"vp0000000001\" . 0a:00:00:00:00:01 }",
        "elements = { \"vp0000000001\" . 10.99.0.11 }", "size 131072\n  flags dynamic\n  counter",
        "iifname . ether saddr != @mac meta mark set 0x00000001 goto count_drop",
        "ether type vmap { 0x0800 : goto from_guest_ipv4, 0x0806 : goto from_guest_arp, "
        "0x8035 : drop }",
        "ether type 0x86dd meta mark set 0x00000006 goto count_drop",
        "iifname . arp saddr ether @mac iifname . arp saddr ip @address arp operation { 1, 2 } "
        "accept",
        "udp sport 67 udp dport 68 meta mark set 0x00000004 goto count_drop",
        "iifname . ip saddr != @address meta mark set 0x00000002 goto count_drop",
        "ip daddr 224.0.0.0/3 meta mark set 0x00000005 goto count_drop",
        "update @dropped { iifname . meta mark } drop",
        "type filter hook ingress device \"vp0000000001\" priority -500; policy drop;\n"
        "  goto from_guest"}) {
    EXPECT_TRUE(has(table, part)) << part << " not in " << table;
  }
}

TEST_F(pvip_apply, drift_of_the_filter_is_repaired_and_said) {
  const std::vector<port> ports = ports_up_to(3);
  const std::string link = port_number(1).link;
  reconciled(ports);
  const auto done = [this](const std::string& words) { x_lab.nft(words); };
  done("delete element netdev orrery_vp mac { " + link + " . " + to_text(port_number(1).mac) +
       " }");
  expect_repaired(ports, "did not let its guest send from 0a:00:00:00:00:01");
  done("add element netdev orrery_vp address { " + link + " . 10.99.0.77 }");
  expect_repaired(ports, "let its guest send from 10.99.0.77");
  done("insert rule netdev orrery_vp " + link + " accept");
  expect_repaired(ports, link + " had another filter");
  done("chain netdev orrery_vp " + link + " { policy accept ; }");
  expect_repaired(ports, link + " had another filter");
  done("flush chain netdev orrery_vp " + link);
  expect_repaired(ports, link + " had another filter");
  done("delete chain netdev orrery_vp " + link);
  expect_repaired(ports, link + " had no filter");
  done("insert rule netdev orrery_vp from_guest accept");
  expect_repaired(ports, "shared rules were not ours");
  done("flush chain netdev orrery_vp from_guest_arp");
  expect_repaired(ports, "shared rules were not ours");
  done("flush chain netdev orrery_vp orrery_mark");
  expect_repaired(ports, "shared rules were not ours");
  done("flush chain netdev orrery_vp from_guest_ipv4");
  done("flush chain netdev orrery_vp count_drop");
  done("delete set netdev orrery_vp dropped");
  expect_repaired(ports, "sets were not ours");
  done("add chain netdev orrery_vp vpnobodys");
  expect_repaired(ports, "filter of vpnobodys is wanted by nobody");
  done("add element netdev orrery_vp mac { vpgone . 02:00:00:00:00:01 }");
  expect_repaired(ports, "filter of vpgone is wanted by nobody");
  done("delete table netdev orrery_vp");
  expect_repaired(ports, "the filter of what guests send was missing");
  done("flush ruleset");
  expect_repaired(ports, "the filter of what guests send was missing");
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

TEST_F(pvip_apply, a_change_of_one_port_repairs_what_others_need_and_leaves_them) {
  reconciled(ports_up_to(3));
  const std::string other = port_number(2).link;
  const std::string one = "mac { " + other + " . " + to_text(port_number(2).mac) + " }";
  x_lab.nft("delete element netdev orrery_vp " + one);
  x_lab.nft("insert rule netdev orrery_vp from_guest accept");
  port changed = port_number(1);
  changed.address.bits += 100;
  ensured(changed);
  const std::string table = x_lab.nft("list table netdev orrery_vp");
  EXPECT_FALSE(has(table, to_text(port_number(1).address) + " ")) << table;
  EXPECT_FALSE(has(table, to_text(port_number(2).mac))) << table; // said by the next reconciliation
  expect_repaired({port_number(0), changed, port_number(2)}, "did not let its guest send");
}

TEST_F(pvip_apply, tables_of_others_are_never_touched) {
  for (const std::string family : {"inet", "netdev"}) {
    x_lab.nft("add table " + family + " other");
    x_lab.nft("add set " + family + " other mac { type ether_addr ; }");
  }
  x_lab.nft("add table ip orrery_vp"); // our name, but another family
  const std::string before = x_lab.nft("list ruleset");
  reconciled(ports_up_to(3));
  ASSERT_TRUE(x_network->remove(port_number(1).link));
  reconciled({});
  EXPECT_EQ(x_lab.nft("list ruleset"), before);
}

TEST_F(pvip_apply, the_filter_of_a_removed_port_goes_with_its_counters) {
  reconciled(ports_up_to(2));
  const std::string link = port_number(1).link;
  x_lab.nft("add element netdev orrery_vp dropped { " + link + " . 3 }");
  x_lab.nft("add element netdev orrery_vp dropped { " + port_number(0).link + " . 3 }");
  ASSERT_TRUE(x_network->remove(link));
  const std::string table = x_lab.nft("list table netdev orrery_vp");
  EXPECT_FALSE(has(table, link)) << table;
  EXPECT_TRUE(has(table, port_number(0).link + "\" . 0x00000003")) << table;
}

TEST_F(pvip_apply, without_the_helper_no_port_is_made_and_with_it_again) {
  auto opened = host_network::open(x_lab.name(), "vp", "/no/such/orrery-nft");
  ASSERT_TRUE(opened) << opened.error().text;
  const auto refused = (*opened)->ensure(port_number(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, error_code::io_failed);
  EXPECT_TRUE(has(refused.error().text, "/no/such/orrery-nft")) << refused.error().text;
  EXPECT_FALSE(has(everything(), port_number(1).link));
  ensured(port_number(1));
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

TEST_F(pvip_apply, nobody_answers_on_a_link_without_a_guest) {
  ensured(port_number(1));
  const auto answer = x_network->answers_arp(port_number(1), 300ms);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_FALSE(*answer);
}

TEST_F(pvip_apply, a_link_that_does_not_exist_is_said_by_the_question) {
  const auto answer = x_network->answers_arp(port_number(1), 300ms);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, error_code::not_found);
}

TEST_F(pvip_apply, an_impostor_is_not_the_guest) {
  const port wanted = port_number(1);
  ensured(wanted);
  const arp_guest impostor(x_lab, wanted.link, port_number(2).mac, wanted.address);
  const auto answer = x_network->answers_arp(wanted, 600ms);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_FALSE(*answer);
  EXPECT_GE(impostor.questions(), 2); // it was asked, again and again, and its answers were refused
}

TEST_F(pvip_apply, the_guest_answers) {
  const port wanted = port_number(1);
  ensured(wanted);
  const arp_guest guest(x_lab, wanted.link, wanted.mac, wanted.address);
  const auto answer = x_network->answers_arp(wanted, long_patience);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_TRUE(*answer);
}

TEST_F(pvip_apply, a_guest_that_comes_later_is_waited_for_and_holds_up_nobody) {
  const port slow = port_number(1);
  const port quick = port_number(2);
  ensured(slow);
  auto answer =
      std::async(std::launch::async, [&] { return x_network->answers_arp(slow, long_patience); });
  ensured(quick); // while the other waits
  const arp_guest quick_guest(x_lab, quick.link, quick.mac, quick.address);
  EXPECT_TRUE(x_network->answers_arp(quick, long_patience).value());
  EXPECT_EQ(answer.wait_for(0s), std::future_status::timeout);
  const arp_guest slow_guest(x_lab, slow.link, slow.mac, slow.address);
  const auto came = answer.get();
  ASSERT_TRUE(came) << came.error().text;
  EXPECT_TRUE(*came);
}

TEST_F(pvip_apply, a_question_outlives_the_tap_being_made_anew) {
  const port wanted = port_number(1);
  ensured(wanted);
  auto answer =
      std::async(std::launch::async, [&] { return x_network->answers_arp(wanted, long_patience); });
  x_lab.ip("link del dev " + wanted.link);
  ensured(wanted);
  const arp_guest guest(x_lab, wanted.link, wanted.mac, wanted.address);
  const auto came = answer.get();
  // Only when the first question was asked before the tap went is there something to outlive.
  if (came) {
    EXPECT_TRUE(*came);
  } else {
    EXPECT_EQ(came.error().code, error_code::not_found);
  }
}

TEST_F(pvip_apply, a_running_guest_is_not_cut_off_by_repairs) {
  const port wanted = port_number(1);
  reconciled({wanted});
  const std::string index = index_of(wanted.link);
  const arp_guest guest(x_lab, wanted.link, wanted.mac, wanted.address);
  x_lab.ip("link set dev " + wanted.link + " address fe:01:02:03:04:05");
  x_lab.ip("link set dev " + wanted.link + " alias somebody");
  x_lab.ip("route del " + to_text(wanted.address));
  port other_owner = wanted;
  other_owner.tap_owner_uid = 1; // the kernel changes it only while nobody holds the tap
  const auto report = reconciled({other_owner});
  EXPECT_TRUE(std::ranges::any_of(
      report.drift, [](const auto& s) { return has(s, "put off while a guest holds it"); }));
  EXPECT_EQ(index_of(wanted.link), index);
  EXPECT_TRUE(has(x_lab.ip("-o link show dev " + wanted.link), "LOWER_UP"));
  const auto answer = x_network->answers_arp(wanted, long_patience);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_TRUE(*answer);
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

TEST_F(pvip_apply, each_guest_is_answered_by_what_its_own_port_says) {
  port told = port_number(1);
  told.mtu = 1400;
  reconciled({told, port_number(2)});
  dhcp_guest first(x_lab, told.link);
  dhcp_guest second(x_lab, port_number(2).link);
  const auto expect_offer = [](dhcp_guest& guest, const port& of) {
    const auto offer = guest.ask(asked_by(of, question_of(of, dhcp_type::discover)), long_patience);
    ASSERT_TRUE(offer);
    EXPECT_EQ(offer->offered, of.address);
    EXPECT_EQ(offer->options.at(dhcp_option::mtu), bytes_of({of.mtu >> 8, of.mtu & 0xff}));
  };
  expect_offer(first, told);
  expect_offer(second, port_number(2));
  told.mtu = 1300;
  ensured(told); // what is told changes, the tap stays
  expect_offer(first, told);
  EXPECT_EQ(x_network->dhcp_counts_of_ports().at(told.link)[0], 2U);
  EXPECT_EQ(x_network->dhcp_counts_of_ports().at(port_number(2).link)[0], 1U);
}

TEST_F(pvip_apply, a_guest_is_answered_on_a_tap_that_was_made_again) {
  const port mine = port_number(1);
  const auto question = asked_by(mine, question_of(mine, dhcp_type::discover));
  ensured(mine);
  EXPECT_TRUE(dhcp_guest(x_lab, mine.link).ask(question, long_patience));
  x_lab.ip("link delete " + mine.link);
  reconciled({mine});
  EXPECT_TRUE(dhcp_guest(x_lab, mine.link).ask(question, long_patience));
  x_lab.ip("link delete " + mine.link);
  ensured(mine);
  EXPECT_TRUE(dhcp_guest(x_lab, mine.link).ask(question, long_patience));
  x_lab.destroy();
  x_lab.make();
  reconciled({mine});
  EXPECT_TRUE(dhcp_guest(x_lab, mine.link).ask(question, long_patience));
}

TEST_F(pvip_apply, a_port_that_went_is_served_no_more) {
  reconciled(ports_up_to(2));
  ASSERT_TRUE(x_network->remove(port_number(0).link));
  EXPECT_FALSE(x_network->dhcp_counts_of_ports().contains(port_number(0).link));
  reconciled({});
  EXPECT_TRUE(x_network->dhcp_counts_of_ports().empty());
}

TEST_F(pvip_apply, the_others_are_served_when_something_is_in_the_way_of_one_port) {
  x_lab.ip("link add " + port_number(1).link + " type veth peer name peer0");
  ASSERT_FALSE(x_network->reconcile(ports_up_to(3)));
  const port mine = port_number(2);
  EXPECT_TRUE(dhcp_guest(x_lab, mine.link)
                  .ask(asked_by(mine, question_of(mine, dhcp_type::discover)), long_patience));
}

TEST_F(pvip_apply, many_threads_may_use_it) {
  constexpr std::uint16_t count = 8;
  std::vector<std::future<bool>> all;
  for (std::uint16_t n = 0; n < count; ++n) {
    all.push_back(std::async(std::launch::async, [this, n] {
      const port mine = port_number(n);
      if (!x_network->ensure(mine)) {
        return false;
      }
      const arp_guest guest(x_lab, mine.link, mine.mac, mine.address);
      const auto answer = x_network->answers_arp(mine, long_patience);
      return answer && *answer && (n % 2 == 0 || x_network->remove(mine.link));
    }));
  }
  for (auto& each : all) {
    EXPECT_TRUE(each.get());
  }
  expect_right({port_number(0), port_number(2), port_number(4), port_number(6)});
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
