#include "events/core/net.hpp"

#include "events/core/text.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace orrery {

namespace {

error invalid(std::string_view what, std::string_view text, std::string_view want) {
  return {error_code::invalid_argument,
          "'" + printable(text, text_shown_max) + "' is not " + std::string(what) + ": want " +
              std::string(want),
          false};
}

/// A decimal number from the front of `text`, at most `value_max`, without leading zeros; consumed.
std::optional<std::uint32_t> take_number(std::string_view& text, std::uint32_t value_max) {
  std::uint32_t value = 0;
  std::size_t size = 0;
  while (size < text.size() && text[size] >= '0' && text[size] <= '9') {
    value = value * 10 + static_cast<std::uint32_t>(text[size] - '0');
    ++size;
    if (value > value_max || (size > 1 && text[0] == '0'))
      return std::nullopt;
  }
  if (size == 0)
    return std::nullopt;
  text.remove_prefix(size);
  return value;
}

/// The bits of `address` that a prefix of `length` leaves, the others zero.
ipv6 masked(ipv6 address, std::uint8_t length) {
  for (std::size_t at = 0; at < address.bytes.size(); ++at) {
    const int kept = std::clamp(int{length} - static_cast<int>(8 * at), 0, 8);
    address.bytes[at] &= static_cast<std::uint8_t>(0xff << (8 - kept));
  }
  return address;
}

/// `parse` reads its address, `what` and `want` are words for a refusal.
template <class Prefix, class Parse>
result<Prefix> parse_prefix(std::string_view text, Parse parse, std::uint32_t length_max,
                            std::string_view what, std::string_view want) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return invalid(what, text, want);
  const auto base = parse(text.substr(0, slash));
  auto rest = text.substr(slash + 1);
  const auto length = take_number(rest, length_max);
  if (!base || !length || !rest.empty())
    return invalid(what, text, want);
  const Prefix parsed{*base, static_cast<std::uint8_t>(*length)};
  if (!parsed.contains(parsed.base)) // a host bit is not zero
    return invalid(what, text, want);
  return parsed;
}

/// No text of IPv4 has one.
bool is_ipv6_text(std::string_view text) { return text.find(':') != std::string_view::npos; }

} // namespace

bool ipv6_prefix::contains(const ipv6& address) const { return masked(address, length) == base; }

bool ip_prefix::contains(const ip_address& address) const {
  if (const auto* of_ipv4 = std::get_if<ipv4>(&address)) {
    const auto* own = std::get_if<ipv4>(&base);
    return own != nullptr && ipv4_prefix{*own, length}.contains(*of_ipv4);
  }
  const auto* own = std::get_if<ipv6>(&base);
  return own != nullptr && ipv6_prefix{*own, length}.contains(std::get<ipv6>(address));
}

std::string to_text(ipv4 address) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    text += std::to_string((address.bits >> shift) & 0xff);
    if (shift > 0)
      text += '.';
  }
  return text;
}

std::string to_text(const ipv4_prefix& prefix) {
  return to_text(prefix.base) + "/" + std::to_string(prefix.length);
}

std::string to_text(const ipv4_range& range) {
  auto text = to_text(range.first);
  return range.first == range.last ? text : text + "-" + to_text(range.last);
}

std::string to_text(const ipv6& address) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(AF_INET6, address.bytes.data(), buffer.data(), buffer.size());
  return buffer.data();
}

std::string to_text(const ipv6_prefix& prefix) {
  return to_text(prefix.base) + "/" + std::to_string(prefix.length);
}

std::string to_text(const ip_address& address) {
  return std::visit([](const auto& of_family) { return to_text(of_family); }, address);
}

std::string to_text(const ip_prefix& prefix) {
  return to_text(prefix.base) + "/" + std::to_string(prefix.length);
}

std::string to_text(const mac_address& address) {
  std::array<char, 18> buffer{};
  const auto& b = address.bytes;
  std::snprintf(buffer.data(), buffer.size(), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2],
                b[3], b[4], b[5]);
  return buffer.data();
}

result<ipv4> parse_ipv4(std::string_view text) {
  auto rest = text;
  ipv4 parsed;
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (rest.empty() || rest.front() != '.')
        return invalid("an IPv4 address", text, "one like 10.99.0.17");
      rest.remove_prefix(1);
    }
    const auto number = take_number(rest, 255);
    if (!number)
      return invalid("an IPv4 address", text, "one like 10.99.0.17");
    parsed.bits = (parsed.bits << 8) | *number;
  }
  if (!rest.empty())
    return invalid("an IPv4 address", text, "one like 10.99.0.17");
  return parsed;
}

result<ipv4_prefix> parse_ipv4_prefix(std::string_view text) {
  return parse_prefix<ipv4_prefix>(text, parse_ipv4, 32, "an IPv4 prefix",
                                   "one like 10.99.0.0/24, host bits zero");
}

result<ipv4_range> parse_ipv4_range(std::string_view text) {
  constexpr std::string_view want = "one like 10.99.0.7-10.99.0.9, the lower end first";
  const auto dash = text.find('-');
  const auto first = parse_ipv4(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_ipv4(text.substr(dash + 1));
  if (!first || !last || *last < *first)
    return invalid("an IPv4 range", text, want);
  return ipv4_range{*first, *last};
}

result<ipv6> parse_ipv6(std::string_view text) {
  ipv6 parsed;
  // As a string with its end; a zero within it would end it too early.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos ||
      inet_pton(AF_INET6, std::string(text).c_str(), parsed.bytes.data()) != 1)
    return invalid("an IPv6 address", text, "one like 2001:db8::17");
  return parsed;
}

result<ipv6_prefix> parse_ipv6_prefix(std::string_view text) {
  return parse_prefix<ipv6_prefix>(text, parse_ipv6, 128, "an IPv6 prefix",
                                   "one like 2001:db8:7::/64, host bits zero");
}

result<ip_address> parse_ip_address(std::string_view text) {
  const auto widen = [](const auto& parsed) {
    return parsed ? result<ip_address>(*parsed) : parsed.error();
  };
  return is_ipv6_text(text) ? widen(parse_ipv6(text)) : widen(parse_ipv4(text));
}

result<ip_prefix> parse_ip_prefix(std::string_view text) {
  const auto widen = [](const auto& parsed) {
    return parsed ? result<ip_prefix>(ip_prefix{parsed->base, parsed->length}) : parsed.error();
  };
  return is_ipv6_text(text) ? widen(parse_ipv6_prefix(text)) : widen(parse_ipv4_prefix(text));
}

result<mac_address> parse_mac(std::string_view text) {
  constexpr std::size_t text_size = 17;
  mac_address parsed;
  if (text.size() != text_size)
    return invalid("an Ethernet address", text, "one like 0a:00:00:00:10:11");
  for (std::size_t at = 0; at < text_size; ++at) {
    if (at % 3 == 2) {
      if (text[at] != ':')
        return invalid("an Ethernet address", text, "one like 0a:00:00:00:10:11");
      continue;
    }
    const char c = text[at];
    int value = -1;
    if (c >= '0' && c <= '9')
      value = c - '0';
    else if (c >= 'a' && c <= 'f')
      value = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
      value = c - 'A' + 10;
    if (value < 0)
      return invalid("an Ethernet address", text, "one like 0a:00:00:00:10:11");
    auto& byte = parsed.bytes[at / 3];
    byte = static_cast<std::uint8_t>((byte << 4) | value);
  }
  return parsed;
}

} // namespace orrery
