#include "events/domain/installation.hpp"

#include "events/core/text.hpp"

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

outcome add_cluster(const installation_state& state,
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
  decision made;
  auto* named = add_event(made)->mutable_cluster_named();
  *named->mutable_cluster() = command.cluster();
  named->set_name(command.name());
  auto& create = made.messages.emplace_back();
  create.entity = from_proto(command.cluster());
  auto* body = create.command.mutable_cluster()->mutable_create();
  body->set_name(command.name());
  body->set_kind(command.kind());
  made.subject = create.entity;
  return made;
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

outcome decide(const installation_state* state, const v1::InstallationCommand& command,
               const context& with) {
  if (command.body_case() == v1::InstallationCommand::kFound)
    return found(state, command.found());
  if (state == nullptr)
    return refuse(error_code::not_found, "the installation is not founded yet");
  switch (command.body_case()) {
  case v1::InstallationCommand::kAddCluster:
    return add_cluster(*state, command.add_cluster(), with);
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
  case v1::InstallationEvent::kClockTrusted:
  case v1::InstallationEvent::BODY_NOT_SET:
    break;
  }
}

void write(state_bytes& out, const installation_state& state) {
  out.add(static_cast<std::uint64_t>(state.edition));
  out.add(state.cluster_names.size());
  state.cluster_names.for_each([&out](const std::string& name, const uuid& cluster) {
    out.add(name);
    out.add(cluster);
  });
  out.add(state.version);
}

} // namespace orrery::domain
