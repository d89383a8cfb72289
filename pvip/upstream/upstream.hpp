#pragma once

#include "events/core/error.hpp"
#include "events/core/net.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// How a node tells the world which guests it has. Pure: settings, their limits, and what they are
/// for BIRD.
namespace orrery::pvip {

/// Routers that one node speaks to: two are usual, a few more while a rack is rebuilt.
inline constexpr std::size_t bgp_neighbours_max = 16;

/// A key of TCP-MD5, in bytes (TCP_MD5SIG_MAXKEYLEN of Linux; RFC 2385).
inline constexpr std::size_t bgp_password_bytes_max = 80;

/// A key of OSPF's keyed MD5, in bytes (RFC 2328, appendix D.3).
inline constexpr std::size_t ospf_password_bytes_max = 16;

/// BGP's smallest hold time that is not "never" (RFC 4271, 4.2), and what is more than an hour is
/// no supervision.
inline constexpr std::chrono::seconds hold_time_min{3};
inline constexpr std::chrono::seconds hold_time_max{3'600};

/// OSPF's times: a field of 16 bits for hello; a dead neighbour that is kept for more than an hour
/// is a mistake.
inline constexpr std::chrono::seconds hello_min{1};
inline constexpr std::chrono::seconds dead_max{3'600};

/// Prefixes of guests in one cluster: one for each network, of which there are few.
inline constexpr std::size_t learned_prefixes_max = 256;

/// Shorter prefixes hold what is no guest's: nobody is given more of IPv6 than a /16 by a registry.
[[nodiscard]] constexpr std::uint8_t learned_length_min(const ip_address& base) {
  return std::holds_alternative<ipv4>(base) ? 8 : 16;
}

/// A router on the uplink's link. What it is told, and tells, is of the family of its address.
struct bgp_neighbour {
  ip_address address;
  std::uint32_t as = 0; ///< the own one: internal BGP
  std::string password; ///< of TCP-MD5; empty: none. Printable ASCII without '"'
};

struct bgp_upstream {
  std::uint32_t as = 0; ///< the node's; all nodes may have the same
  std::vector<bgp_neighbour> neighbours;
  /// After so long without a word a router is dead, and so is the node for it.
  std::chrono::seconds hold_time{9};
};

/// OSPF version 2, and version 3 (RFC 5340) beside it. The node is never the link's designated
/// router.
struct ospf_upstream {
  ipv4 area;
  std::string interface; ///< the uplink
  std::chrono::seconds hello{1};
  std::chrono::seconds dead{4};
  /// Key number 1, of keyed MD5 in version 2 and of HMAC-SHA-256 (RFC 7166) in version 3; empty:
  /// none. As `bgp_neighbour::password`.
  std::string password;
  bool with_ipv6 = false; ///< version 3, too
};

/// The routers know the guests' prefix as on the uplink's link, and ask for each address by ARP.
struct static_arp_upstream {
  std::string uplink;
};

struct routed_upstream {
  /// Of the node on the uplink: router id, and source of its sessions. None: it is not known yet.
  std::optional<ipv4> own_address;
  /// The source of those with IPv6 routers.
  std::optional<ipv6> own_address6{};
  std::variant<bgp_upstream, ospf_upstream> protocol;
  bool learns_default = false; ///< takes the default route from the routers, from several at once
  /// Routes within these, and longer, are taken, so that nodes send to each other without a router;
  /// never told to anybody.
  std::vector<ip_prefix> learned_within;
};

/// Whether routers are spoken with about IPv6, and whether from an address of the node's own.
[[nodiscard]] bool has_ipv6(const routed_upstream& settings);
[[nodiscard]] bool needs_own_address6(const routed_upstream& settings);

using upstream = std::variant<static_arp_upstream, routed_upstream>;

/// Whether the settings can work, as far as they alone tell. Never names a password. Errors:
/// `invalid_argument` with the setting, what is wrong with it and what it may be; `too_large`.
[[nodiscard]] result<void> check(const upstream& settings);
[[nodiscard]] result<void> check(const routed_upstream& settings);

/// Whether a link of that name can lead to routers. Errors: `invalid_argument`.
[[nodiscard]] result<void> check_uplink(std::string_view name);

} // namespace orrery::pvip
