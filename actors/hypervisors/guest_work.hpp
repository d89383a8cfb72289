#pragma once

#include "actors/hypervisors/upstream_settings.hpp"
#include "drivers/hypervisor.hpp"
#include "events/domain/entity.hpp"
#include "pvip/apply/host_network.hpp"
#include "pvip/apply/upstream_speaker.hpp"

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
  std::unique_ptr<pvip::upstream_speaker> speaker;
  secret_reader secret;        ///< of the node
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
  std::optional<bool> announced; ///< whether others are told of it now, when that was touched
  bool is_pursued =
      false; ///< everything the effect asked for was done; what follows is the guest's turn
};

/// How its node stands with the routers.
struct upstream_report {
  std::vector<domain::upstream_session> sessions; ///< sorted by router
  std::string problem;                            ///< why it does not speak with them as wished
  bool is_silence = false; ///< the problem is that nobody is heard, as it is when all begins
};

/// How a VM is described to the driver and to the node's network: functions of accepted state
/// alone.
[[nodiscard]] drivers::guest_spec spec_of(const uuid& installation, const uuid& vm,
                                          const domain::vm_state& state);
/// Not announced. `settings`: of its network.
[[nodiscard]] pvip::port port_of(const domain::vm_state& state, const v1::GuestSettings& settings,
                                 std::uint32_t guest_uid);

/// Why a node is another's, when a guest of it was touched under a newer token than `ours`: the log
/// was restored from a backup, or another process has taken over, and this one does not know yet.
[[nodiscard]] std::optional<std::string> newer_owner(const std::vector<drivers::guest_seen>& guests,
                                                     drivers::fencing_token ours);

[[nodiscard]] sighting sighting_of(const drivers::guest_seen& seen);

/// What one effect needs. A copy, so that it can wait in a queue.
struct guest_task {
  uuid installation;
  uuid vm;
  domain::entity_ptr state;                          ///< holds a `vm_state`
  std::shared_ptr<const v1::GuestSettings> settings; ///< of its network
  domain::wanted_effect wanted;
  drivers::fencing_token token;
};

/// Does one effect on a guest, blocking, to the end or to the first failure. Idempotent: whatever a
/// dead predecessor did of it is found and not done twice. `patience` is how long one question by
/// ARP waits.
[[nodiscard]] work_report pursue(node_link& link, const guest_task& task,
                                 std::chrono::milliseconds patience);

/// Has the node speak with the routers as its cluster wishes, and says how it stands with them.
/// Blocking.
[[nodiscard]] upstream_report speak(node_link& link, const upstream_wish& wish);

/// Asks how the guest stands, behind everything that a predecessor still has under way (`fence`).
/// Blocking.
[[nodiscard]] work_report ask_fenced(node_link& link, const uuid& vm, drivers::fencing_token token);

/// Asks how the guest stands now. Blocking.
[[nodiscard]] work_report ask(node_link& link, const uuid& vm);

} // namespace orrery::actors
