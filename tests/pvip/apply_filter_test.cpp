#include "tests/pvip/apply_fixture.hpp"

#include <gtest/gtest.h>
#include <net/if.h>

#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

TEST_F(pvip_apply, the_filter_is_as_the_plan_says) {
  ensured(port_number(1));
  std::string table = x_lab.nft("-n -s list table netdev orrery_vp");
  std::ranges::replace(table, '\t', ' ');
  for (const std::string part :
       {"elements = { \"vp0000000001\" . 0a:00:00:00:00:01 }",
        "elements = { \"vp0000000001\" . 10.99.0.11 counter }",
        "size 524288\n  flags dynamic\n  counter",
        "iifname . ether saddr != @mac meta mark set 0x00000001 goto count_drop",
        "ether type vmap { 0x0800 : goto from_guest_ipv4, 0x0806 : goto from_guest_arp, "
        "0x8035 : drop, 0x86dd : goto from_guest_ipv6 }",
        "iifname . ether saddr != @mac6 meta mark set 0x00000006 goto count_drop",
        "iifname . arp saddr ip != @address meta mark set 0x00000003 goto count_drop",
        "iifname . arp saddr ether @mac arp operation { 1, 2 } accept",
        "iifname . ip saddr @address accept", "oifname . ip daddr @received accept",
        "type filter hook egress device \"vp0000000001\" priority -500; policy accept;\n"
        "  goto to_guest",
        "udp sport 67 udp dport 68 meta mark set 0x00000004 goto count_drop",
        "iifname . ip saddr != @address iifname . ip saddr != @prefix meta mark set 0x00000002 "
        "goto count_drop",
        "ip daddr 224.0.0.0/3 meta mark set 0x00000005 goto count_drop",
        "update @dropped { iifname . meta mark } drop",
        "type filter hook ingress device \"vp0000000001\" priority -500; policy drop;\n"
        "  goto from_guest"}) {
    EXPECT_TRUE(has(table, part)) << part << " not in " << table;
  }
}

TEST_F(pvip_apply, the_filter_of_ipv6_is_as_the_plan_says) {
  ensured(port6_number(0x11));
  std::string table = x_lab.nft("-n -s list table netdev orrery_vp");
  std::ranges::replace(table, '\t', ' ');
  for (const std::string part :
       {"elements = { \"vp0000000011\" . fd99::11 counter }",
        "ip6 nexthdr { 0, 43, 44, 51, 60 } jump from_guest_hidden",
        "icmpv6 type 134 meta mark set 0x0000000a goto count_drop",
        "ip6 saddr fe80::/10 goto from_guest_linklocal",
        "iifname . ip6 saddr != @address6 iifname . ip6 saddr != @prefix6 meta mark set 0x00000009 "
        "goto count_drop",
        "frag frag-off != 0 return\n  frag nexthdr { 0, 43, 44, 51, 60 } meta mark set 0x0000000f "
        "goto count_drop\n  meta l4proto != { 17, 58 } return\n  icmpv6 type != { 133, 134,",
        "udp dport != 546 return\n  meta mark set 0x0000000f goto count_drop",
        "icmpv6 type 136 @th,64,128 0xfe800000000000000000000000000001 meta mark set 0x0000000c",
        "ip6 nexthdr 58 icmpv6 type { 135, 136 } goto from_guest_own_ndp",
        "  @th,64,128 0xfd990000000000000000000000000011 goto from_guest_own\n"
        "  goto from_guest"}) {
    EXPECT_TRUE(has(table, part)) << part << " not in " << table;
  }
  reconciled({port6_number(0x11)});
  port other = port6_number(0x11);
  other.address6 = port6_number(0x12).address6;
  ensured(other);
  table = x_lab.nft("-n -s list table netdev orrery_vp");
  EXPECT_FALSE(has(table, "0xfd990000000000000000000000000011")) << table;
  EXPECT_TRUE(has(table, "0xfd990000000000000000000000000012")) << table;
  expect_right({other});
  ensured(port_number(0x11));
  EXPECT_FALSE(has(x_lab.nft("list table netdev orrery_vp"), "0xfd99"));
  expect_right({port_number(0x11)});
}

TEST_F(pvip_apply, drift_of_the_filter_of_ipv6_is_repaired_and_said) {
  const std::vector<port> ports = ports6_up_to(3);
  const std::string link = port_number(1).link;
  reconciled(ports);
  const auto done = [this](const std::string& words) { x_lab.nft(words); };
  done("delete element netdev orrery_vp mac6 { " + link + " . " + to_text(port_number(1).mac) +
       " }");
  expect_repaired(ports, "did not let its guest send from 0a:00:00:00:00:01");
  done("add element netdev orrery_vp address6 { " + link + " . fd99::77 }");
  expect_repaired(ports, "let its guest send from fd99::77");
  done("insert rule netdev orrery_vp " + link +
       " @th,64,128 0xfd99000000000000000000000000077 "
       "goto from_guest_own");
  expect_repaired(ports, "let its guest send from");
  done("flush chain netdev orrery_vp " + link);
  done("add rule netdev orrery_vp " + link + " goto from_guest");
  expect_repaired(ports, "did not let its guest send from fd99::1");
  done("flush chain netdev orrery_vp from_guest_hidden");
  expect_repaired(ports, "shared rules were not ours");
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
  done("flush chain netdev orrery_vp too_fast_to_guest");
  done("delete set netdev orrery_vp dropped");
  expect_repaired(ports, "sets were not ours");
  done("add chain netdev orrery_vp vpnobodys");
  expect_repaired(ports, "filter of vpnobodys is wanted by nobody");
  done("add element netdev orrery_vp mac { vpgone . 02:00:00:00:00:01 }");
  expect_repaired(ports, "filter of vpgone is wanted by nobody");
  done("add element netdev orrery_vp prefix { vpall* . 10.0.0.0/8 }");
  expect_repaired(ports, "sets were not ours");
  const std::string like_a_link(IFNAMSIZ - 1, 'a');
  done("add chain netdev orrery_vp " + like_a_link + "_and_more");
  expect_repaired(ports, "filter of " + like_a_link + "_and_more is wanted by nobody");
  done("delete table netdev orrery_vp");
  expect_repaired(ports, "the filter of what guests send was missing");
  done("flush ruleset");
  expect_repaired(ports, "the filter of what guests send was missing");
}

TEST_F(pvip_apply, drift_of_what_is_counted_is_repaired_and_said) {
  const std::vector<port> ports = ports6_up_to(2);
  const std::string link = port_number(1).link;
  reconciled(ports);
  x_lab.nft("delete element netdev orrery_vp received6 { " + link + " . fd99::1 }");
  expect_repaired(ports, "fd99::1");
  x_lab.nft("delete chain netdev orrery_vp " + link + "_out");
  expect_repaired(ports, link + " had another filter");
  x_lab.nft("insert rule netdev orrery_vp " + link + "_out drop");
  expect_repaired(ports, link + " had another filter");
  x_lab.nft("flush chain netdev orrery_vp to_guest");
  expect_repaired(ports, "shared rules were not ours");
  x_lab.nft("add chain netdev orrery_vp vpnobodys_out");
  expect_repaired(ports, "filter of vpnobodys is wanted by nobody");
}

TEST_F(pvip_apply, a_limit_is_made_kept_and_repaired) {
  // In bytes, in the largest unit that nftables knows, and with a burst of its own.
  for (const std::uint64_t rate : {guest_rate_min, std::uint64_t{8} << 20U, guest_rate_max}) {
    port limited = port6_number(1);
    limited.bits_a_second_max = rate;
    reconciled({limited});
    expect_right({limited});
  }
  port limited = port6_number(1);
  limited.bits_a_second_max = 80'000'000;
  ensured(limited);
  const std::string link = limited.link;
  for (const std::string& chain : {link, link + "_out"}) {
    EXPECT_TRUE(has(x_lab.nft("list chain netdev orrery_vp " + chain),
                    "limit rate over 10000000 bytes/second burst 64 kbytes goto too_fast"));
    x_lab.nft("insert rule netdev orrery_vp " + chain + " accept");
    expect_repaired({limited}, link);
  }
  limited.bits_a_second_max = 160'000'000;
  expect_repaired({limited}, "had another limit of its rate");
  limited.bits_a_second_max.reset();
  expect_repaired({limited}, "had another limit of its rate");
  EXPECT_FALSE(has(x_lab.nft("list table netdev orrery_vp"), "limit"));
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

} // namespace
} // namespace orrery::pvip
