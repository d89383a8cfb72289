#pragma once

#include "events/core/net.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

/// DHCP for IPv4, the message alone (RFC 2131, RFC 2132).
namespace orrery::pvip {

inline constexpr std::uint16_t dhcp_server_port = 67;
inline constexpr std::uint16_t dhcp_client_port = 68;

enum class dhcp_type : std::uint8_t {
  discover = 1,
  offer = 2,
  request = 3,
  decline = 4,
  acknowledge = 5,
  refuse = 6,
  release = 7,
  inform = 8
};

/// Numbers of options (RFC 2132; 121: RFC 3442).
enum class dhcp_option : std::uint8_t {
  subnet_mask = 1,
  routers = 3,
  name_servers = 6,
  mtu = 26,
  requested_address = 50,
  lease_seconds = 51,
  overload = 52,
  type = 53,
  server = 54,
  text = 56,
  renewal_seconds = 58,
  rebinding_seconds = 59,
  client = 61,
  classless_routes = 121,
};

struct dhcp_message {
  bool is_reply = false;         ///< from a server
  std::uint32_t transaction = 0; ///< "xid", chosen by the client
  std::uint16_t seconds = 0;     ///< since the client began
  bool wants_broadcast = false;  ///< the client hears nothing that is sent to its address
  ipv4 client;                   ///< "ciaddr": what the client has and uses
  ipv4 offered;                  ///< "yiaddr"
  ipv4 next_server;              ///< "siaddr"
  ipv4 relay;                    ///< "giaddr"
  mac_address mac;               ///< "chaddr" of Ethernet
  std::map<dhcp_option, std::vector<std::byte>> options; ///< never 0, 255 or `overload`

  friend bool operator==(const dhcp_message&, const dhcp_message&) = default;
};

/// The message as bytes, at least the 300 that BOOTP demands. Options are in the order of their
/// numbers; those above 255 bytes in several parts (RFC 3396).
[[nodiscard]] std::vector<std::byte> write_dhcp(const dhcp_message& message);

/// Total on any bytes: nothing for what is too short, has no magic cookie, is for other than
/// Ethernet, or has an option that ends behind its field. Parts of one option are joined
/// (RFC 3396), also those in the fields `file` and `sname` when the overload option says that there
/// are some. Of these two fields nothing else is read.
[[nodiscard]] std::optional<dhcp_message> read_dhcp(std::span<const std::byte> bytes);

} // namespace orrery::pvip
