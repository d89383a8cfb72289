#include "actors/system_config.hpp"

#include "actors/messages.hpp"

#include <caf/actor_system_config.hpp>

#include <algorithm>
#include <cstddef>
#include <thread>

namespace orrery::actors {

std::unique_ptr<caf::actor_system_config> make_system_config(std::uint32_t threads) {
  auto made = std::make_unique<caf::actor_system_config>();
  made->add_message_types<caf::id_block::orrery>();
  // The default scheduler walks a neighbour's queue from its head with both locks held: up to 30
  // times slower when a partition asks a thousand entities at once. Guarded by the bench line
  // `burst`.
  made->set("scheduler.policy", caf::atom("sharing"));
  made->set("logger.verbosity", caf::atom("quiet"));
  // CAF takes four at least: on two processors they only push each other aside.
  const auto wanted = threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  made->set("scheduler.max-threads", static_cast<std::size_t>(wanted));
  return made;
}

} // namespace orrery::actors
