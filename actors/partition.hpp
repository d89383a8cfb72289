#pragma once

#include "actors/engine/engine.hpp"
#include "actors/flow.hpp"
#include "actors/interfaces.hpp"
#include "events/log/log.hpp"

#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

namespace orrery::actors {

/// Everything that a partition's actor needs from outside: the seams that tests replace.
struct partition_birth {
  engine_birth engine; ///< `has_projections` is taken from `projector`
  std::shared_ptr<log::log> log;
  std::optional<projector_actor> projector;
  std::shared_ptr<flow> handed;    ///< left once for each chunk of records
  std::shared_ptr<flow> projected; ///< a unit added for each message to the projector
  /// Makes the actor of a cluster's hypervisor; nothing for a kind without a driver.
  std::function<std::optional<hypervisor_actor>(v1::HypervisorKind, const uuid& cluster,
                                                const partition_actor&)>
      make_hypervisor;
  /// Sends a command to whoever owns the partition that it is for. Must not block.
  std::function<void(const v1::Command&)> carry;
};

/// An entity sleeps after this long without anything to do.
inline constexpr std::chrono::seconds awake_idle_max{60};

/// Awake entities at once: 8 MB of actors. Above it all sleep at the next commit, whatever their
/// age: to wake one takes less than to have it decide.
inline constexpr std::size_t awake_max = 4'096;

/// Spawns it: on a thread of its own in the product (it folds and serialises, which would hold up a
/// scheduler thread), on the scheduler in tests.
[[nodiscard]] partition_actor spawn_partition(caf::actor_system& system, partition_birth birth,
                                              bool is_detached = true);

} // namespace orrery::actors
