#pragma once

#include "events/core/net.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a guest may send: one nftables table of the family "netdev", which sees each frame of a
/// port before the kernel looks into it. Pure: tables as text in nftables' JSON
/// (libnftables-json(5)); who asks the kernel is in pvip/apply.
///
///   tap ──▶ chain of the port ──▶ from_guest ──┬─▶ from_guest_ipv4 ──┬─▶ accepted
///           (policy drop)                      ├─▶ from_guest_ipv6 ──┤
///                                              └─▶ from_guest_arp ───┴─▶ count_drop
///
///   the node ──▶ <link>_out ──▶ to_guest ──▶ tap      counts by address, drops nothing
///
/// The shared chains look (link, address) up in sets, so a port is an element or two for each
/// family, and a chain that leads there. What is dropped is counted in another set, by link and
/// reason.
///
/// IPv6. nftables looks behind extension headers for us, but what matters must stand plainly
/// (RFC 6980, RFC 7113): neighbour discovery and DHCPv6 behind them, and what is cut so that nobody
/// can see what it is, dies. Neighbour discovery never leaves the node. Whose address it speaks of
/// cannot be looked up in a set of addresses (nftables 1.0.6 takes it for a number), so the port's
/// own addresses stand as numbers in rules of its chain, which lead to from_guest_own.
namespace orrery::pvip {

/// Why a frame of a guest died. The number is the second half of the key in the set `dropped`, and
/// never changes its meaning.
enum class drop_reason : std::uint8_t {
  foreign_mac = 1,  ///< not from the guest's Ethernet address
  foreign_ipv4 = 2, ///< not from the guest's IPv4 address
  foreign_arp = 3,  ///< ARP that speaks for another address, IPv4 or Ethernet, or is no plain ARP
  dhcp_server = 4,  ///< an answer as only a DHCP server gives
  group = 5,        ///< IPv4 to everybody or to a group: nobody else is on the link
  ipv6 = 6,         ///< all of IPv6, until the node has it: NDP, router advertisements, DHCPv6
  other_frame = 7,  ///< neither IPv4, ARP nor IPv6: tagged, STP, LLDP, unknown
  dhcp_request = 8, ///< no offence: asked to all, heard by the node, forwarded to nobody

  // Of ports whose guest has an IPv6 address; of others all of IPv6 is `ipv6`.
  foreign_ipv6 = 9,          ///< not from the guest's IPv6 address
  router_advertisement = 10, ///< speaks as a router
  redirect = 11,             ///< speaks as a router
  foreign_ndp = 12,   ///< neighbour discovery that speaks for another address than the guest's
  dhcpv6_server = 13, ///< to the port to which only DHCPv6 servers send
  ipv6_group = 14,    ///< to a group that is nobody's on the link
  ipv6_hidden = 15,   ///< neighbour discovery, DHCPv6 or what cannot be known, behind headers
  ipv6_request = 16,  ///< no offence: asks for routers, addresses, neighbours or groups
  link_local = 17,    ///< from or to a link-local address, and not for the node

  // Of ports with a limit.
  too_fast = 18,          ///< from the guest, above the limit
  too_fast_to_guest = 19, ///< to the guest, above the limit
};

inline constexpr std::array<drop_reason, 19> drop_reasons{
    drop_reason::foreign_mac,          drop_reason::foreign_ipv4, drop_reason::foreign_arp,
    drop_reason::dhcp_server,          drop_reason::group,        drop_reason::ipv6,
    drop_reason::other_frame,          drop_reason::dhcp_request, drop_reason::foreign_ipv6,
    drop_reason::router_advertisement, drop_reason::redirect,     drop_reason::foreign_ndp,
    drop_reason::dhcpv6_server,        drop_reason::ipv6_group,   drop_reason::ipv6_hidden,
    drop_reason::ipv6_request,         drop_reason::link_local,   drop_reason::too_fast,
    drop_reason::too_fast_to_guest};

/// Where an address of a port stands.
enum class filter_set : std::uint8_t {
  mac,
  address,
  mac6, ///< also in `mac`: of a guest that has an IPv6 address
  address6,
  received, ///< what is sent to the guest is counted here
  received6,
  prefix, ///< the same of networks behind the guest
  prefix6,
  received_prefix,
  received_prefix6,
  target6, ///< no set: the IPv6 address as a number in a rule of the port's chain
  rate     ///< no set: bytes a second, in a rule of each chain of the port
};

/// The sets in the table, and the type of the second half of their keys.
struct filter_set_kind {
  filter_set set = filter_set::mac;
  std::string_view name;
  std::string_view type;
  /// Whether its elements have a counter each, of frames that passed because of it.
  bool counts = false;
  bool prefixes = false; ///< whether its elements are prefixes: "10.1.0.0/16"
};

inline constexpr std::array<filter_set_kind, 10> filter_set_kinds{
    {{filter_set::mac, "mac", "ether_addr"},
     {filter_set::address, "address", "ipv4_addr", true},
     {filter_set::mac6, "mac6", "ether_addr"},
     {filter_set::address6, "address6", "ipv6_addr", true},
     {filter_set::received, "received", "ipv4_addr", true},
     {filter_set::received6, "received6", "ipv6_addr", true},
     {filter_set::prefix, "prefix", "ipv4_addr", true, true},
     {filter_set::prefix6, "prefix6", "ipv6_addr", true, true},
     {filter_set::received_prefix, "received_prefix", "ipv4_addr", true, true},
     {filter_set::received_prefix6, "received_prefix6", "ipv6_addr", true, true}}};

[[nodiscard]] std::string_view name_of(filter_set set); ///< "mac", "address", …

/// Whether it is a set of the table; else its elements are rules of the port's chains.
[[nodiscard]] constexpr bool is_of_a_set(filter_set set) {
  return set != filter_set::target6 && set != filter_set::rate;
}

/// An IPv6 address as nftables shows it when it takes it for a number, and back: "0xfd99…17".
[[nodiscard]] std::string as_number(const ipv6& address);
[[nodiscard]] std::optional<ipv6> parse_number(std::string_view text);

/// One address that a guest may send from.
struct filter_element {
  std::string link;
  filter_set set = filter_set::mac;
  std::string value; ///< as nftables prints it: "0a:00:00:00:00:01", "10.99.0.17"

  friend auto operator<=>(const filter_element&, const filter_element&) = default;
};

/// Our table: its name is its owner's mark. `link_prefix` as in `host_network::open`.
[[nodiscard]] std::string filter_table(std::string_view link_prefix);

/// The chains that all ports share. They have a '_', which no link's name has, so that none is
/// taken for the chain of a port.
inline constexpr std::array<std::string_view, 15> shared_chains{
    "from_guest",        "from_guest_ipv4",        "from_guest_arp",       "from_guest_ipv6",
    "from_guest_hidden", "from_guest_unspecified", "from_guest_linklocal", "from_guest_group6",
    "from_guest_ndp",    "from_guest_own",         "from_guest_own_ndp",   "count_drop",
    "to_guest",          "too_fast_from_guest",    "too_fast_to_guest"};

/// Where chains of ports lead, and where those frames that may speak of the guest's own address do.
inline constexpr std::string_view entry_chain = "from_guest";
inline constexpr std::string_view own_target_chain = "from_guest_own";
inline constexpr std::string_view to_guest_chain = "to_guest";
inline constexpr std::string_view too_fast_chain = "too_fast_from_guest";
inline constexpr std::string_view too_fast_to_guest_chain = "too_fast_to_guest";

/// A port has two chains: of its name for what comes from the guest, and with this behind it for
/// what goes to the guest.
inline constexpr std::string_view out_chain_end = "_out";

/// The set of counters, by (link, reason).
inline constexpr std::string_view drops_set = "dropped";

/// Commands, separated by commas, that make the table, its sets and shared chains with their rules.
[[nodiscard]] std::string filter_base(std::string_view table);

/// Commands that bring shared chains and their rules back in a table that has the sets; elements,
/// counters and chains of ports stay. (Sets cannot be named again: nftables 1.0.6 leaves out what
/// it finds out about a new one, and the kernel then says that there is another.)
[[nodiscard]] std::string filter_rules(std::string_view table);

/// Of the chains of ports. Below -400, where connection tracking would begin (enum
/// nf_ip_hook_priorities), with room.
inline constexpr int filter_priority = -500;

/// Where neighbour discovery says whom it speaks of (RFC 4861, 4.3), in the transport header.
inline constexpr int target_offset_bits = 64;

/// Bytes that pass at once beside a second's, which the kernel always lets (nft_limit): one of the
/// largest packets that offloads make.
inline constexpr std::uint64_t rate_burst = std::uint64_t{64} * 1024;

/// What a port's chains have of the port.
struct port_rules {
  std::vector<ipv6> own; ///< its guest's IPv6 addresses
  std::optional<std::uint64_t> bytes_a_second_max;
};

/// Commands that lead the frames from and to `link` into the shared chains. The link must exist on
/// kernels before 6.16.
[[nodiscard]] std::string filter_chains_of(std::string_view table, std::string_view link,
                                           const port_rules& rules);

} // namespace orrery::pvip
