#pragma once

#include <caf/fwd.hpp>

#include <cstdint>
#include <memory>

namespace orrery::actors {

/// How the actors of one orreryd are set up and scheduled. `threads`: of the scheduler; 0: one a
/// processor.
[[nodiscard]] std::unique_ptr<caf::actor_system_config> make_system_config(std::uint32_t threads);

} // namespace orrery::actors
