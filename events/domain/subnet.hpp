#pragma once

#include "events/core/net.hpp"
#include "events/core/persistent_map.hpp"
#include "events/domain/types.hpp"

#include <optional>

namespace orrery::domain {

/// A range of addresses and who has them. Part of a network.
struct subnet_state {
  uuid subnet;
  ipv4_prefix prefix;
  ipv4 gateway;
  persistent_map<std::uint32_t, uuid> taken; ///< address bits -> NIC
  std::uint32_t last_given = 0;              ///< bits of the last address given out, 0 for none yet

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.subnet, of.prefix, of.gateway, of.last_given, of.taken);
  }
};

/// The shortest and longest prefix of a subnet: below /16 a broadcast address is not the worst
/// problem, above /30 no guest fits beside network, gateway and broadcast.
inline constexpr std::uint8_t subnet_length_min = 16;
inline constexpr std::uint8_t subnet_length_max = 30;

/// Checks a subnet's shape. Errors: `invalid_argument`.
[[nodiscard]] result<void> check_subnet(const ipv4_prefix& prefix, ipv4 gateway);

/// Addresses that guests can have: all but network, broadcast and gateway.
[[nodiscard]] std::uint32_t size_of(const subnet_state& subnet);

/// The next free address after the last one given, so that a released address rests as long as the
/// range allows; nothing when all are taken.
[[nodiscard]] std::optional<ipv4> next_free(const subnet_state& subnet);

void give(subnet_state& subnet, ipv4 address, const uuid& nic);
void take_back(subnet_state& subnet, ipv4 address);

} // namespace orrery::domain
