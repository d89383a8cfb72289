#pragma once

#include "pvip/plan/plan.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace orrery::pvip {

/// Port number `n` (0 to 65535) of a test: link vp00000000NN, guest 10.99.x.y beside gateway
/// 10.99.0.1, of a user without a name (so that iproute2 shows the number).
inline port port_number(std::uint16_t n) {
  std::string name(12, '\0');
  std::snprintf(name.data(), name.size() + 1, "vp%010x", static_cast<unsigned>(n));
  const auto high = static_cast<std::uint8_t>(n >> 8);
  const auto low = static_cast<std::uint8_t>(n & 0xff);
  return {.link = name,
          .mac = {{0x0a, 0x00, 0x00, 0x00, high, low}},
          .address = {0x0a630000U + 10U + n},
          .gateway = {0x0a630001U},
          .tap_owner_uid = 64999,
          .prefix_length = 16,
          .mtu = guest_mtu,
          .name_servers = {},
          .classless_routes = false,
          .address6 = std::nullopt,
          .name_servers6 = {}};
}

/// The same with an IPv6 address, fd99::x:y.
inline port port6_number(std::uint16_t n) {
  port made = port_number(n);
  made.address6 = {{0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                    static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n & 0xff)}};
  return made;
}

/// The same with another address of each family, and a network of each behind it.
inline port wide_port_number(std::uint16_t n) {
  port made = port6_number(n);
  ipv6 more = *made.address6;
  more.bytes[2] = 1;
  ipv6 behind{{0xfd, 0x98, more.bytes[14], more.bytes[15]}};
  made.more_addresses = {ipv4{made.address.bits + 0x10000U}, more};
  made.routed_prefixes = {{ipv4{0x0a000000U | (0x10000U + n) << 8U}, 24}, {behind, 64}};
  return made;
}

inline std::vector<port> ports6_up_to(std::uint16_t count) {
  std::vector<port> ports;
  for (std::uint16_t n = 0; n < count; ++n) {
    ports.push_back(port6_number(n));
  }
  return ports;
}

inline std::vector<port> ports_up_to(std::uint16_t count) {
  std::vector<port> ports;
  for (std::uint16_t n = 0; n < count; ++n) {
    ports.push_back(port_number(n));
  }
  return ports;
}

} // namespace orrery::pvip
