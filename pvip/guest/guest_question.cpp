#include "pvip/guest/guest_question.hpp"

#include "pvip/guest/dhcp6_answer.hpp"
#include "pvip/guest/dhcp_answer.hpp"
#include "pvip/guest/fields.hpp"
#include "pvip/guest/ipv6_frame.hpp"
#include "pvip/guest/neighbour_discovery.hpp"
#include "pvip/guest/udp_frame.hpp"

#include <cstdint>

namespace orrery::pvip {

namespace {

constexpr std::size_t ether_type_at = 12;
constexpr std::size_t next_header_at = 20;
constexpr std::size_t ipv6_payload_at = 54;

std::optional<guest_service> service_of_ipv6(std::span<const std::byte> frame) {
  if (frame.size() <= ipv6_payload_at) {
    return std::nullopt;
  }
  const auto protocol = static_cast<ipv6_protocol>(frame[next_header_at]);
  if (protocol == ipv6_protocol::udp) {
    return guest_service::dhcp6;
  }
  if (protocol != ipv6_protocol::icmp) {
    return std::nullopt;
  }
  switch (static_cast<neighbour_message>(frame[ipv6_payload_at])) {
  case neighbour_message::router_solicitation:
    return guest_service::router;
  case neighbour_message::neighbour_solicitation:
    return guest_service::neighbour;
  default:
    return std::nullopt;
  }
}

} // namespace

std::optional<guest_service> service_of(std::span<const std::byte> frame) {
  if (frame.size() < ether_type_at + 2) {
    return std::nullopt;
  }
  const std::uint16_t type = field_reader(frame.subspan(ether_type_at)).number();
  if (type == ether_type_ipv4) {
    return guest_service::dhcp;
  }
  return type == ether_type_ipv6 ? service_of_ipv6(frame) : std::nullopt;
}

bool has_service(const port& of, guest_service service) {
  return service == guest_service::dhcp || of.address6.has_value();
}

rate rate_of(guest_service service) {
  return service == guest_service::neighbour ? neighbour_rate : dhcp_rate;
}

guest_answer answer_guest(const port& of, guest_service service, std::span<const std::byte> frame) {
  switch (service) {
  case guest_service::dhcp:
    return answer_dhcp(of, frame);
  case guest_service::dhcp6:
    return answer_dhcp6(of, frame);
  case guest_service::router:
    return answer_router_solicitation(of, frame);
  case guest_service::neighbour:
    return answer_neighbour_solicitation(of, frame);
  }
  return {};
}

} // namespace orrery::pvip
