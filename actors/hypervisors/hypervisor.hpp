#pragma once

#include "actors/hypervisors/guest_work.hpp"
#include "actors/interfaces.hpp"
#include "drivers/capabilities.hpp"

#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace orrery::actors {

/// What makes one kind of hypervisor differ from another, as its actor is concerned. A new kind is
/// a new file beside this one that fills it, and a line in the table of tools/orreryd.
struct hypervisor_kind_traits {
  v1::HypervisorKind kind = v1::HYPERVISOR_KIND_UNSPECIFIED;
  /// Verbs under way at once on one node.
  std::size_t operations_max = 4;
  /// How long one question by ARP waits; then other work has its turn.
  std::chrono::milliseconds arp_patience{300};
  /// Makes the driver and the network of a node; connects nothing. Errors: a wrong endpoint.
  std::function<result<node_link>(const uuid& node, const domain::node_state& state)> make_link;
};

/// What a hypervisor's actor counts.
struct hypervisor_observer {
  /// `outcome`: "done", or the name of an error code.
  std::function<void(std::string_view kind, std::string_view verb, std::string_view outcome,
                     std::chrono::microseconds took)>
      effect_done;
};

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
