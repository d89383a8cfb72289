#pragma once

#include "events/core/net.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace orrery::pvip {

/// An Ethernet frame without its checksum is at least this long (IEEE 802.3); shorter ones are
/// padded with zeros.
inline constexpr std::size_t arp_frame_bytes = 60;

enum class arp_operation : std::uint16_t { request = 1, reply = 2 };

/// ARP for IPv4 over Ethernet (RFC 826), with the addresses of the frame that carries it.
struct arp_frame {
  mac_address frame_source;
  mac_address frame_target;
  arp_operation operation = arp_operation::request;
  mac_address sender_mac;
  ipv4 sender;
  mac_address target_mac;
  ipv4 target;

  friend bool operator==(const arp_frame&, const arp_frame&) = default;
};

/// The frame as bytes for the wire, padded.
[[nodiscard]] std::array<std::byte, arp_frame_bytes> write_arp(const arp_frame& frame);

/// Total on any bytes: nothing for frames that are too short, tagged, not ARP, or ARP for other
/// than IPv4 over Ethernet or with another operation.
[[nodiscard]] std::optional<arp_frame> read_arp(std::span<const std::byte> bytes);

/// "Who has `asked`? Tell `sender`", to all.
[[nodiscard]] arp_frame arp_question(const mac_address& sender_mac, ipv4 sender, ipv4 asked);

/// "`address` is at `mac`", to all: what hears it corrects its table. Some listen to questions only
/// and some to answers, so there is one of each (RFC 5944, 4.6; RFC 5227, 3).
[[nodiscard]] arp_frame gratuitous_arp(const mac_address& mac, ipv4 address,
                                       arp_operation operation);

/// Whether `frame` answers `question` and comes, by frame and by content, from `from`.
[[nodiscard]] bool answers(const arp_frame& frame, const arp_frame& question,
                           const mac_address& from);

} // namespace orrery::pvip
