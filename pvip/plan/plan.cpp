#include "pvip/plan/plan.hpp"

#include "events/core/text.hpp"
#include "pvip/plan/pvip.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

namespace orrery::pvip {

namespace {

error refused(const port& of, const std::string& reason) {
  return {.code = error_code::invalid_argument, .text = "port \"" + of.link + "\": " + reason};
}

bool is_link_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !name.empty() && name.size() <= link_name_bytes_max && std::ranges::all_of(name, allowed);
}

std::optional<error> fault_of_mac(const port& of) {
  constexpr std::uint8_t group_bit = 1; // IEEE 802.3: the first bit on the wire
  if (of.mac == mac_address{}) {
    return refused(of, "its MAC address is zero; give it one");
  }
  if ((of.mac.bytes[0] & group_bit) != 0) {
    return refused(of, "its MAC address " + to_text(of.mac) + " is a group's, not a host's");
  }
  if (of.mac == gateway_mac) {
    return refused(of, "its MAC address " + to_text(of.mac) + " is the gateway's on every port");
  }
  return std::nullopt;
}

std::optional<error> fault_of_what_is_told(const port& of) {
  if (of.prefix_length == 0 || of.prefix_length > 32) {
    return refused(of, "a subnet's prefix is 1 to 32 bits long, not " +
                           std::to_string(of.prefix_length));
  }
  if (of.mtu < guest_mtu_min || of.mtu > guest_mtu) {
    return refused(of, "an MTU is " + std::to_string(guest_mtu_min) + " to " +
                           std::to_string(guest_mtu) + ", not " + std::to_string(of.mtu));
  }
  if (of.name_servers.size() > name_servers_max) {
    return refused(of, std::to_string(of.name_servers.size()) + " name servers, more than the " +
                           std::to_string(name_servers_max) + " that guests look at");
  }
  if (of.name_servers6.size() > name_servers_max) {
    return refused(of, std::to_string(of.name_servers6.size()) +
                           " IPv6 name servers, more than the " + std::to_string(name_servers_max) +
                           " that guests look at");
  }
  return std::nullopt;
}

std::optional<error> fault_of_rate(const port& of) {
  const auto rate = of.bits_a_second_max.value_or(guest_rate_min);
  if (rate < guest_rate_min || rate > guest_rate_max) {
    return refused(of, "a rate is " + std::to_string(guest_rate_min) + " to " +
                           std::to_string(guest_rate_max) + " bits a second, not " +
                           std::to_string(rate));
  }
  return std::nullopt;
}

std::optional<error> fault_of_move(const port& of) {
  if (of.awaited && (of.announced || of.tail)) {
    return refused(of, "its guest is awaited, so it is neither announced nor gone");
  }
  if (of.tail &&
      (!can_be_host(of.tail->address) || (of.tail->address6 && !can_be_host(*of.tail->address6)))) {
    return refused(of, "the node to which its guest went cannot have the address " +
                           to_text(of.tail->address) +
                           (of.tail->address6 ? " or " + to_text(*of.tail->address6) : ""));
  }
  return std::nullopt;
}

std::optional<error> fault_of_more_addresses(const port& of) {
  if (of.more_addresses.size() > more_addresses_max) {
    return refused(of, std::to_string(of.more_addresses.size()) + " more addresses, more than " +
                           std::to_string(more_addresses_max));
  }
  for (const ip_address& address : of.more_addresses) {
    if (!can_be_host(address)) {
      return refused(of, "its address " + to_text(address) + " cannot be a guest's");
    }
    if (std::holds_alternative<ipv6>(address) && !of.address6) {
      return refused(of, "it has " + to_text(address) + " and no first IPv6 address");
    }
  }
  return std::nullopt;
}

std::optional<error> fault_of_prefixes(const port& of) {
  if (of.routed_prefixes.size() > routed_prefixes_max) {
    return refused(of, std::to_string(of.routed_prefixes.size()) +
                           " prefixes behind it, more than " + std::to_string(routed_prefixes_max));
  }
  for (const ip_prefix& prefix : of.routed_prefixes) {
    const auto bits_min = routed_prefix_bits_min(prefix.base);
    if (prefix.length < bits_min || prefix.length > bits_of(prefix.base) ||
        !prefix.contains(prefix.base) || !can_be_host(prefix.base)) {
      return refused(of, "the prefix " + to_text(prefix) +
                             " cannot be behind a guest: want hosts' addresses, host bits zero, " +
                             std::to_string(bits_min) + " to " +
                             std::to_string(bits_of(prefix.base)) + " bits");
    }
    if (std::holds_alternative<ipv6>(prefix.base) && !of.address6) {
      return refused(of, "the prefix " + to_text(prefix) +
                             " is behind it, and it has no IPv6 address to hand it to");
    }
  }
  return std::nullopt;
}

std::optional<error> fault_alone(const port& of) {
  if (!is_link_name(of.link)) {
    return refused(of, "a link name is 1 to 15 of a-z, 0-9 and '-'");
  }
  if (!can_be_host(of.address)) {
    return refused(of, "its address " + to_text(of.address) + " cannot be a guest's");
  }
  if (of.address6 && !can_be_host(*of.address6)) {
    return refused(of, "its address " + to_text(*of.address6) + " cannot be a guest's");
  }
  if (!can_be_host(of.gateway)) {
    return refused(of, "its gateway " + to_text(of.gateway) + " cannot be a host's address");
  }
  if (!of.arp_uplink.empty() && (!is_uplink_name(of.arp_uplink) || of.arp_uplink == of.link)) {
    return refused(of,
                   "the link on which ARP is answered for it cannot be an uplink; name one by 1 "
                   "to 15 of a-z, A-Z, 0-9, '.', '_' and '-'");
  }
  if (auto fault = fault_of_mac(of)) {
    return fault;
  }
  if (auto fault = fault_of_more_addresses(of)) {
    return fault;
  }
  if (auto fault = fault_of_prefixes(of)) {
    return fault;
  }
  if (auto fault = fault_of_rate(of)) {
    return fault;
  }
  if (auto fault = fault_of_move(of)) {
    return fault;
  }
  return fault_of_what_is_told(of);
}

/// Two prefixes overlap only when one lies in the other; in order, then, in the one before it.
std::optional<error> fault_of_overlap(const std::vector<port>& ports) {
  std::map<ip_prefix, const port*> all;
  for (const port& each : ports) {
    all.emplace(alone(each.gateway), &each);
    for (const ip_address& address : addresses_of(each)) {
      all.emplace(alone(address), &each);
    }
  }
  for (const port& each : ports) {
    for (const ip_prefix& prefix : each.routed_prefixes) {
      if (const auto [at, fresh] = all.emplace(prefix, &each); !fresh) {
        return refused(each, "the prefix " + to_text(prefix) + " is also port \"" +
                                 at->second->link + "\"'s");
      }
    }
  }
  for (auto at = all.begin(), next = at; at != all.end() && ++next != all.end(); at = next) {
    if (at->first.overlaps(next->first)) {
      return refused(*at->second, "the prefix " + to_text(at->first) + " holds " +
                                      to_text(next->first) + " of port \"" + next->second->link +
                                      "\"");
    }
  }
  return std::nullopt;
}

/// What was sent on to a guest of this node, or to the node itself, would come to nobody.
std::optional<error> fault_of_tails(const std::vector<port>& ports) {
  std::map<ip_address, const port*> nodes;
  for (const port& each : ports) {
    if (each.tail) {
      nodes.emplace(each.tail->address, &each);
      nodes.emplace(each.tail->address6.value_or(gateway6), &each);
    }
  }
  if (nodes.empty()) {
    return std::nullopt;
  }
  for (const port& each : ports) {
    std::vector<ip_address> here = addresses_of(each);
    here.emplace_back(each.gateway);
    for (const ip_address& address : here) {
      if (const auto node = nodes.find(address); node != nodes.end()) {
        return refused(*node->second, "the node to which its guest went has " + to_text(address) +
                                          ", which port \"" + each.link + "\" has here");
      }
    }
  }
  return std::nullopt;
}

std::optional<error> fault_among(const std::vector<port>& ports) {
  std::set<std::string_view> links;
  std::map<ip_address, std::string_view> addresses;
  std::map<ip_address, std::string_view> gateways;
  for (const port& each : ports) {
    gateways.emplace(each.gateway, each.link);
  }
  for (const port& each : ports) {
    if (!links.insert(each.link).second) {
      return refused(each, "the link name is used by two ports");
    }
    for (const ip_address& address : addresses_of(each)) {
      const auto [holder, fresh] = addresses.emplace(address, each.link);
      if (!fresh) {
        return refused(each, "its address " + to_text(address) + " is also that of port \"" +
                                 std::string(holder->second) + "\"");
      }
      // The node holds every gateway itself: what is for such a guest would never leave the node.
      if (const auto user = gateways.find(address); user != gateways.end()) {
        return refused(each, "its address " + to_text(address) + " is the gateway of port \"" +
                                 std::string(user->second) + "\"");
      }
    }
  }
  if (auto fault = fault_of_tails(ports)) {
    return fault;
  }
  return fault_of_overlap(ports);
}

} // namespace

port standing_as(port wanted, const port& now) {
  wanted.announced = now.announced;
  wanted.awaited = now.awaited;
  wanted.tail = now.tail;
  return wanted;
}

std::vector<ip_address> addresses_of(const port& of) {
  std::vector<ip_address> all{of.address};
  if (of.address6) {
    all.emplace_back(*of.address6);
  }
  all.insert(all.end(), of.more_addresses.begin(), of.more_addresses.end());
  return all;
}

bool is_uplink_name(std::string_view name) {
  return !name.empty() && name.size() <= link_name_bytes_max && name != "." && name != ".." &&
         std::ranges::all_of(name, is_plain);
}

result<host_state> plan(std::vector<port> ports) {
  if (ports.size() > ports_per_node_max) {
    return error{.code = error_code::too_large,
                 .text = std::to_string(ports.size()) + " ports on one node, more than the limit " +
                         std::to_string(ports_per_node_max) + "; place guests on other nodes"};
  }
  // Sorted first, so that even a refusal does not depend on the order of the input.
  std::ranges::sort(ports);
  for (const port& each : ports) {
    if (auto fault = fault_alone(each)) {
      return *std::move(fault);
    }
  }
  if (auto fault = fault_among(ports)) {
    return *std::move(fault);
  }
  return plan_pvip(ports);
}

} // namespace orrery::pvip
