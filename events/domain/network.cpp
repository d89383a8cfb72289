#include "events/domain/network.hpp"

#include "events/domain/addressing.hpp"
#include "events/domain/guest_settings.hpp"
#include "events/domain/ipv6.hpp"
#include "events/domain/nic.hpp"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

namespace orrery::domain {

namespace {

constexpr std::string_view step_granted = "granted";
constexpr std::string_view step_removed = "removed";

v1::NetworkEvent* add_event(decision& made) { return made.events.emplace_back().mutable_network(); }

void begin_job(decision& made, v1::JobKind kind, std::uint64_t generation, const context& with) {
  write_start(add_event(made)->mutable_job_started(), kind, generation, network_patience, with);
  made.has_job = true;
}

void end_job(decision& made, const network_state& state, std::string_view step) {
  if (state.job)
    write_end(add_event(made)->mutable_job_ended(), *state.job, step);
}

void end_job(decision& made, const network_state& state, v1::Job::State as, const error& why) {
  if (state.job)
    write_end(add_event(made)->mutable_job_ended(), *state.job, as, state.job->step, why);
}

outcome create(const network_state* state, const uuid& self,
               const v1::NetworkCommand::Create& command, const context& with) {
  if (state != nullptr)
    return refuse(error_code::already_exists, "there is a network with that id already");
  const ipv4_prefix prefix{ipv4{command.prefix()},
                           static_cast<std::uint8_t>(std::min(command.prefix_length(), 255U))};
  if (auto checked = check_subnet(prefix, ipv4{command.gateway()}); !checked)
    return checked.error();
  const auto prefix6 = prefix6_of(command);
  if (prefix6)
    if (auto checked = check_subnet6(*prefix6); !checked)
      return checked.error();
  if (auto checked = check_quarantine(command.quarantine_seconds()); !checked)
    return checked.error();
  if (auto checked = check_guests(command.guests(), prefix6.has_value()); !checked)
    return checked.error();
  decision made;
  auto* created = add_event(made)->mutable_created();
  *created->mutable_cluster() = command.cluster();
  created->set_name(command.name());
  created->set_mode(v1::NetworkEvent::PVIP);
  *created->mutable_installation() = command.installation();
  auto* added = add_event(made)->mutable_subnet_added();
  *added->mutable_subnet() = command.subnet();
  added->set_prefix(command.prefix());
  added->set_prefix_length(command.prefix_length());
  added->set_gateway(command.gateway());
  if (prefix6)
    *added->mutable_prefix6() = command.prefix6();
  if (command.has_guests())
    *add_event(made)->mutable_guests_changed()->mutable_guests() = command.guests();
  if (command.quarantine_seconds() != 0)
    add_event(made)->mutable_quarantine_changed()->set_seconds(command.quarantine_seconds());
  begin_job(made, v1::NETWORK_CREATE, 1, with);
  auto& ask = made.messages.emplace_back();
  ask.entity = from_proto(command.installation());
  auto* claim = ask.command.mutable_installation()->mutable_claim_prefix();
  set(claim->mutable_network(), self);
  claim->set_name(command.name());
  *claim->mutable_cluster() = command.cluster();
  claim->set_prefix(command.prefix());
  claim->set_prefix_length(command.prefix_length());
  if (prefix6)
    *claim->mutable_prefix6() = command.prefix6();
  return made;
}

void release_prefix(decision& made, const network_state& state, const uuid& self) {
  auto& sent = made.messages.emplace_back();
  sent.entity = state.installation;
  set(sent.command.mutable_installation()->mutable_release_prefix()->mutable_network(), self);
}

/// The end: nobody holds anything of it but its cluster the name.
void leave(decision& made, const network_state& state, const uuid& self) {
  add_event(made)->mutable_removed();
  auto& sent = made.messages.emplace_back();
  sent.entity = state.cluster;
  set(sent.command.mutable_cluster()->mutable_release_network()->mutable_network(), self);
}

/// The installation's answer; each claim has one, so it finds a network that waits for it.
outcome settle_claim(const network_state& state, const uuid& self,
                     const v1::NetworkCommand::SettleClaim& answer) {
  decision made;
  const bool is_wanted = state.stage == network_stage::requested;
  if (!is_wanted && state.stage != network_stage::withdrawn)
    return made;
  if (answer.code() == 0) {
    add_event(made)->mutable_claim_granted();
    if (is_wanted)
      end_job(made, state, step_granted);
    else
      release_prefix(made, state, self);
    return made;
  }
  auto* refused = add_event(made)->mutable_claim_refused();
  refused->set_code(answer.code());
  refused->set_text(answer.text());
  if (is_wanted)
    end_job(made, state, v1::Job::FAILED, {static_cast<error_code>(answer.code()), answer.text()});
  else
    end_job(made, state, step_removed);
  leave(made, state, self);
  return made;
}

outcome settle_release(const network_state& state, const uuid& self) {
  decision made;
  if (state.stage != network_stage::releasing)
    return made;
  end_job(made, state, step_removed);
  leave(made, state, self);
  return made;
}

outcome remove(const network_state& state, const uuid& self, const context& with) {
  if (state.job && state.job->kind == v1::NETWORK_DELETE)
    return busy_with(*state.job, "network '" + state.name + "'", "wait for it");
  if (const auto held = state.addresses_of.size(); held > 0)
    return refuse(error_code::conflict, "network '" + state.name + "' has given " +
                                            std::to_string(held) +
                                            (held == 1 ? " address to a VM" : " addresses to VMs") +
                                            ": delete what is in it first");
  decision made;
  end_job(made, state, v1::Job::CANCELLED,
          {error_code::superseded, "a newer request replaced it: network.delete"});
  if (state.stage == network_stage::requested || state.stage == network_stage::ready)
    add_event(made)->mutable_removal_requested();
  if (state.stage == network_stage::ready)
    release_prefix(made, state, self);
  begin_job(made, v1::NETWORK_DELETE, state.generation + 1, with);
  return made;
}

outcome set_guests(const network_state& state, const v1::NetworkCommand::SetGuests& change) {
  const auto wanted = changed(*state.guests, change);
  const bool has_ipv6 = std::ranges::any_of(
      state.subnets, [](const subnet_state& one) { return one.prefix6.has_value(); });
  if (auto checked = check_guests(wanted, has_ipv6); !checked)
    return checked.error();
  decision made;
  if (!google::protobuf::util::MessageDifferencer::Equals(*state.guests, wanted))
    *add_event(made)->mutable_guests_changed()->mutable_guests() = wanted;
  return made;
}

outcome pass_deadline(const network_state& state, const v1::NetworkCommand::PassDeadline& passed,
                      const context& with) {
  decision made;
  if (!state.job || state.job->generation != passed.generation() || with.now < state.job->deadline)
    return made;
  const std::string what = state.job->kind == v1::NETWORK_DELETE
                               ? "the network goes when the answer comes"
                               : "the network becomes ready, or goes, when the answer comes; "
                                 "`orrery network delete " +
                                     state.name + "` takes it back";
  end_job(made, state, v1::Job::FAILED,
          {error_code::timed_out, "partition " + to_text(state.installation.partition()) +
                                      ", which holds the address space, has not answered within " +
                                      std::to_string(network_patience.count()) +
                                      " s (`orrery status` shows who owns it): " + what});
  return made;
}

} // namespace

outcome decide(const network_state* state, const uuid& self, const v1::NetworkCommand& command,
               const context& with) {
  if (command.body_case() == v1::NetworkCommand::kCreate)
    return create(state, self, command.create(), with);
  if (state == nullptr)
    return refuse(error_code::not_found, "there is no such network");
  switch (command.body_case()) {
  case v1::NetworkCommand::kAssignAddress:
    return assign(*state, self, command.assign_address(), with);
  case v1::NetworkCommand::kReleaseAddress:
    return release(*state, command.release_address(), with);
  case v1::NetworkCommand::kSettleClaim:
    return settle_claim(*state, self, command.settle_claim());
  case v1::NetworkCommand::kRemove:
    return remove(*state, self, with);
  case v1::NetworkCommand::kSettleRelease:
    return settle_release(*state, self);
  case v1::NetworkCommand::kPassDeadline:
    return pass_deadline(*state, command.pass_deadline(), with);
  case v1::NetworkCommand::kSetLabels:
    return set_labels(state->labels, command.set_labels(), add_event);
  case v1::NetworkCommand::kReserveRanges:
    return reserve(*state, command.reserve_ranges());
  case v1::NetworkCommand::kFreeRanges:
    return free(*state, command.free_ranges());
  case v1::NetworkCommand::kSetQuarantine:
    return set_quarantine(*state, command.set_quarantine().seconds());
  case v1::NetworkCommand::kSetGuests:
    return set_guests(*state, command.set_guests());
  case v1::NetworkCommand::kCreate:
  case v1::NetworkCommand::BODY_NOT_SET:
    break;
  }
  return refuse(error_code::invalid_argument, "an empty command for a network");
}

void evolve(network_state& state, const v1::NetworkEvent& event, utc_time decided_at) {
  ++state.version;
  switch (event.body_case()) {
  case v1::NetworkEvent::kCreated:
    state.cluster = from_proto(event.created().cluster());
    state.name = event.created().name();
    state.mode = event.created().mode();
    state.installation = from_proto(event.created().installation());
    break;
  case v1::NetworkEvent::kSubnetAdded:
  case v1::NetworkEvent::kAddressAssigned:
  case v1::NetworkEvent::kAddressReleased:
  case v1::NetworkEvent::kRangesReserved:
  case v1::NetworkEvent::kRangesFreed:
  case v1::NetworkEvent::kQuarantineChanged:
    evolve_addresses(state, event);
    break;
  case v1::NetworkEvent::kJobStarted:
    state.job = begun_by(event.job_started(), decided_at);
    state.generation = state.job->generation;
    break;
  case v1::NetworkEvent::kJobEnded:
    state.job.reset();
    break;
  case v1::NetworkEvent::kClaimGranted:
    state.stage =
        state.stage == network_stage::requested ? network_stage::ready : network_stage::releasing;
    break;
  case v1::NetworkEvent::kRemovalRequested:
    state.stage = state.stage == network_stage::requested ? network_stage::withdrawn
                                                          : network_stage::releasing;
    break;
  case v1::NetworkEvent::kRemoved:
    state.removed = true;
    break;
  case v1::NetworkEvent::kGuestsChanged:
    state.guests = std::make_shared<const v1::GuestSettings>(event.guests_changed().guests());
    break;
  case v1::NetworkEvent::kLabelsChanged:
    change(state.labels, event.labels_changed());
    break;
  case v1::NetworkEvent::kClaimRefused: // its end stands beside it
  case v1::NetworkEvent::BODY_NOT_SET:
    break;
  }
}

std::optional<timer> next_timer(const network_state& state) {
  if (!state.job || state.removed)
    return std::nullopt;
  timer next;
  next.due = state.job->deadline;
  next.command.mutable_network()->mutable_pass_deadline()->set_generation(state.job->generation);
  return next;
}

void network_state::complete() {
  std::vector<std::pair<std::uint64_t, uuid>> nics;
  nics.reserve(addresses_of.size());
  addresses_of.for_each(
      [&nics](const uuid& nic, const ipv4_prefix&) { nics.emplace_back(mac_bits_of(nic), nic); });
  nic_of_mac_bits = persistent_map<std::uint64_t, uuid>::of(std::move(nics));
}

} // namespace orrery::domain
