#pragma once

#include "events/core/net.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace orrery::pvip {

inline constexpr mac_address everyone_mac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
inline constexpr ipv4 everyone{0xffffffffU};

/// The longest payload that `write_udp` takes: what an Ethernet frame of 1500 bytes holds.
inline constexpr std::size_t udp_payload_bytes_max = 1'472;

/// One UDP datagram in one IPv4 packet in one Ethernet frame.
struct udp_frame {
  mac_address frame_source;
  mac_address frame_target;
  ipv4 source;
  ipv4 target;
  std::uint16_t source_port = 0;
  std::uint16_t target_port = 0;
  std::span<const std::byte> payload; ///< of whoever made the frame
};

/// The frame as bytes for the wire, with both checksums (RFC 791, RFC 768).
[[nodiscard]] std::vector<std::byte> write_udp(const udp_frame& frame);

/// Total on any bytes: nothing for what is tagged, not IPv4, not UDP, a fragment, or shorter than
/// its lengths say. Checksums are not looked at: no wire is between a guest and its tap, and a
/// guest leaves that of UDP to a card that its tap is not. The payload lies in `bytes`.
[[nodiscard]] std::optional<udp_frame> read_udp(std::span<const std::byte> bytes);

} // namespace orrery::pvip
