#include "events/domain/subnet.hpp"

#include <array>

namespace orrery::domain {

namespace {

bool is_usable(const subnet_state& subnet, std::uint32_t bits) {
  return bits != subnet.prefix.base.bits && bits != subnet.prefix.last().bits &&
         bits != subnet.gateway.bits;
}

/// Ranges that no guest can have an address of, whatever a network is for: hosts drop such packets
/// or give them another meaning (RFC 6890 section 2.2.2; RFC 5771 for groups).
struct unusable_range {
  ipv4_prefix range;
  std::string_view what;
};

constexpr std::array<unusable_range, 5> unusable_ranges{{
    {{ipv4{0x00000000}, 8}, "'this network'"},
    {{ipv4{0x7f000000}, 8}, "loopback"},
    {{ipv4{0xa9fe0000}, 16}, "link-local"},
    {{ipv4{0xe0000000}, 4}, "multicast"},
    {{ipv4{0xf0000000}, 4}, "reserved and broadcast"},
}};

} // namespace

result<void> check_subnet(const ipv4_prefix& prefix, ipv4 gateway) {
  if (prefix.length < subnet_length_min || prefix.length > subnet_length_max)
    return refuse(error_code::invalid_argument, to_text(prefix) + ": a subnet is a /" +
                                                    std::to_string(subnet_length_min) + " to /" +
                                                    std::to_string(subnet_length_max));
  if ((prefix.base.bits & ~prefix.mask()) != 0)
    return refuse(error_code::invalid_argument, to_text(prefix) + " has host bits set");
  for (const auto& [range, what] : unusable_ranges)
    if (range.overlaps(prefix))
      return refuse(error_code::invalid_argument,
                    to_text(prefix) + " is in " + to_text(range) + " (" + std::string(what) +
                        "), of which no guest can have an address: take a prefix of 10.0.0.0/8, "
                        "172.16.0.0/12, 192.168.0.0/16 or one that is yours");
  if (!prefix.contains(gateway) || gateway == prefix.base || gateway == prefix.last())
    return refuse(error_code::invalid_argument,
                  "gateway " + to_text(gateway) + " is not a host address of " + to_text(prefix));
  return {};
}

std::uint32_t size_of(const subnet_state& subnet) {
  return (~subnet.prefix.mask() + 1) - 3; // network, broadcast, gateway
}

std::optional<ipv4> next_free(const subnet_state& subnet) {
  if (subnet.taken.size() >= size_of(subnet))
    return std::nullopt;
  const auto base = subnet.prefix.base.bits;
  const auto count = ~subnet.prefix.mask() + 1;
  const auto start = subnet.last_given == 0 ? base : subnet.last_given;
  for (std::uint32_t step = 1; step <= count; ++step) {
    const auto bits = base + (start - base + step) % count;
    if (is_usable(subnet, bits) && !subnet.taken.contains(bits))
      return ipv4{bits};
  }
  return std::nullopt;
}

void give(subnet_state& subnet, ipv4 address, const uuid& nic) {
  subnet.taken.put(address.bits, nic);
  subnet.last_given = address.bits;
}

void take_back(subnet_state& subnet, ipv4 address) { subnet.taken.erase(address.bits); }

} // namespace orrery::domain
