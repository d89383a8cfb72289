#pragma once

#include "drivers/hypervisor.hpp"
#include "events/domain/entity.hpp"
#include "pvip/apply/host_network.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::actors {

/// One node as it is driven: its hypervisor and its kernel network.
struct node_link {
  std::unique_ptr<drivers::hypervisor> hypervisor;
  std::unique_ptr<pvip::host_network> network;
  std::uint32_t guest_uid = 0; ///< the user that guests run as: owner of their tap devices
};

/// What was seen of a guest during a piece of work, in order.
struct sighting {
  v1::VmObserved::State state = v1::VmObserved::STATE_UNSPECIFIED;
  v1::VmObserved::Cause cause = v1::VmObserved::CAUSE_UNSPECIFIED;
  generation_number generation;
};

/// A step that failed. `is_final`: trying again cannot help.
struct work_failure {
  std::string step;
  error why;
  bool is_final = false;
};

struct work_report {
  std::vector<sighting> seen;
  std::optional<work_failure> failure;
  bool is_pursued =
      false; ///< everything the effect asked for was done; what follows is the guest's turn
};

/// How a VM is described to the driver and to the node's network: functions of its state alone.
[[nodiscard]] drivers::guest_spec spec_of(const uuid& installation, const uuid& vm,
                                          const domain::vm_state& state);
[[nodiscard]] pvip::port port_of(const domain::vm_state& state, std::uint32_t guest_uid);

[[nodiscard]] sighting sighting_of(const drivers::guest_seen& seen);

/// What one effect needs. A copy, so that it can wait in a queue.
struct guest_task {
  uuid installation;
  uuid vm;
  domain::entity_ptr state; ///< holds a `vm_state`
  domain::wanted_effect wanted;
  drivers::fencing_token token;
};

/// Does one effect on a guest, blocking, to the end or to the first failure. Idempotent: whatever a
/// dead predecessor did of it is found and not done twice. `patience` is how long one question by
/// ARP waits.
[[nodiscard]] work_report pursue(node_link& link, const guest_task& task,
                                 std::chrono::milliseconds patience);

/// Asks how the guest stands, behind everything that a predecessor still has under way (`fence`).
/// Blocking.
[[nodiscard]] work_report ask_fenced(node_link& link, const uuid& vm, drivers::fencing_token token);

/// Asks how the guest stands now. Blocking.
[[nodiscard]] work_report ask(node_link& link, const uuid& vm);

} // namespace orrery::actors
