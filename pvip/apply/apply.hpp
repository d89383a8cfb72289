#pragma once

#include "events/core/error.hpp"
#include "events/core/net.hpp"
#include "pvip/plan/plan.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// The difference between what is wanted and what the kernel has, as operations in a safe order.
/// Pure: who reads the kernel and who writes it is behind `kernel.hpp`.
namespace orrery::pvip {

enum class setting_use : std::uint8_t {
  always,
  if_there, ///< always, where the kernel has it (no IPv6 in some)
  with_ipv6 ///< of links whose guest has an IPv6 address; of the node when there is such a guest
};

/// A value below /proc/sys of links of ours.
struct link_setting {
  std::string_view folder;
  std::string_view name;
  std::string_view value;
  setting_use use = setting_use::always;
};

/// In the order in which they are written: proxy_delay before proxy_arp, since old kernels divided
/// by the former when it changed under traffic (felix 1937). rp_filter keeps forged sources in,
/// accept_ra keeps a guest from giving the node a default route. disable_ipv6 last: all else is
/// right before there is any IPv6 on the link.
inline constexpr std::array<link_setting, 10> link_settings{{
    {"/proc/sys/net/ipv4/neigh", "proxy_delay", "0"},
    {"/proc/sys/net/ipv4/conf", "proxy_arp", "1"},
    {"/proc/sys/net/ipv4/conf", "rp_filter", "1"},
    {"/proc/sys/net/ipv4/conf", "send_redirects", "0"},
    {"/proc/sys/net/ipv4/conf", "accept_redirects", "0"},
    {"/proc/sys/net/ipv6/conf", "accept_ra", "0", setting_use::if_there},
    {"/proc/sys/net/ipv6/conf", "accept_dad", "0", setting_use::if_there},
    {"/proc/sys/net/ipv6/conf", "accept_redirects", "0", setting_use::with_ipv6},
    {"/proc/sys/net/ipv6/conf", "forwarding", "1", setting_use::with_ipv6},
    {"/proc/sys/net/ipv6/conf", "disable_ipv6", "0", setting_use::with_ipv6},
}};

struct node_setting {
  std::string_view path;
  std::string_view value;
  setting_use use = setting_use::always;
};

/// ip_forward first: writing it resets the others. `all` and `default` too, because the kernel
/// sends redirects when either of `all` and the link says so. IPv6 has no switch for sending them,
/// and its forwarding resets nothing but whether links listen to routers (`router_listeners`).
inline constexpr std::array<node_setting, 8> node_settings{{
    {"/proc/sys/net/ipv4/ip_forward", "1"},
    {"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
    {"/proc/sys/net/ipv4/conf/default/send_redirects", "0"},
    {"/proc/sys/net/ipv4/conf/all/accept_redirects", "0"},
    {"/proc/sys/net/ipv4/conf/default/accept_redirects", "0"},
    {"/proc/sys/net/ipv6/conf/all/forwarding", "1", setting_use::with_ipv6},
    {"/proc/sys/net/ipv6/conf/all/accept_redirects", "0", setting_use::with_ipv6},
    {"/proc/sys/net/ipv6/conf/default/accept_redirects", "0", setting_use::with_ipv6},
}};

/// The switch by which the kernel's links become routers, and the link's value that decides whether
/// it listens to other routers then: 1 only while it is none, 2 also when it is one.
inline constexpr std::string_view ipv6_forwarding_path = "/proc/sys/net/ipv6/conf/all/forwarding";
[[nodiscard]] std::string path_of_router_listening(std::string_view link);

/// The kernel takes the larger of this and the link's: 2 (loose) here would undo our 1 (strict).
inline constexpr std::string_view filter_of_all_path = "/proc/sys/net/ipv4/conf/all/rp_filter";

[[nodiscard]] std::string path_of(const link_setting& setting, std::string_view link);

/// The text in a link's alias: the owner mark, and the gateway that the link's guest uses, so that
/// the kernel alone tells which gateways are still needed.
[[nodiscard]] std::string mark_of(ipv4 gateway);
[[nodiscard]] std::optional<ipv4> gateway_in_mark(std::string_view alias);

struct found_link {
  std::string name;
  std::uint32_t index = 0; ///< the kernel's number, never used again while the node runs
  bool tap = false;
  bool persistent = false;
  std::optional<std::uint32_t> owner_uid;
  mac_address mac;
  bool up = false;
  bool makes_addresses = false; ///< IPv6 link-local addresses by itself (addrgenmode)
  std::string alias;
  /// As `link_settings`; nothing where the kernel has no such value. Empty when they were not read.
  std::vector<std::optional<std::string>> settings;
};

/// Of our routes, as the kernel keeps it, and so what another route must have to be in the way of
/// ours. For IPv6 the kernel takes 0 for 1024, behind what routing daemons make; 1 is first.
[[nodiscard]] constexpr std::uint32_t priority_of_routes_to(const ip_address& address) {
  return std::holds_alternative<ipv4>(address) ? 0 : 1;
}

/// A unicast or other route of the main table.
struct found_route {
  ip_prefix destination;
  std::uint32_t priority = 0;
  std::uint8_t tos = 0;
  std::uint8_t type = 1;     ///< RTN_UNICAST
  std::uint8_t protocol = 0; ///< who made it
  std::string link;          ///< empty when there is none or more than one
  bool direct = true;        ///< unicast, without a gateway
  std::optional<ip_address>
      via{}; ///< unicast, by this one gateway, whether or not it is on the link

  /// By its mark.
  [[nodiscard]] bool is_ours() const {
    return protocol == route_protocol || protocol == untold_route_protocol;
  }
};

[[nodiscard]] constexpr std::uint8_t protocol_of(const wanted_route& route) {
  return route.is_told ? route_protocol : untold_route_protocol;
}

struct found_neighbour {
  ip_address address;
  mac_address mac;
  std::string link;
  bool permanent = false;
};

/// An address for which the kernel answers on a link: ARP, or neighbour discovery.
struct found_proxy {
  ip_address address;
  std::string link;
  bool ours = false; ///< carries our protocol number
  /// The link's proxy_delay is 0, else answers wait for up to 0.8 s; of IPv6 its proxy_ndp is 1,
  /// too, else none is given.
  bool prompt = false;
};

/// An address of the node: of IPv4 on `lo`, of IPv6 on any link.
struct found_address {
  ip_address address;
  std::uint8_t length = 32;
  std::string link = std::string(loopback);
  bool ours = false; ///< carries our protocol number
};

/// What stands in our table for one name that is no shared chain.
struct found_port_filter {
  bool has_chain = false;               ///< of what comes from the guest
  bool has_out_chain = false;           ///< of what goes to it
  bool is_chain_right = false;          ///< both are hooked as ours are, with our rules alone
  std::vector<filter_element> elements; ///< sorted
};

enum class base_state : std::uint8_t {
  missing,
  changed, ///< shared rules are not those that we made
  broken,  ///< so that it can only be made anew: a set is missing or of another kind
  right
};

struct found_filter {
  base_state base = base_state::missing;
  std::map<std::string, found_port_filter, std::less<>> ports;
};

struct found_state {
  std::vector<found_link> links;
  std::vector<found_route> routes;
  std::vector<found_neighbour> neighbours;
  std::vector<found_proxy> proxies;
  std::vector<found_address> addresses;
  std::vector<std::string> node_values; ///< as `node_settings`
  /// Links that listen to routers and will not when the node forwards IPv6; none when it does.
  std::vector<std::string> router_listeners;
  std::string filter_of_all; ///< at `filter_of_all_path`
  found_filter filter;       ///< of what guests send
};

/// Writes `value` at `path`; a missing path is right when `optional`.
struct write_setting {
  std::string path;
  std::string value;
  bool optional = false;
};

/// Makes the tap, marked and with the gateway's MAC; never takes one that exists.
struct make_tap {
  wanted_link link;
};

/// Owner and persistence of a tap that exists. Impossible, and put off, while a guest holds it.
struct adopt_tap {
  wanted_link link;
};

/// Mark, MAC and address generation; never touches the queue of a running guest.
struct dress_link {
  wanted_link link;
};

/// The table and what all ports share. Where only rules were changed, elements and chains of ports
/// stay; what was broken is made anew.
struct make_filter {
  base_state was = base_state::missing;
};

/// A port's chains, when `chain`, and its elements.
struct filter_link {
  std::string link;
  bool chain = false;
  bool is_chain_taken = false;     ///< another chain has its name, and goes
  bool is_out_chain_taken = false; ///< the same of what goes to the guest
  port_rules rules;                ///< for the chains: those of the elements that are no set's
  std::vector<filter_element> added;
  std::vector<filter_element> removed;
};

/// Removes a port's chains, its elements and its counters.
struct unfilter_link {
  std::string link;
  bool has_chain = false;
  bool has_out_chain = false;
  std::vector<filter_element> removed;
};

/// Removes the table.
struct remove_filter {};

struct raise_link {
  std::string link;
};

struct add_address {
  wanted_address address;
};

struct set_neighbour {
  wanted_neighbour neighbour;
};

struct add_route {
  wanted_route route;
};

/// Takes the place of our own route to the same destination, without a moment without one.
struct replace_route {
  wanted_route route;
};

/// Has it answered at once, and tells everybody on the uplink that the address is here now.
struct add_proxy {
  wanted_proxy proxy;
};

struct remove_proxy {
  ip_address address;
  std::string uplink;
};

struct remove_route {
  found_route route;
};

struct remove_neighbour {
  found_neighbour neighbour;
};

struct remove_link {
  std::string link;
  std::uint32_t index = 0; ///< so that only the very link that was judged is removed
};

struct remove_address {
  wanted_address address;
};

using operation =
    std::variant<write_setting, add_address, make_tap, adopt_tap, dress_link, make_filter,
                 filter_link, raise_link, set_neighbour, add_route, replace_route, add_proxy,
                 remove_proxy, remove_route, remove_neighbour, remove_link, unfilter_link,
                 remove_filter, remove_address>;

/// Whether it changes the filter, as `kernel::apply_together` takes it.
[[nodiscard]] bool is_of_filter(const operation& what);

/// What an operation of the filter makes of it.
void apply_to(found_filter& filter, const operation& what);

enum class change : std::uint8_t { added, repaired, removed };

struct step {
  operation what;
  std::string object; ///< what is counted once: "link vp0123456789", "route 10.0.0.7/32"
  std::string link;   ///< whose further steps are pointless when this one fails; may be empty
  change kind = change::added;
  std::string sentence; ///< for `apply_report::drift`; empty for what belongs to something new
};

struct difference {
  std::vector<step> steps;
  std::vector<error> refusals; ///< wanted, but in the way is something that is not ours
};

enum class apply_scope : std::uint8_t {
  whole_node, ///< what is ours and not wanted goes
  one_port    ///< other links are neither read nor touched
};

/// What turns `found` into `wanted`, in the order written in apply.cpp. `link_prefix` as in
/// `host_network::open`.
[[nodiscard]] difference compare(const host_state& wanted, const found_state& found,
                                 std::string_view link_prefix, apply_scope scope);

/// What removes one port, and the gateways that no other link needs then, for which `found` holds
/// all links; of `one_port` all gateways on `lo` stay. Nothing when the link is not a tap: then it
/// is not ours.
[[nodiscard]] difference compare_without(std::string_view link, const found_state& found,
                                         std::string_view link_prefix, apply_scope scope);

} // namespace orrery::pvip
