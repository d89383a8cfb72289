#pragma once

#include "pvip/plan/plan.hpp"

#include <cstdint>
#include <cstdio>
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
          .classless_routes = false};
}

inline std::vector<port> ports_up_to(std::uint16_t count) {
  std::vector<port> ports;
  for (std::uint16_t n = 0; n < count; ++n) {
    ports.push_back(port_number(n));
  }
  return ports;
}

} // namespace orrery::pvip
