#include "pvip/guest/dhcp_answer.hpp"

#include "pvip/guest/dhcp.hpp"
#include "pvip/guest/fields.hpp"
#include "pvip/guest/udp_frame.hpp"

#include <utility>
#include <variant>

namespace orrery::pvip {

namespace {

using value = std::vector<std::byte>;

value bytes_of_address(ipv4 address) {
  value bytes(4);
  field_writer(bytes).address(address);
  return bytes;
}

value bytes_of_addresses(const std::vector<ipv4>& addresses) {
  value bytes(addresses.size() * 4);
  field_writer to(bytes);
  for (const ipv4 each : addresses) {
    to.address(each);
  }
  return bytes;
}

value bytes_of_seconds(std::chrono::seconds time) {
  value bytes(4);
  field_writer(bytes).seconds(time);
  return bytes;
}

/// RFC 3442: the gateway on the link, and all else over it.
value classless_routes_over(ipv4 gateway) {
  value bytes(14);
  field_writer to(bytes);
  to.byte(32);
  to.address(gateway);
  to.address(ipv4{}); // 0.0.0.0: no router before it
  to.byte(0);
  to.address(gateway);
  return bytes;
}

/// The address in an option; none when it is not there.
struct address_option {
  std::optional<ipv4> address;
  bool is_malformed = false;
};

address_option read_address(const dhcp_message& message, dhcp_option number) {
  const auto found = message.options.find(number);
  if (found == message.options.end()) {
    return {};
  }
  if (found->second.size() != 4) {
    return {.address = std::nullopt, .is_malformed = true};
  }
  return {.address = field_reader(found->second).address(), .is_malformed = false};
}

std::optional<dhcp_type> type_of(const dhcp_message& message) {
  const auto found = message.options.find(dhcp_option::type);
  if (found == message.options.end() || found->second.size() != 1) {
    return std::nullopt;
  }
  return static_cast<dhcp_type>(std::to_integer<std::uint8_t>(found->second[0]));
}

/// A question that may be answered, with what its answer depends on.
struct question {
  dhcp_message message;
  dhcp_type type = dhcp_type::discover;
  std::optional<ipv4> server;
  std::optional<ipv4> requested;
};

/// The question, or why there is none to answer.
std::variant<question, guest_outcome> understand(const port& of, std::span<const std::byte> bytes) {
  const auto frame = read_udp(bytes);
  if (!frame || frame->target_port != dhcp_server_port || frame->source_port != dhcp_client_port) {
    return guest_outcome::malformed;
  }
  const bool is_own_frame =
      frame->frame_source == of.mac && (frame->source == ipv4{} || frame->source == of.address);
  if (!is_own_frame) {
    return guest_outcome::foreign;
  }
  const bool is_to_us =
      (frame->frame_target == everyone_mac || frame->frame_target == gateway_mac) &&
      (frame->target == everyone || frame->target == of.gateway);
  if (!is_to_us) {
    return guest_outcome::other_server;
  }
  auto message = read_dhcp(frame->payload);
  if (!message || message->is_reply) {
    return guest_outcome::malformed;
  }
  if (message->relay != ipv4{}) {
    return guest_outcome::relayed;
  }
  if (message->mac != of.mac) {
    return guest_outcome::foreign;
  }
  const auto type = type_of(*message);
  const auto server = read_address(*message, dhcp_option::server);
  const auto requested = read_address(*message, dhcp_option::requested_address);
  const auto client = message->options.find(dhcp_option::client);
  const bool has_long_name =
      client != message->options.end() && client->second.size() > client_id_bytes_max;
  if (!type || server.is_malformed || requested.is_malformed || has_long_name) {
    return guest_outcome::malformed;
  }
  return question{.message = *std::move(message),
                  .type = *type,
                  .server = server.address,
                  .requested = requested.address};
}

/// What the guest is told whenever it is told anything, with a lease or without.
void add_settings(dhcp_message& answer, const port& of) {
  const std::uint8_t length = of.classless_routes ? 32 : of.prefix_length;
  auto& options = answer.options;
  options[dhcp_option::subnet_mask] = bytes_of_address(ipv4{ipv4_prefix{{}, length}.mask()});
  // Those that know nothing of RFC 3442 have only this one; the others leave it.
  options[dhcp_option::routers] = bytes_of_address(of.gateway);
  if (of.classless_routes) {
    options[dhcp_option::classless_routes] = classless_routes_over(of.gateway);
  }
  if (!of.name_servers.empty()) {
    options[dhcp_option::name_servers] = bytes_of_addresses(of.name_servers);
  }
  value mtu(2);
  field_writer(mtu).number(of.mtu);
  options[dhcp_option::mtu] = std::move(mtu);
}

void add_lease(dhcp_message& answer, const port& of) {
  answer.offered = of.address;
  answer.options[dhcp_option::lease_seconds] = bytes_of_seconds(lease_time);
  answer.options[dhcp_option::renewal_seconds] = bytes_of_seconds(renewal_time);
  answer.options[dhcp_option::rebinding_seconds] = bytes_of_seconds(rebinding_time);
}

/// An answer of a type to a question, without what depends on the type (RFC 2131, table 3).
dhcp_message answer_to(const question& asked, const port& of, dhcp_type type) {
  dhcp_message answer;
  answer.is_reply = true;
  answer.transaction = asked.message.transaction;
  answer.wants_broadcast = asked.message.wants_broadcast;
  answer.mac = of.mac;
  answer.options[dhcp_option::type] = {static_cast<std::byte>(type)};
  answer.options[dhcp_option::server] = bytes_of_address(of.gateway);
  const auto client = asked.message.options.find(dhcp_option::client);
  if (client != asked.message.options.end()) {
    answer.options.insert(*client); // RFC 6842
  }
  return answer;
}

/// The answer's way to the guest (RFC 2131, section 4.1).
std::vector<std::byte> frame_of(const dhcp_message& answer, const port& of, bool to_everyone) {
  const auto payload = write_dhcp(answer);
  return write_udp({.frame_source = gateway_mac,
                    .frame_target = to_everyone ? everyone_mac : of.mac,
                    .source = of.gateway,
                    .target = to_everyone ? everyone : of.address,
                    .source_port = dhcp_server_port,
                    .target_port = dhcp_client_port,
                    .payload = payload});
}

guest_answer offer(const question& asked, const port& of) {
  dhcp_message answer = answer_to(asked, of, dhcp_type::offer);
  add_settings(answer, of);
  add_lease(answer, of);
  return {.outcome = guest_outcome::offered,
          .frame = frame_of(answer, of, asked.message.wants_broadcast)};
}

guest_answer refuse(const question& asked, const port& of) {
  dhcp_message answer = answer_to(asked, of, dhcp_type::refuse);
  constexpr std::string_view reason = "not the address of this NIC";
  const auto bytes = std::as_bytes(std::span(reason));
  answer.options[dhcp_option::text] = value(bytes.begin(), bytes.end());
  return {.outcome = guest_outcome::refused, .frame = frame_of(answer, of, true)};
}

guest_answer acknowledge_request(const question& asked, const port& of) {
  if (asked.server && *asked.server != of.gateway) {
    return silence(guest_outcome::other_server);
  }
  const ipv4 held = asked.message.client;
  if (!asked.requested && held == ipv4{}) {
    return silence(guest_outcome::malformed);
  }
  const bool wants_ours = (!asked.requested || *asked.requested == of.address) &&
                          (held == ipv4{} || held == of.address);
  if (!wants_ours) {
    return refuse(asked, of);
  }
  dhcp_message answer = answer_to(asked, of, dhcp_type::acknowledge);
  answer.client = held;
  add_settings(answer, of);
  add_lease(answer, of);
  const bool to_everyone = held == ipv4{} && asked.message.wants_broadcast;
  return {.outcome = guest_outcome::acknowledged, .frame = frame_of(answer, of, to_everyone)};
}

guest_answer inform(const question& asked, const port& of) {
  if (asked.message.client != of.address) {
    return silence(guest_outcome::foreign);
  }
  dhcp_message answer = answer_to(asked, of, dhcp_type::acknowledge);
  answer.client = asked.message.client;
  add_settings(answer, of);
  return {.outcome = guest_outcome::acknowledged, .frame = frame_of(answer, of, false)};
}

} // namespace

guest_answer answer_dhcp(const port& of, std::span<const std::byte> frame) {
  const auto understood = understand(of, frame);
  if (const auto* why = std::get_if<guest_outcome>(&understood)) {
    return silence(*why);
  }
  const auto& asked = *std::get_if<question>(&understood);
  switch (asked.type) {
  case dhcp_type::discover:
    return offer(asked, of);
  case dhcp_type::request:
    return acknowledge_request(asked, of);
  case dhcp_type::inform:
    return inform(asked, of);
  case dhcp_type::decline:
  case dhcp_type::release:
    return silence(guest_outcome::nothing_due);
  case dhcp_type::offer:
  case dhcp_type::acknowledge:
  case dhcp_type::refuse:
    break; // of servers
  }
  return silence(guest_outcome::malformed);
}

} // namespace orrery::pvip
