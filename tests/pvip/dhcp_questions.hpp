#pragma once

#include "pvip/guest/dhcp.hpp"
#include "pvip/guest/fields.hpp"
#include "pvip/guest/udp_frame.hpp"
#include "pvip/plan/plan.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace orrery::pvip {

inline std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int each : values) {
    bytes.push_back(static_cast<std::byte>(each));
  }
  return bytes;
}

inline std::vector<std::byte> bytes_of(ipv4 address) {
  std::vector<std::byte> bytes(4);
  field_writer(bytes).address(address);
  return bytes;
}

/// What the guest of a port asks, as a client does that has no address yet.
inline dhcp_message question_of(const port& guest, dhcp_type type) {
  dhcp_message message;
  message.transaction = 0xcafe0001U;
  message.mac = guest.mac;
  message.options[dhcp_option::type] = bytes_of({static_cast<int>(type)});
  return message;
}

/// The frame in which the guest sends it, to all.
struct question_frame {
  mac_address frame_source;
  mac_address frame_target = everyone_mac;
  ipv4 source;
  ipv4 target = everyone;
  std::uint16_t source_port = dhcp_client_port;
  std::uint16_t target_port = dhcp_server_port;

  [[nodiscard]] std::vector<std::byte> with(const dhcp_message& message) const {
    const auto payload = write_dhcp(message);
    return write_udp({.frame_source = frame_source,
                      .frame_target = frame_target,
                      .source = source,
                      .target = target,
                      .source_port = source_port,
                      .target_port = target_port,
                      .payload = payload});
  }
};

inline std::vector<std::byte> asked_by(const port& guest, const dhcp_message& message) {
  return question_frame{.frame_source = guest.mac, .source = {}}.with(message);
}

} // namespace orrery::pvip
