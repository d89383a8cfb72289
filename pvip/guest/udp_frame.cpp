#include "pvip/guest/udp_frame.hpp"

#include "events/core/check.hpp"
#include "pvip/guest/fields.hpp"

namespace orrery::pvip {

namespace {

constexpr std::size_t ether_bytes = 14;
constexpr std::size_t ip_bytes = 20; // without options
constexpr std::size_t udp_bytes = 8;
constexpr std::uint16_t ether_type_ipv4 = 0x0800;
constexpr std::uint8_t version_4 = 4;
constexpr std::uint8_t time_to_live = 64; // RFC 1340, as everybody sends
constexpr std::uint8_t protocol_udp = 17;
constexpr std::uint16_t do_not_fragment = 0x4000;
constexpr std::uint16_t more_fragments_or_offset = 0x3fff;

/// The ones' complement sum of RFC 1071, not folded.
std::uint32_t sum_of(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const auto value = std::to_integer<std::uint32_t>(bytes[at]);
    sum += at % 2 == 0 ? value << 8 : value;
  }
  return sum;
}

std::uint16_t checksum_of(std::uint32_t sum) {
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

void put(std::span<std::byte> at, std::uint16_t value) { field_writer(at).number(value); }

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
  to.number(frame.source_port);
  to.number(frame.target_port);
  to.number(udp_length);
  to.number(0); // checksum, below
  to.bytes(frame.payload);

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
  frame.source_port = from.number();
  frame.target_port = from.number();
  const std::size_t length = from.number();
  from.bytes(2); // checksum
  if (length < udp_bytes || length > total - header) {
    return std::nullopt;
  }
  frame.payload = from.bytes(length - udp_bytes);
  return frame;
}

} // namespace orrery::pvip
