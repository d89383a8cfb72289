#include "pvip/apply/linux_kernel_read.hpp"

#include "pvip/apply/kernel_settings.hpp"
#include "pvip/apply/netlink_request.hpp"

#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <initializer_list>
#include <map>
#include <utility>
#include <vector>

namespace orrery::pvip {

namespace {

/// Dumps that routing changes disturb are asked again; more often than this means a storm.
constexpr int dump_attempts_max = 10;

constexpr std::array<std::uint8_t, 2> ip_families{AF_INET, AF_INET6};

struct question {
  std::string_view failure; ///< what is said when it cannot be answered
  std::uint16_t type = 0;   ///< RTM_GET…
  int flags = NLM_F_DUMP;
  std::uint16_t answer_type = 0;      ///< RTM_NEW…
  std::initializer_list<int> empty{}; ///< endings that mean that there is nothing
};

/// Collects what `read` understands of the answer to a question, completed by `fill`; asked anew
/// when it was disturbed.
template <class Read, class Fill>
auto collect(netlink_socket& socket, const question& about, Read read, Fill fill)
    -> result<std::vector<typename decltype(read({}))::value_type>> {
  std::vector<typename decltype(read({}))::value_type> found;
  for (int attempt = 0; attempt < dump_attempts_max; ++attempt) {
    found.clear();
    netlink_request what(about.type, about.flags);
    fill(what);
    const auto ending = socket.ask(what.header(), [&](const netlink_message& message) {
      if (message.type == about.answer_type) {
        if (auto one = read(message.payload)) {
          found.push_back(*std::move(one));
        }
      }
    });
    if (!ending) {
      return ending.error();
    }
    if (ending->code == 0 || std::ranges::find(about.empty, ending->code) != about.empty.end()) {
      return found;
    }
    if (ending->code != EINTR) {
      return netlink_refusal(about.failure, *ending);
    }
  }
  return error{.code = error_code::io_failed,
               .text = std::string(about.failure) + ": they change faster than they can be read",
               .retryable = true};
}

found_link to_found(const netlink_link& from) {
  return {.name = from.name,
          .index = from.index,
          .tap = from.kind == "tun" && from.tun_type == IFF_TAP,
          .persistent = from.tun_persistent,
          .owner_uid = from.tun_owner_uid,
          .mac = from.mac,
          .up = (from.flags & IFF_UP) != 0,
          .makes_addresses =
              from.ipv6_address_mode.value_or(IN6_ADDR_GEN_MODE_NONE) != IN6_ADDR_GEN_MODE_NONE,
          .alias = from.alias,
          .settings = {}};
}

/// Reads everything, part by part, into `found`.
class reader {
public:
  reader(netlink_socket& socket, std::string_view prefix, const reading& wanted)
      : x_socket(socket), x_prefix(prefix), x_only(wanted.only_link), x_wanted(wanted) {}

  result<found_state> run() {
    for (const auto part : {&reader::links, &reader::routes, &reader::neighbours, &reader::proxies,
                            &reader::addresses, &reader::settings}) {
      if (auto done = (this->*part)(); !done) {
        return done.error();
      }
    }
    return std::move(x_found);
  }

private:
  result<void> links() {
    const auto all = collect(x_socket,
                             {.failure = "links cannot be read",
                              .type = RTM_GETLINK,
                              .flags = x_only ? 0 : NLM_F_DUMP,
                              .answer_type = RTM_NEWLINK,
                              .empty = {ENODEV}},
                             read_link, [this](netlink_request& what) {
                               what.body<ifinfomsg>();
                               if (x_only) {
                                 what.text(IFLA_IFNAME, *x_only);
                               }
                               what.number(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
                             });
    if (!all) {
      return all.error();
    }
    for (const netlink_link& link : *all) {
      x_names.emplace(link.index, link.name);
      x_found.links.push_back(to_found(link));
    }
    return {};
  }

  [[nodiscard]] std::string name_of_link(std::uint32_t index) const {
    const auto at = x_names.find(index);
    if (at != x_names.end()) {
      return at->second;
    }
    return index == 0 ? std::string() : "link number " + std::to_string(index);
  }

  /// What `part` does for each family.
  result<void> both(result<void> (reader::*part)(std::uint8_t)) {
    for (const std::uint8_t family : ip_families) {
      if (auto done = (this->*part)(family); !done) {
        return done;
      }
    }
    return {};
  }

  result<void> routes() {
    return x_only && x_names.empty() ? result<void>() : both(&reader::routes_of);
  }

  result<void> routes_of(std::uint8_t family) {
    // A namespace without a route yet has no main table: ENOENT.
    const auto all = collect(x_socket,
                             {.failure = "routes cannot be read",
                              .type = RTM_GETROUTE,
                              .answer_type = RTM_NEWROUTE,
                              .empty = {ENOENT}},
                             read_route, [this, family](netlink_request& what) {
                               auto& body = what.body<rtmsg>();
                               body.rtm_family = family;
                               body.rtm_table = RT_TABLE_MAIN;
                               if (x_only && !x_wanted.with_tails) {
                                 what.number(RTA_OIF, x_names.begin()->first);
                               }
                             });
    if (!all) {
      return all.error();
    }
    for (const netlink_route& route : *all) {
      // A kernel without IPv6 answers with all that it has.
      if (route.table != RT_TABLE_MAIN || family_of(route.destination.base) != family) {
        continue;
      }
      const bool on_link = family == AF_INET6 || route.scope == RT_SCOPE_LINK;
      found_route one{.destination = route.destination,
                      .priority = route.priority,
                      .tos = route.tos,
                      .type = route.type,
                      .protocol = route.protocol,
                      .link = name_of_link(route.link_index),
                      .direct = route.type == RTN_UNICAST && on_link && !route.has_gateway,
                      .via = route.type == RTN_UNICAST ? route.gateway : std::nullopt};
      if (!x_only || x_names.contains(route.link_index) || (one.is_ours() && one.via)) {
        x_found.routes.push_back(std::move(one));
      }
    }
    return {};
  }

  result<void> neighbours() {
    return x_only && x_names.empty() ? result<void>() : both(&reader::neighbours_of);
  }

  result<void> neighbours_of(std::uint8_t family) {
    const auto all = collect(x_socket,
                             {.failure = "neighbours cannot be read",
                              .type = RTM_GETNEIGH,
                              .answer_type = RTM_NEWNEIGH,
                              .empty = {ENODEV}},
                             read_neighbour, [this, family](netlink_request& what) {
                               what.body<ndmsg>().ndm_family = family;
                               if (x_only) {
                                 what.number(NDA_IFINDEX, x_names.begin()->first);
                               }
                             });
    if (!all) {
      return all.error();
    }
    for (const netlink_neighbour& neighbour : *all) {
      const auto link = x_names.find(neighbour.link_index);
      if (link != x_names.end() && (neighbour.flags & NTF_PROXY) == 0 &&
          family_of(neighbour.address) == family) {
        x_found.neighbours.push_back({.address = neighbour.address,
                                      .mac = neighbour.mac,
                                      .link = link->second,
                                      .permanent = neighbour.state == NUD_PERMANENT});
      }
    }
    return {};
  }

  /// Of all links: uplinks are none of ours, and where nobody uses ARP there are none.
  result<void> proxies() {
    const auto all = collect(x_socket,
                             {.failure = "addresses that are answered for cannot be read",
                              .type = RTM_GETNEIGH,
                              .answer_type = RTM_NEWNEIGH},
                             read_neighbour, [](netlink_request& what) {
                               auto& body = what.body<ndmsg>();
                               body.ndm_family = AF_UNSPEC; // of both
                               body.ndm_flags = NTF_PROXY;
                             });
    if (!all) {
      return all.error();
    }
    std::map<std::pair<std::uint32_t, std::uint8_t>, uplink> uplinks; // by index and family
    for (const netlink_neighbour& neighbour : *all) {
      const std::pair place(neighbour.link_index, family_of(neighbour.address));
      auto at = uplinks.find(place);
      if (at == uplinks.end()) {
        auto read = uplink_of(neighbour.link_index, neighbour.address);
        if (!read) {
          return read.error();
        }
        at = uplinks.emplace(place, *std::move(read)).first;
      }
      if (at->second.name.empty()) {
        continue; // the link went meanwhile, and the entry with it
      }
      x_found.proxies.push_back({.address = neighbour.address,
                                 .link = at->second.name,
                                 .ours = neighbour.protocol == route_protocol,
                                 .prompt = at->second.is_prompt});
    }
    return {};
  }

  struct uplink {
    std::string name; ///< empty when there is none
    bool is_prompt = false;
  };

  /// `of`: an address that is answered for there.
  static result<uplink> uplink_of(std::uint32_t index, const ip_address& of) {
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(index, name.data()) == nullptr) {
      return uplink{};
    }
    uplink made{.name = name.data(), .is_prompt = true};
    for (const write_setting& each : settings_of_proxies(made.name, of)) {
      const auto value = read_setting(each.path);
      if (!value) {
        return value.error();
      }
      made.is_prompt = made.is_prompt && *value == each.value;
    }
    return made;
  }

  result<void> addresses() {
    if (auto on_lo = addresses_of(AF_INET, index_of_lo); !on_lo) {
      return on_lo;
    }
    if (x_only && x_names.empty()) {
      return {};
    }
    return addresses_of(AF_INET6, x_only ? x_names.begin()->first : 0);
  }

  /// Of one link, or of all when it is 0.
  result<void> addresses_of(std::uint8_t family, std::uint32_t index) {
    const auto all = collect(x_socket,
                             {.failure = "addresses cannot be read",
                              .type = RTM_GETADDR,
                              .answer_type = RTM_NEWADDR,
                              .empty = {ENODEV}},
                             read_address, [family, index](netlink_request& what) {
                               auto& body = what.body<ifaddrmsg>();
                               body.ifa_family = family;
                               body.ifa_index = index;
                             });
    if (!all) {
      return all.error();
    }
    for (const netlink_address& address : *all) {
      if ((index == 0 || address.link_index == index) && family_of(address.address) == family) {
        x_found.addresses.push_back({.address = address.address,
                                     .length = address.length,
                                     .link = address.link_index == index_of_lo
                                                 ? std::string(loopback)
                                                 : name_of_link(address.link_index),
                                     .ours = address.protocol == route_protocol});
      }
    }
    return {};
  }

  result<void> settings() {
    for (const node_setting& setting : node_settings) {
      const auto value = read_setting(std::string(setting.path));
      if (!value) {
        return value.error();
      }
      x_found.node_values.push_back(value->value_or("missing"));
    }
    const auto filter = read_setting(std::string(filter_of_all_path));
    if (!filter) {
      return filter.error();
    }
    x_found.filter_of_all = filter->value_or("missing");
    if (x_wanted.with_listeners) {
      auto listeners = read_router_listeners();
      if (!listeners) {
        return listeners.error();
      }
      x_found.router_listeners = *std::move(listeners);
    }
    for (found_link& link : x_found.links) {
      if (!x_wanted.with_settings || !link.tap || !link.name.starts_with(x_prefix)) {
        continue;
      }
      for (const link_setting& setting : link_settings) {
        auto value = read_setting(path_of(setting, link.name));
        if (!value) {
          return value.error();
        }
        link.settings.push_back(*std::move(value));
      }
    }
    return {};
  }

  netlink_socket& x_socket;
  std::string_view x_prefix;
  const std::optional<std::string>& x_only;
  const reading& x_wanted;
  std::map<std::uint32_t, std::string> x_names;
  found_state x_found;
};

} // namespace

result<found_state> read_network(netlink_socket& socket, std::string_view link_prefix,
                                 const reading& wanted) {
  return reader(socket, link_prefix, wanted).run();
}

} // namespace orrery::pvip
