#include "pvip/apply/linux_kernel.hpp"

#include "pvip/apply/file_descriptor.hpp"
#include "pvip/apply/system_error.hpp"
#include "pvip/apply/tap.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <initializer_list>
#include <map>
#include <system_error>
#include <utility>

namespace orrery::pvip {

namespace {

/// Each namespace makes `lo` first.
constexpr int index_of_lo = 1;

/// Dumps that routing changes disturb are asked again; more often than this means a storm.
constexpr int dump_attempts_max = 10;

/// Values below /proc/sys/net are numbers.
constexpr std::size_t setting_bytes_max = 64;

/// One request: our longest, a tap's dress, has about 120 bytes.
class request {
public:
  request(std::uint16_t type, int flags) : x_header(mnl_nlmsg_put_header(x_bytes.data())) {
    x_header->nlmsg_type = type;
    x_header->nlmsg_flags = static_cast<std::uint16_t>(flags);
  }

  request(const request&) = delete;
  request& operator=(const request&) = delete;

  /// The family's own header, zeroed; once, before the attributes.
  template <class T> T& body() {
    return *static_cast<T*>(mnl_nlmsg_put_extra_header(x_header, sizeof(T)));
  }

  void text(std::uint16_t type, const std::string& value) {
    ORRERY_CHECK(mnl_attr_put_strz_check(x_header, x_bytes.size(), type, value.c_str()));
  }

  void number(std::uint16_t type, std::uint32_t value) {
    ORRERY_CHECK(mnl_attr_put_u32_check(x_header, x_bytes.size(), type, value));
  }

  void byte(std::uint16_t type, std::uint8_t value) {
    ORRERY_CHECK(mnl_attr_put_u8_check(x_header, x_bytes.size(), type, value));
  }

  void address(std::uint16_t type, ipv4 value) { number(type, htonl(value.bits)); }

  void mac(std::uint16_t type, const mac_address& value) {
    ORRERY_CHECK(
        mnl_attr_put_check(x_header, x_bytes.size(), type, value.bytes.size(), value.bytes.data()));
  }

  nlattr* begin(std::uint16_t type) {
    nlattr* nest = mnl_attr_nest_start_check(x_header, x_bytes.size(), type);
    ORRERY_CHECK(nest != nullptr);
    return nest;
  }

  void end(nlattr* nest) { mnl_attr_nest_end(x_header, nest); }

  [[nodiscard]] nlmsghdr& header() { return *x_header; }

private:
  static constexpr std::size_t request_bytes_max = 1'024;

  alignas(nlmsghdr) std::array<char, request_bytes_max> x_bytes{};
  nlmsghdr* x_header;
};

error refusal(std::string_view what, const netlink_ending& ending) {
  error failure = system_error(what, ending.code);
  if (ending.code == EEXIST) {
    failure.code = error_code::already_exists;
  }
  if (!ending.words.empty()) {
    failure.text += " (" + ending.words + ")";
  }
  return failure;
}

/// Does a change; an ending in `harmless` counts as done.
result<outcome> change_by(netlink_socket& socket, request& what, std::string_view name,
                          std::initializer_list<int> harmless = {}) {
  const auto ending = socket.ask(what.header(), [](const netlink_message&) {});
  if (!ending) {
    return ending.error();
  }
  if (ending->code != 0 && std::ranges::find(harmless, ending->code) == harmless.end()) {
    return refusal(name, *ending);
  }
  return outcome::done;
}

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
    request what(about.type, about.flags);
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
      return refusal(about.failure, *ending);
    }
  }
  return error{.code = error_code::io_failed,
               .text = std::string(about.failure) + ": they change faster than they can be read",
               .retryable = true};
}

/// Of any link: the first of `link_settings`.
std::string path_of_proxy_delay(std::string_view link) {
  return path_of(link_settings.front(), link);
}

result<std::optional<std::string>> read_setting(const std::string& path) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) {
    if (errno == ENOENT) {
      return std::optional<std::string>();
    }
    return system_error(path + " cannot be read", errno);
  }
  std::array<char, setting_bytes_max> bytes{};
  const auto count = ::read(file.number(), bytes.data(), bytes.size());
  if (count < 0) {
    return system_error(path + " cannot be read", errno);
  }
  std::string_view text(bytes.data(), static_cast<std::size_t>(count));
  text = text.substr(0, text.find('\n'));
  return std::optional<std::string>(text);
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
  reader(netlink_socket& socket, std::string_view prefix, const std::optional<std::string>& only)
      : x_socket(socket), x_prefix(prefix), x_only(only) {}

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
                             read_link, [this](request& what) {
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

  result<void> routes() {
    if (x_only && x_names.empty()) {
      return {};
    }
    // A namespace without a route yet has no main table: ENOENT.
    const auto all = collect(x_socket,
                             {.failure = "routes cannot be read",
                              .type = RTM_GETROUTE,
                              .answer_type = RTM_NEWROUTE,
                              .empty = {ENOENT}},
                             read_route, [this](request& what) {
                               auto& body = what.body<rtmsg>();
                               body.rtm_family = AF_INET;
                               body.rtm_table = RT_TABLE_MAIN;
                               if (x_only) {
                                 what.number(RTA_OIF, x_names.begin()->first);
                               }
                             });
    if (!all) {
      return all.error();
    }
    for (const netlink_route& route : *all) {
      if (route.table == RT_TABLE_MAIN) {
        x_found.routes.push_back({.destination = route.destination,
                                  .length = route.length,
                                  .priority = route.priority,
                                  .tos = route.tos,
                                  .type = route.type,
                                  .protocol = route.protocol,
                                  .link = name_of_link(route.link_index),
                                  .direct = route.type == RTN_UNICAST &&
                                            route.scope == RT_SCOPE_LINK && !route.has_gateway});
      }
    }
    return {};
  }

  result<void> neighbours() {
    if (x_only && x_names.empty()) {
      return {};
    }
    const auto all = collect(x_socket,
                             {.failure = "neighbours cannot be read",
                              .type = RTM_GETNEIGH,
                              .answer_type = RTM_NEWNEIGH,
                              .empty = {ENODEV}},
                             read_neighbour, [this](request& what) {
                               what.body<ndmsg>().ndm_family = AF_INET;
                               if (x_only) {
                                 what.number(NDA_IFINDEX, x_names.begin()->first);
                               }
                             });
    if (!all) {
      return all.error();
    }
    for (const netlink_neighbour& neighbour : *all) {
      const auto link = x_names.find(neighbour.link_index);
      if (link != x_names.end() && (neighbour.flags & NTF_PROXY) == 0) {
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
                             read_neighbour, [](request& what) {
                               auto& body = what.body<ndmsg>();
                               body.ndm_family = AF_INET;
                               body.ndm_flags = NTF_PROXY;
                             });
    if (!all) {
      return all.error();
    }
    std::map<std::uint32_t, std::pair<std::string, bool>> uplinks; // name, and whether it is prompt
    for (const netlink_neighbour& neighbour : *all) {
      auto at = uplinks.find(neighbour.link_index);
      if (at == uplinks.end()) {
        std::array<char, IF_NAMESIZE> name{};
        if (::if_indextoname(neighbour.link_index, name.data()) == nullptr) {
          continue; // the link went meanwhile, and the entry with it
        }
        const auto delay = read_setting(path_of_proxy_delay(name.data()));
        if (!delay) {
          return delay.error();
        }
        at = uplinks.emplace(neighbour.link_index, std::pair(name.data(), *delay == "0")).first;
      }
      x_found.proxies.push_back({.address = neighbour.address,
                                 .link = at->second.first,
                                 .ours = neighbour.protocol == route_protocol,
                                 .prompt = at->second.second});
    }
    return {};
  }

  result<void> addresses() {
    const auto all = collect(x_socket,
                             {.failure = "addresses cannot be read",
                              .type = RTM_GETADDR,
                              .answer_type = RTM_NEWADDR,
                              .empty = {ENODEV}},
                             read_address, [](request& what) {
                               auto& body = what.body<ifaddrmsg>();
                               body.ifa_family = AF_INET;
                               body.ifa_index = index_of_lo;
                             });
    if (!all) {
      return all.error();
    }
    for (const netlink_address& address : *all) {
      if (address.link_index == index_of_lo) {
        x_found.addresses.push_back({.address = address.address,
                                     .length = address.length,
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
    for (found_link& link : x_found.links) {
      if (!link.tap || !link.name.starts_with(x_prefix)) {
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
  std::map<std::uint32_t, std::string> x_names;
  found_state x_found;
};

/// Does one operation; one function an operation.
class writer {
public:
  writer(netlink_socket& socket, arp_announcer& announcer)
      : x_socket(socket), x_announcer(announcer) {}

  result<outcome> operator()(const write_setting& what) {
    const file_descriptor file(::open(what.path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.is_open()) {
      if (errno == ENOENT && what.optional) {
        return outcome::done;
      }
      return system_error(what.path + " cannot be written", errno);
    }
    if (::write(file.number(), what.value.data(), what.value.size()) < 0) {
      return system_error(what.path + " cannot be set to " + what.value, errno);
    }
    return outcome::done;
  }

  result<outcome> operator()(const add_address& what) {
    request change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    put_address(change, what.address);
    return change_by(x_socket, change, "cannot be added to lo", {EEXIST});
  }

  result<outcome> operator()(const make_tap& what) {
    auto tap = open_new_tap(what.link.name);
    if (!tap) {
      return tap.error();
    }
    // It still vanishes with us here: from the mark on it is known as ours, then it may persist.
    request change(RTM_SETLINK, 0);
    change.body<ifinfomsg>();
    change.text(IFLA_IFNAME, what.link.name);
    change.text(IFLA_IFALIAS, mark_of(what.link.gateway));
    change.mac(IFLA_ADDRESS, gateway_mac);
    if (auto marked = change_by(x_socket, change, "cannot be marked"); !marked) {
      return marked.error();
    }
    if (auto kept = make_tap_persist(*tap, what.link.owner_uid); !kept) {
      return kept.error();
    }
    return outcome::done;
  }

  result<outcome> operator()(const adopt_tap& what) {
    const auto tap = open_existing_tap(what.link.name);
    if (!tap) {
      return tap.error();
    }
    if (!*tap) {
      return outcome::put_off;
    }
    if (auto kept = make_tap_persist(**tap, what.link.owner_uid); !kept) {
      return kept.error();
    }
    return outcome::done;
  }

  result<outcome> operator()(const dress_link& what) {
    request change(RTM_SETLINK, 0);
    change.body<ifinfomsg>();
    change.text(IFLA_IFNAME, what.link.name);
    change.text(IFLA_IFALIAS, mark_of(what.link.gateway));
    change.mac(IFLA_ADDRESS, gateway_mac);
    if (auto dressed = change_by(x_socket, change, "its MAC and mark cannot be set"); !dressed) {
      return dressed.error();
    }
    return stop_own_addresses(what.link.name);
  }

  result<outcome> operator()(const raise_link& what) {
    request change(RTM_SETLINK, 0);
    auto& body = change.body<ifinfomsg>();
    body.ifi_flags = IFF_UP;
    body.ifi_change = IFF_UP;
    change.text(IFLA_IFNAME, what.link);
    return change_by(x_socket, change, "cannot be set up");
  }

  result<outcome> operator()(const set_neighbour& what) {
    request change(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    auto& body = change.body<ndmsg>();
    body.ndm_family = AF_INET;
    body.ndm_ifindex = index_of(what.neighbour.link);
    body.ndm_state = NUD_PERMANENT;
    change.address(NDA_DST, what.neighbour.address);
    change.mac(NDA_LLADDR, what.neighbour.mac);
    return change_by(x_socket, change, "cannot be set");
  }

  result<outcome> operator()(const add_route& what) {
    return put_route(what.route, NLM_F_CREATE | NLM_F_EXCL, "cannot be added");
  }

  result<outcome> operator()(const replace_route& what) {
    return put_route(what.route, NLM_F_CREATE | NLM_F_REPLACE, "cannot be replaced");
  }

  result<outcome> operator()(const add_proxy& what) {
    const wanted_proxy& proxy = what.proxy;
    const write_setting prompt{.path = path_of_proxy_delay(proxy.uplink), .value = "0"};
    if (auto set = (*this)(prompt); !set) {
      return set.error();
    }
    request change(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    put_proxy(change, proxy.address, proxy.uplink);
    change.byte(NDA_PROTOCOL, route_protocol);
    if (auto made = change_by(x_socket, change, "cannot be made"); !made) {
      return made.error();
    }
    if (auto told = x_announcer.tell(proxy.address, proxy.uplink); !told) {
      return told.error();
    }
    return outcome::done;
  }

  result<outcome> operator()(const remove_proxy& what) {
    x_announcer.forget(what.address, what.uplink);
    request change(RTM_DELNEIGH, 0);
    put_proxy(change, what.address, what.uplink);
    return change_by(x_socket, change, "cannot be removed", {ENOENT, ENODEV});
  }

  result<outcome> operator()(const remove_route& what) {
    request change(RTM_DELROUTE, 0);
    auto& body = change.body<rtmsg>();
    body.rtm_family = AF_INET;
    body.rtm_dst_len = what.route.length;
    body.rtm_tos = what.route.tos;
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_protocol = what.route.protocol;
    body.rtm_type = what.route.type;
    body.rtm_scope = RT_SCOPE_NOWHERE; // any
    change.address(RTA_DST, what.route.destination);
    change.number(RTA_PRIORITY, what.route.priority);
    if (const int index = index_of(what.route.link); index != 0) {
      change.number(RTA_OIF, static_cast<std::uint32_t>(index));
    }
    return change_by(x_socket, change, "cannot be removed", {ESRCH});
  }

  result<outcome> operator()(const remove_neighbour& what) {
    request change(RTM_DELNEIGH, 0);
    auto& body = change.body<ndmsg>();
    body.ndm_family = AF_INET;
    body.ndm_ifindex = index_of(what.neighbour.link);
    change.address(NDA_DST, what.neighbour.address);
    return change_by(x_socket, change, "cannot be removed", {ENOENT, ENODEV});
  }

  result<outcome> operator()(const remove_link& what) {
    request change(RTM_DELLINK, 0);
    change.body<ifinfomsg>().ifi_index = static_cast<int>(what.index);
    return change_by(x_socket, change, "cannot be removed", {ENODEV});
  }

  result<outcome> operator()(const remove_address& what) {
    request change(RTM_DELADDR, 0);
    put_address(change, what.address);
    return change_by(x_socket, change, "cannot be removed from lo", {EADDRNOTAVAIL});
  }

  /// Those of the filter are not for it.
  template <class Other> result<outcome> operator()(const Other&) {
    return error{.code = error_code::internal, .text = "not an operation of netlink's"};
  }

private:
  /// 0 when there is no such link; the kernel then refuses the operation.
  static int index_of(const std::string& link) {
    return static_cast<int>(::if_nametoindex(link.c_str()));
  }

  static void put_proxy(request& change, ipv4 address, const std::string& uplink) {
    auto& body = change.body<ndmsg>();
    body.ndm_family = AF_INET;
    body.ndm_ifindex = index_of(uplink);
    body.ndm_flags = NTF_PROXY;
    change.address(NDA_DST, address);
  }

  static void put_address(request& change, ipv4 address) {
    auto& body = change.body<ifaddrmsg>();
    body.ifa_family = AF_INET;
    body.ifa_prefixlen = 32;
    body.ifa_scope = RT_SCOPE_UNIVERSE;
    body.ifa_index = index_of_lo;
    change.address(IFA_LOCAL, address);
    change.address(IFA_ADDRESS, address);
    change.byte(IFA_PROTO, route_protocol);
  }

  result<outcome> put_route(const wanted_route& route, int flags, std::string_view name) {
    request change(RTM_NEWROUTE, flags);
    auto& body = change.body<rtmsg>();
    body.rtm_family = AF_INET;
    body.rtm_dst_len = 32;
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_protocol = route_protocol;
    body.rtm_scope = RT_SCOPE_LINK;
    body.rtm_type = RTN_UNICAST;
    change.address(RTA_DST, route.destination);
    change.number(RTA_OIF, static_cast<std::uint32_t>(index_of(route.link)));
    return change_by(x_socket, change, name);
  }

  result<outcome> stop_own_addresses(const std::string& link) {
    request change(RTM_SETLINK, 0);
    change.body<ifinfomsg>();
    change.text(IFLA_IFNAME, link);
    nlattr* families = change.begin(IFLA_AF_SPEC);
    nlattr* ipv6 = change.begin(AF_INET6);
    change.byte(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    change.end(ipv6);
    change.end(families);
    // Without IPv6 in the kernel there is nothing to stop.
    return change_by(x_socket, change, "its IPv6 addresses cannot be stopped",
                     {EAFNOSUPPORT, EOPNOTSUPP});
  }

  netlink_socket& x_socket;
  arp_announcer& x_announcer;
};

} // namespace

result<linux_kernel> linux_kernel::open(std::string link_prefix, std::string helper,
                                        arp_announcer& announcer) {
  auto socket = netlink_socket::open(NETLINK_ROUTE);
  if (!socket) {
    return socket.error();
  }
  auto filter = nft_filter::open(link_prefix, std::move(helper));
  if (!filter) {
    return filter.error();
  }
  return linux_kernel(*std::move(socket), *std::move(filter), std::move(link_prefix), announcer);
}

linux_kernel::linux_kernel(netlink_socket socket, nft_filter filter, std::string link_prefix,
                           arp_announcer& announcer)
    : x_socket(std::move(socket)), x_filter(std::move(filter)), x_prefix(std::move(link_prefix)),
      x_announcer(&announcer) {}

linux_kernel::linux_kernel(linux_kernel&& other) noexcept
    : x_socket(std::move(other.x_socket)), x_filter(std::move(other.x_filter)),
      x_prefix(std::move(other.x_prefix)), x_announcer(other.x_announcer) {}

result<found_state> linux_kernel::read(const std::optional<std::string>& only_link) {
  auto found = reader(x_socket, x_prefix, only_link).run();
  if (!found) {
    return found;
  }
  auto filter = x_filter.read(only_link);
  if (!filter) {
    return filter.error();
  }
  found->filter = *std::move(filter);
  return found;
}

result<outcome> linux_kernel::apply(const operation& what) {
  if (is_of_filter(what)) {
    if (auto done = x_filter.apply({&what}); !done) {
      return done.error();
    }
    return outcome::done;
  }
  return std::visit(writer(x_socket, *x_announcer), what);
}

result<void> linux_kernel::apply_together(const std::vector<const operation*>& all) {
  return x_filter.apply(all);
}

} // namespace orrery::pvip
