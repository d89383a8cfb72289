#include "pvip/apply/comparison.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace orrery::pvip {

namespace {

/// Whether it has what makes two routes to one prefix the same one to the kernel.
bool is_in_our_place(const found_route& route) {
  return route.priority == priority_of_routes_to(route.destination.base) && route.tos == 0;
}

/// Where a route leads, for people.
std::string way_text(const std::string& link, const std::optional<ip_address>& node, bool is_told) {
  return (node           ? to_text(*node)
          : link.empty() ? std::string("elsewhere")
                         : link) +
         (is_told ? "" : " untold");
}

std::string way_of(const wanted_route& route) {
  return way_text(route.link, route.is_tail ? route.via : std::nullopt, route.is_told);
}

std::string way_of(const found_route& route, const wanted_route& wanted) {
  return way_text(route.link, wanted.is_tail ? route.via : std::nullopt,
                  route.protocol == route_protocol);
}

bool is_as_wanted(const found_route& found, const wanted_route& wanted) {
  return found.protocol == protocol_of(wanted) &&
         (wanted.via ? found.via == wanted.via : found.direct) &&
         (wanted.is_tail || found.link == wanted.link);
}

} // namespace

bool is_guests(const ip_prefix& destination, const std::vector<filter_element>& filter) {
  const bool is_ipv4 = std::holds_alternative<ipv4>(destination.base);
  const bool is_one = destination == alone(destination.base);
  const std::string value = is_one ? to_text(destination.base) : to_text(destination);
  const filter_set set = is_one    ? is_ipv4 ? filter_set::address : filter_set::address6
                         : is_ipv4 ? filter_set::prefix
                                   : filter_set::prefix6;
  return std::ranges::any_of(filter, [&](const filter_element& element) {
    return element.set == set && element.value == value;
  });
}

std::string route_text(const ip_prefix& destination) { return "route " + to_text(destination); }

std::string proxy_text(const ip_address& address, std::string_view uplink) {
  return "answer for " + to_text(address) + " on " + std::string(uplink);
}

void comparison::set_neighbours() {
  std::map<std::pair<std::string_view, ip_address>, const found_neighbour*> has;
  for (const found_neighbour& neighbour : x_found.neighbours) {
    has.emplace(std::pair(std::string_view(neighbour.link), neighbour.address), &neighbour);
  }
  for (const wanted_neighbour& neighbour : x_wanted.neighbours) {
    if (is_taken(neighbour.link)) {
      continue;
    }
    const std::string object = "neighbour " + to_text(neighbour.address) + " on " + neighbour.link;
    const auto at = has.find(std::pair(std::string_view(neighbour.link), neighbour.address));
    if (at == has.end()) {
      const bool fresh = existing(neighbour.link) == nullptr;
      add(set_neighbour{neighbour}, object, neighbour.link, change::added,
          fresh ? std::string() : object + " was missing");
    } else if (at->second->mac != neighbour.mac || !at->second->permanent) {
      add(set_neighbour{neighbour}, object, neighbour.link, change::repaired,
          object + " was " + to_text(at->second->mac) +
              (at->second->permanent ? "" : " (not permanent)") + ", wanted " +
              to_text(neighbour.mac));
    }
  }
}

void comparison::remove_neighbours() {
  std::set<std::pair<std::string_view, ip_address>> wanted;
  for (const wanted_neighbour& neighbour : x_wanted.neighbours) {
    wanted.emplace(neighbour.link, neighbour.address);
  }
  for (const found_neighbour& neighbour : x_found.neighbours) {
    // What is not permanent the kernel learned and will forget.
    if (!neighbour.permanent || !is_judged(neighbour.link) ||
        wanted.contains({std::string_view(neighbour.link), neighbour.address})) {
      continue;
    }
    const std::string object = "neighbour " + to_text(neighbour.address) + " on " + neighbour.link;
    add(remove_neighbour{neighbour}, object, {}, change::removed, object + " is wanted by nobody");
  }
}

void comparison::set_routes() {
  std::multimap<ip_prefix, const found_route*> has;
  for (const found_route& route : x_found.routes) {
    if (is_in_our_place(route)) {
      has.emplace(route.destination, &route);
    }
  }
  // What is behind a guest comes after the guest's own route: else the kernel would look for the
  // guest where another node's route leads, and takes no IPv6 route by way of it.
  for (const bool is_by_guest : {false, true}) {
    for (const wanted_route& route : x_wanted.routes) {
      if (is_taken(route.link) || (route.via && !route.is_tail) != is_by_guest) {
        continue;
      }
      const auto [begin, end] = has.equal_range(route.destination);
      std::vector<const found_route*> rivals;
      for (auto at = begin; at != end; ++at) {
        rivals.push_back(at->second);
      }
      set_one_route(route, rivals);
    }
  }
}

void comparison::set_one_route(const wanted_route& route,
                               const std::vector<const found_route*>& rivals) {
  const std::string object = route_text(route.destination);
  const found_route* own = nullptr;
  const found_route* foreign = nullptr;
  for (const found_route* rival : rivals) {
    (rival->is_ours() ? own : foreign) = rival;
  }
  if (own != nullptr && is_as_wanted(*own, route)) {
    return;
  }
  if (foreign != nullptr) {
    x_result.refusals.push_back(in_the_way(
        object + " to " + way_of(route) + " cannot be made: another one, of protocol " +
        std::to_string(foreign->protocol) + (foreign->link.empty() ? "" : " on ") + foreign->link +
        ", has its place and is not ours; remove it or give it a metric"));
  } else if (own != nullptr) {
    add(replace_route{route}, object, route.link, change::repaired,
        object + " led to " + way_of(*own, route) + ", wanted " + way_of(route));
  } else {
    const bool fresh = existing(route.link) == nullptr;
    add(add_route{route}, object, route.link, change::added,
        fresh ? std::string() : object + " to " + way_of(route) + " was missing");
  }
}

bool comparison::is_judged_tail(const found_route& route) const {
  const found_link* over = existing(route.link);
  if (!route.via || (over != nullptr && over->tap)) {
    return false;
  }
  return is_guests(route.destination, x_wanted.filter) ||
         std::ranges::any_of(x_found.filter.ports, [&](const auto& port) {
           return x_wanted_names.contains(port.first) &&
                  is_guests(route.destination, port.second.elements);
         });
}

void comparison::remove_routes() {
  std::set<ip_prefix> wanted;
  for (const wanted_route& route : x_wanted.routes) {
    wanted.insert(route.destination);
  }
  for (const found_route& route : x_found.routes) {
    if (!route.is_ours()) {
      continue;
    }
    if (x_scope == apply_scope::one_port && !is_judged(route.link) && !is_judged_tail(route)) {
      continue;
    }
    if (is_in_our_place(route) && wanted.contains(route.destination)) {
      continue; // judged, and perhaps replaced, by set_routes
    }
    const std::string object = route_text(route.destination);
    add(remove_route{route}, object, {}, change::removed,
        object + (route.link.empty() ? "" : " to " + route.link) + " is wanted by nobody");
  }
}

void comparison::set_proxies() {
  std::map<std::pair<std::string_view, ip_address>, const found_proxy*> has;
  for (const found_proxy& proxy : x_found.proxies) {
    has.emplace(std::pair(std::string_view(proxy.link), proxy.address), &proxy);
  }
  for (const wanted_proxy& proxy : x_wanted.proxies) {
    if (is_taken(proxy.link)) {
      continue;
    }
    const std::string object = proxy_text(proxy.address, proxy.uplink);
    const auto at = has.find(std::pair(std::string_view(proxy.uplink), proxy.address));
    if (at == has.end()) {
      const bool fresh = existing(proxy.link) == nullptr;
      add(add_proxy{proxy}, object, proxy.link, change::added,
          fresh ? std::string() : object + " was missing");
    } else if (!at->second->ours) {
      x_result.refusals.push_back(
          in_the_way(object + " cannot be made: there is one which is not ours; remove it"));
    } else if (!at->second->prompt) {
      add(add_proxy{proxy}, object, proxy.link, change::repaired,
          object + " was not given at once");
    }
  }
}

void comparison::remove_proxies() {
  std::set<std::pair<std::string_view, ip_address>> wanted;
  for (const wanted_proxy& proxy : x_wanted.proxies) {
    wanted.emplace(proxy.uplink, proxy.address);
  }
  std::set<ip_address> judged;
  for (const wanted_neighbour& neighbour : x_wanted.neighbours) {
    judged.insert(neighbour.address);
  }
  for (const found_neighbour& neighbour : x_found.neighbours) {
    if (neighbour.permanent && is_judged(neighbour.link)) {
      judged.insert(neighbour.address);
    }
  }
  for (const found_proxy& proxy : x_found.proxies) {
    const bool is_judged = x_scope == apply_scope::whole_node || judged.contains(proxy.address);
    if (proxy.ours && is_judged &&
        !wanted.contains({std::string_view(proxy.link), proxy.address})) {
      const std::string object = proxy_text(proxy.address, proxy.link);
      add(remove_proxy{.address = proxy.address, .uplink = proxy.link}, object, {}, change::removed,
          object + " is wanted by nobody");
    }
  }
}

} // namespace orrery::pvip
