#pragma once

#include "events/domain/cluster.hpp"
#include "events/domain/installation.hpp"
#include "events/domain/network.hpp"
#include "events/domain/node.hpp"
#include "events/domain/types.hpp"
#include "events/domain/vm.hpp"

#include <memory>
#include <optional>
#include <variant>

namespace orrery::domain {

/// The state of any entity. Immutable once shared, so tentative and accepted states are handed
/// about as pointers.
using entity_state =
    std::variant<installation_state, cluster_state, node_state, network_state, vm_state>;
using entity_ptr = std::shared_ptr<const entity_state>;

/// Decides a command for the entity `self`; `state` is null when it does not exist. A command for
/// another noun than the state's is refused.
[[nodiscard]] outcome decide(const entity_state* state, const uuid& self,
                             const v1::Command& command, const context& with);

/// The state after `events`, in order; null once the entity has ended. `decided_at` is the time of
/// their step. Total: an event that does not fit (only possible in a log that no version of ours
/// wrote) leaves the state as it was. A state that is handed over (moved, held by nobody else) is
/// changed in place.
[[nodiscard]] entity_ptr evolve(entity_ptr state,
                                const google::protobuf::RepeatedPtrField<v1::Event>& events,
                                utc_time decided_at);

/// True when the command may send messages to other entities, so that it cannot be decided beside
/// others.
[[nodiscard]] bool spreads(const v1::Command& command);

/// Puts '?' for every byte of a text in the command that is not UTF-8. For every command that comes
/// from outside, before it is decided: a record with such a text could be written, but never read
/// back, and host names, paths and messages of hypervisors are no better than their hosts.
void clean_texts(v1::Command& command);

/// What a command asks for: "vm.create", and a number that is the same for the same verb; 0 and
/// "nothing" for a command without a body.
struct verb {
  std::uint32_t number = 0;
  std::string name = "nothing";
};

[[nodiscard]] verb verb_of(const v1::Command& command);

/// What the hypervisor shall do for it, and the command to send when a time has come.
[[nodiscard]] wanted_effect effects(const entity_state& state);
[[nodiscard]] std::optional<timer> next_timer(const entity_state& state);

/// The job in progress on it, or null.
[[nodiscard]] const activity* job_of(const entity_state& state);

/// The cluster that something is of: its own id for a cluster, none for the installation.
[[nodiscard]] uuid cluster_of(const uuid& entity, const entity_state& state);

/// "vm", "cluster", …: the noun of a state or of an event.
[[nodiscard]] std::string_view noun_of(const entity_state& state);
[[nodiscard]] std::string_view noun_of(const v1::Event& event);

/// "vm.started", "cluster.vm_placed", …: by the schema's own names.
[[nodiscard]] std::string type_of(const v1::Event& event);

/// A name for humans; empty when the noun has none.
[[nodiscard]] std::string_view name_of(const entity_state& state);

void write(state_bytes& out, const entity_state& state);

/// What `write` wrote; any state, or null, when the source is not good.
[[nodiscard]] entity_ptr read_entity(state_source& in);

} // namespace orrery::domain
