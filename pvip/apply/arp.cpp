#include "pvip/apply/arp.hpp"

#include "pvip/guest/fields.hpp"
#include "pvip/guest/udp_frame.hpp"

namespace orrery::pvip {

namespace {

// RFC 826 and RFC 894: the frame's addresses and type, then the fixed part, then four addresses.
constexpr std::uint16_t ether_type_arp = 0x0806;
constexpr std::uint16_t hardware_ethernet = 1;
constexpr std::uint16_t protocol_ipv4 = 0x0800;
constexpr std::uint16_t lengths_mac_and_ipv4 = 0x0604;
constexpr std::size_t arp_bytes_min = 42;

} // namespace

std::array<std::byte, arp_frame_bytes> write_arp(const arp_frame& frame) {
  std::array<std::byte, arp_frame_bytes> bytes{};
  field_writer to(bytes);
  to.mac(frame.frame_target);
  to.mac(frame.frame_source);
  to.number(ether_type_arp);
  to.number(hardware_ethernet);
  to.number(protocol_ipv4);
  to.number(lengths_mac_and_ipv4);
  to.number(static_cast<std::uint16_t>(frame.operation));
  to.mac(frame.sender_mac);
  to.address(frame.sender);
  to.mac(frame.target_mac);
  to.address(frame.target);
  return bytes;
}

std::optional<arp_frame> read_arp(std::span<const std::byte> bytes) {
  if (bytes.size() < arp_bytes_min) {
    return std::nullopt;
  }
  field_reader from(bytes);
  arp_frame frame;
  frame.frame_target = from.mac();
  frame.frame_source = from.mac();
  const bool readable = from.number() == ether_type_arp && from.number() == hardware_ethernet &&
                        from.number() == protocol_ipv4 && from.number() == lengths_mac_and_ipv4;
  if (!readable) {
    return std::nullopt;
  }
  const std::uint16_t operation = from.number();
  if (operation != static_cast<std::uint16_t>(arp_operation::request) &&
      operation != static_cast<std::uint16_t>(arp_operation::reply)) {
    return std::nullopt;
  }
  frame.operation = static_cast<arp_operation>(operation);
  frame.sender_mac = from.mac();
  frame.sender = from.address();
  frame.target_mac = from.mac();
  frame.target = from.address();
  return frame;
}

arp_frame arp_question(const mac_address& sender_mac, ipv4 sender, ipv4 asked) {
  return {.frame_source = sender_mac,
          .frame_target = everyone_mac,
          .operation = arp_operation::request,
          .sender_mac = sender_mac,
          .sender = sender,
          .target_mac = {},
          .target = asked};
}

arp_frame gratuitous_arp(const mac_address& mac, ipv4 address, arp_operation operation) {
  return {.frame_source = mac,
          .frame_target = everyone_mac,
          .operation = operation,
          .sender_mac = mac,
          .sender = address,
          .target_mac = mac, // Linux takes no other answer for a gratuitous one
          .target = address};
}

bool answers(const arp_frame& frame, const arp_frame& question, const mac_address& from) {
  return frame.operation == arp_operation::reply && frame.frame_source == from &&
         frame.sender_mac == from && frame.sender == question.target &&
         frame.target == question.sender && frame.target_mac == question.sender_mac;
}

} // namespace orrery::pvip
