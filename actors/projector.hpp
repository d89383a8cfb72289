#pragma once

#include "actors/flow.hpp"
#include "actors/interfaces.hpp"
#include "projections/store.hpp"

#include <caf/fwd.hpp>

#include <functional>
#include <memory>

namespace orrery::actors {

struct projector_birth {
  std::shared_ptr<projections::store> store;
  std::shared_ptr<flow> projected; ///< left once for each message
  std::function<void(const error&)> fatal;
  std::function<void()> applied; ///< after each write, on the projector's thread
};

/// Spawns it on a thread of its own: RocksDB blocks.
[[nodiscard]] projector_actor spawn_projector(caf::actor_system& system, projector_birth birth);

} // namespace orrery::actors
