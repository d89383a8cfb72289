#include "pvip/apply/apply.hpp"
#include "pvip/apply/comparison.hpp"

#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::pvip {

namespace {

void add_removal(difference& to, operation what, std::string object) {
  to.steps.push_back({.what = std::move(what),
                      .object = std::move(object),
                      .link = {},
                      .kind = change::removed,
                      .sentence = {}});
}

/// The tap with what stands on it.
void remove_tap(difference& to, const found_link& leaving, const found_state& found) {
  std::set<std::string_view> taps;
  for (const found_link& link : found.links) {
    if (link.tap) {
      taps.insert(link.name);
    }
  }
  std::set<ip_address> addresses;
  for (const found_neighbour& neighbour : found.neighbours) {
    if (neighbour.permanent && neighbour.link == leaving.name) {
      addresses.insert(neighbour.address);
    }
  }
  for (const found_proxy& proxy : found.proxies) {
    if (proxy.ours && addresses.contains(proxy.address)) {
      add_removal(to, remove_proxy{.address = proxy.address, .uplink = proxy.link},
                  proxy_text(proxy.address, proxy.link));
    }
  }
  const auto filter = found.filter.ports.find(leaving.name);
  const auto elements =
      filter == found.filter.ports.end() ? std::vector<filter_element>() : filter->second.elements;
  for (const found_route& route : found.routes) {
    const bool is_tail = route.via && !taps.contains(route.link) &&
                         (is_guests(route.destination, elements) ||
                          (route.destination == alone(route.destination.base) &&
                           addresses.contains(route.destination.base)));
    if (route.is_ours() && (route.link == leaving.name || is_tail)) {
      add_removal(to, remove_route{route}, route_text(route.destination));
    }
  }
  for (const found_neighbour& neighbour : found.neighbours) {
    if (neighbour.permanent && neighbour.link == leaving.name) {
      add_removal(to, remove_neighbour{neighbour}, "neighbour " + to_text(neighbour.address));
    }
  }
  add_removal(to, remove_link{.link = leaving.name, .index = leaving.index},
              "link " + leaving.name);
}

} // namespace

difference compare_without(std::string_view link, const found_state& found,
                           std::string_view link_prefix, apply_scope scope) {
  difference result;
  const found_link* leaving = nullptr;
  std::set<ip_address> needed;
  bool all_known = scope == apply_scope::whole_node;
  for (const found_link& each : found.links) {
    if (each.name == link) {
      leaving = &each;
    } else if (each.tap && each.name.starts_with(link_prefix)) {
      const auto gateway = gateway_in_mark(each.alias);
      all_known = all_known && gateway.has_value();
      needed.insert(gateway.value_or(ipv4{}));
    }
  }
  if (leaving != nullptr && leaving->tap) {
    remove_tap(result, *leaving, found);
  }
  const auto filter = found.filter.ports.find(link);
  if (filter != found.filter.ports.end() && (leaving == nullptr || leaving->tap)) {
    add_removal(result, unfilter_of(filter->first, filter->second), "filter of " + filter->first);
  }
  // A tap of ours that lost its mark may still need a gateway: then none goes until the next
  // reconciliation, which knows what is wanted.
  for (const found_address& address : found.addresses) {
    if (all_known && address.ours && address.link == loopback &&
        !needed.contains(address.address)) {
      add_removal(result, remove_address{as_wanted(address)},
                  gateway_text(address.address, address.link));
    }
  }
  return result;
}

} // namespace orrery::pvip
