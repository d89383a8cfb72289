#pragma once

#include "events/core/error.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace orrery {

/// An IPv4 address, host byte order.
struct ipv4 {
  std::uint32_t bits = 0;

  friend auto operator<=>(const ipv4&, const ipv4&) = default;
};

/// An IPv4 prefix; bits below the mask are zero. `length` 0 to 32.
struct ipv4_prefix {
  ipv4 base;
  std::uint8_t length = 0;

  friend auto operator<=>(const ipv4_prefix&, const ipv4_prefix&) = default;

  [[nodiscard]] std::uint32_t mask() const {
    return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length);
  }

  [[nodiscard]] bool contains(ipv4 address) const { return (address.bits & mask()) == base.bits; }

  [[nodiscard]] ipv4 last() const { return ipv4{base.bits | ~mask()}; }

  [[nodiscard]] bool overlaps(const ipv4_prefix& other) const {
    return contains(other.base) || other.contains(base);
  }
};

/// IPv4 addresses in a row; both ends belong to it, and `first` is not above `last`.
struct ipv4_range {
  ipv4 first;
  ipv4 last;

  friend auto operator<=>(const ipv4_range&, const ipv4_range&) = default;

  [[nodiscard]] bool contains(ipv4 address) const { return first <= address && address <= last; }

  [[nodiscard]] bool overlaps(const ipv4_range& other) const {
    return first <= other.last && other.first <= last;
  }
};

/// An IPv6 address, as on the wire.
struct ipv6 {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const ipv6&, const ipv6&) = default;
};

/// An IPv6 prefix; bits below the mask are zero. `length` 0 to 128.
struct ipv6_prefix {
  ipv6 base;
  std::uint8_t length = 0;

  friend auto operator<=>(const ipv6_prefix&, const ipv6_prefix&) = default;

  [[nodiscard]] bool contains(const ipv6& address) const;

  [[nodiscard]] bool overlaps(const ipv6_prefix& other) const {
    return contains(other.base) || other.contains(base);
  }
};

/// An address of either family; those of IPv4 come first.
using ip_address = std::variant<ipv4, ipv6>;

/// Of an address of that family: 32 or 128.
[[nodiscard]] constexpr std::uint8_t bits_of(const ip_address& address) {
  return std::holds_alternative<ipv4>(address) ? 32 : 128;
}

/// A prefix of either family; bits below the mask are zero. `length` 0 to `bits_of(base)`.
struct ip_prefix {
  ip_address base;
  std::uint8_t length = 0;

  friend auto operator<=>(const ip_prefix&, const ip_prefix&) = default;

  /// No prefix holds an address of the other family.
  [[nodiscard]] bool contains(const ip_address& address) const;

  [[nodiscard]] bool overlaps(const ip_prefix& other) const {
    return contains(other.base) || other.contains(base);
  }
};

/// The prefix that holds that address and no other.
[[nodiscard]] constexpr ip_prefix alone(const ip_address& address) {
  return {address, bits_of(address)};
}

/// Whether an address can be a host's: not of 0/8, 127/8, 224/4 and above.
[[nodiscard]] constexpr bool can_be_host(ipv4 address) {
  const std::uint32_t first = address.bits >> 24;
  return first != 0 && first != 127 && first < 224;
}

/// Whether an address can be that of a host which others reach: of 2000::/3 (global unicast, RFC
/// 4291) or fc00::/7 (unique local, RFC 4193), so neither link-local, a group's, nor an IPv4
/// address in disguise.
[[nodiscard]] constexpr bool can_be_host(const ipv6& address) {
  const unsigned first = address.bytes[0];
  return (first & 0xe0U) == 0x20U || (first & 0xfeU) == 0xfcU;
}

[[nodiscard]] constexpr bool can_be_host(const ip_address& address) {
  return std::visit([](const auto& of_family) { return can_be_host(of_family); }, address);
}

/// An Ethernet address.
struct mac_address {
  std::array<std::uint8_t, 6> bytes{};

  friend auto operator<=>(const mac_address&, const mac_address&) = default;
};

[[nodiscard]] std::string to_text(ipv4 address);               ///< "10.99.0.17"
[[nodiscard]] std::string to_text(const ipv4_prefix& prefix);  ///< "10.99.0.0/24"
[[nodiscard]] std::string to_text(const ipv4_range& range);    ///< "10.99.0.7-10.99.0.9", or one
[[nodiscard]] std::string to_text(const ipv6& address);        ///< "2001:db8::17" (RFC 5952)
[[nodiscard]] std::string to_text(const ipv6_prefix& prefix);  ///< "2001:db8::/64"
[[nodiscard]] std::string to_text(const ip_address& address);  ///< as of its family
[[nodiscard]] std::string to_text(const ip_prefix& prefix);    ///< as of its family
[[nodiscard]] std::string to_text(const mac_address& address); ///< "0a:1b:…", lower case

/// Strict parsers: four decimal numbers without leading zeros; a prefix with host bits set is
/// refused, so that what is stored is what was meant. IPv6 in any form of RFC 4291, 2.2; no zone.
/// Errors: `invalid_argument`, naming the text.
[[nodiscard]] result<ipv4> parse_ipv4(std::string_view text);
[[nodiscard]] result<ipv4_prefix> parse_ipv4_prefix(std::string_view text);
[[nodiscard]] result<ipv4_range> parse_ipv4_range(std::string_view text);
[[nodiscard]] result<ipv6> parse_ipv6(std::string_view text);
[[nodiscard]] result<ipv6_prefix> parse_ipv6_prefix(std::string_view text);
/// Of either family, which a ':' tells.
[[nodiscard]] result<ip_address> parse_ip_address(std::string_view text);
[[nodiscard]] result<ip_prefix> parse_ip_prefix(std::string_view text);
[[nodiscard]] result<mac_address> parse_mac(std::string_view text);

} // namespace orrery
