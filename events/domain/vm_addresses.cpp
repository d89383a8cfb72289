#include "events/domain/vm_addresses.hpp"

#include <algorithm>
#include <string>

namespace orrery::domain {

namespace {

v1::VmEvent* add_event(decision& made) { return made.events.emplace_back().mutable_vm(); }

error has_no_such(const vm_state& state, const std::string& addresses) {
  return refuse(error_code::not_found, "VM '" + state.name + "' has no " + addresses +
                                           " beside its first address: `orrery vm get " +
                                           state.name + "` shows what it has");
}

void give_back(decision& made, const uuid& network, const uuid& claim) {
  auto& sent = made.messages.emplace_back();
  sent.entity = network;
  set(sent.command.mutable_network()->mutable_release_address()->mutable_nic(), claim);
}

/// The claim among those of the NIC.
template <class Further> auto find(Further& further, const uuid& claim) {
  return std::ranges::find(further, claim, &further_addresses::claim);
}

} // namespace

outcome add_addresses(const vm_state& state, const uuid& self,
                      const v1::VmCommand::AddAddresses& command) {
  if (state.desired == desired_state::deleted)
    return refuse(error_code::conflict, "VM '" + state.name + "' is being deleted");
  if (state.nic.further.size() >= further_addresses_max)
    return refuse(error_code::limit_reached,
                  "VM '" + state.name + "' has " + std::to_string(further_addresses_max) +
                      " addresses and networks beside its first address, which is all that a NIC "
                      "can have: remove one, or ask for a network instead of single addresses");
  decision made;
  auto& ask = made.messages.emplace_back();
  ask.entity = state.network;
  auto* assign = ask.command.mutable_network()->mutable_assign_address();
  *assign->mutable_nic() = command.claim();
  set(assign->mutable_vm(), self);
  assign->set_address(command.base());
  assign->set_length(command.length());
  assign->set_is_further(true);
  return made;
}

outcome remove_addresses(const vm_state& state, const v1::VmCommand::RemoveAddresses& command) {
  const auto wanted = prefix_in(command.base(), command.length());
  if (wanted == only(state.nic.address))
    return refuse(error_code::conflict, text_of(wanted) + " is the first address of VM '" +
                                            state.name + "': it goes with the VM");
  const auto& further = state.nic.further;
  const auto at = std::ranges::find(further, wanted, &further_addresses::prefix);
  if (at == further.end())
    return has_no_such(state, text_of(wanted));
  decision made;
  if (!at->is_leaving)
    set(add_event(made)->mutable_addresses_removal_requested()->mutable_claim(), at->claim);
  return made;
}

outcome give_further(const v1::VmCommand::GiveFurther& command) {
  decision made;
  *add_event(made)->mutable_addresses_added()->mutable_addresses() = command.addresses();
  return made;
}

outcome note_port(const vm_state& state, const v1::VmCommand::NotePort& command) {
  if (from_proto(command.node()) != state.node)
    return refuse(error_code::conflict, "VM '" + state.name +
                                            "' is on another node than the one that speaks of its "
                                            "port: only its own node's word counts");
  decision made;
  if (command.node_epoch() < state.observed.epoch)
    return made; // a newer one has spoken
  for (const auto& gone : command.without()) {
    const auto at = find(state.nic.further, from_proto(gone));
    if (at == state.nic.further.end() || !at->is_leaving)
      continue;
    *add_event(made)->mutable_addresses_removed()->mutable_addresses() = to_proto(*at);
    give_back(made, state.network, at->claim);
  }
  return made;
}

void release_addresses(decision& made, const vm_state& state) {
  give_back(made, state.network, state.nic.nic);
  for (const auto& one : state.nic.further)
    give_back(made, state.network, one.claim);
}

void evolve_nic(nic_state& nic, const v1::VmEvent& event) {
  switch (event.body_case()) {
  case v1::VmEvent::kAddressGiven:
    give(nic, event.address_given().nic());
    break;
  case v1::VmEvent::kRateChanged:
    nic.bits_a_second_max = event.rate_changed().bits_a_second_max();
    break;
  case v1::VmEvent::kAddressesAdded:
    nic.further.push_back(from_proto(event.addresses_added().addresses()));
    break;
  case v1::VmEvent::kAddressesRemovalRequested: {
    const auto at = find(nic.further, from_proto(event.addresses_removal_requested().claim()));
    if (at != nic.further.end())
      at->is_leaving = true;
    break;
  }
  case v1::VmEvent::kAddressesRemoved: {
    const auto at = find(nic.further, from_proto(event.addresses_removed().addresses().claim()));
    if (at != nic.further.end())
      nic.further.erase(at);
    break;
  }
  default: // not about a NIC
    break;
  }
}

} // namespace orrery::domain
