#pragma once

#include "events/domain/command_run.hpp"
#include "events/domain/partition_state.hpp"
#include "tests/support/builders.hpp"
#include "tests/support/invariants.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orrery::support {

/// A partition without actors and without a log below it: commands go in, records and states come
/// out, in one thread and with a clock of its own. It does what an owner does: it drops the word of
/// a replaced connection, skips a repeated origin number, answers a repeated client key from the
/// first reply, decides a batch over one overlay, and records nothing where nothing changed.
class world {
public:
  explicit world(const domain::kind_policies& policies = default_policies());

  /// Decides one command in a record of its own. Gives the decision, recorded or not (a repetition
  /// gives the first reply and no steps).
  v1::Decision tell(v1::Command command);

  /// Decides several commands in one record, in order.
  std::vector<v1::Decision> tell_all(std::vector<v1::Command> commands);

  /// `tell`, for what must succeed on the way to the story: ends the test program when it is
  /// refused.
  v1::Decision must(v1::Command command);

  /// The node's word on a guest: next number, the node's epoch, the VM's generation, now.
  v1::Decision see(std::uint32_t vm_number, v1::VmObserved::State state,
                   v1::VmObserved::Cause cause = v1::VmObserved::CAUSE_UNSPECIFIED);

  /// The same, not told yet, for changing a detail.
  [[nodiscard]] saying next_saying(std::uint32_t vm_number, v1::VmObserved::State state,
                                   v1::VmObserved::Cause cause = v1::VmObserved::CAUSE_UNSPECIFIED);

  /// Lets time pass, without running timers.
  void pass(std::chrono::microseconds duration) { x_now += duration; }

  /// Lets time pass up to the VM's deadline and tells it so.
  v1::Decision pass_the_deadline(std::uint32_t vm_number);

  [[nodiscard]] utc_time now() const { return x_now; }

  [[nodiscard]] const domain::partition_state& state() const& { return x_state; }

  [[nodiscard]] const domain::partition_state& state() const&& = delete;

  /// Every record so far, with its sequence number.
  [[nodiscard]] const commit_list& commits() const& { return x_commits; }

  [[nodiscard]] const commit_list& commits() const&& = delete;

  /// States by the number that made the id; null when there is none.
  [[nodiscard]] const domain::installation_state* find_installation() const;
  [[nodiscard]] const domain::cluster_state* find_cluster(std::uint32_t number = 1) const;
  [[nodiscard]] const domain::node_state* find_node(std::uint32_t number = 1) const;
  [[nodiscard]] const domain::network_state* find_network(std::uint32_t number = 1) const;
  [[nodiscard]] const domain::vm_state* find_vm(std::uint32_t number = 1) const;

  /// What the hypervisor shall do for a VM; `nothing` when there is none.
  [[nodiscard]] domain::wanted_effect wanted(std::uint32_t vm_number = 1) const;

private:
  v1::Decision decide(v1::Command command, domain::overlay& tentative);
  [[nodiscard]] std::optional<v1::Decision> repeated(const v1::Command& command,
                                                     const v1::CommitBody& batch) const;
  void complete(v1::Command& command);

  const domain::kind_policies* x_policies;
  domain::partition_state x_state;
  commit_list x_commits;
  utc_time x_now = start_of_time();
  std::uint64_t x_seq = 1; ///< of the last record; 1 is the claim
  std::uint64_t x_origin_number = 0;
  std::uint64_t x_saying_number = 0;
  std::uint32_t x_command_number = 0;
};

/// An installation of edition `multi_cluster`, cluster "c1" (simulated).
[[nodiscard]] world founded_world();

/// And node "n1" in sight (32 vcpus, 8 GiB for guests, image "debian"), network "lan"
/// (10.99.0.0/24).
[[nodiscard]] world ready_world();

/// And VM "web" (1 vcpu, 256 MiB), just asked for.
[[nodiscard]] world world_with_vm();

/// And it answered on its address: running, no job.
[[nodiscard]] world world_with_running_vm();

/// And then it shut itself down: stopped (guest), no job.
[[nodiscard]] world world_with_stopped_vm();

/// "vm.stopped", "vm.job_ended", …: all events of a decision, in order.
[[nodiscard]] std::vector<std::string> types_of(const v1::Decision& decision);

/// The types of all events that the schema has, as `type_of` names them, sorted.
[[nodiscard]] std::vector<std::string> all_event_types();

/// The error code of a reply; nothing when it succeeded.
[[nodiscard]] std::optional<error_code> refusal_of(const v1::Decision& decision);

/// The end of the job in a decision; null when none ended.
[[nodiscard]] const v1::JobEvent::Ended* job_end_of(const v1::Decision& decision);

} // namespace orrery::support
