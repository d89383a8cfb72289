#include "events/domain/installation.hpp"

#include "events/core/safety.hpp"
#include "events/core/text.hpp"
#include "events/domain/ipv6.hpp"

#include <algorithm>

namespace orrery::domain {

namespace {

v1::InstallationEvent* add_event(decision& made) {
  return made.events.emplace_back().mutable_installation();
}

outcome found(const installation_state* state, const v1::InstallationCommand::Found& command) {
  if (state != nullptr)
    return refuse(error_code::already_exists, "the installation is founded already");
  if (command.edition() == v1::EDITION_UNSPECIFIED || !v1::Edition_IsValid(command.edition()))
    return refuse(error_code::invalid_argument, "an installation needs an edition: hosting, "
                                                "single_cluster or multi_cluster");
  decision made;
  add_event(made)->mutable_founded()->set_edition(command.edition());
  return made;
}

std::string limit_text(v1::Installation::Limit limit, std::uint32_t figure) {
  const std::string name(name_of(limit));
  return "the installation has reached its limit of " + std::to_string(figure) + " " + name +
         ": raise it with `orrery installation set-limit " + name + " FIGURE`";
}

outcome add_cluster(const installation_state& state, const uuid& self,
                    const v1::InstallationCommand::AddCluster& command, const context& with) {
  if (auto named = check_name("cluster", command.name()); !named)
    return named.error();
  if (state.cluster_names.contains(command.name()))
    return refuse(error_code::already_exists,
                  "there is a cluster '" + command.name() + "' already: choose another name");
  const auto kind = static_cast<std::size_t>(command.kind());
  if (kind == 0 || kind >= with.policies->size())
    return refuse(error_code::invalid_argument, "a cluster needs a kind of hypervisor");
  const std::string kind_name((*with.policies)[kind].name);
  const std::string edition_name(name_of(state.edition));
  if (!covers(state.edition, command.kind()))
    return refuse(error_code::unsupported,
                  "edition '" + edition_name + "' does not cover " + kind_name +
                      " clusters: it needs 'single_cluster' or 'multi_cluster'");
  if (!(*with.policies)[kind].driver_present)
    return refuse(error_code::unsupported,
                  "there is no driver for " + kind_name +
                      " in this version (GET /v1/hypervisors shows which there are)");
  if (state.edition == v1::SINGLE_CLUSTER && !state.cluster_names.empty())
    return refuse(error_code::unsupported,
                  "edition 'single_cluster' covers one cluster and there is one already");
  if (state.cluster_names.size() >= state.clusters_max)
    return refuse(error_code::limit_reached,
                  limit_text(v1::Installation::CLUSTERS, state.clusters_max));
  decision made;
  auto* named = add_event(made)->mutable_cluster_named();
  *named->mutable_cluster() = command.cluster();
  named->set_name(command.name());
  auto& create = made.messages.emplace_back();
  create.entity = from_proto(command.cluster());
  auto* body = create.command.mutable_cluster()->mutable_create();
  body->set_name(command.name());
  body->set_kind(command.kind());
  set(body->mutable_installation(), self);
  made.subject = create.entity;
  return made;
}

// The address space -------------------------------------------------------------------------------

std::string cluster_name(const installation_state& state, const uuid& cluster) {
  std::string found = to_text(cluster);
  state.cluster_names.for_each([&](const std::string& name, const uuid& one) {
    if (one == cluster)
      found = name;
  });
  return found;
}

/// Why a network cannot have a prefix. All networks of today (mode pvip) are routed between
/// clusters, so a prefix is one network's in the whole installation. A mode that never leaves its
/// cluster would not ask here: its cluster alone decides, and two clusters may use the same.
result<void> check_claim(const installation_state& state,
                         const v1::InstallationCommand::ClaimPrefix& claim,
                         const ipv4_prefix& wanted) {
  result<void> checked;
  const auto refuse_overlap = [&](const auto& one, const auto& of_other, const held_prefix& held) {
    checked = refuse(error_code::conflict,
                     to_text(one) + " overlaps " + to_text(of_other) + " of network '" +
                         held.network + "' in cluster '" + cluster_name(state, held.cluster) +
                         "': choose another prefix for '" + claim.name() + "'");
  };
  const auto wanted6 = prefix6_of(claim);
  if (safety::holds(safety::line::prefix_once))
    state.prefixes.for_each([&](const uuid&, const held_prefix& held) {
      if (checked && held.prefix.overlaps(wanted))
        refuse_overlap(wanted, held.prefix, held);
      if (checked && wanted6 && held.prefix6 && held.prefix6->overlaps(*wanted6))
        refuse_overlap(*wanted6, *held.prefix6, held);
    });
  if (checked && state.prefixes.size() >= state.prefixes_max)
    checked = refuse(error_code::limit_reached,
                     limit_text(v1::Installation::PREFIXES, state.prefixes_max) +
                         ", or delete a network");
  return checked;
}

outcome claim_prefix(const installation_state& state,
                     const v1::InstallationCommand::ClaimPrefix& claim) {
  const ipv4_prefix wanted{ipv4{claim.prefix()},
                           static_cast<std::uint8_t>(std::min(claim.prefix_length(), 32U))};
  decision made;
  auto& answer = made.messages.emplace_back();
  answer.entity = from_proto(claim.network());
  auto* settled = answer.command.mutable_network()->mutable_settle_claim();
  if (const auto checked = check_claim(state, claim, wanted); !checked) {
    settled->set_code(static_cast<std::uint32_t>(checked.error().code));
    settled->set_text(checked.error().text);
    return made;
  }
  auto* granted = add_event(made)->mutable_prefix_granted();
  *granted->mutable_network() = claim.network();
  granted->set_name(claim.name());
  *granted->mutable_cluster() = claim.cluster();
  granted->set_prefix(claim.prefix());
  granted->set_prefix_length(claim.prefix_length());
  if (claim.has_prefix6())
    *granted->mutable_prefix6() = claim.prefix6();
  return made;
}

outcome release_prefix(const v1::InstallationCommand::ReleasePrefix& release) {
  decision made;
  *add_event(made)->mutable_prefix_released()->mutable_network() = release.network();
  auto& answer = made.messages.emplace_back();
  answer.entity = from_proto(release.network());
  answer.command.mutable_network()->mutable_settle_release();
  return made;
}

outcome set_limit(const v1::InstallationCommand::SetLimit& wanted) {
  if (name_of(wanted.limit()).empty())
    return refuse(error_code::invalid_argument,
                  "there is no such limit: there are clusters and prefixes");
  if (wanted.figure() < 1 || wanted.figure() > limit_figure_max)
    return refuse(error_code::invalid_argument, "a limit is a figure from 1 to " +
                                                    std::to_string(limit_figure_max) + ", not " +
                                                    std::to_string(wanted.figure()));
  decision made;
  auto* changed = add_event(made)->mutable_limit_set();
  changed->set_limit(wanted.limit());
  changed->set_figure(wanted.figure());
  return made;
}

// Evolution ---------------------------------------------------------------------------------------

void grant(installation_state& state, const v1::InstallationEvent::PrefixGranted& event) {
  state.prefixes.put(
      from_proto(event.network()),
      held_prefix{{ipv4{event.prefix()}, static_cast<std::uint8_t>(event.prefix_length())},
                  event.name(),
                  from_proto(event.cluster()),
                  prefix6_of(event)});
}

void set_limit(installation_state& state, const v1::InstallationEvent::LimitSet& event) {
  if (event.limit() == v1::Installation::CLUSTERS)
    state.clusters_max = event.figure();
  if (event.limit() == v1::Installation::PREFIXES)
    state.prefixes_max = event.figure();
}

} // namespace

bool covers(v1::Edition edition, v1::HypervisorKind kind) {
  if (kind == v1::VMWARE || kind == v1::HYPERV)
    return edition == v1::SINGLE_CLUSTER || edition == v1::MULTI_CLUSTER;
  return edition != v1::EDITION_UNSPECIFIED;
}

std::string_view name_of(v1::Edition edition) {
  switch (edition) {
  case v1::HOSTING:
    return "hosting";
  case v1::SINGLE_CLUSTER:
    return "single_cluster";
  case v1::MULTI_CLUSTER:
    return "multi_cluster";
  default:
    return "none"; // protobuf enums are open
  }
}

std::string_view name_of(v1::Installation::Limit limit) {
  switch (limit) {
  case v1::Installation::CLUSTERS:
    return "clusters";
  case v1::Installation::PREFIXES:
    return "prefixes";
  default:
    return {}; // protobuf enums are open
  }
}

outcome decide(const installation_state* state, const uuid& self,
               const v1::InstallationCommand& command, const context& with) {
  if (command.body_case() == v1::InstallationCommand::kFound)
    return found(state, command.found());
  if (state == nullptr)
    return refuse(error_code::not_found, "the installation is not founded yet");
  switch (command.body_case()) {
  case v1::InstallationCommand::kAddCluster:
    return add_cluster(*state, self, command.add_cluster(), with);
  case v1::InstallationCommand::kClaimPrefix:
    return claim_prefix(*state, command.claim_prefix());
  case v1::InstallationCommand::kReleasePrefix:
    return release_prefix(command.release_prefix());
  case v1::InstallationCommand::kSetLimit:
    return set_limit(command.set_limit());
  case v1::InstallationCommand::kTrustClock: {
    decision made;
    add_event(made)->mutable_clock_trusted();
    return made;
  }
  case v1::InstallationCommand::kFound:
  case v1::InstallationCommand::BODY_NOT_SET:
    break;
  }
  return refuse(error_code::invalid_argument, "an empty command for the installation");
}

void evolve(installation_state& state, const v1::InstallationEvent& event) {
  ++state.version;
  switch (event.body_case()) {
  case v1::InstallationEvent::kFounded:
    state.edition = event.founded().edition();
    break;
  case v1::InstallationEvent::kClusterNamed:
    state.cluster_names.put(event.cluster_named().name(),
                            from_proto(event.cluster_named().cluster()));
    break;
  case v1::InstallationEvent::kPrefixGranted:
    grant(state, event.prefix_granted());
    break;
  case v1::InstallationEvent::kPrefixReleased:
    state.prefixes.erase(from_proto(event.prefix_released().network()));
    break;
  case v1::InstallationEvent::kLimitSet:
    set_limit(state, event.limit_set());
    break;
  case v1::InstallationEvent::kClockTrusted:
  case v1::InstallationEvent::BODY_NOT_SET:
    break;
  }
}

} // namespace orrery::domain
