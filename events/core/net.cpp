#include "events/core/net.hpp"

#include "events/core/text.hpp"

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

} // namespace

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
  constexpr std::string_view want = "one like 10.99.0.0/24, host bits zero";
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return invalid("an IPv4 prefix", text, want);
  const auto base = parse_ipv4(text.substr(0, slash));
  auto rest = text.substr(slash + 1);
  const auto length = take_number(rest, 32);
  if (!base || !length || !rest.empty())
    return invalid("an IPv4 prefix", text, want);
  const ipv4_prefix parsed{*base, static_cast<std::uint8_t>(*length)};
  if ((parsed.base.bits & ~parsed.mask()) != 0)
    return invalid("an IPv4 prefix", text, want);
  return parsed;
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
