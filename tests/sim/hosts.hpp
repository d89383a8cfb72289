#pragma once

#include "actors/hypervisors/guest_work.hpp"
#include "drivers/simulated/simulated_hypervisor.hpp"
#include "tests/sim/surroundings.hpp"

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace orrery::sim {

/// A machine with guests: what lives on when every orreryd dies. The guests are those of
/// drivers/simulated; what is around them goes wrong here.
struct host {
  /// A verb that was given up on, and will be done all the same.
  struct late_verb {
    std::uint64_t number = 0;
    vm_id vm;
    std::function<void()> act;
  };

  uuid node;
  std::shared_ptr<drivers::simulated_world> world;
  std::shared_ptr<drivers::simulated_hypervisor> hands; ///< for verbs whose caller is gone
  std::map<std::string, pvip::port> ports;              ///< on the node, by their links
  drivers::fencing_token highest;                       ///< of all that touched it
  std::list<late_verb> late;
  std::uint64_t late_number = 0;
  bool is_away = false;
};

/// All machines. They come into being when somebody connects to them first.
class hosts {
public:
  explicit hosts(surroundings& around);

  /// A new connection of a process to a node.
  [[nodiscard]] actors::node_link connect(std::uint32_t process, const uuid& node);

  /// Whether a guest of the VM runs on any of them.
  [[nodiscard]] bool runs(const uuid& vm);

  /// A guest that runs and of which nobody is told, or the other way round; empty: none.
  [[nodiscard]] std::string told_wrong();

  /// The VM's port on the node, or null.
  [[nodiscard]] const pvip::port* port_on(const uuid& node, const std::string& link) const;

  /// Every guest that is defined.
  [[nodiscard]] std::vector<support::guest> guests();

  /// A host vanishes, with its guests or without, and returns after `duration`.
  void lose_host(micros duration);

  /// Something happens to a guest that nobody of us asked for.
  void disturb_guest();

  /// All hosts are there, and what was late is done.
  void calm();

private:
  host& of(const uuid& node);
  [[nodiscard]] host* any_host();

  surroundings& x_around;
  std::map<uuid, std::shared_ptr<host>> x_hosts;
};

} // namespace orrery::sim
