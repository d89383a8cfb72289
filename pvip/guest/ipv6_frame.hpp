#pragma once

#include "events/core/net.hpp"
#include "pvip/plan/plan.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace orrery::pvip {

inline constexpr std::uint16_t ether_type_ipv6 = 0x86dd;

inline constexpr ipv6 all_nodes{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
inline constexpr ipv6 all_routers{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

/// The longest payload that `write_ipv6` takes: what an Ethernet frame of 1500 bytes holds.
inline constexpr std::size_t ipv6_payload_bytes_max = 1'460;

/// The MTU of every link with IPv6 is at least this (RFC 8200, section 5).
inline constexpr std::uint16_t ipv6_mtu_min = 1'280;

/// What may lie in a packet, by the number of RFC 8200's "next header".
enum class ipv6_protocol : std::uint8_t { udp = 17, icmp = 58 };

/// One IPv6 packet with no header but its own, in one Ethernet frame.
struct ipv6_frame {
  mac_address frame_source;
  mac_address frame_target;
  ipv6 source;
  ipv6 target;
  ipv6_protocol protocol = ipv6_protocol::udp;
  std::uint8_t hop_limit = 64;
  std::span<const std::byte> payload; ///< of whoever made the frame, with its checksum
};

[[nodiscard]] bool is_link_local(const ipv6& address); ///< fe80::/10
[[nodiscard]] bool is_group(const ipv6& address);      ///< ff00::/8

/// The Ethernet address of a group (RFC 2464, section 7).
[[nodiscard]] mac_address mac_of_group(const ipv6& group);

/// The frame as bytes for the wire. The payload's checksum is computed, whatever stands there.
[[nodiscard]] std::vector<std::byte> write_ipv6(const ipv6_frame& frame);

/// Total on any bytes: nothing for what is tagged, not IPv6, neither UDP nor ICMP directly behind
/// its header, shorter than its lengths say, or wrong by its checksum. Right is also what a guest
/// leaves to a card, which its tap is not: the sum of the pseudo header alone
/// (virtio 1.2, 5.1.6.2). The payload lies in `bytes`.
[[nodiscard]] std::optional<ipv6_frame> read_ipv6(std::span<const std::byte> bytes);

} // namespace orrery::pvip
