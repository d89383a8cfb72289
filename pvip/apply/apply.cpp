#include "pvip/apply/apply.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

// The order of the operations. A contract: tests/pvip/order_test.cpp holds it, and whoever applies
// them may stop after any of them and begin again.
//
//  What is added, the referent before what refers to it:
//   1. the node's settings, ip_forward first (writing it resets the others)
//   2. gateways on `lo` (so that a guest's first question for its gateway is answered)
//   3. taps: marked and with their MAC before they persist, so that a crash leaves no tap without
//      a mark
//   4. owner and persistence of taps that exist (put off while a guest holds them)
//   5. mark, MAC and address generation (a change of the MAC drops the link's neighbours, so it
//      stands before 9)
//   6. the links' settings, proxy_delay before proxy_arp
//   7. the filter of what guests send, the shared part first: before a link is up nothing is heard
//   8. links up (the kernel takes routes and neighbours only on links that are up)
//   9. neighbours
//  10. routes, late: a route is what routing daemons announce, so all else must work by then
//  11. addresses answered for on an uplink, which tells routers the same, and needs the route
//  What is removed, reversed, but for the filter, which stands until its link is gone:
//  12. addresses answered for  13. routes  14. neighbours  15. links  16. filter  17. gateways
//
// Ours, by mark: routes of `route_protocol` in the main table; taps whose name begins with the
// prefix and whose alias is our mark; permanent neighbours on such taps; addresses on `lo` with our
// protocol number, and addresses answered for with it; the nftables table of our name with all that
// is in it. A wanted name on a link that is no tap, and a foreign route or answer in the place of a
// wanted one, are refused and left.

namespace orrery::pvip {

namespace {

constexpr std::string_view mark_begin = "orrery gateway ";

error in_the_way(std::string text) {
  return {.code = error_code::already_exists, .text = std::move(text), .retryable = true};
}

std::string route_text(ipv4 destination, std::uint8_t length) {
  return to_text(destination) + "/" + std::to_string(length);
}

std::string proxy_text(ipv4 address, std::string_view uplink) {
  return "answer for " + to_text(address) + " on " + std::string(uplink);
}

std::string owner_text(const std::optional<std::uint32_t>& uid) {
  return uid ? "user " + std::to_string(*uid) : std::string("everybody");
}

bool is_marked(const found_link& link, std::string_view prefix) {
  return link.tap && link.name.starts_with(prefix) && link.alias.starts_with(mark_begin);
}

unfilter_link unfilter_of(const std::string& name, const found_port_filter& filter) {
  return {.link = name, .has_chain = filter.has_chain, .removed = filter.elements};
}

/// Gathers the steps; one member function a number of the order above.
class comparison {
public:
  comparison(const host_state& wanted, const found_state& found, std::string_view prefix,
             apply_scope scope)
      : x_wanted(wanted), x_found(found), x_prefix(prefix), x_scope(scope) {
    for (const found_link& link : found.links) {
      x_links.emplace(link.name, &link);
    }
    for (const wanted_link& link : wanted.links) {
      x_wanted_names.insert(link.name);
    }
  }

  difference run() {
    refuse_loose_filter();
    set_node();
    add_gateways();
    make_taps();
    adopt_taps();
    dress_links();
    set_links();
    set_filter();
    raise_links();
    set_neighbours();
    set_routes();
    set_proxies();
    remove_proxies();
    remove_routes();
    remove_neighbours();
    if (x_scope == apply_scope::whole_node) {
      remove_links();
      remove_filters();
      remove_gateways();
    }
    return std::move(x_result);
  }

private:
  [[nodiscard]] const found_link* existing(std::string_view name) const {
    const auto at = x_links.find(name);
    return at == x_links.end() ? nullptr : at->second;
  }

  [[nodiscard]] bool is_taken(std::string_view name) const {
    const found_link* link = existing(name);
    return link != nullptr && !link->tap;
  }

  /// Whether neighbours and routes on it are judged: of a wanted tap, or of one with our mark.
  [[nodiscard]] bool is_judged(std::string_view name) const {
    const found_link* link = existing(name);
    if (link == nullptr || !link->tap) {
      return false;
    }
    return x_wanted_names.contains(name) ||
           (x_scope == apply_scope::whole_node && is_marked(*link, x_prefix));
  }

  void add(operation what, std::string object, std::string_view link, change kind,
           std::string sentence) {
    x_result.steps.push_back({.what = std::move(what),
                              .object = std::move(object),
                              .link = std::string(link),
                              .kind = kind,
                              .sentence = std::move(sentence)});
  }

  void repair_link(operation what, std::string_view link, std::string sentence) {
    add(std::move(what), "link " + std::string(link), link, change::repaired, std::move(sentence));
  }

  void refuse_loose_filter() {
    if (x_scope == apply_scope::whole_node && x_found.filter_of_all == "2") {
      x_result.refusals.push_back(
          {.code = error_code::conflict,
           .text = "net.ipv4.conf.all.rp_filter is 2 (loose), which would let guests send from "
                   "addresses of others; set it to 0 or 1 in the node's namespace",
           .retryable = true});
    }
  }

  void set_node() {
    for (std::size_t i = 0; i < node_settings.size() && i < x_found.node_values.size(); ++i) {
      const node_setting& setting = node_settings[i];
      if (x_found.node_values[i] != setting.value) {
        const std::string path(setting.path);
        add(write_setting{.path = path, .value = std::string(setting.value)}, "setting " + path, {},
            change::repaired,
            path + " was " + x_found.node_values[i] + ", wanted " + std::string(setting.value));
      }
    }
  }

  void add_gateways() {
    std::set<ipv4> held;
    for (const found_address& address : x_found.addresses) {
      held.insert(address.address);
    }
    for (const ipv4 gateway : x_wanted.local_addresses) {
      if (!held.contains(gateway)) {
        // Missing while a link already names it: somebody took it away.
        std::string sentence;
        for (const found_link& link : x_found.links) {
          if (is_marked(link, x_prefix) && gateway_in_mark(link.alias) == gateway) {
            sentence = "gateway " + to_text(gateway) + " was missing on lo";
          }
        }
        add(add_address{gateway}, "gateway " + to_text(gateway), {}, change::added,
            std::move(sentence));
      }
    }
  }

  void make_taps() {
    for (const wanted_link& link : x_wanted.links) {
      if (is_taken(link.name)) {
        x_result.refusals.push_back(in_the_way("link " + link.name +
                                               " exists and is not a tap, so it is not ours and is "
                                               "left as it is; rename or remove it"));
      } else if (existing(link.name) == nullptr) {
        add(make_tap{link}, "link " + link.name, link.name, change::added,
            "link " + link.name + " was missing");
      }
    }
  }

  void adopt_taps() {
    for (const wanted_link& link : x_wanted.links) {
      const found_link* has = existing(link.name);
      if (has == nullptr || !has->tap) {
        continue;
      }
      if (has->owner_uid != link.owner_uid || !has->persistent) {
        std::string was = has->persistent ? "belonged to " + owner_text(has->owner_uid)
                                          : std::string("was not persistent");
        repair_link(adopt_tap{link}, link.name, "link " + link.name + " " + was);
      }
    }
  }

  void dress_links() {
    for (const wanted_link& link : x_wanted.links) {
      const found_link* has = existing(link.name);
      if (has == nullptr) {
        add(dress_link{link}, "link " + link.name, link.name, change::added, {});
      } else if (has->tap) {
        dress_existing(link, *has);
      }
    }
  }

  void dress_existing(const wanted_link& link, const found_link& has) {
    const std::string name = "link " + link.name;
    std::string sentence;
    if (has.mac != gateway_mac) {
      sentence = name + " had MAC " + to_text(has.mac) + ", wanted " + to_text(gateway_mac);
    } else if (has.alias != mark_of(link.gateway)) {
      sentence = name + " had another mark than \"" + mark_of(link.gateway) + "\"";
    } else if (has.makes_addresses) {
      sentence = name + " made IPv6 addresses by itself";
    }
    if (!sentence.empty()) {
      repair_link(dress_link{link}, link.name, std::move(sentence));
    }
  }

  void set_links() {
    for (const wanted_link& link : x_wanted.links) {
      const found_link* has = existing(link.name);
      if (has == nullptr || has->tap) {
        set_link(link.name, has);
      }
    }
  }

  void set_link(const std::string& name, const found_link* has) {
    for (std::size_t i = 0; i < link_settings.size(); ++i) {
      const link_setting& setting = link_settings[i];
      write_setting what{.path = path_of(setting, name),
                         .value = std::string(setting.value),
                         .optional = setting.optional};
      if (has == nullptr) {
        add(std::move(what), "link " + name, name, change::added, {});
        continue;
      }
      const auto value = i < has->settings.size() ? has->settings[i] : std::nullopt;
      if (value == setting.value || (!value && setting.optional)) {
        continue;
      }
      std::string sentence =
          what.path + " was " + value.value_or("missing") + ", wanted " + what.value;
      repair_link(std::move(what), name, std::move(sentence));
    }
  }

  void set_filter() {
    if (x_wanted.links.empty()) {
      return;
    }
    set_filter_base();
    std::map<std::string_view, std::vector<filter_element>> wanted;
    for (const filter_element& element : x_wanted.filter) {
      wanted[element.link].push_back(element);
    }
    for (const wanted_link& link : x_wanted.links) {
      const found_link* has = existing(link.name);
      if (has == nullptr || has->tap) {
        filter_one(link, has, wanted[link.name]);
      }
    }
  }

  /// Whether what was found of ports is lost in the making.
  [[nodiscard]] bool is_filter_new() const {
    const base_state base = x_found.filter.base;
    return base == base_state::missing || base == base_state::broken;
  }

  void set_filter_base() {
    const base_state base = x_found.filter.base;
    if (base == base_state::right) {
      return;
    }
    // Missing while a link of ours is there: somebody took it away.
    const bool was_there = base != base_state::missing ||
                           std::ranges::any_of(x_found.links, [this](const found_link& l) {
                             return is_marked(l, x_prefix);
                           });
    std::string sentence;
    if (was_there) {
      sentence = base == base_state::missing   ? "the filter of what guests send was missing"
                 : base == base_state::changed ? "the filter's shared rules were not ours"
                                               : "the filter's sets were not ours";
    }
    add(make_filter{base}, "filter", {},
        base == base_state::missing ? change::added : change::repaired, std::move(sentence));
  }

  void filter_one(const wanted_link& link, const found_link* has,
                  const std::vector<filter_element>& wanted) {
    static const found_port_filter nothing;
    const auto at = x_found.filter.ports.find(link.name);
    const found_port_filter& filter =
        is_filter_new() || at == x_found.filter.ports.end() ? nothing : at->second;
    filter_link what{.link = link.name,
                     .chain = has == nullptr || !filter.is_chain_right,
                     .is_chain_taken = filter.has_chain && !filter.is_chain_right,
                     .added = {},
                     .removed = {}};
    std::ranges::set_difference(wanted, filter.elements, std::back_inserter(what.added));
    std::ranges::set_difference(filter.elements, wanted, std::back_inserter(what.removed));
    if (!what.chain && what.added.empty() && what.removed.empty()) {
      return;
    }
    std::string sentence;
    if (has != nullptr && !is_filter_new()) {
      sentence = sentence_of(what);
    }
    add(std::move(what), "link " + link.name, link.name,
        has == nullptr ? change::added : change::repaired, std::move(sentence));
  }

  static std::string sentence_of(const filter_link& what) {
    const std::string link = "link " + what.link;
    if (!what.removed.empty()) {
      return link + " let its guest send from " + what.removed.front().value +
             ", which is not the guest's";
    }
    if (!what.added.empty()) {
      return link + " did not let its guest send from " + what.added.front().value;
    }
    return link + (what.is_chain_taken ? " had another filter" : " had no filter");
  }

  void raise_links() {
    for (const wanted_link& link : x_wanted.links) {
      const found_link* has = existing(link.name);
      if (has == nullptr) {
        add(raise_link{link.name}, "link " + link.name, link.name, change::added, {});
      } else if (has->tap && !has->up) {
        repair_link(raise_link{link.name}, link.name, "link " + link.name + " was down");
      }
    }
  }

  void set_neighbours() {
    std::map<std::pair<std::string_view, ipv4>, const found_neighbour*> has;
    for (const found_neighbour& neighbour : x_found.neighbours) {
      has.emplace(std::pair(std::string_view(neighbour.link), neighbour.address), &neighbour);
    }
    for (const wanted_neighbour& neighbour : x_wanted.neighbours) {
      if (is_taken(neighbour.link)) {
        continue;
      }
      const std::string object =
          "neighbour " + to_text(neighbour.address) + " on " + neighbour.link;
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

  void set_routes() {
    std::multimap<ipv4, const found_route*> has;
    for (const found_route& route : x_found.routes) {
      // The kernel's key of a route: only such ones are in the way of ours.
      if (route.length == 32 && route.priority == 0 && route.tos == 0) {
        has.emplace(route.destination, &route);
      }
    }
    for (const wanted_route& route : x_wanted.routes) {
      if (!is_taken(route.link)) {
        const auto [begin, end] = has.equal_range(route.destination);
        std::vector<const found_route*> rivals;
        for (auto at = begin; at != end; ++at) {
          rivals.push_back(at->second);
        }
        set_one_route(route, rivals);
      }
    }
  }

  void set_one_route(const wanted_route& route, const std::vector<const found_route*>& rivals) {
    const std::string object = "route " + route_text(route.destination, 32);
    const found_route* own = nullptr;
    const found_route* foreign = nullptr;
    for (const found_route* rival : rivals) {
      (rival->protocol == route_protocol ? own : foreign) = rival;
    }
    if (own != nullptr && own->direct && own->link == route.link) {
      return;
    }
    if (foreign != nullptr) {
      x_result.refusals.push_back(in_the_way(
          object + " to " + route.link + " cannot be made: another one, of protocol " +
          std::to_string(foreign->protocol) + (foreign->link.empty() ? "" : " on ") +
          foreign->link + ", has its place and is not ours; remove it or give it a metric"));
    } else if (own != nullptr) {
      add(replace_route{route}, object, route.link, change::repaired,
          object + " led to " + (own->link.empty() ? std::string("elsewhere") : own->link) +
              ", wanted " + route.link);
    } else {
      const bool fresh = existing(route.link) == nullptr;
      add(add_route{route}, object, route.link, change::added,
          fresh ? std::string() : object + " to " + route.link + " was missing");
    }
  }

  void set_proxies() {
    std::map<std::pair<std::string_view, ipv4>, const found_proxy*> has;
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
            object + " was given after a delay");
      }
    }
  }

  /// Of one port, what is answered for its addresses, those that it had included.
  void remove_proxies() {
    std::set<std::pair<std::string_view, ipv4>> wanted;
    for (const wanted_proxy& proxy : x_wanted.proxies) {
      wanted.emplace(proxy.uplink, proxy.address);
    }
    std::set<ipv4> judged;
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
        add(remove_proxy{.address = proxy.address, .uplink = proxy.link}, object, {},
            change::removed, object + " is wanted by nobody");
      }
    }
  }

  void remove_routes() {
    std::set<ipv4> wanted;
    for (const wanted_route& route : x_wanted.routes) {
      wanted.insert(route.destination);
    }
    for (const found_route& route : x_found.routes) {
      if (route.protocol != route_protocol) {
        continue;
      }
      if (x_scope == apply_scope::one_port && !is_judged(route.link)) {
        continue;
      }
      const bool in_place = route.length == 32 && route.priority == 0 && route.tos == 0;
      if (in_place && wanted.contains(route.destination)) {
        continue; // judged, and perhaps replaced, by set_routes
      }
      const std::string object = "route " + route_text(route.destination, route.length);
      add(remove_route{route}, object, {}, change::removed,
          object + (route.link.empty() ? "" : " to " + route.link) + " is wanted by nobody");
    }
  }

  void remove_neighbours() {
    std::set<std::pair<std::string_view, ipv4>> wanted;
    for (const wanted_neighbour& neighbour : x_wanted.neighbours) {
      wanted.emplace(neighbour.link, neighbour.address);
    }
    for (const found_neighbour& neighbour : x_found.neighbours) {
      // What is not permanent the kernel learned and will forget.
      if (!neighbour.permanent || !is_judged(neighbour.link) ||
          wanted.contains({std::string_view(neighbour.link), neighbour.address})) {
        continue;
      }
      const std::string object =
          "neighbour " + to_text(neighbour.address) + " on " + neighbour.link;
      add(remove_neighbour{neighbour}, object, {}, change::removed,
          object + " is wanted by nobody");
    }
  }

  void remove_links() {
    for (const found_link& link : x_found.links) {
      if (is_marked(link, x_prefix) && !x_wanted_names.contains(link.name)) {
        const std::string object = "link " + link.name;
        add(remove_link{.link = link.name, .index = link.index}, object, {}, change::removed,
            object + " is wanted by nobody");
      }
    }
  }

  void remove_filters() {
    if (x_wanted.links.empty() && x_found.filter.base != base_state::missing) {
      add(remove_filter{}, "filter", {}, change::removed, "the filter is wanted by nobody");
      return;
    }
    if (is_filter_new()) {
      return;
    }
    for (const auto& [name, filter] : x_found.filter.ports) {
      if (!x_wanted_names.contains(name)) {
        const found_link* link = existing(name);
        const bool goes_with_link = link != nullptr && is_marked(*link, x_prefix);
        add(unfilter_of(name, filter), "link " + name, {}, change::removed,
            goes_with_link ? std::string() : "filter of " + name + " is wanted by nobody");
      }
    }
  }

  void remove_gateways() {
    const std::set<ipv4> wanted(x_wanted.local_addresses.begin(), x_wanted.local_addresses.end());
    for (const found_address& address : x_found.addresses) {
      if (address.ours && !wanted.contains(address.address)) {
        const std::string object = "gateway " + to_text(address.address);
        add(remove_address{address.address}, object, {}, change::removed,
            object + " is wanted by nobody");
      }
    }
  }

  const host_state& x_wanted;
  const found_state& x_found;
  std::string_view x_prefix;
  apply_scope x_scope;
  std::map<std::string_view, const found_link*> x_links;
  std::set<std::string_view> x_wanted_names;
  difference x_result;
};

} // namespace

std::string path_of(const link_setting& setting, std::string_view link) {
  std::string path(setting.folder);
  path.append("/").append(link).append("/").append(setting.name);
  return path;
}

std::string mark_of(ipv4 gateway) { return std::string(mark_begin) + to_text(gateway); }

std::optional<ipv4> gateway_in_mark(std::string_view alias) {
  if (!alias.starts_with(mark_begin)) {
    return std::nullopt;
  }
  const auto gateway = parse_ipv4(alias.substr(mark_begin.size()));
  return gateway ? std::optional(*gateway) : std::nullopt;
}

bool is_of_filter(const operation& what) {
  return std::holds_alternative<make_filter>(what) || std::holds_alternative<filter_link>(what) ||
         std::holds_alternative<unfilter_link>(what) || std::holds_alternative<remove_filter>(what);
}

void apply_to(found_filter& filter, const operation& what) {
  if (const auto* make = std::get_if<make_filter>(&what)) {
    if (make->was != base_state::changed) {
      filter.ports.clear();
    }
    filter.base = base_state::right;
  } else if (const auto* on = std::get_if<filter_link>(&what)) {
    found_port_filter& port = filter.ports[on->link];
    if (on->chain) {
      port.has_chain = true;
      port.is_chain_right = true;
    }
    for (const filter_element& gone : on->removed) {
      std::erase(port.elements, gone);
    }
    port.elements.insert(port.elements.end(), on->added.begin(), on->added.end());
    std::ranges::sort(port.elements);
    const auto end = std::unique(port.elements.begin(), port.elements.end());
    port.elements.erase(end, port.elements.end());
  } else if (const auto* off = std::get_if<unfilter_link>(&what)) {
    filter.ports.erase(off->link);
  } else if (std::holds_alternative<remove_filter>(what)) {
    filter = {};
  }
}

difference compare(const host_state& wanted, const found_state& found, std::string_view link_prefix,
                   apply_scope scope) {
  return comparison(wanted, found, link_prefix, scope).run();
}

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
  std::set<ipv4> addresses;
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
  for (const found_route& route : found.routes) {
    if (route.protocol == route_protocol && route.link == leaving.name) {
      add_removal(to, remove_route{route}, "route " + route_text(route.destination, route.length));
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
                           std::string_view link_prefix) {
  difference result;
  const found_link* leaving = nullptr;
  std::set<ipv4> needed;
  bool all_known = true;
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
    if (all_known && address.ours && !needed.contains(address.address)) {
      add_removal(result, remove_address{address.address}, "gateway " + to_text(address.address));
    }
  }
  return result;
}

} // namespace orrery::pvip
