#pragma once

#include "events/core/rare.hpp"
#include "events/core/units.hpp"
#include "events/domain/job.hpp"
#include "events/domain/labels.hpp"
#include "events/domain/nic.hpp"
#include "events/domain/types.hpp"

#include <optional>
#include <string>

namespace orrery::domain {

// A VM has three separate truths, which never stand in for one another:
//
//   desired    what a user wants: running, stopped, deleted. Each wish has a generation, one higher
//   than the last. observed   what the hypervisor last said, when, and which of its sayings that
//   was. activity   the job in progress, if there is one.
//
//   create/start   run the guest; done when it answered on its address      shutdown/stop   done
//   when seen off delete         done when seen gone: only that fact gives address, capacity and
//   name back
//
// A job's end and a resource's end are different: a failed job changes neither desired nor
// observed, and the removal of a VM goes on after its job gave up.

enum class desired_state : std::uint8_t { running, stopped, deleted };

/// What the hypervisor last said. `epoch` and `number` order the sayings.
struct vm_observation {
  v1::VmObserved::State state = v1::VmObserved::ABSENT;
  v1::VmObserved::Cause cause = v1::VmObserved::CAUSE_UNSPECIFIED;
  utc_time at; ///< `effective_at` of the fact
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
  std::uint64_t generation = 0; ///< in the guest's metadata then
  std::string reason;           ///< why nothing is known

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.state, of.cause, of.at, of.epoch, of.number, of.generation, of.reason);
  }
};

struct vm_state {
  uuid cluster;
  uuid node;
  uuid network;
  v1::HypervisorKind kind = v1::HYPERVISOR_KIND_UNSPECIFIED;
  vcpu_count vcpus;
  desired_state desired = desired_state::running;
  bool removed = false; ///< seen gone as was wished: the entity ends with the event that sets this
  std::string name;
  std::string image;
  mib memory;
  nic_state nic;
  utc_time created_at;

  generation_number generation;
  vm_observation observed;
  rare<activity> job;
  label_list labels;

  utc_time effective_at; ///< of the last fact
  std::uint64_t version = 0;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.cluster, of.node, of.network, of.kind, of.name, of.image, of.vcpus, of.memory,
              of.nic, of.created_at, of.desired, of.generation, of.observed, of.job, of.labels,
              of.removed, of.effective_at, of.version);
  }
};

/// What shall be true of the guest now: derived from accepted state alone, never recorded. The
/// hypervisor's actor pursues the newest one until an observation changes the state.
enum class wanted_verb : std::uint8_t {
  nothing,
  run,       ///< defined and running
  reach,     ///< running already; ask whether it answers on its address
  shut_down, ///< ask the guest
  power_off, ///< pull the plug
  remove,    ///< off, undefined, its port gone
};

struct wanted_effect {
  wanted_verb verb = wanted_verb::nothing;
  generation_number generation;

  friend bool operator==(const wanted_effect&, const wanted_effect&) = default;
};

/// Whether a guest that was seen so runs, whether it answers or not.
[[nodiscard]] inline bool is_on(v1::VmObserved::State seen) {
  return seen == v1::VmObserved::RUNNING || seen == v1::VmObserved::REACHABLE;
}

/// `state` is null for a VM that does not exist (any more); `self` is its id.
[[nodiscard]] outcome decide(const vm_state* state, const uuid& self, const v1::VmCommand& command,
                             const context& with);

/// `decided_at` is the time of the step in its record, `effective_at` that of the fact.
void evolve(vm_state& state, const v1::VmEvent& event, utc_time decided_at, utc_time effective_at);

[[nodiscard]] wanted_effect effects(const vm_state& state);

[[nodiscard]] std::optional<timer> next_timer(const vm_state& state);

/// True when the command may send messages, so that it cannot be decided beside others.
[[nodiscard]] bool spreads(const v1::VmCommand& command);

[[nodiscard]] std::string_view name_of(v1::VmObserved::Cause cause);

} // namespace orrery::domain
