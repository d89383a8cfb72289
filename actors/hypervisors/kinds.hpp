#pragma once

#include "actors/config.hpp"
#include "actors/hypervisors/hypervisor.hpp"

namespace orrery::actors {

/// One function a kind of hypervisor, each in a file of its own name.
[[nodiscard]] hypervisor_kind_traits kvm(const config& settings);
[[nodiscard]] hypervisor_kind_traits simulated(const config& settings);

} // namespace orrery::actors
