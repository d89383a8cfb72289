#pragma once

#include "events/domain/vm.hpp"

namespace orrery::domain {

// What a VM decides about addresses beside its first. `state` is a VM that exists; `self` its id.
//
//   asked for --the network gives--> had --removal asked for--> leaving --gone from its port,
//       \--the network refuses--> (never)                                 or its guest--> (gone)
//
// The network holds them for the VM up to the end, so nobody else is given one that a guest still
// speaks for.

/// One more address, or a network behind the guest. Errors: `conflict`, `limit_reached`, and the
/// network's.
[[nodiscard]] outcome add_addresses(const vm_state& state, const uuid& self,
                                    const v1::VmCommand::AddAddresses& command);

/// Errors: `not_found`, `conflict`.
[[nodiscard]] outcome remove_addresses(const vm_state& state,
                                       const v1::VmCommand::RemoveAddresses& command);

/// The network's answer.
[[nodiscard]] outcome give_further(const v1::VmCommand::GiveFurther& command);

/// What its node says of its port. Errors: `conflict` when it is not its node.
[[nodiscard]] outcome note_port(const vm_state& state, const v1::VmCommand::NotePort& command);

/// Gives the network back all that the NIC has: the guest is gone.
void release_addresses(decision& made, const vm_state& state);

/// The events about a VM's NIC; total.
void evolve_nic(nic_state& nic, const v1::VmEvent& event);

} // namespace orrery::domain
