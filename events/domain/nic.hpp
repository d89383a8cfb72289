#pragma once

#include "events/core/net.hpp"
#include "events/domain/types.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::domain {

inline constexpr std::uint8_t whole_address = 32; ///< bits of a prefix that is one address

/// The prefix that is that address.
[[nodiscard]] constexpr ipv4_prefix only(ipv4 address) { return {address, whole_address}; }

/// How commands tell a prefix: by its length, where 0 is an address alone. Total: a length that
/// cannot be is one that no check lets pass.
[[nodiscard]] ipv4_prefix prefix_in(std::uint32_t base, std::uint32_t length);

/// What a NIC has of its network beside its first addresses: one more address, or a network behind
/// its guest.
struct further_addresses {
  uuid claim;              ///< its name in the network's ledger
  ipv4_prefix prefix;      ///< 32 bits long: one address
  ipv6_prefix prefix6{};   ///< with the same numbers; of length 0: none
  bool is_leaving = false; ///< it shall go, and is the guest's until that is seen

  friend bool operator==(const further_addresses&, const further_addresses&) = default;

  [[nodiscard]] bool is_address() const { return prefix.length == whole_address; }

  [[nodiscard]] bool has_prefix6() const { return prefix6.length != 0; }

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.claim, of.prefix, of.prefix6, of.is_leaving);
  }
};

/// Of one NIC: a port takes 14 addresses more (pvip/plan/plan.hpp), two for each of these.
inline constexpr std::size_t further_addresses_max = 7;

/// The shortest network behind a guest: its addresses are counted one by one in the ledger.
inline constexpr std::uint8_t further_length_min = 24;

/// A NIC of a VM with its addresses. Part of the VM, which knows the network.
struct nic_state {
  uuid nic;
  ipv4 address; ///< none yet: 0.0.0.0
  ipv4 gateway;
  mac_address mac;
  std::uint8_t prefix_length = 0;
  ipv6 address6{};                        ///< none: ::
  std::uint64_t bits_a_second_max = 0;    ///< in each direction; 0: as fast as it goes
  std::vector<further_addresses> further; ///< in the order in which they were given

  [[nodiscard]] bool has_address() const { return address != ipv4{}; }

  [[nodiscard]] bool has_address6() const { return address6 != ipv6{}; }

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.nic, of.address, of.prefix_length, of.gateway, of.mac, of.address6,
              of.bits_a_second_max, of.further);
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

/// The NIC is given what the message says; what that does not say stays.
void give(nic_state& nic, const v1::Nic& given);
[[nodiscard]] v1::Nic to_proto(const nic_state& nic, const uuid& network);

[[nodiscard]] further_addresses from_proto(const v1::FurtherAddresses& addresses);
[[nodiscard]] v1::FurtherAddresses to_proto(const further_addresses& addresses);

/// Of IPv4, and behind it of IPv6 where it has it.
[[nodiscard]] std::vector<ip_prefix> prefixes_of(const further_addresses& addresses);

/// "10.99.0.20", "10.99.0.64/28", "2001:db8::14": an address alone is told without its length.
[[nodiscard]] std::string text_of(const ip_prefix& prefix);
[[nodiscard]] std::string text_of(const ipv4_prefix& prefix);

/// Errors: `invalid_argument`. 0 is as fast as it goes.
[[nodiscard]] result<void> check_rate(std::uint64_t bits_a_second_max);

} // namespace orrery::domain
