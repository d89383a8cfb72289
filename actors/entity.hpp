#pragma once

#include "actors/interfaces.hpp"

namespace orrery::actors {

/// What an entity actor is born with.
struct entity_birth {
  uuid self;
  domain::entity_ptr accepted; ///< null: not made yet
  partition_actor partition;   ///< who asks, and is told of the answers
};

/// Wakes an entity: spawns the actor of its noun. `body_case` of a command tells the noun of one
/// that does not exist yet.
[[nodiscard]] entity_actor wake(caf::actor_system& system, v1::Command::BodyCase noun,
                                entity_birth birth);

} // namespace orrery::actors
