#include "events/domain/nic.hpp"

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

nic_state from_proto(const v1::Nic& nic) {
  nic_state made;
  made.nic = from_proto(nic.nic());
  made.network = from_proto(nic.network());
  made.address = ipv4{nic.address()};
  made.prefix_length = static_cast<std::uint8_t>(nic.prefix_length());
  made.gateway = ipv4{nic.gateway()};
  made.mac = to_mac(nic.mac());
  return made;
}

v1::Nic to_proto(const nic_state& nic) {
  v1::Nic made;
  set(made.mutable_nic(), nic.nic);
  set(made.mutable_network(), nic.network);
  made.set_address(nic.address.bits);
  made.set_prefix_length(nic.prefix_length);
  made.set_gateway(nic.gateway.bits);
  made.set_mac(to_number(nic.mac));
  return made;
}

} // namespace orrery::domain
