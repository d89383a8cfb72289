#include "pvip/apply/apply.hpp"

#include "pvip/apply/comparison.hpp"

#include <algorithm>
#include <utility>

// The order of the operations. A contract: tests/pvip/order_test.cpp holds it, and whoever applies
// them may stop after any of them and begin again.
//
//  What is added, the referent before what refers to it:
//   1. the node's settings, ip_forward first (writing it resets the others); before IPv6's, what
//      keeps other links listening to their routers, from whom they may have the default route
//   2. gateways on `lo` (so that a guest's first question for its gateway is answered)
//   3. taps: marked and with their MAC before they persist, so that a crash leaves no tap without
//      a mark
//   4. owner and persistence of taps that exist (put off while a guest holds them)
//   5. mark, MAC and address generation (a change of the MAC drops the link's neighbours, so it
//      stands before 10)
//   6. the links' settings, proxy_delay before proxy_arp
//   7. the filter of what guests send, the shared part first: before a link is up nothing is heard
//   8. links up (the kernel takes routes and neighbours only on links that are up, and drops IPv6
//      addresses of links that go down)
//   9. the gateway of IPv6 on links
//  10. neighbours
//  11. routes, late: a route is what routing daemons announce, so all else must work by then; those
//      by way of a guest behind its own; a tail takes the place of the route to the port, and the
//      other way round, in one step
//  12. addresses answered for on an uplink, which tells routers the same, and needs the route
//  What is removed, reversed, but for the filter, which stands until its link is gone:
//  13. addresses answered for  14. routes  15. neighbours  16. gateways on links that stay
//  17. links  18. filter  19. gateways on `lo`
//
// Ours, by mark: routes of our two protocol numbers in the main table; taps whose name begins with
// the prefix and whose alias is our mark; permanent neighbours on such taps; addresses on `lo` and
// on such taps with the first number, and addresses answered for with it; the nftables table of our
// name with all that is in it. A wanted name on a link that is no tap, and a foreign route or
// answer in the place of a wanted one, are refused and left.

namespace orrery::pvip {

namespace {

constexpr std::string_view mark_begin = "orrery gateway ";

} // namespace

comparison::comparison(const host_state& wanted, const found_state& found, std::string_view prefix,
                       apply_scope scope)
    : x_wanted(wanted), x_found(found), x_prefix(prefix), x_scope(scope) {
  for (const found_link& link : found.links) {
    x_links.emplace(link.name, &link);
  }
  for (const wanted_link& link : wanted.links) {
    x_wanted_names.insert(link.name);
    x_has_ipv6 = x_has_ipv6 || link.has_ipv6;
  }
}

difference comparison::run() {
  refuse_loose_filter();
  keep_listening_to_routers();
  set_node();
  add_gateways();
  make_taps();
  adopt_taps();
  dress_links();
  set_links();
  set_filter();
  raise_links();
  add_gateways_on_links();
  set_neighbours();
  set_routes();
  set_proxies();
  remove_proxies();
  remove_routes();
  remove_neighbours();
  remove_gateways_on_links();
  if (x_scope == apply_scope::whole_node) {
    remove_links();
    remove_filters();
    remove_gateways();
  }
  return std::move(x_result);
}

const found_link* comparison::existing(std::string_view name) const {
  const auto at = x_links.find(name);
  return at == x_links.end() ? nullptr : at->second;
}

bool comparison::is_taken(std::string_view name) const {
  const found_link* link = existing(name);
  return link != nullptr && !link->tap;
}

bool comparison::is_judged(std::string_view name) const {
  const found_link* link = existing(name);
  if (link == nullptr || !link->tap) {
    return false;
  }
  return x_wanted_names.contains(name) ||
         (x_scope == apply_scope::whole_node && is_marked(*link, x_prefix));
}

void comparison::add(operation what, std::string object, std::string_view link, change kind,
                     std::string sentence) {
  x_result.steps.push_back({.what = std::move(what),
                            .object = std::move(object),
                            .link = std::string(link),
                            .kind = kind,
                            .sentence = std::move(sentence)});
}

void comparison::repair_link(operation what, std::string_view link, std::string sentence) {
  add(std::move(what), "link " + std::string(link), link, change::repaired, std::move(sentence));
}

error in_the_way(std::string text) {
  return {.code = error_code::already_exists, .text = std::move(text), .retryable = true};
}

bool is_marked(const found_link& link, std::string_view prefix) {
  return link.tap && link.name.starts_with(prefix) && link.alias.starts_with(mark_begin);
}

std::string path_of(const link_setting& setting, std::string_view link) {
  std::string path(setting.folder);
  path.append("/").append(link).append("/").append(setting.name);
  return path;
}

std::string path_of_router_listening(std::string_view link) {
  return "/proc/sys/net/ipv6/conf/" + std::string(link) + "/accept_ra";
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
      port.has_out_chain = true;
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

} // namespace orrery::pvip
