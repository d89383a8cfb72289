#include "events/domain/vm.hpp"

#include "events/core/safety.hpp"
#include "events/core/text.hpp"
#include "events/domain/vm_addresses.hpp"

#include <algorithm>

namespace orrery::domain {

namespace {

/// Longest text of a hypervisor or kernel that is kept with a job, in bytes.
constexpr std::size_t failure_text_size_max = 600;

constexpr std::string_view step_defined = "defined";
constexpr std::string_view step_started = "started";
constexpr std::string_view step_reachable = "reachable";
constexpr std::string_view step_stopped = "stopped";
constexpr std::string_view step_removed = "removed";

v1::VmEvent* add_event(decision& made) { return made.events.emplace_back().mutable_vm(); }

bool is_on(const vm_state& state) { return domain::is_on(state.observed.state); }

bool runs_a_guest(const activity& job) {
  return job.kind == v1::VM_CREATE || job.kind == v1::VM_START;
}

bool stops_a_guest(const activity& job) {
  return job.kind == v1::VM_SHUTDOWN || job.kind == v1::VM_STOP;
}

void end_done(decision& made, const activity& job, std::string_view step) {
  write_end(add_event(made)->mutable_job_ended(), job, step);
}

void end_job(decision& made, const activity& job, v1::Job::State state, std::string_view step,
             error_code code, std::string text) {
  write_end(add_event(made)->mutable_job_ended(), job, state, step, {code, std::move(text)});
}

void begin_job(decision& made, v1::JobKind kind, std::uint64_t generation,
               std::chrono::seconds patience, const context& with) {
  write_start(add_event(made)->mutable_job_started(), kind, generation, patience, with);
  made.has_job = true;
}

const kind_policy& policy_of(v1::HypervisorKind kind, const context& with) {
  return (*with.policies)[static_cast<std::size_t>(kind)];
}

outcome create(const vm_state* state, const v1::VmCommand::Create& command, const context& with) {
  if (state != nullptr)
    return refuse(error_code::already_exists, "there is a VM with that id already");
  decision made;
  auto* created = add_event(made)->mutable_created();
  *created->mutable_cluster() = command.cluster();
  *created->mutable_node() = command.node();
  *created->mutable_network() = command.network();
  *created->mutable_nic() = command.nic();
  created->set_name(command.name());
  created->set_image(command.image());
  created->set_vcpus(command.vcpus());
  created->set_memory_mib(command.memory_mib());
  created->set_kind(command.kind());
  *created->mutable_labels() = command.labels();
  created->set_bits_a_second_max(command.bits_a_second_max());
  add_event(made)->mutable_start_requested()->set_generation(1);
  begin_job(made, v1::VM_CREATE, 1, policy_of(command.kind(), with).create_deadline, with);
  return made;
}

outcome set_rate(const vm_state& state, std::uint64_t bits_a_second_max) {
  if (state.desired == desired_state::deleted)
    return refuse(error_code::conflict, "VM '" + state.name + "' is being deleted");
  if (auto checked = check_rate(bits_a_second_max); !checked)
    return checked.error();
  decision made;
  if (bits_a_second_max != state.nic.bits_a_second_max)
    add_event(made)->mutable_rate_changed()->set_bits_a_second_max(bits_a_second_max);
  return made;
}

error busy(const vm_state& state) {
  const bool can_be_stopped = state.job->kind != v1::VM_STOP && state.job->kind != v1::VM_DELETE;
  return busy_with(*state.job, "VM '" + state.name + "'",
                   can_be_stopped ? "wait for it, or stop the VM" : "wait for it");
}

/// Ends the job in progress in favour of a newer wish.
void supersede(decision& made, const vm_state& state, std::string_view by) {
  if (state.job)
    end_job(made, *state.job, v1::Job::CANCELLED, state.job->step, error_code::superseded,
            "a newer request replaced it: " + std::string(by));
}

outcome start(const vm_state& state, const context& with) {
  if (state.job)
    return busy(state);
  if (is_on(state))
    return refuse(error_code::conflict, "VM '" + state.name + "' is running already");
  decision made;
  const auto generation = state.generation.count + 1;
  add_event(made)->mutable_start_requested()->set_generation(generation);
  begin_job(made, v1::VM_START, generation, policy_of(state.kind, with).start_deadline, with);
  return made;
}

/// Nothing is left to do when the guest is known to be off and nothing is about to start it.
bool is_off(const vm_state& state) {
  return !state.job && (state.observed.state == v1::VmObserved::STOPPED ||
                        state.observed.state == v1::VmObserved::ABSENT);
}

outcome shutdown(const vm_state& state, const context& with) {
  if (state.job)
    return busy(state);
  if (is_off(state))
    return refuse(error_code::conflict, "VM '" + state.name + "' is stopped already");
  if (!policy_of(state.kind, with).graceful_shutdown)
    return refuse(error_code::unsupported, "a " + std::string(policy_of(state.kind, with).name) +
                                               " guest cannot be asked to shut down: use stop");
  decision made;
  const auto generation = state.generation.count + 1;
  add_event(made)->mutable_shutdown_requested()->set_generation(generation);
  begin_job(made, v1::VM_SHUTDOWN, generation, policy_of(state.kind, with).shutdown_deadline, with);
  return made;
}

outcome stop(const vm_state& state, const context& with) {
  if (state.job && (state.job->kind == v1::VM_STOP || state.job->kind == v1::VM_DELETE))
    return busy(state);
  if (is_off(state))
    return refuse(error_code::conflict, "VM '" + state.name + "' is stopped already");
  decision made;
  supersede(made, state, name_of(v1::VM_STOP));
  const auto generation = state.generation.count + 1;
  add_event(made)->mutable_stop_requested()->set_generation(generation);
  begin_job(made, v1::VM_STOP, generation, policy_of(state.kind, with).stop_deadline, with);
  return made;
}

/// Gives back what the VM holds.
void release(decision& made, const vm_state& state, const uuid& self) {
  release_addresses(made, state);
  auto& place = made.messages.emplace_back();
  place.entity = state.cluster;
  set(place.command.mutable_cluster()->mutable_release_vm()->mutable_vm(), self);
}

outcome remove(const vm_state& state, const uuid& self, const context& with) {
  if (state.job && state.job->kind == v1::VM_DELETE)
    return busy(state);
  decision made;
  supersede(made, state, name_of(v1::VM_DELETE));
  const auto generation = state.generation.count + 1;
  add_event(made)->mutable_removal_requested()->set_generation(generation);
  begin_job(made, v1::VM_DELETE, generation, policy_of(state.kind, with).delete_deadline, with);
  if (!safety::holds(safety::line::release_by_fact))
    release(made, state, self);
  return made;
}

// Observations ------------------------------------------------------------------------------------

void fill(v1::VmEvent::Source* source, const v1::VmCommand::Observe& seen) {
  *source->mutable_node() = seen.node();
  source->set_node_epoch(seen.node_epoch());
  source->set_number(seen.number());
  source->set_at(seen.at());
  source->set_generation(seen.generation());
}

/// The observed time, between the entity's last fact and now: a host's clock can move no history.
std::uint64_t effective(const vm_state& state, const v1::VmCommand::Observe& seen,
                        const context& with) {
  return std::max(std::min(seen.at(), to_micros(with.now)), to_micros(state.effective_at));
}

bool starts_now(const vm_state& state, const v1::VmCommand::Observe& seen) {
  return state.job && runs_a_guest(*state.job) && seen.generation() >= state.job->generation;
}

/// The guest of a job that wants it running was seen off after it had run.
void fail_stopped_start(decision& made, const vm_state& state, std::string_view how) {
  if (state.job && runs_a_guest(*state.job) && state.job->step == step_started)
    end_job(made, *state.job, v1::Job::FAILED, state.job->step, error_code::guest_stopped,
            "the guest was " + std::string(how) +
                " before it answered on its address: its console shows more");
}

/// Nobody who knew of the newest wish has looked yet: a verb of an older one may still be under way
/// behind this word, so it is a fact, but no proof that the wish is fulfilled.
bool is_before_the_wish(const vm_state& state, const v1::VmCommand::Observe& seen) {
  return seen.wish() != 0 && seen.wish() < state.generation.count &&
         safety::holds(safety::line::newest_wish);
}

/// The guest is off, as a job wanted it: also when it was off before.
void end_stop(decision& made, const vm_state& state, const v1::VmCommand::Observe& seen) {
  if (state.job && stops_a_guest(*state.job) && !is_before_the_wish(state, seen))
    end_done(made, *state.job, step_stopped);
}

void see_absent(decision& made, const vm_state& state, const uuid& self,
                const v1::VmCommand::Observe& seen) {
  if (state.desired == desired_state::deleted && !is_before_the_wish(state, seen)) {
    fill(add_event(made)->mutable_removed()->mutable_source(), seen);
    if (state.job)
      end_done(made, *state.job, step_removed);
    return release(made, state, self);
  }
  if (state.observed.state != v1::VmObserved::ABSENT) {
    fill(add_event(made)->mutable_absent()->mutable_source(), seen);
    fail_stopped_start(made, state, "removed from the hypervisor");
  }
  end_stop(made, state, seen);
}

void see_stopped(decision& made, const vm_state& state, const v1::VmCommand::Observe& seen) {
  // A second word on the cause (after a restart the hypervisor has forgotten it) changes nothing.
  if (state.observed.state == v1::VmObserved::STOPPED)
    return end_stop(made, state, seen);
  if (seen.cause() == v1::VmObserved::NEVER_RAN) {
    fill(add_event(made)->mutable_defined()->mutable_source(), seen);
  } else {
    auto* stopped = add_event(made)->mutable_stopped();
    fill(stopped->mutable_source(), seen);
    stopped->set_cause(seen.cause());
  }
  end_stop(made, state, seen);
  fail_stopped_start(made, state, "seen off (" + std::string(name_of(seen.cause())) + ")");
}

void see_running(decision& made, const vm_state& state, const v1::VmCommand::Observe& seen) {
  if (is_on(state) && state.observed.generation >= seen.generation())
    return;
  fill(add_event(made)->mutable_started()->mutable_source(), seen);
}

void see_reachable(decision& made, const vm_state& state, const v1::VmCommand::Observe& seen) {
  if (state.observed.state == v1::VmObserved::REACHABLE &&
      state.observed.generation >= seen.generation())
    return;
  fill(add_event(made)->mutable_reachable()->mutable_source(), seen);
  if (starts_now(state, seen))
    end_done(made, *state.job, step_reachable);
}

void see_nothing(decision& made, const vm_state& state, const v1::VmCommand::Observe& seen) {
  if (state.observed.state == v1::VmObserved::UNKNOWN)
    return;
  auto* unseen = add_event(made)->mutable_unseen();
  fill(unseen->mutable_source(), seen);
  unseen->set_reason(printable(seen.reason(), failure_text_size_max));
}

bool is_stale(const vm_state& state, const v1::VmCommand::Observe& seen) {
  if (!safety::holds(safety::line::newer_saying))
    return false;
  if (seen.node_epoch() != state.observed.epoch)
    return seen.node_epoch() < state.observed.epoch;
  return seen.number() <= state.observed.number;
}

outcome observe(const vm_state& state, const uuid& self, const v1::VmCommand::Observe& seen,
                const context& with) {
  decision made;
  if (from_proto(seen.node()) != state.node)
    return refuse(error_code::conflict,
                  "VM '" + state.name + "' is on another node than the one that speaks of it: " +
                      "only its own node's word counts");
  if (is_stale(state, seen))
    return made;
  switch (seen.state()) {
  case v1::VmObserved::ABSENT:
    see_absent(made, state, self, seen);
    break;
  case v1::VmObserved::STOPPED:
    see_stopped(made, state, seen);
    break;
  case v1::VmObserved::RUNNING:
    see_running(made, state, seen);
    break;
  case v1::VmObserved::REACHABLE:
    see_reachable(made, state, seen);
    break;
  case v1::VmObserved::UNKNOWN:
    see_nothing(made, state, seen);
    break;
  default:
    return refuse(error_code::invalid_argument, "an observation without a state");
  }
  const auto effective_at = effective(state, seen, with);
  for (auto& event : made.events)
    event.set_effective_at(effective_at);
  return made;
}

outcome report_failure(const vm_state& state, const v1::VmCommand::ReportFailure& failure) {
  decision made;
  if (!state.job || state.job->generation != failure.generation())
    return made;
  const auto text = printable(failure.text(), failure_text_size_max);
  if (failure.final()) {
    end_job(made, *state.job, v1::Job::FAILED, failure.step(),
            static_cast<error_code>(failure.code()), text);
    return made;
  }
  if (state.job->failure == text && state.job->failure_code == failure.code())
    return made;
  auto* failed = add_event(made)->mutable_job_attempt_failed();
  set(failed->mutable_job(), state.job->job);
  failed->set_step(failure.step());
  failed->set_code(failure.code());
  failed->set_text(text);
  return made;
}

std::string late(const vm_state& state) {
  // The job began some microseconds after its command was decided.
  const auto patience =
      std::chrono::round<std::chrono::seconds>(state.job->deadline - state.job->started_at);
  std::string text = "the deadline of " + std::to_string(patience.count()) +
                     " s passed after step '" + state.job->step + "'";
  if (!state.job->failure.empty())
    return text + "; the last attempt failed: " + state.job->failure;
  if (runs_a_guest(*state.job) && state.job->step == step_started)
    return text + ": the guest did not answer on " + to_text(state.nic.address) +
           "; `orrery vm console " + state.name + "` shows how far it came";
  if (state.job->kind == v1::VM_SHUTDOWN)
    return text + ": the guest did not shut down; `orrery vm stop " + state.name +
           "` pulls the plug";
  if (state.observed.state == v1::VmObserved::UNKNOWN)
    return text + ": the node is not in sight (" + state.observed.reason + ")";
  return text;
}

outcome pass_deadline(const vm_state& state, const v1::VmCommand::PassDeadline& passed,
                      const context& with) {
  decision made;
  if (!state.job || state.job->generation != passed.generation() || with.now < state.job->deadline)
    return made;
  end_job(made, *state.job, v1::Job::FAILED, state.job->step, error_code::timed_out, late(state));
  return made;
}

// Evolution ---------------------------------------------------------------------------------------

void observe(vm_state& state, v1::VmObserved::State seen, v1::VmObserved::Cause cause,
             const v1::VmEvent::Source& source, utc_time effective_at) {
  auto& observed = state.observed;
  observed.state = seen;
  observed.cause = cause;
  observed.at = effective_at;
  observed.epoch = source.node_epoch();
  observed.number = source.number();
  observed.generation = source.generation();
  observed.reason.clear();
}

void unseen(vm_state& state, const v1::VmEvent::Unseen& event, utc_time effective_at) {
  observe(state, v1::VmObserved::UNKNOWN, v1::VmObserved::CAUSE_UNSPECIFIED, event.source(),
          effective_at);
  state.observed.reason = event.reason();
}

void attempt_failed(vm_state& state, const v1::JobEvent::AttemptFailed& event) {
  if (!state.job)
    return;
  state.job->failure_code = event.code();
  state.job->failure = event.text();
}

void advance(vm_state& state, std::string_view step) {
  if (state.job && runs_a_guest(*state.job))
    state.job->step = step;
}

void wish(vm_state& state, desired_state desired, const v1::VmEvent::Wish& event) {
  state.desired = desired;
  state.generation = generation_number{event.generation()};
}

void started(vm_state& state, const v1::VmEvent::Seen& event, utc_time effective_at) {
  observe(state, v1::VmObserved::RUNNING, v1::VmObserved::CAUSE_UNSPECIFIED, event.source(),
          effective_at);
  if (state.job && state.observed.generation >= state.job->generation)
    advance(state, step_started);
}

void gone(vm_state& state, const v1::VmEvent::Seen& event, utc_time effective_at) {
  observe(state, v1::VmObserved::ABSENT, v1::VmObserved::CAUSE_UNSPECIFIED, event.source(),
          effective_at);
}

void created(vm_state& state, const v1::VmEvent::Created& event, utc_time decided_at) {
  state.cluster = from_proto(event.cluster());
  state.node = from_proto(event.node());
  state.network = from_proto(event.network());
  state.nic.nic = from_proto(event.nic());
  state.nic.bits_a_second_max = event.bits_a_second_max();
  state.kind = event.kind();
  state.name = event.name();
  state.image = event.image();
  state.vcpus = vcpu_count{event.vcpus()};
  state.memory = mib{event.memory_mib()};
  for (const auto& one : event.labels())
    put(state.labels, one);
  state.created_at = decided_at;
  state.effective_at = decided_at;
  state.observed.at = decided_at;
}

} // namespace

std::string_view name_of(v1::VmObserved::Cause cause) {
  switch (cause) {
  case v1::VmObserved::NEVER_RAN:
    return "it never ran";
  case v1::VmObserved::GUEST:
    return "it shut itself down";
  case v1::VmObserved::HOST:
    return "it was switched off";
  case v1::VmObserved::CRASHED:
    return "it crashed";
  default:
    return "nobody knows why"; // protobuf enums are open
  }
}

outcome decide(const vm_state* state, const uuid& self, const v1::VmCommand& command,
               const context& with) {
  if (command.body_case() == v1::VmCommand::kCreate)
    return create(state, command.create(), with);
  if (state == nullptr)
    return refuse(error_code::not_found, "there is no such VM");
  switch (command.body_case()) {
  case v1::VmCommand::kGiveAddress: {
    decision made;
    *add_event(made)->mutable_address_given()->mutable_nic() = command.give_address().nic();
    return made;
  }
  case v1::VmCommand::kObserve:
    return observe(*state, self, command.observe(), with);
  case v1::VmCommand::kReportFailure:
    return report_failure(*state, command.report_failure());
  case v1::VmCommand::kPassDeadline:
    return pass_deadline(*state, command.pass_deadline(), with);
  case v1::VmCommand::kRemove:
    return remove(*state, self, with);
  case v1::VmCommand::kStart:
  case v1::VmCommand::kShutdown:
  case v1::VmCommand::kStop:
    if (state->desired == desired_state::deleted)
      return refuse(error_code::conflict, "VM '" + state->name + "' is being deleted");
    if (command.has_start())
      return start(*state, with);
    return command.has_stop() ? stop(*state, with) : shutdown(*state, with);
  case v1::VmCommand::kSetRate:
    return set_rate(*state, command.set_rate().bits_a_second_max());
  case v1::VmCommand::kAddAddresses:
    return add_addresses(*state, self, command.add_addresses());
  case v1::VmCommand::kRemoveAddresses:
    return remove_addresses(*state, command.remove_addresses());
  case v1::VmCommand::kGiveFurther:
    return give_further(command.give_further());
  case v1::VmCommand::kNotePort:
    return note_port(*state, command.note_port());
  case v1::VmCommand::kSetLabels:
    return set_labels(state->labels, command.set_labels(), add_event);
  case v1::VmCommand::kCreate:
  case v1::VmCommand::BODY_NOT_SET:
    break;
  }
  return refuse(error_code::invalid_argument, "an empty command for a VM");
}

void evolve(vm_state& state, const v1::VmEvent& event, utc_time decided_at, utc_time effective_at) {
  ++state.version;
  state.effective_at = std::max(state.effective_at, effective_at);
  switch (event.body_case()) {
  case v1::VmEvent::kCreated:
    created(state, event.created(), decided_at);
    break;
  case v1::VmEvent::kAddressGiven:
  case v1::VmEvent::kRateChanged:
  case v1::VmEvent::kAddressesAdded:
  case v1::VmEvent::kAddressesRemovalRequested:
  case v1::VmEvent::kAddressesRemoved:
    evolve_nic(state.nic, event);
    break;
  case v1::VmEvent::kStartRequested:
    wish(state, desired_state::running, event.start_requested());
    break;
  case v1::VmEvent::kShutdownRequested:
    wish(state, desired_state::stopped, event.shutdown_requested());
    break;
  case v1::VmEvent::kStopRequested:
    wish(state, desired_state::stopped, event.stop_requested());
    break;
  case v1::VmEvent::kRemovalRequested:
    wish(state, desired_state::deleted, event.removal_requested());
    break;
  case v1::VmEvent::kDefined:
    observe(state, v1::VmObserved::STOPPED, v1::VmObserved::NEVER_RAN, event.defined().source(),
            effective_at);
    advance(state, step_defined);
    break;
  case v1::VmEvent::kStarted:
    started(state, event.started(), effective_at);
    break;
  case v1::VmEvent::kReachable:
    observe(state, v1::VmObserved::REACHABLE, v1::VmObserved::CAUSE_UNSPECIFIED,
            event.reachable().source(), effective_at);
    break;
  case v1::VmEvent::kStopped:
    observe(state, v1::VmObserved::STOPPED, event.stopped().cause(), event.stopped().source(),
            effective_at);
    break;
  case v1::VmEvent::kAbsent:
    gone(state, event.absent(), effective_at);
    break;
  case v1::VmEvent::kUnseen:
    unseen(state, event.unseen(), effective_at);
    break;
  case v1::VmEvent::kRemoved:
    gone(state, event.removed(), effective_at);
    state.removed = true;
    break;
  case v1::VmEvent::kJobStarted:
    state.job = begun_by(event.job_started(), decided_at);
    break;
  case v1::VmEvent::kJobAttemptFailed:
    attempt_failed(state, event.job_attempt_failed());
    break;
  case v1::VmEvent::kJobEnded:
    state.job.reset();
    break;
  case v1::VmEvent::kLabelsChanged:
    change(state.labels, event.labels_changed());
    break;
  case v1::VmEvent::BODY_NOT_SET:
    break;
  }
}

wanted_effect effects(const vm_state& state) {
  if (state.removed)
    return {};
  if (state.desired == desired_state::deleted)
    return {wanted_verb::remove, state.generation};
  if (!state.job) {
    // After the node was out of sight, or a job gave up: whether it answers is asked again.
    const bool is_silent =
        state.desired == desired_state::running && state.observed.state == v1::VmObserved::RUNNING;
    return is_silent ? wanted_effect{wanted_verb::reach, state.generation} : wanted_effect{};
  }
  switch (state.job->kind) {
  case v1::VM_CREATE:
  case v1::VM_START: {
    const bool runs = is_on(state) && state.observed.generation >= state.job->generation;
    return {runs ? wanted_verb::reach : wanted_verb::run, state.generation};
  }
  case v1::VM_SHUTDOWN:
    return {wanted_verb::shut_down, state.generation};
  case v1::VM_STOP:
    return {wanted_verb::power_off, state.generation};
  default:
    return {}; // VM_DELETE is covered by the wish; protobuf enums are open
  }
}

std::optional<timer> next_timer(const vm_state& state) {
  if (!state.job || state.removed)
    return std::nullopt;
  timer next;
  next.due = state.job->deadline;
  next.command.mutable_vm()->mutable_pass_deadline()->set_generation(state.job->generation);
  return next;
}

bool spreads(const v1::VmCommand& command) {
  const bool releases = command.has_remove() && !safety::holds(safety::line::release_by_fact);
  const bool asks = command.has_add_addresses() || command.has_note_port();
  return releases || asks ||
         (command.has_observe() && command.observe().state() == v1::VmObserved::ABSENT);
}

} // namespace orrery::domain
