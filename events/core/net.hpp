#pragma once

#include "events/core/error.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

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

/// An Ethernet address.
struct mac_address {
  std::array<std::uint8_t, 6> bytes{};

  friend auto operator<=>(const mac_address&, const mac_address&) = default;
};

[[nodiscard]] std::string to_text(ipv4 address);               ///< "10.99.0.17"
[[nodiscard]] std::string to_text(const ipv4_prefix& prefix);  ///< "10.99.0.0/24"
[[nodiscard]] std::string to_text(const ipv4_range& range);    ///< "10.99.0.7-10.99.0.9", or one
[[nodiscard]] std::string to_text(const mac_address& address); ///< "0a:1b:…", lower case

/// Strict parsers: four decimal numbers without leading zeros; a prefix with host bits set is
/// refused, so that what is stored is what was meant. Errors: `invalid_argument`, naming the text.
[[nodiscard]] result<ipv4> parse_ipv4(std::string_view text);
[[nodiscard]] result<ipv4_prefix> parse_ipv4_prefix(std::string_view text);
[[nodiscard]] result<ipv4_range> parse_ipv4_range(std::string_view text);
[[nodiscard]] result<mac_address> parse_mac(std::string_view text);

} // namespace orrery
