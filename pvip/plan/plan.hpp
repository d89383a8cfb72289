#pragma once

#include "events/core/error.hpp"
#include "events/core/net.hpp"
#include "pvip/plan/filter.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::pvip {

/// The gateway's Ethernet address, the same on every port of every node, so that a guest's
/// neighbour cache stays right when the guest moves. Locally administered (0e:…), as in the PVIP
/// notes of the design.
inline constexpr mac_address gateway_mac{{0x0e, 0x00, 0x00, 0x00, 0x00, 0x01}};

/// Owner mark of our routes (rtm_protocol), of the gateways on `lo` (IFA_PROTO) and of the
/// addresses that are answered for (NDA_PROTOCOL): a number that no routing daemon uses.
inline constexpr std::uint8_t route_protocol = 143;

/// The kernel's IFNAMSIZ without its closing zero.
inline constexpr std::size_t link_name_bytes_max = 15;

/// Ports of one node: sixteen times the thousand that one node was measured with, and more than any
/// host has memory for.
inline constexpr std::size_t ports_per_node_max = 16'000;

/// The MTU of a tap, and so of a guest that was not told another: Ethernet's.
inline constexpr std::uint16_t guest_mtu = 1'500;

/// Below, not even an answer that every host must take fits (RFC 791).
inline constexpr std::uint16_t guest_mtu_min = 576;

/// Resolvers of guests look at three (resolv.conf(5), MAXNS).
inline constexpr std::size_t name_servers_max = 3;

/// One NIC of a guest on this node, as the network's state wants it.
struct port {
  std::string link;                ///< tap device name, 1 to 15 bytes, unique on the node
  mac_address mac;                 ///< the guest's
  ipv4 address;                    ///< the guest's, unique on the node
  ipv4 gateway;                    ///< of its subnet; held by the node on `lo`
  std::uint32_t tap_owner_uid = 0; ///< the user the hypervisor runs guests as
  /// Whether others may send to it: false until its guest runs, and from when it leaves. Then there
  /// is no route to it, so nobody is told of it, and nothing that it sends is routed.
  bool announced = true;
  /// The uplink on which the node answers the routers' ARP for it while it is announced; empty:
  /// they hear of it in another way.
  std::string arp_uplink{};

  // Told to the guest that asks by DHCP.
  std::uint8_t prefix_length = 0; ///< of its subnet, 1 to 32
  std::uint16_t mtu = guest_mtu;  ///< `guest_mtu_min` to `guest_mtu`
  std::vector<ipv4> name_servers; ///< at most `name_servers_max`
  bool classless_routes = false;  ///< /32 and a route to the gateway (RFC 3442)

  friend auto operator<=>(const port&, const port&) = default;
};

/// The host state that a set of ports wants: flat, sorted, comparable with what is read back from
/// the kernel.
struct wanted_link {
  std::string name;
  std::uint32_t owner_uid = 0;
  ipv4 gateway; ///< written into the link's alias: owner mark, and who still needs the gateway

  friend auto operator<=>(const wanted_link&, const wanted_link&) = default;
};

struct wanted_route {
  ipv4 destination; ///< /32
  std::string link;

  friend auto operator<=>(const wanted_route&, const wanted_route&) = default;
};

struct wanted_neighbour {
  ipv4 address;
  mac_address mac;
  std::string link;

  friend auto operator<=>(const wanted_neighbour&, const wanted_neighbour&) = default;
};

/// An address for which the node answers ARP on an uplink.
struct wanted_proxy {
  ipv4 address;
  std::string uplink;
  std::string link; ///< of the port

  friend auto operator<=>(const wanted_proxy&, const wanted_proxy&) = default;
};

struct host_state {
  std::vector<wanted_link> links;
  std::vector<wanted_route> routes;
  std::vector<wanted_neighbour> neighbours;
  std::vector<wanted_proxy> proxies;
  std::vector<ipv4> local_addresses;  ///< on `lo`, /32: the gateways
  std::vector<filter_element> filter; ///< what guests may send from; all else is dropped

  friend bool operator==(const host_state&, const host_state&) = default;
};

/// Whether an address can be a host's: not of 0/8, 127/8, 224/4 and above.
[[nodiscard]] bool can_be_host(ipv4 address);

/// Whether a link to the routers may have that name: 1 to 15 of a-z, A-Z, 0-9, '.', '_', '-', so
/// neither a path nor a pattern; not "." and "..".
[[nodiscard]] bool is_uplink_name(std::string_view name);

/// The whole wanted host state for `ports`: a function of them alone, in any order, with no memory.
/// Errors: `invalid_argument` naming the port when two ports share a link or an address, when a
/// link name is not 1 to 15 of a-z, 0-9, '-', when a guest has the address of a gateway, when an
/// address cannot be a host's (0/8, 127/8, 224/4 and above), when a MAC is zero, a group's or
/// the gateway's, when an uplink cannot be one, or when what the guest is told is out of its range;
/// `too_large` above `ports_per_node_max`.
[[nodiscard]] result<host_state> plan(std::vector<port> ports);

} // namespace orrery::pvip
