#pragma once

#include "events/core/net.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace orrery::pvip {

inline constexpr std::uint16_t ether_type_ipv4 = 0x0800;

inline constexpr mac_address everyone_mac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
inline constexpr ipv4 everyone{0xffffffffU};

/// The longest payload that `write_udp` takes: what an Ethernet frame of 1500 bytes holds.
inline constexpr std::size_t udp_payload_bytes_max = 1'472;
inline constexpr std::size_t udp6_payload_bytes_max = 1'452;

/// One UDP datagram in one IP packet in one Ethernet frame.
template <typename Address> struct udp_frame_of {
  mac_address frame_source;
  mac_address frame_target;
  Address source;
  Address target;
  std::uint16_t source_port = 0;
  std::uint16_t target_port = 0;
  std::span<const std::byte> payload; ///< of whoever made the frame
};

using udp_frame = udp_frame_of<ipv4>;
using udp6_frame = udp_frame_of<ipv6>;

/// The frame as bytes for the wire, with its checksums (RFC 791, RFC 768, RFC 8200).
[[nodiscard]] std::vector<std::byte> write_udp(const udp_frame& frame);
[[nodiscard]] std::vector<std::byte> write_udp6(const udp6_frame& frame);

/// Total on any bytes: nothing for what is tagged, not IPv4, not UDP, a fragment, or shorter than
/// its lengths say. Checksums are not looked at: no wire is between a guest and its tap, and a
/// guest leaves that of UDP to a card that its tap is not. The payload lies in `bytes`.
[[nodiscard]] std::optional<udp_frame> read_udp(std::span<const std::byte> bytes);

/// The same for IPv6, where the checksum must be there and right (`read_ipv6`).
[[nodiscard]] std::optional<udp6_frame> read_udp6(std::span<const std::byte> bytes);

} // namespace orrery::pvip
