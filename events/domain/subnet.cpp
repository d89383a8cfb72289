#include "events/domain/subnet.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace orrery::domain {

namespace {

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

std::uint32_t taken_in(const subnet_state& subnet, const ipv4_range& range) {
  std::uint32_t count = 0;
  for (std::uint64_t bits = range.first.bits; bits <= range.last.bits; ++bits)
    count += subnet.taken.contains(static_cast<std::uint32_t>(bits)) ? 1 : 0;
  return count;
}

/// Before which of the reserved ranges one that begins there would stand.
auto place_behind(const std::vector<reserved_range>& all, ipv4 first) {
  return std::ranges::upper_bound(all, first, {},
                                  [](const reserved_range& one) { return one.addresses.first; });
}

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

result<void> check_subnet6(const ipv6_prefix& prefix) {
  if (prefix.length < subnet6_length_min || prefix.length > subnet6_length_max)
    return refuse(error_code::invalid_argument, to_text(prefix) +
                                                    ": the IPv6 prefix of a subnet is a /" +
                                                    std::to_string(subnet6_length_min) + " to /" +
                                                    std::to_string(subnet6_length_max));
  if (!prefix.contains(prefix.base))
    return refuse(error_code::invalid_argument, to_text(prefix) + " has host bits set");
  if (!can_be_host(prefix.base))
    return refuse(error_code::invalid_argument,
                  to_text(prefix) +
                      " has no addresses of hosts that others reach: take a prefix of "
                      "2000::/3 that is yours, or one of fc00::/7 (RFC 4193)");
  return {};
}

std::optional<ipv6> address6_of(const subnet_state& subnet, ipv4 address) {
  if (!subnet.prefix6)
    return std::nullopt;
  auto made = subnet.prefix6->base;
  auto left = address.bits - subnet.prefix.base.bits;
  for (auto byte = made.bytes.rbegin(); left != 0; ++byte, left >>= 8)
    *byte |= static_cast<std::uint8_t>(left & 0xff);
  return made;
}

std::optional<ipv6_prefix> prefix6_of(const subnet_state& subnet, const ipv4_prefix& addresses) {
  const auto base = address6_of(subnet, addresses.base);
  if (!base)
    return std::nullopt;
  return ipv6_prefix{*base, static_cast<std::uint8_t>(128 - 32 + addresses.length)};
}

std::uint32_t size_of(const subnet_state& subnet) {
  return (~subnet.prefix.mask() + 1) - 3; // network, broadcast, gateway
}

bool is_usable(const subnet_state& subnet, ipv4 address) {
  return subnet.prefix.contains(address) && address != subnet.prefix.base &&
         address != subnet.prefix.last() && address != subnet.gateway;
}

std::uint32_t reserved_size_of(const subnet_state& subnet) {
  std::uint32_t count = 0;
  for (const auto& [addresses, note] : subnet.reserved) {
    count += addresses.last.bits - addresses.first.bits + 1;
    for (const auto none : {subnet.prefix.base, subnet.prefix.last(), subnet.gateway})
      count -= addresses.contains(none) ? 1 : 0;
  }
  return count - subnet.reserved_taken;
}

const reserved_range* range_around(const subnet_state& subnet, ipv4 address) {
  const auto after = place_behind(subnet.reserved, address);
  if (after == subnet.reserved.begin() || !std::prev(after)->addresses.contains(address))
    return nullptr;
  return &*std::prev(after);
}

std::optional<ipv4> next_free(const subnet_state& subnet, utc_time now) {
  if (subnet.taken.size() + reserved_size_of(subnet) >= size_of(subnet))
    return std::nullopt;
  const auto base = subnet.prefix.base.bits;
  const auto count = ~subnet.prefix.mask() + 1;
  const auto start = subnet.last_given == 0 ? base : subnet.last_given;
  for (std::uint32_t step = 1; step <= count; ++step) {
    const ipv4 address{base + (start - base + step) % count};
    if (const auto* range = range_around(subnet, address)) {
      step += range->addresses.last.bits - address.bits;
      continue;
    }
    if (!is_usable(subnet, address) || subnet.taken.contains(address.bits))
      continue;
    const auto* until = subnet.resting.find(address.bits);
    if (until == nullptr || *until <= now)
      return address;
  }
  return std::nullopt;
}

std::optional<utc_time> next_rested(const subnet_state& subnet, utc_time now) {
  std::optional<utc_time> first;
  subnet.resting.for_each([&](std::uint32_t bits, utc_time until) {
    if (until > now && (!first || until < *first) && range_around(subnet, ipv4{bits}) == nullptr)
      first = until;
  });
  return first;
}

void put_apart(std::vector<reserved_range>& all, reserved_range added) {
  const auto touch = [](const reserved_range& before, const reserved_range& after) {
    return before.note == after.note &&
           std::uint64_t{before.addresses.last.bits} + 1 == after.addresses.first.bits;
  };
  const auto at = all.insert(place_behind(all, added.addresses.first), std::move(added));
  if (at + 1 != all.end() && touch(*at, *(at + 1))) {
    at->addresses.last = (at + 1)->addresses.last;
    all.erase(at + 1);
  }
  if (at != all.begin() && touch(*(at - 1), *at)) {
    (at - 1)->addresses.last = at->addresses.last;
    all.erase(at);
  }
}

void cut_out(std::vector<reserved_range>& all, const ipv4_range& addresses) {
  std::vector<reserved_range> left;
  for (auto& one : all) {
    const auto [first, last] = one.addresses;
    if (!one.addresses.overlaps(addresses)) {
      left.push_back(std::move(one));
      continue;
    }
    if (first < addresses.first)
      left.push_back({{first, ipv4{addresses.first.bits - 1}}, one.note});
    if (addresses.last < last)
      left.push_back({{ipv4{addresses.last.bits + 1}, last}, std::move(one.note)});
  }
  all = std::move(left);
}

namespace {

/// Calls `visit(ipv4)` for each of its addresses, one by one.
template <class Visitor> void for_each_of(const ipv4_prefix& addresses, Visitor visit) {
  const auto last = addresses.last().bits;
  for (std::uint64_t bits = addresses.base.bits; bits <= last; ++bits)
    visit(ipv4{static_cast<std::uint32_t>(bits)});
}

void give_one(subnet_state& subnet, ipv4 address, const uuid& nic) {
  subnet.taken.put(address.bits, nic);
  subnet.resting.erase(address.bits);
  if (range_around(subnet, address) != nullptr)
    ++subnet.reserved_taken; // asked for by name: the next one is looked for where it was
  else
    subnet.last_given = address.bits;
}

void take_one_back(subnet_state& subnet, ipv4 address, utc_time rests_until) {
  if (!subnet.taken.erase(address.bits))
    return;
  if (rests_until != utc_time{})
    subnet.resting.put(address.bits, rests_until);
  if (range_around(subnet, address) != nullptr)
    --subnet.reserved_taken;
}

} // namespace

void give(subnet_state& subnet, const ipv4_prefix& addresses, const uuid& nic) {
  for_each_of(addresses, [&](ipv4 address) { give_one(subnet, address, nic); });
}

void take_back(subnet_state& subnet, const ipv4_prefix& addresses, utc_time rests_until) {
  for_each_of(addresses, [&](ipv4 address) { take_one_back(subnet, address, rests_until); });
}

void reserve(subnet_state& subnet, reserved_range range) {
  subnet.reserved_taken += taken_in(subnet, range.addresses);
  put_apart(subnet.reserved, std::move(range));
}

void free(subnet_state& subnet, const ipv4_range& addresses) {
  for (const auto& [kept, note] : subnet.reserved)
    if (kept.overlaps(addresses))
      subnet.reserved_taken -= taken_in(
          subnet, {std::max(kept.first, addresses.first), std::min(kept.last, addresses.last)});
  cut_out(subnet.reserved, addresses);
}

void subnet_state::complete() {
  reserved_taken = 0;
  for (const auto& [addresses, note] : reserved)
    reserved_taken += taken_in(*this, addresses);
}

} // namespace orrery::domain
