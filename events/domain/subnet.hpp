#pragma once

#include "events/core/net.hpp"
#include "events/core/persistent_map.hpp"
#include "events/domain/types.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orrery::domain {

/// Addresses that nobody is given who does not ask for one by name.
struct reserved_range {
  ipv4_range addresses;
  std::string note; ///< who has them, in an operator's words

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.addresses.first, of.addresses.last, of.note);
  }
};

/// A range of addresses and who has them. Part of a network.
struct subnet_state {
  uuid subnet;
  ipv4_prefix prefix;
  ipv4 gateway;
  std::optional<ipv6_prefix> prefix6;              ///< of the guests' second addresses
  persistent_map<std::uint32_t, uuid> taken;       ///< address bits -> NIC
  persistent_map<std::uint32_t, utc_time> resting; ///< released ones -> not to be given before
  std::uint32_t last_given = 0;         ///< bits of the last address given out, 0 for none yet
  std::vector<reserved_range> reserved; ///< in order, apart from each other
  std::uint32_t reserved_taken = 0;     ///< of `taken`, how many are in `reserved`

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.subnet, of.prefix, of.gateway, of.prefix6, of.last_given, of.taken, of.resting,
              of.reserved);
  }

  void complete();
};

/// The shortest and longest prefix of a subnet: below /16 a broadcast address is not the worst
/// problem, above /30 no guest fits beside network, gateway and broadcast.
inline constexpr std::uint8_t subnet_length_min = 16;
inline constexpr std::uint8_t subnet_length_max = 30;

/// Of the IPv6 prefix of a subnet: what a link is given has 64 bits left (RFC 4291, 2.5.1), and the
/// largest IPv4 subnet has 16 bits of numbers.
inline constexpr std::uint8_t subnet6_length_min = 64;
inline constexpr std::uint8_t subnet6_length_max = 112;

/// Enough for every other machine of a rack or two to be written down by itself; few enough that
/// looking through them costs nothing.
inline constexpr std::size_t reserved_ranges_max = 256;

/// Checks a subnet's shape. Errors: `invalid_argument`.
[[nodiscard]] result<void> check_subnet(const ipv4_prefix& prefix, ipv4 gateway);

/// The same for its IPv6 prefix. Errors: `invalid_argument`.
[[nodiscard]] result<void> check_subnet6(const ipv6_prefix& prefix);

/// The IPv6 address of who has that IPv4 address of the subnet: the one with the same number. So it
/// is as much his alone as that; nothing when the subnet has no IPv6. `address` is of the subnet.
[[nodiscard]] std::optional<ipv6> address6_of(const subnet_state& subnet, ipv4 address);

/// The same of a prefix of the subnet.
[[nodiscard]] std::optional<ipv6_prefix> prefix6_of(const subnet_state& subnet,
                                                    const ipv4_prefix& addresses);

/// Addresses that guests can have: all but network, broadcast and gateway.
[[nodiscard]] std::uint32_t size_of(const subnet_state& subnet);

/// Whether a guest can have it at all.
[[nodiscard]] bool is_usable(const subnet_state& subnet, ipv4 address);

/// Of those that guests can have, how many are reserved and not taken.
[[nodiscard]] std::uint32_t reserved_size_of(const subnet_state& subnet);

/// The reserved range in which an address is, or null.
[[nodiscard]] const reserved_range* range_around(const subnet_state& subnet, ipv4 address);

/// The next free address after the last one given, so that a released address rests as long as the
/// range allows; nothing when all are taken, reserved, or still rest at `now`.
[[nodiscard]] std::optional<ipv4> next_free(const subnet_state& subnet, utc_time now);

/// When the first of those that rest at `now`, and are not reserved, may be given again; nothing
/// when none does.
[[nodiscard]] std::optional<utc_time> next_rested(const subnet_state& subnet, utc_time now);

/// Adds a range that is apart from those in order; neighbours with the same note become one.
void put_apart(std::vector<reserved_range>& all, reserved_range added);

/// Cuts addresses out of whatever ranges they are in.
void cut_out(std::vector<reserved_range>& all, const ipv4_range& addresses);

/// The rest of the functions are total: they take whatever the events say.
void give(subnet_state& subnet, const ipv4_prefix& addresses, const uuid& nic);
void take_back(subnet_state& subnet, const ipv4_prefix& addresses, utc_time rests_until);
void reserve(subnet_state& subnet, reserved_range range);
void free(subnet_state& subnet, const ipv4_range& addresses);

} // namespace orrery::domain
