#pragma once

#include "events/core/net.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

/// Readers of rtnetlink's answers (rtnetlink(7)): pure, and total on any bytes. What is damaged,
/// too short or of another address family is nothing, never a guess.
namespace orrery::pvip {

/// One message of a datagram; `payload` lies in the datagram.
struct netlink_message {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  std::span<const std::byte> payload;
};

/// Gives the messages of a datagram one after the other.
class netlink_messages {
public:
  explicit netlink_messages(std::span<const std::byte> datagram) : x_rest(datagram) {}

  /// Nothing at the end, and from the first damaged message on.
  [[nodiscard]] std::optional<netlink_message> next();

  /// Whether it ended before the end of the datagram.
  [[nodiscard]] bool is_damaged() const { return x_damaged; }

private:
  std::span<const std::byte> x_rest;
  bool x_damaged = false;
};

/// How the kernel ended a request: 0, or an errno, with its words when it has any.
struct netlink_ending {
  int code = 0;
  std::string words;
};

/// Of messages of type NLMSG_ERROR or NLMSG_DONE.
[[nodiscard]] std::optional<netlink_ending> read_ending(const netlink_message& message);

struct netlink_link {
  std::uint32_t index = 0;
  std::uint32_t flags = 0; ///< IFF_…
  std::string name;
  mac_address mac; ///< zero when it has none of six bytes
  std::string alias;
  std::string kind;                     ///< "tun" for taps; empty for devices
  std::optional<std::uint8_t> tun_type; ///< IFF_TUN or IFF_TAP
  std::optional<std::uint32_t> tun_owner_uid;
  bool tun_persistent = false;
  std::optional<std::uint8_t> ipv6_address_mode; ///< IN6_ADDR_GEN_MODE_…; nothing without IPv6
};

struct netlink_route {
  ip_prefix destination; ///< of no length when the kernel names none: the default route
  std::uint8_t tos = 0;
  std::uint8_t type = 0; ///< RTN_…
  std::uint8_t protocol = 0;
  std::uint8_t scope = 0; ///< RT_SCOPE_…
  std::uint32_t table = 0;
  std::uint32_t priority = 0;
  std::uint32_t link_index = 0; ///< 0: none, or several
  bool has_gateway = false;
  std::optional<ip_address> gateway; ///< of the destination's family, when there is one alone
};

struct netlink_neighbour {
  ip_address address;
  mac_address mac;
  std::uint32_t link_index = 0;
  std::uint16_t state = 0; ///< NUD_…
  std::uint8_t flags = 0;  ///< NTF_…
  std::uint8_t protocol = 0;
};

struct netlink_address {
  ip_address address; ///< the local one
  std::uint8_t length = 0;
  std::uint8_t protocol = 0;
  std::uint32_t link_index = 0;
};

/// Of NFT_MSG_NEWGEN, nftables' answer: the number of the rules' generation.
[[nodiscard]] std::optional<std::uint32_t> read_generation(std::span<const std::byte> payload);

[[nodiscard]] std::optional<netlink_link> read_link(std::span<const std::byte> payload);
[[nodiscard]] std::optional<netlink_route> read_route(std::span<const std::byte> payload);
[[nodiscard]] std::optional<netlink_neighbour> read_neighbour(std::span<const std::byte> payload);
[[nodiscard]] std::optional<netlink_address> read_address(std::span<const std::byte> payload);

} // namespace orrery::pvip
