#include "pvip/guest/udp_frame.hpp"

#include "events/core/check.hpp"
#include "pvip/guest/checksum.hpp"
#include "pvip/guest/fields.hpp"
#include "pvip/guest/ipv6_frame.hpp"

namespace orrery::pvip {

namespace {

constexpr std::size_t ether_bytes = 14;
constexpr std::size_t ip_bytes = 20; // without options
constexpr std::size_t udp_bytes = 8;
constexpr std::uint8_t version_4 = 4;
constexpr std::uint8_t time_to_live = 64; // RFC 1340, as everybody sends
constexpr std::uint8_t protocol_udp = 17;
constexpr std::uint16_t do_not_fragment = 0x4000;
constexpr std::uint16_t more_fragments_or_offset = 0x3fff;

void put(std::span<std::byte> at, std::uint16_t value) { field_writer(at).number(value); }

/// A datagram whose checksum is still to come.
template <typename Address>
void write_datagram(field_writer& to, const udp_frame_of<Address>& frame) {
  to.number(frame.source_port);
  to.number(frame.target_port);
  to.number(static_cast<std::uint16_t>(udp_bytes + frame.payload.size()));
  to.number(0);
  to.bytes(frame.payload);
}

/// `datagram` holds at least a header; false when its length is not of it. Behind it may be more.
template <typename Address>
bool read_datagram(std::span<const std::byte> datagram, udp_frame_of<Address>& frame) {
  field_reader from(datagram);
  frame.source_port = from.number();
  frame.target_port = from.number();
  const std::size_t length = from.number();
  from.bytes(2); // checksum
  if (length < udp_bytes || length > datagram.size()) {
    return false;
  }
  frame.payload = from.bytes(length - udp_bytes);
  return true;
}

} // namespace

std::vector<std::byte> write_udp(const udp_frame& frame) {
  ORRERY_CHECK(frame.payload.size() <= udp_payload_bytes_max);
  const auto udp_length = static_cast<std::uint16_t>(udp_bytes + frame.payload.size());
  std::vector<std::byte> bytes(ether_bytes + ip_bytes + udp_length);
  field_writer to(bytes);
  to.mac(frame.frame_target);
  to.mac(frame.frame_source);
  to.number(ether_type_ipv4);
  to.byte(version_4 << 4 | ip_bytes / 4);
  to.byte(0); // service
  to.number(static_cast<std::uint16_t>(ip_bytes + udp_length));
  to.number(0); // RFC 6864: no number for what is never in fragments
  to.number(do_not_fragment);
  to.byte(time_to_live);
  to.byte(protocol_udp);
  to.number(0); // checksum, below
  to.address(frame.source);
  to.address(frame.target);
  write_datagram(to, frame);

  const auto header = std::span(bytes).subspan(ether_bytes, ip_bytes);
  const auto datagram = std::span(bytes).subspan(ether_bytes + ip_bytes);
  put(header.subspan(10), checksum_of(sum_of(header)));
  // The pseudo header: both addresses, the protocol, the length.
  const std::uint32_t pseudo = sum_of(header.subspan(12)) + protocol_udp + udp_length;
  const std::uint16_t checksum = checksum_of(pseudo + sum_of(datagram));
  put(datagram.subspan(6), checksum == 0 ? 0xffff : checksum); // zero would say: none
  return bytes;
}

std::optional<udp_frame> read_udp(std::span<const std::byte> bytes) {
  if (bytes.size() < ether_bytes + ip_bytes + udp_bytes) {
    return std::nullopt;
  }
  field_reader from(bytes);
  udp_frame frame;
  frame.frame_target = from.mac();
  frame.frame_source = from.mac();
  if (from.number() != ether_type_ipv4) {
    return std::nullopt;
  }
  const std::uint8_t version_and_length = from.byte();
  const std::size_t header = std::size_t{4} * (version_and_length & 0xfU);
  from.bytes(1); // service
  const std::size_t total = from.number();
  from.bytes(2); // identification
  const bool is_fragment = (from.number() & more_fragments_or_offset) != 0;
  from.bytes(1); // time to live
  const bool is_udp = from.byte() == protocol_udp;
  from.bytes(2); // checksum
  frame.source = from.address();
  frame.target = from.address();
  const bool has_room =
      header >= ip_bytes && total >= header + udp_bytes && total <= bytes.size() - ether_bytes;
  if (version_and_length >> 4 != version_4 || is_fragment || !is_udp || !has_room) {
    return std::nullopt;
  }
  from.bytes(header - ip_bytes); // options
  return read_datagram(from.bytes(total - header), frame) ? std::optional(frame) : std::nullopt;
}

std::vector<std::byte> write_udp6(const udp6_frame& frame) {
  ORRERY_CHECK(frame.payload.size() <= udp6_payload_bytes_max);
  std::vector<std::byte> datagram(udp_bytes + frame.payload.size());
  field_writer to(datagram);
  write_datagram(to, frame);
  return write_ipv6({.frame_source = frame.frame_source,
                     .frame_target = frame.frame_target,
                     .source = frame.source,
                     .target = frame.target,
                     .protocol = ipv6_protocol::udp,
                     .hop_limit = time_to_live,
                     .payload = datagram});
}

std::optional<udp6_frame> read_udp6(std::span<const std::byte> bytes) {
  const auto packet = read_ipv6(bytes);
  if (!packet || packet->protocol != ipv6_protocol::udp) {
    return std::nullopt;
  }
  udp6_frame frame{.frame_source = packet->frame_source,
                   .frame_target = packet->frame_target,
                   .source = packet->source,
                   .target = packet->target,
                   .payload = {}};
  return read_datagram(packet->payload, frame) ? std::optional(frame) : std::nullopt;
}

} // namespace orrery::pvip
