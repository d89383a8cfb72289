#pragma once

#include "events/core/net.hpp"

#include <cstddef>
#include <cstdint>

// What a guest's port can be and its guest be told: the same for who wishes it and who makes it.

namespace orrery {

/// The gateway of every guest that has an IPv6 address: the node, on each port, on every node. In a
/// /64 as link-local addresses are (RFC 4291, 2.5.6).
inline constexpr ipv6 gateway6{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

/// The MTU of a tap, and so of a guest that was not told another: Ethernet's.
inline constexpr std::uint16_t guest_mtu = 1'500;

/// Below, not even an answer that every host must take fits (RFC 791).
inline constexpr std::uint16_t guest_mtu_min = 576;

/// The same for a guest with IPv6 (RFC 8200, 5).
inline constexpr std::uint16_t guest_mtu_min6 = 1'280;

/// Resolvers of guests look at three (resolv.conf(5), MAXNS); so many of each family.
inline constexpr std::size_t name_servers_max = 3;

/// Bits a second. Below, one packet with offloads would be more than half a second's; above, the
/// kernel's products of nanoseconds and bytes would come near the end of 64 bits.
inline constexpr std::uint64_t guest_rate_min = 1'000'000;
inline constexpr std::uint64_t guest_rate_max = 100'000'000'000;

} // namespace orrery
