#include "actors/hypervisors/kinds.hpp"
#include "drivers/simulated/simulated_hypervisor.hpp"
#include "pvip/apply/simulated_host_network.hpp"

#include <map>
#include <mutex>

namespace orrery::actors {

namespace {

/// The worlds of this process: a node that is connected again finds its guests.
struct worlds {
  std::mutex guard;
  std::map<uuid, std::shared_ptr<drivers::simulated_world>> of_node;
};

result<std::shared_ptr<drivers::simulated_world>> open_world(worlds& known, const config& settings,
                                                             const uuid& node) {
  const std::lock_guard lock(known.guard);
  if (const auto found = known.of_node.find(node); found != known.of_node.end())
    return found->second;
  drivers::simulated_world::options wanted;
  wanted.verb_time = std::chrono::microseconds(settings.simulated.verb_microseconds);
  if (!settings.simulated.directory.empty())
    wanted.directory = settings.simulated.directory + "/" + to_text(node);
  auto world = drivers::simulated_world::open(std::move(wanted));
  if (world)
    known.of_node.emplace(node, *world);
  return world;
}

} // namespace

hypervisor_kind_traits simulated(const config& settings) {
  hypervisor_kind_traits traits;
  traits.kind = v1::SIMULATED;
  traits.operations_max = drivers::limits_of(drivers::hypervisor_kind::simulated).operations_max;
  traits.arp_patience = std::chrono::milliseconds(20);
  traits.make_link = [settings, known = std::make_shared<worlds>()](
                         const uuid& node, const domain::node_state&) -> result<node_link> {
    auto world = open_world(*known, settings, node);
    if (!world)
      return world.error();
    node_link link;
    link.hypervisor = std::make_unique<drivers::simulated_hypervisor>(*world);
    link.network = pvip::make_simulated_host_network(
        "vp", [world = *world](const pvip::port& port, std::chrono::milliseconds) {
          return world->answers_on(port.link);
        });
    link.speaker = pvip::make_simulated_speaker();
    link.secret = [](const std::string&) { return result(std::string()); };
    return link;
  };
  return traits;
}

} // namespace orrery::actors
