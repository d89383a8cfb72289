#include "events/domain/nic.hpp"

#include "events/core/guest_port.hpp"
#include "events/domain/ipv6.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace orrery::domain {

namespace {

constexpr std::uint64_t forty_bits = (std::uint64_t{1} << 40) - 1;

std::uint64_t to_number(const mac_address& mac) {
  std::uint64_t number = 0;
  for (const auto byte : mac.bytes)
    number = (number << 8) | byte;
  return number;
}

mac_address to_mac(std::uint64_t number) {
  mac_address mac;
  for (std::size_t i = mac.bytes.size(); i-- > 0; number >>= 8)
    mac.bytes[i] = static_cast<std::uint8_t>(number & 0xff);
  return mac;
}

} // namespace

mac_address mac_of(const uuid& nic) {
  constexpr std::uint64_t local_unicast = std::uint64_t{0x0a} << 40;
  return to_mac(local_unicast | (nic.b & forty_bits));
}

std::string link_of(const uuid& nic) {
  std::array<char, 16> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "vp%010llx",
                static_cast<unsigned long long>(nic.b & forty_bits));
  return buffer.data();
}

void give(nic_state& nic, const v1::Nic& given) {
  nic.nic = from_proto(given.nic());
  nic.address = ipv4{given.address()};
  nic.prefix_length = static_cast<std::uint8_t>(given.prefix_length());
  nic.gateway = ipv4{given.gateway()};
  nic.mac = to_mac(given.mac());
  nic.address6 = from_proto(given.address6());
}

v1::Nic to_proto(const nic_state& nic, const uuid& network) {
  v1::Nic made;
  set(made.mutable_nic(), nic.nic);
  set(made.mutable_network(), network);
  made.set_address(nic.address.bits);
  made.set_prefix_length(nic.prefix_length);
  made.set_gateway(nic.gateway.bits);
  made.set_mac(to_number(nic.mac));
  if (nic.has_address6())
    set(made.mutable_address6(), nic.address6);
  return made;
}

ipv4_prefix prefix_in(std::uint32_t base, std::uint32_t length) {
  constexpr std::uint32_t none_such = 255;
  return {ipv4{base},
          length == 0 ? whole_address : static_cast<std::uint8_t>(std::min(length, none_such))};
}

further_addresses from_proto(const v1::FurtherAddresses& addresses) {
  further_addresses made;
  made.claim = from_proto(addresses.claim());
  made.prefix = prefix_in(addresses.base(), addresses.length());
  made.prefix6 = prefix6_of(addresses).value_or(ipv6_prefix{});
  return made;
}

v1::FurtherAddresses to_proto(const further_addresses& addresses) {
  v1::FurtherAddresses made;
  set(made.mutable_claim(), addresses.claim);
  made.set_base(addresses.prefix.base.bits);
  made.set_length(addresses.prefix.length);
  if (addresses.has_prefix6())
    set(made.mutable_prefix6(), addresses.prefix6);
  return made;
}

std::vector<ip_prefix> prefixes_of(const further_addresses& addresses) {
  std::vector<ip_prefix> all{{addresses.prefix.base, addresses.prefix.length}};
  if (addresses.has_prefix6())
    all.push_back({addresses.prefix6.base, addresses.prefix6.length});
  return all;
}

std::string text_of(const ip_prefix& prefix) {
  return prefix == alone(prefix.base) ? to_text(prefix.base) : to_text(prefix);
}

std::string text_of(const ipv4_prefix& prefix) {
  return text_of(ip_prefix{prefix.base, prefix.length});
}

result<void> check_rate(std::uint64_t bits_a_second_max) {
  if (bits_a_second_max == 0 ||
      (bits_a_second_max >= guest_rate_min && bits_a_second_max <= guest_rate_max))
    return {};
  return refuse(error_code::invalid_argument,
                "a NIC cannot be limited to " + std::to_string(bits_a_second_max) +
                    " bits a second: want " + std::to_string(guest_rate_min) + " to " +
                    std::to_string(guest_rate_max) + ", or 0 for as fast as it goes");
}

} // namespace orrery::domain
