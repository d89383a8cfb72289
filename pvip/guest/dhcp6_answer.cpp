#include "pvip/guest/dhcp6_answer.hpp"

#include "events/core/check.hpp"
#include "pvip/guest/dhcp6.hpp"
#include "pvip/guest/dhcp_answer.hpp"
#include "pvip/guest/fields.hpp"
#include "pvip/guest/ipv6_frame.hpp"
#include "pvip/guest/udp_frame.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace orrery::pvip {

namespace {

using value = std::vector<std::byte>;

/// "All DHCP relay agents and servers" (RFC 8415, section 7.1).
constexpr ipv6 all_servers{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2}};

constexpr std::size_t address_bytes = 16;
constexpr std::size_t address_option_bytes = address_bytes + 8; // with two lifetimes
constexpr std::byte preference_max{255}; // "look no further": there is no other server

/// What a client wants addresses or prefixes for (RFC 8415, sections 21.4, 21.5 and 21.21).
struct association {
  dhcp6_option kind{};
  std::uint32_t number = 0;
  std::vector<ipv6> addresses;
};

/// A question that may be answered, with what its answer depends on.
struct question {
  ipv6 from;
  dhcp6_type type{};
  std::uint32_t transaction = 0;
  value client; ///< empty: it does not say
  std::vector<association> associations;
  bool wants_rapid_commit = false;
  bool is_to_us_alone = false; ///< by its IPv6 address
};

/// A name made of the Ethernet address (DUID-LL, RFC 8415, section 11.4).
value server_name() {
  value bytes(10);
  field_writer to(bytes);
  to.number(3); // this kind
  to.number(1); // Ethernet
  to.mac(gateway_mac);
  return bytes;
}

// --- what is asked -------------------------------------------------------------------------------

bool is_association(dhcp6_option number) {
  return number == dhcp6_option::addresses || number == dhcp6_option::temporary_addresses ||
         number == dhcp6_option::prefixes;
}

/// What stands before the options of an association: its number, and but for temporary ones two
/// times, which a client leaves to us.
std::size_t head_bytes_of(dhcp6_option kind) {
  return kind == dhcp6_option::temporary_addresses ? 4 : 12;
}

std::optional<association> read_association(const dhcp6_field& field) {
  const std::size_t head = head_bytes_of(field.number);
  if (field.value.size() < head) {
    return std::nullopt;
  }
  field_reader from(field.value);
  association made{.kind = field.number, .number = from.long_number(), .addresses = {}};
  from.bytes(head - 4);
  const auto fields = read_dhcp6_fields(from.bytes(from.left()));
  if (!fields) {
    return std::nullopt;
  }
  for (const dhcp6_field& each : *fields) {
    if (each.number != dhcp6_option::address) {
      continue;
    }
    if (each.value.size() < address_option_bytes) {
      return std::nullopt;
    }
    made.addresses.push_back(field_reader(each.value).address6());
  }
  return made;
}

/// The only option with that number: none when it is not there.
struct sole_option {
  const value* found = nullptr;
  bool is_repeated = false;
};

sole_option find_sole(const dhcp6_fields& options, dhcp6_option number) {
  sole_option made;
  for (const dhcp6_field& each : options) {
    if (each.number == number) {
      made.is_repeated = made.found != nullptr;
      made.found = &each.value;
      if (made.is_repeated) {
        break;
      }
    }
  }
  return made;
}

/// Whether the message names a client and a server as its type demands (RFC 8415, section 16).
std::optional<guest_outcome> judge_names(const dhcp6_message& message) {
  const auto client = find_sole(message.options, dhcp6_option::client);
  const auto server = find_sole(message.options, dhcp6_option::server);
  const bool has_bad_client =
      client.is_repeated || (client.found != nullptr && (client.found->size() < duid_bytes_min ||
                                                         client.found->size() > duid_bytes_max));
  if (has_bad_client || server.is_repeated) {
    return guest_outcome::malformed;
  }
  switch (message.type) {
  case dhcp6_type::solicit:
  case dhcp6_type::confirm:
  case dhcp6_type::rebind:
    if (client.found == nullptr || server.found != nullptr) {
      return guest_outcome::malformed;
    }
    return std::nullopt;
  case dhcp6_type::request:
  case dhcp6_type::renew:
  case dhcp6_type::release:
  case dhcp6_type::decline:
    if (client.found == nullptr || server.found == nullptr) {
      return guest_outcome::malformed;
    }
    break;
  case dhcp6_type::information_request:
    break;
  default:
    return guest_outcome::malformed; // of servers, or of nobody
  }
  const bool is_for_another = server.found != nullptr && *server.found != server_name();
  return is_for_another ? std::optional(guest_outcome::other_server) : std::nullopt;
}

/// False when one is broken, or there are too many.
bool read_associations(const dhcp6_fields& options, std::vector<association>& into) {
  std::size_t addresses = 0;
  for (const dhcp6_field& each : options) {
    if (!is_association(each.number)) {
      continue;
    }
    auto read = read_association(each);
    if (!read || into.size() == associations_max) {
      return false;
    }
    addresses += read->addresses.size();
    into.push_back(*std::move(read));
  }
  return addresses <= association_addresses_max;
}

/// The question, or why there is none to answer.
std::variant<question, guest_outcome> understand(const port& of, std::span<const std::byte> bytes) {
  const auto frame = read_udp6(bytes);
  if (!frame || frame->target_port != dhcp6_server_port) {
    return guest_outcome::malformed;
  }
  const bool is_own_frame =
      frame->frame_source == of.mac && is_link_local(frame->source) && frame->source != gateway6;
  if (!is_own_frame) {
    return guest_outcome::foreign;
  }
  if (frame->target != all_servers && frame->target != gateway6) {
    return guest_outcome::other_server;
  }
  if (is_relayed(frame->payload)) {
    return guest_outcome::relayed;
  }
  const auto message = read_dhcp6(frame->payload);
  if (!message) {
    return guest_outcome::malformed;
  }
  if (const auto why = judge_names(*message)) {
    return *why;
  }
  question asked{.from = frame->source,
                 .type = message->type,
                 .transaction = message->transaction,
                 .client = {},
                 .associations = {},
                 .wants_rapid_commit =
                     find_sole(message->options, dhcp6_option::rapid_commit).found != nullptr,
                 .is_to_us_alone = frame->target == gateway6};
  if (const auto client = find_sole(message->options, dhcp6_option::client); client.found) {
    asked.client = *client.found;
  }
  const bool asks_for_some =
      read_associations(message->options, asked.associations) &&
      asked.associations.empty() == (message->type == dhcp6_type::information_request);
  if (!asks_for_some) {
    return guest_outcome::malformed;
  }
  return asked;
}

// --- what is told --------------------------------------------------------------------------------

dhcp6_field status_option(dhcp6_status status) {
  value bytes(2);
  field_writer(bytes).number(static_cast<std::uint16_t>(status));
  return {.number = dhcp6_option::status, .value = std::move(bytes)};
}

dhcp6_field address_option(const ipv6& address, std::chrono::seconds lifetime) {
  value bytes(address_option_bytes);
  field_writer to(bytes);
  to.address(address);
  to.seconds(lifetime); // preferred: an old lease is as good as a new one
  to.seconds(lifetime); // valid
  return {.number = dhcp6_option::address, .value = std::move(bytes)};
}

dhcp6_field association_option(const association& of, std::chrono::seconds renewal,
                               std::chrono::seconds rebinding, const dhcp6_fields& within) {
  value bytes(head_bytes_of(of.kind));
  field_writer to(bytes);
  to.long_number(of.number);
  if (of.kind != dhcp6_option::temporary_addresses) {
    to.seconds(renewal);
    to.seconds(rebinding);
  }
  const auto fields = write_dhcp6_fields(within);
  bytes.insert(bytes.end(), fields.begin(), fields.end());
  return {.number = of.kind, .value = std::move(bytes)};
}

dhcp6_field nothing_for(const association& of, dhcp6_status why) {
  using std::chrono::seconds;
  return association_option(of, seconds{0}, seconds{0}, {status_option(why)});
}

/// The port's address for an association; what it has beside it ends now.
dhcp6_field lease_for(const association& of, const ipv6& address) {
  dhcp6_fields within{address_option(address, lease_time)};
  for (const ipv6& each : of.addresses) {
    if (each != address) {
      within.push_back(address_option(each, std::chrono::seconds{0}));
    }
  }
  return association_option(of, renewal_time, rebinding_time, within);
}

bool names(const association& one, const ipv6& address) {
  return std::ranges::find(one.addresses, address) != one.addresses.end();
}

/// The association that can have the port's address.
const association* holder_among(const std::vector<association>& all, const ipv6& address) {
  const association* holder = nullptr;
  for (const association& each : all) {
    if (each.kind == dhcp6_option::addresses) {
      if (names(each, address)) {
        return &each;
      }
      holder = holder == nullptr ? &each : holder;
    }
  }
  return holder;
}

dhcp6_message answer_to(const question& asked, dhcp6_type type) {
  dhcp6_message answer{.type = type, .transaction = asked.transaction, .options = {}};
  if (!asked.client.empty()) {
    answer.options.push_back({.number = dhcp6_option::client, .value = asked.client});
  }
  answer.options.push_back({.number = dhcp6_option::server, .value = server_name()});
  return answer;
}

/// What the guest is told whenever it is told anything, with a lease or without.
void add_settings(dhcp6_message& answer, const port& of) {
  if (of.name_servers6.empty()) {
    return;
  }
  value bytes(of.name_servers6.size() * address_bytes);
  field_writer to(bytes);
  for (const ipv6& each : of.name_servers6) {
    to.address(each);
  }
  answer.options.push_back({.number = dhcp6_option::name_servers, .value = std::move(bytes)});
}

guest_answer sent(const question& asked, const port& of, const dhcp6_message& answer,
                  guest_outcome outcome) {
  const auto payload = write_dhcp6(answer);
  return {.outcome = outcome,
          .frame = write_udp6({.frame_source = gateway_mac,
                               .frame_target = of.mac,
                               .source = gateway6,
                               .target = asked.from,
                               .source_port = dhcp6_server_port,
                               .target_port = dhcp6_client_port,
                               .payload = payload})};
}

/// What those are told that get nothing when they ask for something new.
dhcp6_status nothing_new_for(const association& one) {
  return one.kind == dhcp6_option::prefixes ? dhcp6_status::no_prefix_available
                                            : dhcp6_status::no_address_available;
}

/// RFC 8415, section 18.3.1.
guest_answer answer_solicit(const question& asked, const port& of) {
  const auto* holder = holder_among(asked.associations, *of.address6);
  const bool commits = asked.wants_rapid_commit && holder != nullptr;
  dhcp6_message answer = answer_to(asked, commits ? dhcp6_type::reply : dhcp6_type::advertise);
  if (commits) {
    answer.options.push_back({.number = dhcp6_option::rapid_commit, .value = {}});
  } else {
    answer.options.push_back({.number = dhcp6_option::preference, .value = {preference_max}});
  }
  for (const association& each : asked.associations) {
    if (&each == holder) {
      const association without_wishes{each.kind, each.number, {}};
      answer.options.push_back(lease_for(without_wishes, *of.address6));
    } else {
      answer.options.push_back(nothing_for(each, nothing_new_for(each)));
    }
  }
  add_settings(answer, of);
  if (holder == nullptr) {
    return sent(asked, of, answer, guest_outcome::refused);
  }
  return sent(asked, of, answer, commits ? guest_outcome::acknowledged : guest_outcome::offered);
}

/// RFC 8415, section 18.3.2: an address that is not the port's is on no link of the guest.
guest_answer answer_request(const question& asked, const port& of) {
  const auto* holder = holder_among(asked.associations, *of.address6);
  const auto is_ours = [&](const ipv6& each) { return each == *of.address6; };
  bool has_lease = false;
  dhcp6_message answer = answer_to(asked, dhcp6_type::reply);
  for (const association& each : asked.associations) {
    if (!std::ranges::all_of(each.addresses, is_ours)) {
      answer.options.push_back(nothing_for(each, dhcp6_status::not_on_link));
    } else if (&each == holder) {
      answer.options.push_back(lease_for(each, *of.address6));
      has_lease = true;
    } else {
      answer.options.push_back(nothing_for(each, nothing_new_for(each)));
    }
  }
  add_settings(answer, of);
  return sent(asked, of, answer, has_lease ? guest_outcome::acknowledged : guest_outcome::refused);
}

/// RFC 8415, sections 18.3.4 and 18.3.5.
guest_answer answer_renewal(const question& asked, const port& of) {
  const auto* holder = holder_among(asked.associations, *of.address6);
  dhcp6_message answer = answer_to(asked, dhcp6_type::reply);
  for (const association& each : asked.associations) {
    answer.options.push_back(&each == holder ? lease_for(each, *of.address6)
                                             : nothing_for(each, dhcp6_status::no_binding));
  }
  add_settings(answer, of);
  return sent(asked, of, answer,
              holder == nullptr ? guest_outcome::refused : guest_outcome::acknowledged);
}

/// RFC 8415, section 18.3.3.
guest_answer answer_confirm(const question& asked, const port& of) {
  std::size_t addresses = 0;
  bool all_are_ours = true;
  for (const association& each : asked.associations) {
    for (const ipv6& address : each.addresses) {
      ++addresses;
      all_are_ours = all_are_ours && address == *of.address6;
    }
  }
  if (addresses == 0) {
    return silence(guest_outcome::malformed);
  }
  dhcp6_message answer = answer_to(asked, dhcp6_type::reply);
  answer.options.push_back(
      status_option(all_are_ours ? dhcp6_status::success : dhcp6_status::not_on_link));
  return sent(asked, of, answer,
              all_are_ours ? guest_outcome::acknowledged : guest_outcome::refused);
}

/// RFC 8415, sections 18.3.7 and 18.3.8. The address stays the NIC's, whatever its guest says.
guest_answer answer_return(const question& asked, const port& of) {
  dhcp6_message answer = answer_to(asked, dhcp6_type::reply);
  answer.options.push_back(status_option(dhcp6_status::success));
  for (const association& each : asked.associations) {
    if (each.kind != dhcp6_option::addresses || !names(each, *of.address6)) {
      answer.options.push_back(nothing_for(each, dhcp6_status::no_binding));
    }
  }
  return sent(asked, of, answer, guest_outcome::acknowledged);
}

/// RFC 8415, section 18.3.6.
guest_answer answer_information_request(const question& asked, const port& of) {
  dhcp6_message answer = answer_to(asked, dhcp6_type::reply);
  add_settings(answer, of);
  value refresh(4);
  field_writer(refresh).seconds(renewal_time);
  answer.options.push_back(
      {.number = dhcp6_option::information_refresh, .value = std::move(refresh)});
  return sent(asked, of, answer, guest_outcome::acknowledged);
}

/// What is sent to us alone, though nobody told the guest to (RFC 8415, sections 16 and 18.4).
guest_answer answer_to_us_alone(const question& asked, const port& of) {
  const bool has_an_answer = asked.type == dhcp6_type::request || asked.type == dhcp6_type::renew ||
                             asked.type == dhcp6_type::release || asked.type == dhcp6_type::decline;
  if (!has_an_answer) {
    return silence(guest_outcome::malformed);
  }
  dhcp6_message answer = answer_to(asked, dhcp6_type::reply);
  answer.options.push_back(status_option(dhcp6_status::use_multicast));
  return sent(asked, of, answer, guest_outcome::refused);
}

} // namespace

guest_answer answer_dhcp6(const port& of, std::span<const std::byte> frame) {
  ORRERY_CHECK(of.address6.has_value());
  const auto understood = understand(of, frame);
  if (const auto* why = std::get_if<guest_outcome>(&understood)) {
    return silence(*why);
  }
  const auto& asked = *std::get_if<question>(&understood);
  if (asked.is_to_us_alone) {
    return answer_to_us_alone(asked, of);
  }
  switch (asked.type) {
  case dhcp6_type::solicit:
    return answer_solicit(asked, of);
  case dhcp6_type::request:
    return answer_request(asked, of);
  case dhcp6_type::confirm:
    return answer_confirm(asked, of);
  case dhcp6_type::renew:
  case dhcp6_type::rebind:
    return answer_renewal(asked, of);
  case dhcp6_type::release:
  case dhcp6_type::decline:
    return answer_return(asked, of);
  case dhcp6_type::information_request:
    return answer_information_request(asked, of);
  default:
    return silence(guest_outcome::malformed); // `judge_names` let none of these pass
  }
}

} // namespace orrery::pvip
