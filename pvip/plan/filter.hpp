#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

/// What a guest may send: one nftables table of the family "netdev", which sees each frame of a
/// port before the kernel looks into it. Pure: tables as text in nftables' JSON
/// (libnftables-json(5)); who asks the kernel is in pvip/apply.
///
///   tap ──▶ chain of the port ──▶ from_guest ──┬─▶ from_guest_ipv4 ──┬─▶ accepted
///           (policy drop)                      └─▶ from_guest_arp ───┤
///                                                                    └─▶ count_drop
///
/// The shared chains look (link, address) up in two sets, so a port is two elements, and a chain of
/// one rule that leads there. What is dropped is counted in a third set, by link and reason.
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
};

inline constexpr std::array<drop_reason, 8> drop_reasons{
    drop_reason::foreign_mac, drop_reason::foreign_ipv4, drop_reason::foreign_arp,
    drop_reason::dhcp_server, drop_reason::group,        drop_reason::ipv6,
    drop_reason::other_frame, drop_reason::dhcp_request};

/// The set in which an address of a port stands.
enum class filter_set : std::uint8_t { mac, address };

[[nodiscard]] std::string_view name_of(filter_set set); ///< "mac", "address"

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
inline constexpr std::array<std::string_view, 4> shared_chains{"from_guest", "from_guest_ipv4",
                                                               "from_guest_arp", "count_drop"};

/// The set of counters, by (link, reason).
inline constexpr std::string_view drops_set = "dropped";

/// Commands, separated by commas, that make the table, its sets and shared chains with their rules.
[[nodiscard]] std::string filter_base(std::string_view table);

/// Commands that bring shared chains and their rules back in a table that has the sets; elements,
/// counters and chains of ports stay. (Sets cannot be named again: nftables 1.0.6 leaves out what
/// it finds out about a new one, and the kernel then says that there is another.)
[[nodiscard]] std::string filter_rules(std::string_view table);

/// Commands that lead the frames of `link` into the shared chains. The link must exist on kernels
/// before 6.16.
[[nodiscard]] std::string filter_chain_of(std::string_view table, std::string_view link);

} // namespace orrery::pvip
