#pragma once

#include "events/core/net.hpp"
#include "events/domain/types.hpp"

#include <cstdint>
#include <string>

namespace orrery::domain {

/// A NIC of a VM with its address. Part of the VM.
struct nic_state {
  uuid nic;
  uuid network;
  ipv4 address;
  std::uint8_t prefix_length = 0;
  ipv4 gateway;
  mac_address mac;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.nic, of.network, of.address, of.prefix_length, of.gateway, of.mac);
  }
};

/// The 40 random bits of its id that tell a NIC's Ethernet address and its tap.
[[nodiscard]] constexpr std::uint64_t mac_bits_of(const uuid& nic) {
  return nic.b & ((std::uint64_t{1} << 40) - 1);
}

/// The Ethernet address of a NIC: 0a (locally administered, unicast) and 40 random bits of its id.
[[nodiscard]] mac_address mac_of(const uuid& nic);

/// The tap device of a NIC on its node: "vp" and 40 random bits of its id as hex, 12 of at most 15
/// bytes.
[[nodiscard]] std::string link_of(const uuid& nic);

[[nodiscard]] nic_state from_proto(const v1::Nic& nic);
[[nodiscard]] v1::Nic to_proto(const nic_state& nic);

} // namespace orrery::domain
