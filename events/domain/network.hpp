#pragma once

#include "events/domain/subnet.hpp"
#include "events/domain/types.hpp"

#include <string>
#include <vector>

namespace orrery::domain {

/// A network: its mode, its subnets, and which NIC has which address.
struct network_state {
  uuid cluster;
  std::string name;
  v1::NetworkEvent::Mode mode = v1::NetworkEvent::MODE_UNSPECIFIED;
  std::vector<subnet_state> subnets;
  persistent_map<uuid, ipv4> address_of_nic;
  persistent_map<std::uint64_t, uuid> nic_of_mac_bits; ///< 40 random bits of a MAC -> NIC
  std::uint64_t version = 0;
};

/// `state` is null for a network that does not exist yet; `self` is its id.
[[nodiscard]] outcome decide(const network_state* state, const uuid& self,
                             const v1::NetworkCommand& command);

void evolve(network_state& state, const v1::NetworkEvent& event);

void write(state_bytes& out, const network_state& state);

} // namespace orrery::domain
