#pragma once

#include "events/core/net.hpp"
#include "events/schema/common.pb.h"

#include <cstdint>
#include <optional>

// IPv6 addresses as commands and events have them.

namespace orrery::domain {

[[nodiscard]] inline ipv6 from_proto(const v1::Ipv6& address) {
  ipv6 made;
  for (std::size_t at = 0; at < made.bytes.size(); ++at) {
    const auto half = at < 8 ? address.a() : address.b();
    made.bytes[at] = static_cast<std::uint8_t>(half >> (56 - 8 * (at % 8)));
  }
  return made;
}

inline void set(v1::Ipv6* target, const ipv6& address) {
  std::uint64_t halves[2] = {0, 0};
  for (std::size_t at = 0; at < address.bytes.size(); ++at)
    halves[at / 8] = (halves[at / 8] << 8) | address.bytes[at];
  target->set_a(halves[0]);
  target->set_b(halves[1]);
}

/// Total: a length that cannot be is 255, which no check lets pass.
[[nodiscard]] inline ipv6_prefix from_proto(const v1::Ipv6Prefix& prefix) {
  constexpr std::uint32_t none_such = 255;
  return {from_proto(prefix.base()),
          static_cast<std::uint8_t>(prefix.length() > 128 ? none_such : prefix.length())};
}

inline void set(v1::Ipv6Prefix* target, const ipv6_prefix& prefix) {
  set(target->mutable_base(), prefix.base);
  target->set_length(prefix.length);
}

/// The prefix of a message that may have one.
template <class Message>
[[nodiscard]] std::optional<ipv6_prefix> prefix6_of(const Message& message) {
  if (!message.has_prefix6())
    return std::nullopt;
  return from_proto(message.prefix6());
}

} // namespace orrery::domain
