#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// DHCP for IPv6, the message alone (RFC 8415).
namespace orrery::pvip {

inline constexpr std::uint16_t dhcp6_server_port = 547;
inline constexpr std::uint16_t dhcp6_client_port = 546;

enum class dhcp6_type : std::uint8_t {
  solicit = 1,
  advertise = 2,
  request = 3,
  confirm = 4,
  renew = 5,
  rebind = 6,
  reply = 7,
  release = 8,
  decline = 9,
  reconfigure = 10,
  information_request = 11,
  relay_forward = 12,
  relay_reply = 13,
};

enum class dhcp6_option : std::uint16_t {
  client = 1,
  server = 2,
  addresses = 3,           ///< IA_NA: addresses that a client keeps
  temporary_addresses = 4, ///< IA_TA
  address = 5,             ///< within these two
  preference = 7,
  status = 13,
  rapid_commit = 14,
  name_servers = 23,        ///< RFC 3646
  prefixes = 25,            ///< IA_PD: prefixes for a client to give on
  information_refresh = 32, ///< seconds
};

enum class dhcp6_status : std::uint16_t {
  success = 0,
  no_address_available = 2,
  no_binding = 3,
  not_on_link = 4,
  use_multicast = 5,
  no_prefix_available = 6,
};

struct dhcp6_field {
  dhcp6_option number{};
  std::vector<std::byte> value;

  friend bool operator==(const dhcp6_field&, const dhcp6_field&) = default;
};

/// In the order of the message, in which one number may come again.
using dhcp6_fields = std::vector<dhcp6_field>;

/// A message between a client and a server, not one of relays.
struct dhcp6_message {
  dhcp6_type type = dhcp6_type::solicit;
  std::uint32_t transaction = 0; ///< of 24 bits, chosen by the client
  dhcp6_fields options;

  friend bool operator==(const dhcp6_message&, const dhcp6_message&) = default;
};

/// Options as bytes, also of those that lie within another; each value has at most 65,535 bytes.
[[nodiscard]] std::vector<std::byte> write_dhcp6_fields(const dhcp6_fields& fields);

/// Total on any bytes: nothing where an option ends behind them.
[[nodiscard]] std::optional<dhcp6_fields> read_dhcp6_fields(std::span<const std::byte> bytes);

[[nodiscard]] std::vector<std::byte> write_dhcp6(const dhcp6_message& message);

/// Whether these bytes are a message of a relay, which has another form.
[[nodiscard]] bool is_relayed(std::span<const std::byte> bytes);

/// Total on any bytes: nothing for a relay's message, and for what is too short or has an option
/// that ends behind it.
[[nodiscard]] std::optional<dhcp6_message> read_dhcp6(std::span<const std::byte> bytes);

} // namespace orrery::pvip
