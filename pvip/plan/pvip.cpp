#include "pvip/plan/pvip.hpp"

#include <algorithm>
#include <optional>

namespace orrery::pvip {

namespace {

/// Where an address of a guest stands in the filter.
std::vector<filter_set> sets_of(const ip_address& address) {
  return std::holds_alternative<ipv4>(address)
             ? std::vector{filter_set::address, filter_set::received}
             : std::vector{filter_set::address6, filter_set::received6, filter_set::target6};
}

/// Where a prefix behind a guest does.
std::vector<filter_set> sets_of(const ip_prefix& prefix) {
  return std::holds_alternative<ipv4>(prefix.base)
             ? std::vector{filter_set::prefix, filter_set::received_prefix}
             : std::vector{filter_set::prefix6, filter_set::received_prefix6};
}

/// The way to an address of the guest, or to what is behind it: over its port, by way of it when
/// `guest` says so, or to where it went.
void want_route(host_state& wanted, const port& of, const ip_prefix& destination,
                const std::optional<ip_address>& guest) {
  const wanted_route route{
      .destination = destination, .link = of.link, .via = guest, .is_told = of.announced};
  if (!of.tail) {
    if (of.announced || of.awaited) {
      wanted.routes.push_back(route);
    }
    return;
  }
  wanted_route tail = route;
  tail.is_tail = true;
  if (std::holds_alternative<ipv4>(destination.base)) {
    tail.via = of.tail->address;
  } else if (of.tail->address6) {
    tail.via = *of.tail->address6;
  } else {
    return;
  }
  wanted.routes.push_back(tail);
}

void want_address(host_state& wanted, const port& of, const ip_address& address) {
  if (of.announced && !of.tail && !of.arp_uplink.empty()) {
    wanted.proxies.push_back({.address = address, .uplink = of.arp_uplink, .link = of.link});
  }
  want_route(wanted, of, alone(address), std::nullopt);
  // Permanent, so that the node never asks the guest and no guest can poison the entry.
  wanted.neighbours.push_back({.address = address, .mac = of.mac, .link = of.link});
  for (const filter_set set : sets_of(address)) {
    wanted.filter.push_back({.link = of.link, .set = set, .value = to_text(address)});
  }
}

void want_prefix(host_state& wanted, const port& of, const ip_prefix& prefix) {
  const bool is_ipv4 = std::holds_alternative<ipv4>(prefix.base);
  want_route(wanted, of, prefix, is_ipv4 ? ip_address(of.address) : ip_address(*of.address6));
  for (const filter_set set : sets_of(prefix)) {
    wanted.filter.push_back({.link = of.link, .set = set, .value = to_text(prefix)});
  }
}

/// The link itself, its gateways, and who sends there.
void want_link(host_state& wanted, const port& of) {
  wanted.links.push_back({.name = of.link,
                          .owner_uid = of.tap_owner_uid,
                          .gateway = of.gateway,
                          .has_ipv6 = of.address6.has_value()});
  wanted.local_addresses.push_back(
      {.address = of.gateway, .length = 32, .link = std::string(loopback)});
  wanted.filter.push_back({.link = of.link, .set = filter_set::mac, .value = to_text(of.mac)});
  if (of.address6) {
    wanted.local_addresses.push_back(
        {.address = gateway6, .length = gateway6_prefix_bits, .link = of.link});
    wanted.filter.push_back({.link = of.link, .set = filter_set::mac6, .value = to_text(of.mac)});
  }
  if (of.bits_a_second_max) {
    wanted.filter.push_back({.link = of.link,
                             .set = filter_set::rate,
                             .value = std::to_string(*of.bits_a_second_max / 8)});
  }
}

} // namespace

host_state plan_pvip(const std::vector<port>& ports) {
  host_state wanted;
  for (const port& each : ports) {
    want_link(wanted, each);
    for (const ip_address& address : addresses_of(each)) {
      want_address(wanted, each, address);
    }
    for (const ip_prefix& prefix : each.routed_prefixes) {
      want_prefix(wanted, each, prefix);
    }
  }
  std::ranges::sort(wanted.links);
  std::ranges::sort(wanted.routes);
  std::ranges::sort(wanted.neighbours);
  std::ranges::sort(wanted.proxies);
  std::ranges::sort(wanted.local_addresses);
  std::ranges::sort(wanted.filter);
  const auto end = std::unique(wanted.local_addresses.begin(), wanted.local_addresses.end());
  wanted.local_addresses.erase(end, wanted.local_addresses.end());
  return wanted;
}

} // namespace orrery::pvip
