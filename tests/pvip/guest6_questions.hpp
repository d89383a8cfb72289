#pragma once

#include "pvip/guest/dhcp6.hpp"
#include "pvip/guest/fields.hpp"
#include "pvip/guest/ipv6_frame.hpp"
#include "pvip/guest/udp_frame.hpp"
#include "tests/pvip/ports.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace orrery::pvip {

/// The guest whose clients the frames below are of.
inline const ipv6 guest6_address = parse_ipv6("2001:db8:1::11").value();
inline const ipv6 guest6_link_local = parse_ipv6("fe80::800:ff:fe00:1").value();

inline port guest6() {
  port made = port_number(1);
  made.mtu = 1400;
  made.address6 = guest6_address;
  made.name_servers6 = {parse_ipv6("2001:db8:53::1").value(), parse_ipv6("2001:db8:53::2").value()};
  return made;
}

inline std::vector<std::byte> bytes_of_hex(std::string_view digits) {
  std::vector<std::byte> bytes;
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
    bytes.push_back(static_cast<std::byte>(value(digits[at]) << 4 | value(digits[at + 1])));
  }
  return bytes;
}

// As they came from the guest, of Linux 6.18, ISC dhclient 4.4.3 and dhcpcd 9.4.1.

inline const auto linux_asks_whether_it_is_free = bytes_of_hex(
    "3333ff0000010a000000000186dd6000000000203aff00000000000000000000000000000000ff02000000000000"
    "00000001ff0000018700188c00000000fe80000000000000080000fffe0000010e01206d41f3ec2f");
inline const auto linux_asks_for_routers = bytes_of_hex(
    "3333000000020a000000000186dd6000000000103afffe80000000000000080000fffe000001ff02000000000000"
    "000000000000000285006b2c0000000001010a0000000001");
inline const auto dhclient_solicits = bytes_of_hex(
    "3333000100020a000000000186dd6000167b00401101fe80000000000000080000fffe000001ff02000000000000"
    "000000000001000202220223"
    "0040ecf2018acfd60001000e00010001329fd7d70a0000000001000600080017001800"
    "27001f0008000200000003000c0000000100000e1000001518");
inline const auto dhclient_requests = bytes_of_hex(
    "3333000100020a000000000186dd6000167b006a1101fe80000000000000080000fffe000001ff02000000000000"
    "000000000001000202220223"
    "006af07a03bf54440001000e00010001329fd7d70a00000000010002000a0003"
    "00010e000000000100060008001700180027001f000800020000000300280000000100000e100000151800050018"
    "20010db800010000000000000000001100001c2000001d4c");
inline const auto dhcpcd_solicits = bytes_of_hex(
    "3333000100020a000000000186dd600023d900461101fe80000000000000080000fffe000001ff02000000000000"
    "000000000001000202220223"
    "0046540401088bcd0001000e00010001329fd7d70a00000000010003000c0000"
    "000100000000000000000006000a00170018002700520053000800020000000e0000");

/// The frame with a checksum that is right, if it has room for one.
inline std::vector<std::byte> with_right_checksum(std::vector<std::byte> frame) {
  constexpr std::size_t headers = 14 + 40;
  if (frame.size() >= headers + 8) {
    const bool is_udp = frame[20] == std::byte{17};
    const auto whole = write_ipv6({.frame_source = {},
                                   .frame_target = {},
                                   .source = field_reader(std::span(frame).subspan(22)).address6(),
                                   .target = field_reader(std::span(frame).subspan(38)).address6(),
                                   .protocol = is_udp ? ipv6_protocol::udp : ipv6_protocol::icmp,
                                   .payload = std::span(frame).subspan(headers)});
    const std::size_t at = headers + (is_udp ? 6 : 2);
    frame[at] = whole[at];
    frame[at + 1] = whole[at + 1];
  }
  return frame;
}

} // namespace orrery::pvip
