#pragma once

#include "events/core/error.hpp"
#include "events/core/guest_port.hpp"
#include "events/core/net.hpp"
#include "pvip/plan/filter.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::pvip {

/// The gateway's Ethernet address, the same on every port of every node, so that a guest's
/// neighbour cache stays right when the guest moves. Locally administered (0e:…), as in the PVIP
/// notes of the design.
inline constexpr mac_address gateway_mac{{0x0e, 0x00, 0x00, 0x00, 0x00, 0x01}};

/// Of `gateway6` on a port.
inline constexpr std::uint8_t gateway6_prefix_bits = 64;

/// Owner mark of our routes of which others are told (rtm_protocol), of the gateways on `lo` and on
/// ports (IFA_PROTO) and of the addresses that are answered for (NDA_PROTOCOL): a number that no
/// routing daemon uses.
inline constexpr std::uint8_t route_protocol = 143;

/// Of our routes of which nobody is told.
inline constexpr std::uint8_t untold_route_protocol = 144;

/// Where gateways stand that are addresses of the node as a whole.
inline constexpr std::string_view loopback = "lo";

/// The kernel's IFNAMSIZ without its closing zero.
inline constexpr std::size_t link_name_bytes_max = 15;

/// Ports of one node: sixteen times the thousand that one node was measured with, and more than any
/// host has memory for.
inline constexpr std::size_t ports_per_node_max = 16'000;

/// Of one NIC, beside its two: each is a rule in the filter of its port that each IPv6 packet is
/// compared with, so few.
inline constexpr std::size_t more_addresses_max = 14;

/// Of one NIC: as many as one asks for by hand.
inline constexpr std::size_t routed_prefixes_max = 16;

/// The shortest prefix behind a guest: what a site has at most (RFC 1918's middle range, RFC 6177
/// and what registries give out).
[[nodiscard]] constexpr std::uint8_t routed_prefix_bits_min(const ip_address& base) {
  return std::holds_alternative<ipv4>(base) ? 12 : 32;
}

/// Another node, by its addresses on a link that it shares with this one.
struct next_node {
  ipv4 address;
  std::optional<ipv6> address6{}; ///< none: what is for IPv6 addresses is not sent on

  friend auto operator<=>(const next_node&, const next_node&) = default;
};

/// One NIC of a guest on this node, as the network's state wants it.
///
/// One that moves is reached all the while, when its two ports want in turn:
///
///     at the old node                            at the new one
///     announced                                  not announced
///     (the guest is stopped there)               awaited: there is a way to the port, for
///     a tail, announced: whoever still sends       the old node alone
///       to here reaches it                       (the guest goes on there)
///     ...                                        announced
///     a tail, not announced, when all routers know the new node
///     removed, when nothing comes any more
struct port {
  std::string link;                ///< tap device name, 1 to 15 bytes, unique on the node
  mac_address mac;                 ///< the guest's
  ipv4 address;                    ///< the guest's, unique on the node
  ipv4 gateway;                    ///< of its subnet; held by the node on `lo`
  std::uint32_t tap_owner_uid = 0; ///< the user the hypervisor runs guests as
  /// Whether others may send to it: false until its guest runs, and from when it leaves. Then there
  /// is no route to it, so nobody is told of it, and nothing that it sends is routed.
  bool announced = true;
  /// Not announced, and yet there is a route to it: the guest comes from another node, which sends
  /// on what is for it.
  bool awaited = false;
  /// Where the guest went: what is for it is sent on to that node. While it is announced, too,
  /// routers are told of this way to it; ARP and neighbour discovery are not answered for it.
  std::optional<next_node> tail{};
  /// The uplink on which the node answers the routers' ARP, and neighbour discovery, for it while
  /// it is announced; empty: they hear of it in another way.
  std::string arp_uplink{};

  // Told to the guest that asks by DHCP.
  std::uint8_t prefix_length = 0; ///< of its subnet, 1 to 32
  std::uint16_t mtu = guest_mtu;  ///< `guest_mtu_min` to `guest_mtu`
  std::vector<ipv4> name_servers; ///< at most `name_servers_max`
  bool classless_routes = false;  ///< /32 and a route to the gateway (RFC 3442)

  std::optional<ipv6> address6;    ///< the guest's, unique on the node
  std::vector<ipv6> name_servers6; ///< at most name_servers_max

  /// Of the guest as `address` and `address6` are, but nobody tells it of them; at most
  /// `more_addresses_max`. Of IPv6 only beside an `address6`.
  std::vector<ip_address> more_addresses{};
  /// Networks behind the guest: what is for them is handed to its address of their family. At most
  /// `routed_prefixes_max`, none longer than one address and none shorter than
  /// `routed_prefix_bits_min`.
  std::vector<ip_prefix> routed_prefixes{};
  /// What passes in each direction, `guest_rate_min` to `guest_rate_max`; none: as fast as it goes.
  /// A second's passes at once after a rest; what is above is dropped and counted.
  std::optional<std::uint64_t> bits_a_second_max{};

  friend auto operator<=>(const port&, const port&) = default;
};

/// `wanted`, but that packets for its guest go where they go with `now`.
[[nodiscard]] port standing_as(port wanted, const port& now);

/// The host state that a set of ports wants: flat, sorted, comparable with what is read back from
/// the kernel.
struct wanted_link {
  std::string name;
  std::uint32_t owner_uid = 0;
  ipv4 gateway; ///< written into the link's alias: owner mark, and who still needs the gateway
  bool has_ipv6 = false; ///< whether the guest has an IPv6 address

  friend auto operator<=>(const wanted_link&, const wanted_link&) = default;
};

struct wanted_route {
  ip_prefix destination;
  std::string link;
  std::optional<ip_address> via{}; ///< the guest's address, for what is behind it; or of a node
  bool is_tail = false; ///< by way of another node, over whichever link leads there, not the port's
  bool is_told = true;  ///< others are told of it

  friend auto operator<=>(const wanted_route&, const wanted_route&) = default;
};

struct wanted_neighbour {
  ip_address address;
  mac_address mac;
  std::string link;

  friend auto operator<=>(const wanted_neighbour&, const wanted_neighbour&) = default;
};

/// An address of the node itself.
struct wanted_address {
  ip_address address;
  std::uint8_t length = 0; ///< of the prefix that is on the link with it
  std::string link;

  friend auto operator<=>(const wanted_address&, const wanted_address&) = default;
};

/// An address for which the node answers on an uplink: ARP, or neighbour discovery for IPv6.
struct wanted_proxy {
  ip_address address;
  std::string uplink;
  std::string link; ///< of the port

  friend auto operator<=>(const wanted_proxy&, const wanted_proxy&) = default;
};

struct host_state {
  std::vector<wanted_link> links;
  std::vector<wanted_route> routes;
  std::vector<wanted_neighbour> neighbours;
  std::vector<wanted_proxy> proxies;
  std::vector<wanted_address> local_addresses; ///< the gateways: on `lo`, and `gateway6` on ports
  std::vector<filter_element> filter;          ///< what guests may send from; all else is dropped

  friend bool operator==(const host_state&, const host_state&) = default;
};

/// The guest's own addresses, the first of IPv4 in front, then that of IPv6, and then the others.
[[nodiscard]] std::vector<ip_address> addresses_of(const port& of);

/// Whether a link to the routers may have that name: 1 to 15 of a-z, A-Z, 0-9, '.', '_', '-', so
/// neither a path nor a pattern; not "." and "..".
[[nodiscard]] bool is_uplink_name(std::string_view name);

/// The whole wanted host state for `ports`: a function of them alone, in any order, with no memory.
/// Errors: `invalid_argument` naming the port when two ports share a link or an address, when a
/// link name is not 1 to 15 of a-z, 0-9, '-', when a guest has the address of a gateway, when an
/// address or a routed prefix cannot be a host's (`can_be_host`) or overlaps another, when a MAC is
/// zero, a group's or the gateway's, when an uplink cannot be one, or when what the guest is told
/// is out of its range; `too_large` above `ports_per_node_max`.
[[nodiscard]] result<host_state> plan(std::vector<port> ports);

} // namespace orrery::pvip
