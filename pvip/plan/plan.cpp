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
  return std::nullopt;
}

std::optional<error> fault_alone(const port& of) {
  if (!is_link_name(of.link)) {
    return refused(of, "a link name is 1 to 15 of a-z, 0-9 and '-'");
  }
  if (!can_be_host(of.address)) {
    return refused(of, "its address " + to_text(of.address) + " cannot be a guest's");
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
  return fault_of_what_is_told(of);
}

std::optional<error> fault_among(const std::vector<port>& ports) {
  std::set<std::string_view> links;
  std::map<ipv4, std::string_view> addresses;
  std::map<ipv4, std::string_view> gateways;
  for (const port& each : ports) {
    gateways.emplace(each.gateway, each.link);
  }
  for (const port& each : ports) {
    if (!links.insert(each.link).second) {
      return refused(each, "the link name is used by two ports");
    }
    const auto [holder, fresh] = addresses.emplace(each.address, each.link);
    if (!fresh) {
      return refused(each, "its address " + to_text(each.address) + " is also that of port \"" +
                               std::string(holder->second) + "\"");
    }
    // The node holds every gateway itself, so traffic for such a guest would never leave the node.
    if (const auto user = gateways.find(each.address); user != gateways.end()) {
      return refused(each, "its address " + to_text(each.address) + " is the gateway of port \"" +
                               std::string(user->second) + "\"");
    }
  }
  return std::nullopt;
}

} // namespace

bool can_be_host(ipv4 address) {
  const std::uint32_t first = address.bits >> 24;
  return first != 0 && first != 127 && first < 224;
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
