#include "pvip/guest/ipv6_frame.hpp"

#include "events/core/check.hpp"
#include "pvip/guest/checksum.hpp"
#include "pvip/guest/fields.hpp"

namespace orrery::pvip {

namespace {

constexpr std::size_t ether_bytes = 14;
constexpr std::size_t ip_bytes = 40;
constexpr std::size_t addresses_at = ether_bytes + 8;
constexpr std::uint32_t version_6 = 6;

/// Of a payload; both protocols have at least this.
constexpr std::size_t payload_bytes_min = 8;

std::size_t checksum_at(ipv6_protocol protocol) { return protocol == ipv6_protocol::udp ? 6 : 2; }

/// Both addresses, the length and the protocol (RFC 8200, section 8.1).
std::uint32_t sum_of_pseudo_header(std::span<const std::byte> frame, ipv6_protocol protocol,
                                   std::size_t length) {
  return sum_of(frame.subspan(addresses_at, 32)) + static_cast<std::uint32_t>(length) +
         static_cast<std::uint32_t>(protocol);
}

bool has_right_checksum(std::span<const std::byte> frame, const ipv6_frame& read) {
  const auto pseudo = sum_of_pseudo_header(frame, read.protocol, read.payload.size());
  const auto stored = field_reader(read.payload.subspan(checksum_at(read.protocol))).number();
  if (read.protocol == ipv6_protocol::udp && stored == 0) {
    return false; // says that there is none (RFC 8200, section 8.1)
  }
  return folded(pseudo + sum_of(read.payload)) == 0xffff || stored == folded(pseudo);
}

} // namespace

bool is_link_local(const ipv6& address) {
  return address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

bool is_group(const ipv6& address) { return address.bytes[0] == 0xff; }

mac_address mac_of_group(const ipv6& group) {
  const auto& last = group.bytes;
  return {{0x33, 0x33, last[12], last[13], last[14], last[15]}};
}

std::vector<std::byte> write_ipv6(const ipv6_frame& frame) {
  ORRERY_CHECK(frame.payload.size() >= payload_bytes_min);
  ORRERY_CHECK(frame.payload.size() <= ipv6_payload_bytes_max);
  std::vector<std::byte> bytes(ether_bytes + ip_bytes + frame.payload.size());
  field_writer to(bytes);
  to.mac(frame.frame_target);
  to.mac(frame.frame_source);
  to.number(ether_type_ipv6);
  to.long_number(version_6 << 28); // no class, no flow
  to.number(static_cast<std::uint16_t>(frame.payload.size()));
  to.byte(static_cast<std::uint8_t>(frame.protocol));
  to.byte(frame.hop_limit);
  to.address(frame.source);
  to.address(frame.target);
  to.bytes(frame.payload);

  const auto payload = std::span(bytes).subspan(ether_bytes + ip_bytes);
  const auto checksum = payload.subspan(checksum_at(frame.protocol), 2);
  field_writer(checksum).number(0);
  const auto right =
      checksum_of(sum_of_pseudo_header(bytes, frame.protocol, payload.size()) + sum_of(payload));
  field_writer(checksum).number(frame.protocol == ipv6_protocol::udp && right == 0 ? 0xffff
                                                                                   : right);
  return bytes;
}

std::optional<ipv6_frame> read_ipv6(std::span<const std::byte> bytes) {
  if (bytes.size() < ether_bytes + ip_bytes + payload_bytes_min) {
    return std::nullopt;
  }
  field_reader from(bytes);
  ipv6_frame frame;
  frame.frame_target = from.mac();
  frame.frame_source = from.mac();
  if (from.number() != ether_type_ipv6 || from.long_number() >> 28 != version_6) {
    return std::nullopt;
  }
  const std::size_t length = from.number();
  frame.protocol = static_cast<ipv6_protocol>(from.byte());
  frame.hop_limit = from.byte();
  frame.source = from.address6();
  frame.target = from.address6();
  const bool is_known =
      frame.protocol == ipv6_protocol::udp || frame.protocol == ipv6_protocol::icmp;
  if (!is_known || length < payload_bytes_min || length > from.left()) {
    return std::nullopt;
  }
  frame.payload = from.bytes(length);
  return has_right_checksum(bytes, frame) ? std::optional(frame) : std::nullopt;
}

} // namespace orrery::pvip
