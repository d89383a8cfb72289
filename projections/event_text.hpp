#pragma once

#include "projections/folded_commit.hpp"

#include <string>

namespace orrery::projections {

/// One readable line about an event of the entity `entity`: "node n1, 1 vcpu, 192 MiB". Names come
/// from the states that the same commit touched, so the line is a function of the commit alone.
/// Empty when the event's type says it all.
[[nodiscard]] std::string detail_of(const touched_index& touched, const uuid& entity,
                                    const v1::Event& event);

/// "vm.start", "cluster.place_vm", …: what a command asks for, by the schema's own names.
[[nodiscard]] std::string type_of(const v1::Command& command);

/// "vm", "cluster", …: the noun of a command; "unknown" when it has none.
[[nodiscard]] std::string noun_of(const v1::Command& command);

} // namespace orrery::projections
