#include "pvip/guest/neighbour_discovery.hpp"

#include "events/core/check.hpp"
#include "pvip/guest/fields.hpp"
#include "pvip/guest/ipv6_frame.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <variant>

namespace orrery::pvip {

namespace {

enum class option : std::uint8_t {
  source_mac = 1,
  target_mac = 2,
  mtu = 5,
  name_servers = 25, // RFC 8106
};

/// Whoever has this was not routed here.
constexpr std::uint8_t hop_limit = 255;

constexpr std::size_t option_unit_bytes = 8;
constexpr std::size_t address_bytes = 16;

constexpr std::uint8_t guest_hop_limit = 64; // as everybody sends
constexpr std::uint8_t managed_and_other = 0xc0;
constexpr std::uint32_t is_router_solicited_and_overrides = 0xe0000000U;
constexpr std::uint32_t overrides = 0x20000000U; // no router: as the kernel answers for others

/// What a guest asks, with the field that follows the fixed part when it is about a neighbour.
struct solicitation {
  ipv6 source;
  ipv6 target; ///< of the packet
  ipv6 wanted; ///< the neighbour
};

/// Whether all options are whole and, if one says so, the Ethernet address is the guest's.
std::optional<guest_outcome> judge_options(std::span<const std::byte> options, const port& of,
                                           bool has_source) {
  field_reader from(options);
  while (from.left() >= option_unit_bytes) {
    const auto type = static_cast<option>(from.byte());
    const std::size_t bytes = std::size_t{from.byte()} * option_unit_bytes;
    if (bytes == 0 || bytes - 2 > from.left()) {
      return guest_outcome::malformed;
    }
    field_reader value(from.bytes(bytes - 2));
    if (type == option::source_mac && !has_source) {
      return guest_outcome::malformed; // RFC 4861, 6.1.1 and 7.1.1
    }
    if (type == option::source_mac && value.mac() != of.mac) {
      return guest_outcome::foreign;
    }
  }
  return from.left() == 0 ? std::nullopt : std::optional(guest_outcome::malformed);
}

/// The question, or why there is none to answer (RFC 4861, sections 6.1.1 and 7.1.1).
std::variant<solicitation, guest_outcome> understand(const port& of, neighbour_message wanted,
                                                     std::span<const std::byte> bytes) {
  const auto frame = read_ipv6(bytes);
  if (!frame || frame->protocol != ipv6_protocol::icmp || frame->hop_limit != hop_limit) {
    return guest_outcome::malformed;
  }
  const bool has_source = frame->source != ipv6{};
  const bool is_own = !has_source || frame->source == of.address6 ||
                      (is_link_local(frame->source) && frame->source != gateway6);
  if (frame->frame_source != of.mac || !is_own) {
    return guest_outcome::foreign;
  }
  field_reader from(frame->payload);
  const auto type = static_cast<neighbour_message>(from.byte());
  const std::uint8_t code = from.byte();
  from.bytes(2 + 4); // checksum; reserved
  if (type != wanted || code != 0) {
    return guest_outcome::malformed;
  }
  solicitation asked{.source = frame->source, .target = frame->target, .wanted = {}};
  if (wanted == neighbour_message::neighbour_solicitation) {
    if (from.left() < address_bytes) {
      return guest_outcome::malformed;
    }
    asked.wanted = from.address6();
    if (is_group(asked.wanted)) {
      return guest_outcome::malformed;
    }
  }
  if (const auto why = judge_options(from.bytes(from.left()), of, has_source)) {
    return *why;
  }
  return asked;
}

void write_option_head(field_writer& to, option type, std::size_t bytes) {
  to.byte(static_cast<std::uint8_t>(type));
  to.byte(static_cast<std::uint8_t>(bytes / option_unit_bytes));
}

void write_mac_option(field_writer& to, option type, const mac_address& mac = gateway_mac) {
  write_option_head(to, type, option_unit_bytes);
  to.mac(mac);
}

std::vector<std::byte> frame_of(const port& of, const ipv6& to,
                                std::span<const std::byte> message) {
  return write_ipv6({.frame_source = gateway_mac,
                     .frame_target = is_group(to) ? mac_of_group(to) : of.mac,
                     .source = gateway6,
                     .target = to,
                     .protocol = ipv6_protocol::icmp,
                     .hop_limit = hop_limit,
                     .payload = message});
}

std::vector<std::byte> neighbour_advertisement(const mac_address& mac, const ipv6& address,
                                               std::uint32_t flags) {
  std::vector<std::byte> message(8 + address_bytes + option_unit_bytes);
  field_writer to(message);
  to.byte(static_cast<std::uint8_t>(neighbour_message::neighbour_advertisement));
  to.byte(0);   // code
  to.number(0); // checksum, with the frame
  to.long_number(flags);
  to.address(address);
  write_mac_option(to, option::target_mac, mac);
  return message;
}

} // namespace

std::vector<std::byte> router_advertisement(const port& of, const ipv6& to) {
  ORRERY_CHECK(of.address6.has_value());
  constexpr std::size_t fixed_bytes = 16;
  const std::size_t servers = of.name_servers6.size();
  const std::size_t servers_bytes = servers == 0 ? 0 : option_unit_bytes + servers * address_bytes;
  std::vector<std::byte> message(fixed_bytes + 2 * option_unit_bytes + servers_bytes);
  field_writer into(message);
  into.byte(static_cast<std::uint8_t>(neighbour_message::router_advertisement));
  into.byte(0);   // code
  into.number(0); // checksum, with the frame
  into.byte(guest_hop_limit);
  into.byte(managed_and_other);
  into.number(static_cast<std::uint16_t>(router_lifetime.count()));
  into.long_number(0); // how long a neighbour is reachable: as the guest thinks
  into.long_number(0); // how often to ask it: likewise
  write_mac_option(into, option::source_mac);
  write_option_head(into, option::mtu, option_unit_bytes);
  into.number(0); // reserved
  into.long_number(std::max(of.mtu, ipv6_mtu_min));
  if (servers > 0) {
    write_option_head(into, option::name_servers, servers_bytes);
    into.number(0); // reserved
    into.long_number(static_cast<std::uint32_t>(router_lifetime.count()));
    for (const ipv6& each : of.name_servers6) {
      into.address(each);
    }
  }
  return frame_of(of, to, message);
}

std::vector<std::byte> unasked_advertisement(const mac_address& mac, const ipv6& address) {
  const auto message = neighbour_advertisement(mac, address, overrides);
  return write_ipv6({.frame_source = mac,
                     .frame_target = mac_of_group(all_nodes),
                     .source = address,
                     .target = all_nodes,
                     .protocol = ipv6_protocol::icmp,
                     .hop_limit = hop_limit,
                     .payload = message});
}

guest_answer answer_router_solicitation(const port& of, std::span<const std::byte> frame) {
  const auto understood = understand(of, neighbour_message::router_solicitation, frame);
  if (const auto* why = std::get_if<guest_outcome>(&understood)) {
    return silence(*why);
  }
  const auto& asked = *std::get_if<solicitation>(&understood);
  if (asked.target != all_routers && asked.target != gateway6) {
    return silence(guest_outcome::other_server);
  }
  // One that asks from its address6, or from none yet, listens to what is for all.
  const bool to_it_alone = is_link_local(asked.source);
  return {.outcome = guest_outcome::answered,
          .frame = router_advertisement(of, to_it_alone ? asked.source : all_nodes)};
}

guest_answer answer_neighbour_solicitation(const port& of, std::span<const std::byte> frame) {
  const auto understood = understand(of, neighbour_message::neighbour_solicitation, frame);
  if (const auto* why = std::get_if<guest_outcome>(&understood)) {
    return silence(*why);
  }
  const auto& asked = *std::get_if<solicitation>(&understood);
  const bool speaks_for_itself =
      asked.source == ipv6{} || asked.wanted == of.address6 || is_link_local(asked.wanted);
  if (speaks_for_itself) {
    return silence(guest_outcome::nothing_due);
  }
  return {.outcome = guest_outcome::answered,
          .frame = frame_of(of, asked.source,
                            neighbour_advertisement(gateway_mac, asked.wanted,
                                                    is_router_solicited_and_overrides))};
}

} // namespace orrery::pvip
