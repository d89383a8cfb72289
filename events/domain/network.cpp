#include "events/domain/network.hpp"

#include "events/domain/nic.hpp"

#include <algorithm>

namespace orrery::domain {

namespace {

constexpr std::uint64_t mac_bits_mask = (std::uint64_t{1} << 40) - 1;

v1::NetworkEvent* add_event(decision& made) { return made.events.emplace_back().mutable_network(); }

outcome create(const network_state* state, const v1::NetworkCommand::Create& command) {
  if (state != nullptr)
    return refuse(error_code::already_exists, "there is a network with that id already");
  const ipv4_prefix prefix{ipv4{command.prefix()},
                           static_cast<std::uint8_t>(std::min(command.prefix_length(), 255U))};
  if (auto checked = check_subnet(prefix, ipv4{command.gateway()}); !checked)
    return checked.error();
  decision made;
  auto* created = add_event(made)->mutable_created();
  *created->mutable_cluster() = command.cluster();
  created->set_name(command.name());
  created->set_mode(v1::NetworkEvent::PVIP);
  auto* added = add_event(made)->mutable_subnet_added();
  *added->mutable_subnet() = command.subnet();
  added->set_prefix(command.prefix());
  added->set_prefix_length(command.prefix_length());
  added->set_gateway(command.gateway());
  return made;
}

outcome assign(const network_state& state, const uuid& self,
               const v1::NetworkCommand::AssignAddress& command) {
  const auto nic = from_proto(command.nic());
  if (state.address_of_nic.contains(nic) || state.nic_of_mac_bits.contains(nic.b & mac_bits_mask))
    return refuse(error_code::conflict, "that NIC has an address already: try again", true);
  for (const auto& subnet : state.subnets) {
    const auto address = next_free(subnet);
    if (!address)
      continue;
    decision made;
    auto* assigned = add_event(made)->mutable_address_assigned();
    set(assigned->mutable_subnet(), subnet.subnet);
    *assigned->mutable_nic() = command.nic();
    *assigned->mutable_vm() = command.vm();
    assigned->set_address(address->bits);
    auto& give = made.messages.emplace_back();
    give.entity = from_proto(command.vm());
    nic_state given;
    given.nic = nic;
    given.network = self;
    given.address = *address;
    given.prefix_length = subnet.prefix.length;
    given.gateway = subnet.gateway;
    given.mac = mac_of(nic);
    *give.command.mutable_vm()->mutable_give_address()->mutable_nic() = to_proto(given);
    return made;
  }
  return refuse(
      error_code::addresses_exhausted,
      "network '" + state.name + "' has no free address: delete a VM or use another network", true);
}

outcome release(const network_state& state, const v1::NetworkCommand::ReleaseAddress& command) {
  const auto nic = from_proto(command.nic());
  const auto* address = state.address_of_nic.find(nic);
  if (address == nullptr)
    return refuse(error_code::internal, "network '" + state.name + "' holds nothing for that NIC");
  decision made;
  for (const auto& subnet : state.subnets) {
    if (!subnet.prefix.contains(*address))
      continue;
    auto* released = add_event(made)->mutable_address_released();
    set(released->mutable_subnet(), subnet.subnet);
    *released->mutable_nic() = command.nic();
    released->set_address(address->bits);
  }
  return made;
}

subnet_state* find_subnet(network_state& state, const uuid& subnet) {
  for (auto& candidate : state.subnets)
    if (candidate.subnet == subnet)
      return &candidate;
  return nullptr;
}

} // namespace

outcome decide(const network_state* state, const uuid& self, const v1::NetworkCommand& command) {
  if (command.body_case() == v1::NetworkCommand::kCreate)
    return create(state, command.create());
  if (state == nullptr)
    return refuse(error_code::not_found, "there is no such network");
  switch (command.body_case()) {
  case v1::NetworkCommand::kAssignAddress:
    return assign(*state, self, command.assign_address());
  case v1::NetworkCommand::kReleaseAddress:
    return release(*state, command.release_address());
  case v1::NetworkCommand::kCreate:
  case v1::NetworkCommand::BODY_NOT_SET:
    break;
  }
  return refuse(error_code::invalid_argument, "an empty command for a network");
}

void evolve(network_state& state, const v1::NetworkEvent& event) {
  ++state.version;
  switch (event.body_case()) {
  case v1::NetworkEvent::kCreated:
    state.cluster = from_proto(event.created().cluster());
    state.name = event.created().name();
    state.mode = event.created().mode();
    break;
  case v1::NetworkEvent::kSubnetAdded: {
    const auto& added = event.subnet_added();
    subnet_state subnet;
    subnet.subnet = from_proto(added.subnet());
    subnet.prefix = {ipv4{added.prefix()}, static_cast<std::uint8_t>(added.prefix_length())};
    subnet.gateway = ipv4{added.gateway()};
    state.subnets.push_back(std::move(subnet));
    break;
  }
  case v1::NetworkEvent::kAddressAssigned: {
    const auto& assigned = event.address_assigned();
    const auto nic = from_proto(assigned.nic());
    if (auto* subnet = find_subnet(state, from_proto(assigned.subnet())))
      give(*subnet, ipv4{assigned.address()}, nic);
    state.address_of_nic.put(nic, ipv4{assigned.address()});
    state.nic_of_mac_bits.put(nic.b & mac_bits_mask, nic);
    break;
  }
  case v1::NetworkEvent::kAddressReleased: {
    const auto& released = event.address_released();
    const auto nic = from_proto(released.nic());
    if (auto* subnet = find_subnet(state, from_proto(released.subnet())))
      take_back(*subnet, ipv4{released.address()});
    state.address_of_nic.erase(nic);
    state.nic_of_mac_bits.erase(nic.b & mac_bits_mask);
    break;
  }
  case v1::NetworkEvent::BODY_NOT_SET:
    break;
  }
}

void write(state_bytes& out, const network_state& state) {
  out.add(state.cluster);
  out.add(state.name);
  out.add(static_cast<std::uint64_t>(state.mode));
  out.add(state.subnets.size());
  for (const auto& subnet : state.subnets)
    write(out, subnet);
  out.add(state.version);
}

} // namespace orrery::domain
