#include "pvip/apply/netlink_read.hpp"
#include "pvip/plan/plan.hpp"

#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

namespace orrery::pvip {
namespace {

using bytes = std::vector<std::byte>;

template <class T> void put(bytes& to, const T& value) {
  const auto at = to.size();
  to.resize(at + sizeof(T));
  std::memcpy(to.data() + at, &value, sizeof(T));
}

void pad(bytes& to) {
  while (to.size() % 4 != 0) {
    to.push_back(std::byte{0});
  }
}

bytes of_text(std::string_view text) {
  bytes made;
  for (const char each : text) {
    made.push_back(static_cast<std::byte>(each));
  }
  made.push_back(std::byte{0});
  return made;
}

template <class T> bytes of(const T& value) {
  bytes made;
  put(made, value);
  return made;
}

bytes of_address(const ipv6& address) { return of(address.bytes); }

bytes of_address(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return {std::byte{a}, std::byte{b}, std::byte{c}, std::byte{d}};
}

void attribute(bytes& to, int type, const bytes& payload) {
  pad(to);
  put(to, nlattr{.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()),
                 .nla_type = static_cast<std::uint16_t>(type)});
  to.insert(to.end(), payload.begin(), payload.end());
}

bytes message(std::uint16_t type, std::uint16_t flags, const bytes& payload) {
  bytes made;
  put(made, nlmsghdr{.nlmsg_len = static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size()),
                     .nlmsg_type = type,
                     .nlmsg_flags = flags,
                     .nlmsg_seq = 9,
                     .nlmsg_pid = 0});
  made.insert(made.end(), payload.begin(), payload.end());
  pad(made);
  return made;
}

bytes tap_payload() {
  ifinfomsg header{};
  header.ifi_index = 17;
  header.ifi_flags = 1;
  bytes made = of(header);
  attribute(made, IFLA_IFNAME, of_text("vp0000000001"));
  attribute(made, IFLA_ADDRESS, of(mac_address{{0x0e, 0, 0, 0, 0, 1}}));
  attribute(made, IFLA_IFALIAS, of_text("orrery gateway 10.99.0.1"));
  bytes data;
  attribute(data, IFLA_TUN_TYPE, of(static_cast<std::uint8_t>(IFF_TAP)));
  attribute(data, IFLA_TUN_OWNER, of(std::uint32_t{64055}));
  attribute(data, IFLA_TUN_PERSIST, of(std::uint8_t{1}));
  bytes info;
  attribute(info, IFLA_INFO_KIND, of_text("tun"));
  attribute(info, IFLA_INFO_DATA | NLA_F_NESTED, data);
  attribute(made, IFLA_LINKINFO, info);
  bytes ipv6;
  attribute(ipv6, IFLA_INET6_ADDR_GEN_MODE, of(static_cast<std::uint8_t>(IN6_ADDR_GEN_MODE_NONE)));
  bytes families;
  attribute(families, AF_INET6, ipv6);
  attribute(made, IFLA_AF_SPEC, families);
  return made;
}

bytes route_payload() {
  bytes made = of(rtmsg{.rtm_family = AF_INET,
                        .rtm_dst_len = 32,
                        .rtm_src_len = 0,
                        .rtm_tos = 0,
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = 143,
                        .rtm_scope = RT_SCOPE_LINK,
                        .rtm_type = RTN_UNICAST,
                        .rtm_flags = 0});
  attribute(made, RTA_DST, of_address(10, 99, 0, 17));
  attribute(made, RTA_OIF, of(std::uint32_t{17}));
  return made;
}

bytes neighbour_payload() {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_ifindex = 17;
  header.ndm_state = NUD_PERMANENT;
  bytes made = of(header);
  attribute(made, NDA_DST, of_address(10, 99, 0, 17));
  attribute(made, NDA_LLADDR, of(mac_address{{0x0a, 1, 2, 3, 4, 5}}));
  return made;
}

bytes address_payload() {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = 32;
  header.ifa_index = 1;
  bytes made = of(header);
  attribute(made, IFA_LOCAL, of_address(10, 99, 0, 1));
  attribute(made, IFA_PROTO, of(std::uint8_t{143}));
  return made;
}

bytes route6_payload() {
  bytes made = of(rtmsg{.rtm_family = AF_INET6,
                        .rtm_dst_len = 128,
                        .rtm_src_len = 0,
                        .rtm_tos = 0,
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = 143,
                        .rtm_scope = RT_SCOPE_UNIVERSE,
                        .rtm_type = RTN_UNICAST,
                        .rtm_flags = 0});
  attribute(made, RTA_DST, of_address(*parse_ipv6("fd99::17")));
  attribute(made, RTA_PRIORITY, of(std::uint32_t{1}));
  attribute(made, RTA_OIF, of(std::uint32_t{17}));
  return made;
}

bytes neighbour6_payload() {
  ndmsg header{};
  header.ndm_family = AF_INET6;
  header.ndm_ifindex = 17;
  header.ndm_state = NUD_PERMANENT;
  bytes made = of(header);
  attribute(made, NDA_DST, of_address(*parse_ipv6("fd99::17")));
  attribute(made, NDA_LLADDR, of(mac_address{{0x0a, 1, 2, 3, 4, 5}}));
  return made;
}

/// As of a link without a far end, or of one with, which then is the other address.
bytes address6_payload(bool has_far_end = false) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_prefixlen = 64;
  header.ifa_index = 17;
  bytes made = of(header);
  if (has_far_end) {
    attribute(made, IFA_LOCAL, of_address(gateway6));
    attribute(made, IFA_ADDRESS, of_address(*parse_ipv6("fe80::2")));
  } else {
    attribute(made, IFA_ADDRESS, of_address(gateway6));
  }
  attribute(made, IFA_PROTO, of(std::uint8_t{143}));
  return made;
}

/// Reads `payload` as everything; only that it ends, within its bytes, is asked.
void read_as_all(std::span<const std::byte> payload) {
  (void)read_link(payload);
  (void)read_route(payload);
  (void)read_neighbour(payload);
  (void)read_address(payload);
  for (const int type : {NLMSG_ERROR, NLMSG_DONE}) {
    (void)read_ending({.type = static_cast<std::uint16_t>(type),
                       .flags = NLM_F_ACK_TLVS,
                       .sequence = 0,
                       .payload = payload});
  }
  netlink_messages messages(payload);
  while (messages.next()) {
  }
}

TEST(pvip_netlink_read, a_message_longer_than_the_datagram_is_damage) {
  bytes whole = message(RTM_NEWROUTE, 0, route_payload());
  for (std::size_t length = 1; length < whole.size(); ++length) {
    const std::span<const std::byte> datagram(whole);
    netlink_messages messages(datagram.first(length));
    EXPECT_FALSE(messages.next()) << length;
    EXPECT_TRUE(messages.is_damaged()) << length;
    EXPECT_FALSE(messages.next()) << length;
  }
  const std::uint32_t length = sizeof(nlmsghdr) - 1; // would never advance
  std::memcpy(whole.data(), &length, sizeof(length));
  netlink_messages messages(whole);
  EXPECT_FALSE(messages.next());
  EXPECT_TRUE(messages.is_damaged());
}

TEST(pvip_netlink_read, every_prefix_of_an_answer_is_read_without_harm) {
  for (const bytes& whole :
       {tap_payload(), route_payload(), neighbour_payload(), address_payload(), route6_payload(),
        neighbour6_payload(), address6_payload(), message(1, 2, tap_payload())}) {
    for (std::size_t length = 0; length <= whole.size(); ++length) {
      const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      read_as_all(cut);
    }
  }
}

TEST(pvip_netlink_read, every_byte_changed_is_read_without_harm) {
  for (const bytes& whole :
       {tap_payload(), route_payload(), neighbour_payload(), address_payload(), route6_payload(),
        neighbour6_payload(), address6_payload(), message(1, 2, tap_payload())}) {
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (int value = 0; value < 256; ++value) {
        bytes changed = whole;
        changed[at] = static_cast<std::byte>(value);
        read_as_all(changed);
      }
    }
  }
}

TEST(pvip_netlink_read, random_bytes_are_read_without_harm) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (int i = 0; i < 20'000; ++i) {
    bytes any(random() % 200);
    for (std::byte& each : any) {
      // Small numbers are likely lengths and types, so that nests are entered.
      each = static_cast<std::byte>(random() % 2 == 0 ? random() % 24 : random());
    }
    read_as_all(any);
  }
}

TEST(pvip_netlink_read, answers_of_other_families_are_nothing) {
  for (const int family : {AF_INET6, AF_UNSPEC, AF_PACKET, 255}) { // with addresses of IPv4
    bytes route = route_payload();
    route[0] = static_cast<std::byte>(family);
    EXPECT_FALSE(read_route(route));
    bytes neighbour = neighbour_payload();
    neighbour[0] = static_cast<std::byte>(family);
    EXPECT_FALSE(read_neighbour(neighbour));
    bytes address = address_payload();
    address[0] = static_cast<std::byte>(family);
    EXPECT_FALSE(read_address(address));
  }
}

TEST(pvip_netlink_read, impossible_values_are_nothing) {
  bytes route = route_payload();
  route[1] = std::byte{33};
  EXPECT_FALSE(read_route(route));
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 32;
  bytes odd = of(header);
  attribute(odd, RTA_DST, of(std::uint64_t{1}));
  EXPECT_FALSE(read_route(odd));
  ifinfomsg nameless{};
  nameless.ifi_index = 4;
  EXPECT_FALSE(read_link(of(nameless)));
  ndmsg addressless{};
  addressless.ndm_family = AF_INET;
  addressless.ndm_ifindex = 3;
  EXPECT_FALSE(read_neighbour(of(addressless)));
}

TEST(pvip_netlink_read, an_ending_that_is_no_errno_is_nothing) {
  for (const std::int32_t code : {1, 70'000, std::numeric_limits<std::int32_t>::min()}) {
    const bytes payload = of(code);
    EXPECT_FALSE(read_ending({.type = NLMSG_ERROR, .flags = 0, .sequence = 0, .payload = payload}));
  }
}

TEST(pvip_netlink_read, a_refusal_has_the_words_of_the_kernel) {
  bytes payload = of(std::int32_t{-ENODEV});
  const bytes request = message(RTM_NEWROUTE, 0, route_payload());
  payload.insert(payload.end(), request.begin(), request.end());
  attribute(payload, NLMSGERR_ATTR_OFFS, of(std::uint32_t{4}));
  attribute(payload, NLMSGERR_ATTR_MSG, of_text("Device for nexthop is not up"));
  const auto ending = read_ending(
      {.type = NLMSG_ERROR, .flags = NLM_F_ACK_TLVS, .sequence = 0, .payload = payload});
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->code, ENODEV);
  EXPECT_EQ(ending->words, "Device for nexthop is not up");
}

TEST(pvip_netlink_read, a_tap) {
  const auto link = read_link(tap_payload());
  ASSERT_TRUE(link);
  EXPECT_EQ(link->index, 17U);
  EXPECT_EQ(link->name, "vp0000000001");
  EXPECT_EQ(link->mac, (mac_address{{0x0e, 0, 0, 0, 0, 1}}));
  EXPECT_EQ(link->alias, "orrery gateway 10.99.0.1");
  EXPECT_EQ(link->kind, "tun");
  EXPECT_EQ(link->tun_type, IFF_TAP);
  EXPECT_EQ(link->tun_owner_uid, 64055U);
  EXPECT_TRUE(link->tun_persistent);
  EXPECT_EQ(link->ipv6_address_mode, IN6_ADDR_GEN_MODE_NONE);
}

TEST(pvip_netlink_read, a_route_a_neighbour_and_an_address) {
  const auto route = read_route(route_payload());
  ASSERT_TRUE(route);
  EXPECT_EQ(route->destination, alone(ipv4{0x0a630011U}));
  EXPECT_EQ(route->link_index, 17U);
  EXPECT_EQ(route->protocol, 143);
  EXPECT_FALSE(route->has_gateway);
  const auto neighbour = read_neighbour(neighbour_payload());
  ASSERT_TRUE(neighbour);
  EXPECT_EQ(neighbour->address, ip_address(ipv4{0x0a630011U}));
  EXPECT_EQ(neighbour->mac, (mac_address{{0x0a, 1, 2, 3, 4, 5}}));
  const auto address = read_address(address_payload());
  ASSERT_TRUE(address);
  EXPECT_EQ(address->address, ip_address(ipv4{0x0a630001U}));
  EXPECT_EQ(address->protocol, 143);
}

TEST(pvip_netlink_read, a_route_a_neighbour_and_an_address_of_ipv6) {
  const ip_address guest = *parse_ipv6("fd99::17");
  const auto route = read_route(route6_payload());
  ASSERT_TRUE(route);
  EXPECT_EQ(route->destination, alone(guest));
  EXPECT_EQ(route->priority, 1U);
  const auto neighbour = read_neighbour(neighbour6_payload());
  ASSERT_TRUE(neighbour);
  EXPECT_EQ(neighbour->address, guest);
  for (const bool has_far_end : {false, true}) {
    const auto address = read_address(address6_payload(has_far_end));
    ASSERT_TRUE(address);
    EXPECT_EQ(address->address, ip_address(gateway6));
    EXPECT_EQ(address->length, 64);
  }
  EXPECT_FALSE(route->gateway);
  bytes by_a_gateway = route6_payload();
  attribute(by_a_gateway, RTA_GATEWAY, of_address(gateway6));
  EXPECT_TRUE(read_route(by_a_gateway)->has_gateway);
  EXPECT_EQ(read_route(by_a_gateway)->gateway, std::optional<ip_address>(gateway6));
  bytes route_of_everything = route6_payload();
  route_of_everything.resize(sizeof(rtmsg));
  route_of_everything[1] = std::byte{0};
  ASSERT_TRUE(read_route(route_of_everything));
  EXPECT_EQ(read_route(route_of_everything)->destination, (ip_prefix{ipv6{}, 0}));
  bytes too_long = route6_payload();
  too_long[1] = std::byte{129};
  EXPECT_FALSE(read_route(too_long));
}

TEST(pvip_netlink_read, messages_come_one_after_the_other) {
  bytes datagram = message(RTM_NEWLINK, 2, tap_payload());
  const bytes second = message(RTM_NEWROUTE, 2, route_payload());
  datagram.insert(datagram.end(), second.begin(), second.end());
  netlink_messages messages(datagram);
  const auto link = messages.next();
  ASSERT_TRUE(link);
  EXPECT_TRUE(read_link(link->payload));
  const auto route = messages.next();
  ASSERT_TRUE(route);
  EXPECT_EQ(route->type, RTM_NEWROUTE);
  EXPECT_EQ(route->sequence, 9U);
  EXPECT_FALSE(messages.next());
  EXPECT_FALSE(messages.is_damaged());
}

} // namespace
} // namespace orrery::pvip
