#include "pvip/apply/memory_kernel.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace orrery::pvip {

namespace {

error refused(std::string text) {
  return {.code = error_code::io_failed, .text = std::move(text), .retryable = true};
}

/// Applies one operation to the state; one function an operation.
struct applier {
  found_state& state;
  std::uint32_t& next_index;
  std::unordered_map<std::string, std::size_t>& places;

  [[nodiscard]] found_link* link_named(const std::string& name) const {
    const auto known = places.find(name);
    if (known != places.end() && known->second < state.links.size() &&
        state.links[known->second].name == name) {
      return &state.links[known->second];
    }
    const auto at = std::ranges::find(state.links, name, &found_link::name);
    if (at == state.links.end()) {
      return nullptr;
    }
    places[name] = static_cast<std::size_t>(at - state.links.begin());
    return &*at;
  }

  [[nodiscard]] bool is_up(const std::string& name) const {
    const found_link* link = link_named(name);
    return link != nullptr && link->up;
  }

  [[nodiscard]] static bool is_same(const found_route& a, const found_route& b) {
    return a.destination == b.destination && a.priority == b.priority && a.tos == b.tos;
  }

  [[nodiscard]] static found_route made(const wanted_route& from) {
    return {.destination = from.destination,
            .priority = priority_of_routes_to(from.destination.base),
            .protocol = protocol_of(from),
            .link = from.is_tail ? std::string() : from.link,
            .direct = !from.via,
            .via = from.via};
  }

  result<outcome> operator()(const write_setting& what) const {
    for (std::size_t i = 0; i < node_settings.size(); ++i) {
      if (node_settings[i].path == what.path) {
        state.node_values[i] = what.value;
        if (what.path == ipv6_forwarding_path) {
          state.router_listeners.clear(); // they are deaf from now on
        }
        return outcome::done;
      }
    }
    const auto listener =
        std::ranges::find(state.router_listeners, what.path, path_of_router_listening);
    if (listener != state.router_listeners.end()) {
      state.router_listeners.erase(listener);
      return outcome::done;
    }
    // A link's: .../its name/the setting's.
    const auto end = what.path.rfind('/');
    const auto begin = end == std::string::npos ? end : what.path.rfind('/', end - 1);
    found_link* link = begin == std::string::npos
                           ? nullptr
                           : link_named(what.path.substr(begin + 1, end - begin - 1));
    for (std::size_t i = 0; link != nullptr && i < link->settings.size(); ++i) {
      if (path_of(link_settings[i], link->name) == what.path) {
        link->settings[i] = what.value;
        return outcome::done;
      }
    }
    return refused("no such setting " + what.path);
  }

  result<outcome> operator()(const add_address& what) const {
    if (what.address.link != loopback && !is_up(what.address.link)) {
      return refused("the link is down");
    }
    state.addresses.push_back({.address = what.address.address,
                               .length = what.address.length,
                               .link = what.address.link,
                               .ours = true});
    return outcome::done;
  }

  result<outcome> operator()(const make_tap& what) const {
    if (link_named(what.link.name) != nullptr) {
      return error{.code = error_code::already_exists,
                   .text = "link " + what.link.name + " exists",
                   .retryable = true};
    }
    found_link link{.name = what.link.name,
                    .index = next_index++,
                    .tap = true,
                    .persistent = true,
                    .owner_uid = what.link.owner_uid,
                    .mac = gateway_mac,
                    .up = false,
                    .makes_addresses = true,
                    .alias = mark_of(what.link.gateway),
                    .settings = {}};
    link.settings.assign(link_settings.size(), std::string("new"));
    places[link.name] = state.links.size();
    state.links.push_back(std::move(link));
    return outcome::done;
  }

  result<outcome> operator()(const adopt_tap& what) const {
    found_link* link = link_named(what.link.name);
    if (link == nullptr) {
      return refused("no such link");
    }
    link->persistent = true;
    link->owner_uid = what.link.owner_uid;
    return outcome::done;
  }

  result<outcome> operator()(const dress_link& what) const {
    found_link* link = link_named(what.link.name);
    if (link == nullptr) {
      return refused("no such link");
    }
    if (link->mac != gateway_mac) {
      std::erase_if(state.neighbours,
                    [&](const found_neighbour& n) { return n.link == link->name; });
    }
    link->mac = gateway_mac;
    link->makes_addresses = false;
    link->alias = mark_of(what.link.gateway);
    return outcome::done;
  }

  result<outcome> operator()(const make_filter& what) const { return change_filter(what); }

  result<outcome> operator()(const filter_link& what) const {
    if (link_named(what.link) == nullptr || state.filter.base == base_state::missing) {
      return refused("no such link, or no table");
    }
    return change_filter(what);
  }

  result<outcome> operator()(const unfilter_link& what) const { return change_filter(what); }

  result<outcome> operator()(const remove_filter& what) const { return change_filter(what); }

  [[nodiscard]] result<outcome> change_filter(const operation& what) const {
    apply_to(state.filter, what);
    return outcome::done;
  }

  result<outcome> operator()(const raise_link& what) const {
    found_link* link = link_named(what.link);
    if (link == nullptr) {
      return refused("no such link");
    }
    link->up = true;
    return outcome::done;
  }

  result<outcome> operator()(const set_neighbour& what) const {
    const wanted_neighbour& wanted = what.neighbour;
    if (!is_up(wanted.link)) {
      return refused("the link is down");
    }
    std::erase_if(state.neighbours, [&](const found_neighbour& n) {
      return n.link == wanted.link && n.address == wanted.address;
    });
    state.neighbours.push_back(
        {.address = wanted.address, .mac = wanted.mac, .link = wanted.link, .permanent = true});
    return outcome::done;
  }

  result<outcome> operator()(const add_route& what) const {
    if (!what.route.is_tail && !is_up(what.route.link)) {
      return refused("the link is down");
    }
    const found_route route = made(what.route);
    const auto same = [&](const found_route& r) { return is_same(r, route); };
    if (std::ranges::any_of(state.routes, same)) {
      return error{
          .code = error_code::already_exists, .text = "the route exists", .retryable = true};
    }
    state.routes.push_back(route);
    return outcome::done;
  }

  result<outcome> operator()(const replace_route& what) const {
    const found_route route = made(what.route);
    std::erase_if(state.routes, [&](const found_route& r) { return is_same(r, route); });
    return (*this)(add_route{what.route});
  }

  result<outcome> operator()(const add_proxy& what) const {
    (void)(*this)(remove_proxy{.address = what.proxy.address, .uplink = what.proxy.uplink});
    state.proxies.push_back(
        {.address = what.proxy.address, .link = what.proxy.uplink, .ours = true, .prompt = true});
    return outcome::done;
  }

  result<outcome> operator()(const remove_proxy& what) const {
    std::erase_if(state.proxies, [&](const found_proxy& p) {
      return p.address == what.address && p.link == what.uplink;
    });
    return outcome::done;
  }

  result<outcome> operator()(const remove_route& what) const {
    std::erase_if(state.routes, [&](const found_route& r) {
      return is_same(r, what.route) && r.protocol == what.route.protocol &&
             r.link == what.route.link;
    });
    return outcome::done;
  }

  result<outcome> operator()(const remove_neighbour& what) const {
    std::erase_if(state.neighbours, [&](const found_neighbour& n) {
      return n.link == what.neighbour.link && n.address == what.neighbour.address;
    });
    return outcome::done;
  }

  result<outcome> operator()(const remove_link& what) const {
    std::erase_if(state.links, [&](const found_link& l) { return l.index == what.index; });
    std::erase_if(state.routes, [&](const found_route& r) { return r.link == what.link; });
    std::erase_if(state.neighbours, [&](const found_neighbour& n) { return n.link == what.link; });
    std::erase_if(state.addresses, [&](const found_address& a) { return a.link == what.link; });
    return outcome::done;
  }

  result<outcome> operator()(const remove_address& what) const {
    std::erase_if(state.addresses, [&](const found_address& a) {
      return a.address == what.address.address && a.link == what.address.link && a.ours;
    });
    return outcome::done;
  }
};

} // namespace

memory_kernel::memory_kernel() {
  found_link lo;
  lo.name = "lo";
  lo.index = 1;
  lo.up = true;
  x_state.links.push_back(std::move(lo));
  x_state.node_values.assign(node_settings.size(), "new");
  x_state.filter_of_all.assign(1, '0');
}

result<found_state> memory_kernel::read(const reading& wanted) {
  const auto& only = wanted.only_link;
  if (!only) {
    return x_state;
  }
  found_state found{.links = {},
                    .routes = {},
                    .neighbours = {},
                    .proxies = x_state.proxies,
                    .addresses = {},
                    .node_values = x_state.node_values,
                    .router_listeners = x_state.router_listeners,
                    .filter_of_all = x_state.filter_of_all,
                    .filter = {.base = x_state.filter.base, .ports = {}}};
  std::ranges::copy_if(x_state.links, std::back_inserter(found.links),
                       [&](const found_link& l) { return l.name == *only; });
  std::ranges::copy_if(x_state.routes, std::back_inserter(found.routes), [&](const found_route& r) {
    return r.link == *only || (wanted.with_tails && r.is_ours() && r.via && r.link.empty());
  });
  std::ranges::copy_if(x_state.neighbours, std::back_inserter(found.neighbours),
                       [&](const found_neighbour& n) { return n.link == *only; });
  std::ranges::copy_if(
      x_state.addresses, std::back_inserter(found.addresses),
      [&](const found_address& a) { return a.link == loopback || a.link == *only; });
  if (const auto at = x_state.filter.ports.find(*only); at != x_state.filter.ports.end()) {
    found.filter.ports.insert(*at);
  }
  return found;
}

result<outcome> memory_kernel::apply(const operation& what) {
  return std::visit(applier{x_state, x_next_index, x_places}, what);
}

} // namespace orrery::pvip
