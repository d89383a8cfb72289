#pragma once

#include "actors/hypervisors/driving.hpp"
#include "actors/interfaces.hpp"

#include <caf/fwd.hpp>

#include <functional>

namespace orrery::actors {

struct hypervisor_birth {
  hypervisor_kind_traits traits;
  uuid installation;
  uuid cluster;
  partition_actor partition;
  partition_number where{};
  std::uint64_t incarnation = 1;
  /// Stamps a command with this process's origin (thread-safe).
  std::function<void(v1::Command&)> stamp;
  std::function<utc_time()> wall_clock;
  std::function<std::uint64_t()> random;
  hypervisor_observer tell;
};

[[nodiscard]] hypervisor_actor spawn_hypervisor(caf::actor_system& system, hypervisor_birth birth);

} // namespace orrery::actors
