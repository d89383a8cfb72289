#include "pvip/apply/linux_kernel_write.hpp"

#include "pvip/apply/kernel_settings.hpp"
#include "pvip/apply/netlink_request.hpp"
#include "pvip/apply/tap.hpp"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace orrery::pvip {

namespace {

/// Does a change; an ending in `harmless` counts as done.
result<outcome> change_by(netlink_socket& socket, netlink_request& what, std::string_view name,
                          std::initializer_list<int> harmless = {}) {
  const auto ending = socket.ask(what.header(), [](const netlink_message&) {});
  if (!ending) {
    return ending.error();
  }
  if (ending->code != 0 && std::ranges::find(harmless, ending->code) == harmless.end()) {
    return netlink_refusal(name, *ending);
  }
  return outcome::done;
}

/// Does one operation; one function an operation.
class writer {
public:
  writer(netlink_socket& socket, arp_announcer& announcer)
      : x_socket(socket), x_announcer(announcer) {}

  result<outcome> operator()(const write_setting& what) {
    if (auto written = write_to_kernel(what); !written) {
      return written.error();
    }
    return outcome::done;
  }

  result<outcome> operator()(const add_address& what) {
    netlink_request change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    put_address(change, what.address);
    return change_by(x_socket, change, "cannot be added to its link", {EEXIST});
  }

  result<outcome> operator()(const make_tap& what) {
    auto tap = open_new_tap(what.link.name);
    if (!tap) {
      return tap.error();
    }
    // It still vanishes with us here: from the mark on it is known as ours, then it may persist.
    if (auto marked = mark(what.link, "cannot be marked"); !marked) {
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
    if (auto dressed = mark(what.link, "its MAC and mark cannot be set"); !dressed) {
      return dressed.error();
    }
    return stop_own_addresses(what.link.name);
  }

  result<outcome> operator()(const raise_link& what) {
    netlink_request change(RTM_SETLINK, 0);
    auto& body = change.body<ifinfomsg>();
    body.ifi_flags = IFF_UP;
    body.ifi_change = IFF_UP;
    change.text(IFLA_IFNAME, what.link);
    return change_by(x_socket, change, "cannot be set up");
  }

  result<outcome> operator()(const set_neighbour& what) {
    netlink_request change(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    auto& body = change.body<ndmsg>();
    body.ndm_family = family_of(what.neighbour.address);
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
    for (const write_setting& prompt : settings_of_proxies(proxy.uplink, proxy.address)) {
      if (auto set = (*this)(prompt); !set) {
        return set.error();
      }
    }
    netlink_request change(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
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
    netlink_request change(RTM_DELNEIGH, 0);
    put_proxy(change, what.address, what.uplink);
    return change_by(x_socket, change, "cannot be removed", {ENOENT, ENODEV});
  }

  result<outcome> operator()(const remove_route& what) {
    netlink_request change(RTM_DELROUTE, 0);
    auto& body = change.body<rtmsg>();
    body.rtm_family = family_of(what.route.destination.base);
    body.rtm_dst_len = what.route.destination.length;
    body.rtm_tos = what.route.tos;
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_protocol = what.route.protocol;
    body.rtm_type = what.route.type;
    body.rtm_scope = RT_SCOPE_NOWHERE; // any
    change.address(RTA_DST, what.route.destination.base);
    change.number(RTA_PRIORITY, what.route.priority);
    if (const int index = index_of(what.route.link); index != 0) {
      change.number(RTA_OIF, static_cast<std::uint32_t>(index));
    }
    return change_by(x_socket, change, "cannot be removed", {ESRCH});
  }

  result<outcome> operator()(const remove_neighbour& what) {
    netlink_request change(RTM_DELNEIGH, 0);
    auto& body = change.body<ndmsg>();
    body.ndm_family = family_of(what.neighbour.address);
    body.ndm_ifindex = index_of(what.neighbour.link);
    change.address(NDA_DST, what.neighbour.address);
    return change_by(x_socket, change, "cannot be removed", {ENOENT, ENODEV});
  }

  result<outcome> operator()(const remove_link& what) {
    netlink_request change(RTM_DELLINK, 0);
    change.body<ifinfomsg>().ifi_index = static_cast<int>(what.index);
    return change_by(x_socket, change, "cannot be removed", {ENODEV});
  }

  result<outcome> operator()(const remove_address& what) {
    netlink_request change(RTM_DELADDR, 0);
    put_address(change, what.address);
    return change_by(x_socket, change, "cannot be removed from its link", {EADDRNOTAVAIL, ENODEV});
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

  /// With the gateway's MAC.
  result<outcome> mark(const wanted_link& link, std::string_view failure) {
    netlink_request change(RTM_SETLINK, 0);
    change.body<ifinfomsg>();
    change.text(IFLA_IFNAME, link.name);
    change.text(IFLA_IFALIAS, mark_of(link.gateway));
    change.mac(IFLA_ADDRESS, gateway_mac);
    return change_by(x_socket, change, failure);
  }

  static void put_proxy(netlink_request& change, const ip_address& address,
                        const std::string& uplink) {
    auto& body = change.body<ndmsg>();
    body.ndm_family = family_of(address);
    body.ndm_ifindex = index_of(uplink);
    body.ndm_flags = NTF_PROXY;
    change.address(NDA_DST, address);
  }

  /// The kernel need not ask whether somebody else has it (IFA_F_NODAD, of IPv6): who can be asked
  /// on our links is a guest.
  static void put_address(netlink_request& change, const wanted_address& what) {
    auto& body = change.body<ifaddrmsg>();
    body.ifa_family = family_of(what.address);
    body.ifa_prefixlen = what.length;
    body.ifa_flags = body.ifa_family == AF_INET6 ? IFA_F_NODAD : 0;
    body.ifa_scope = RT_SCOPE_UNIVERSE;
    body.ifa_index =
        static_cast<std::uint32_t>(what.link == loopback ? index_of_lo : index_of(what.link));
    change.address(IFA_LOCAL, what.address);
    change.address(IFA_ADDRESS, what.address);
    change.byte(IFA_PROTO, route_protocol);
  }

  result<outcome> put_route(const wanted_route& route, int flags, std::string_view name) {
    netlink_request change(RTM_NEWROUTE, flags);
    auto& body = change.body<rtmsg>();
    body.rtm_family = family_of(route.destination.base);
    body.rtm_dst_len = route.destination.length;
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_protocol = protocol_of(route);
    body.rtm_scope = route.via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    body.rtm_type = RTN_UNICAST;
    change.address(RTA_DST, route.destination.base);
    if (route.via) {
      change.address(RTA_GATEWAY, *route.via);
    }
    change.number(RTA_PRIORITY, priority_of_routes_to(route.destination.base));
    if (!route.is_tail) { // the kernel finds the link to another node
      change.number(RTA_OIF, static_cast<std::uint32_t>(index_of(route.link)));
      // Whatever else the kernel knows of the way to the guest.
      body.rtm_flags = route.via ? RTNH_F_ONLINK : 0;
    }
    return change_by(x_socket, change, name);
  }

  result<outcome> stop_own_addresses(const std::string& link) {
    netlink_request change(RTM_SETLINK, 0);
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

result<outcome> write_network(netlink_socket& socket, arp_announcer& announcer,
                              const operation& what) {
  return std::visit(writer(socket, announcer), what);
}

} // namespace orrery::pvip
