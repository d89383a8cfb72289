#include "projections/views.hpp"

#include "events/core/guest_port.hpp"
#include "events/core/net.hpp"
#include "events/domain/guest_settings.hpp"
#include "events/domain/nic.hpp"
#include "events/domain/subnet.hpp"

#include <algorithm>

namespace orrery::projections {

namespace {

constexpr std::int64_t micros_per_second = 1'000'000;
constexpr std::int64_t nanos_per_micro = 1'000;

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return text;
}

v1::Vm::Desired desired_of(domain::desired_state state) {
  switch (state) {
  case domain::desired_state::running:
    return v1::Vm::RUNNING;
  case domain::desired_state::stopped:
    return v1::Vm::STOPPED;
  case domain::desired_state::deleted:
    return v1::Vm::DELETED;
  }
  return v1::Vm::DESIRED_UNSPECIFIED;
}

void fill(v1::VmObserved* target, const domain::vm_state& state) {
  const auto& observed = state.observed;
  target->set_state(observed.state);
  target->set_cause(observed.cause);
  set_time(target->mutable_at(), observed.at);
  target->set_reason(observed.reason);
  // A connection's epoch counts from 1: before the first observation there is no source.
  if (observed.epoch > 0)
    target->mutable_source()->set_id(to_text(node_id{state.node}));
}

void fill(v1::Activity* target, const domain::activity& job) {
  target->set_job(to_text(job_id{job.job}));
  target->set_kind(std::string(domain::name_of(job.kind)));
  target->set_step(job.step);
  set_time(target->mutable_started_at(), job.started_at);
  set_time(target->mutable_deadline(), job.deadline);
}

v1::Network::State state_of(domain::network_stage stage) {
  switch (stage) {
  case domain::network_stage::requested:
    return v1::Network::REQUESTED;
  case domain::network_stage::ready:
    return v1::Network::READY;
  case domain::network_stage::withdrawn:
  case domain::network_stage::releasing:
    return v1::Network::REMOVING;
  }
  return v1::Network::STATE_UNSPECIFIED;
}

void fill_activity(v1::Vm& made, const domain::vm_state& state) {
  if (state.job) {
    fill(made.mutable_activity(), *state.job);
  } else if (state.desired == domain::desired_state::deleted && !state.removed) {
    made.mutable_activity()->set_kind(std::string(cleanup_kind));
    made.mutable_activity()->set_step("removing");
  }
}

/// The same in every view.
template <class View> void set_labels(View& made, const domain::label_list& labels) {
  for (const auto& one : labels)
    (*made.mutable_labels())[one.key] = one.value;
}

void set_further(v1::Vm& made, const domain::nic_state& nic) {
  for (const auto& one : nic.further)
    for (const auto& prefix : domain::prefixes_of(one)) {
      made.add_further_addresses(domain::text_of(prefix));
      if (one.is_leaving)
        made.add_leaving_addresses(domain::text_of(prefix));
    }
}

} // namespace

v1::Vm view(const uuid& id, const domain::vm_state& state) {
  v1::Vm made;
  made.set_id(to_text(vm_id{id}));
  made.set_name(state.name);
  made.mutable_cluster()->set_id(to_text(cluster_id{state.cluster}));
  made.mutable_node()->set_id(to_text(node_id{state.node}));
  made.mutable_network()->set_id(to_text(network_id{state.network}));
  made.set_image(state.image);
  made.set_vcpus(state.vcpus.count);
  made.set_memory_mib(state.memory.count);
  if (state.nic.has_address()) {
    made.set_address(to_text(state.nic.address));
    made.set_gateway(to_text(state.nic.gateway));
    made.set_mac(to_text(state.nic.mac));
  }
  if (state.nic.has_address6()) {
    made.set_address6(to_text(state.nic.address6));
    made.set_gateway6(to_text(gateway6));
  }
  made.set_bits_a_second_max(state.nic.bits_a_second_max);
  set_further(made, state.nic);
  if (!state.nic.nic.is_none())
    made.set_link(domain::link_of(state.nic.nic));
  made.set_desired(desired_of(state.desired));
  fill(made.mutable_observed(), state);
  fill_activity(made, state);
  set_time(made.mutable_created_at(), state.created_at);
  made.set_generation(state.generation.count);
  made.set_version(state.version);
  set_labels(made, state.labels);
  return made;
}

v1::Cluster view(const uuid& id, const domain::cluster_state& state) {
  v1::Cluster made;
  made.set_id(to_text(cluster_id{id}));
  made.set_name(state.name);
  made.set_hypervisor(name_of(state.kind));
  made.set_nodes(static_cast<std::uint32_t>(state.nodes.size()));
  made.set_vms(static_cast<std::uint32_t>(state.placements.size()));
  vcpu_count vcpus_offered;
  vcpu_count vcpus_taken;
  mib memory_offered;
  mib memory_taken;
  state.nodes.for_each([&](const uuid&, const domain::cluster_node& node) {
    if (node.connected) {
      vcpus_offered += node.vcpus;
      memory_offered += node.memory;
    }
    vcpus_taken += node.vcpus_taken;
    memory_taken += node.memory_taken;
  });
  made.set_vcpus_offered(vcpus_offered.count);
  made.set_vcpus_taken(vcpus_taken.count);
  made.set_memory_mib_offered(memory_offered.count);
  made.set_memory_mib_taken(memory_taken.count);
  made.set_version(state.version);
  set_labels(made, state.labels);
  if (state.upstream->protocol_case() != v1::Upstream::PROTOCOL_NOT_SET)
    *made.mutable_upstream() = *state.upstream;
  return made;
}

v1::Node view(const uuid& id, const domain::node_state& state) {
  v1::Node made;
  made.set_id(to_text(node_id{id}));
  made.set_name(state.name);
  made.mutable_cluster()->set_id(to_text(cluster_id{state.cluster}));
  if (state.connected)
    made.set_state(v1::Node::CONNECTED);
  else
    made.set_state(state.ever_connected ? v1::Node::UNREACHABLE : v1::Node::REGISTERED);
  made.set_reason(state.lost_reason);
  made.set_hypervisor(state.hypervisor);
  made.set_vcpus(state.vcpus.count);
  made.set_memory_mib(state.memory.count);
  for (const auto& image : state.images)
    made.add_images(image);
  made.mutable_endpoint()->set_libvirt_socket(state.libvirt_socket);
  made.mutable_endpoint()->set_network_namespace(state.network_namespace);
  if (state.ever_connected)
    set_time(made.mutable_seen_until(), state.seen_until);
  made.set_version(state.version);
  set_labels(made, state.labels);
  for (const auto& one : state.upstream) {
    auto* shown = made.add_upstream();
    shown->set_router(one.router);
    shown->set_established(one.established);
    shown->set_reason(one.reason);
  }
  made.set_upstream_problem(state.upstream_problem);
  return made;
}

v1::Network view(const uuid& id, const domain::network_state& state) {
  v1::Network made;
  made.set_id(to_text(network_id{id}));
  made.set_name(state.name);
  made.mutable_cluster()->set_id(to_text(cluster_id{state.cluster}));
  if (state.mode != v1::NetworkEvent::MODE_UNSPECIFIED)
    made.set_mode(lower_case(v1::NetworkEvent::Mode_Name(state.mode)));
  for (const auto& subnet : state.subnets) {
    auto* shown = made.add_subnets();
    shown->set_id(to_text(subnet_id{subnet.subnet}));
    shown->set_prefix(to_text(subnet.prefix));
    shown->set_gateway(to_text(subnet.gateway));
    if (subnet.prefix6)
      shown->set_prefix6(to_text(*subnet.prefix6));
    const auto taken = static_cast<std::uint32_t>(subnet.taken.size());
    const auto reserved = domain::reserved_size_of(subnet);
    const auto all = domain::size_of(subnet);
    shown->set_addresses_free(all > taken + reserved ? all - taken - reserved : 0);
    shown->set_addresses_taken(taken);
    shown->set_addresses_reserved(reserved);
    for (const auto& range : subnet.reserved) {
      auto* one = shown->add_reserved();
      one->set_first(to_text(range.addresses.first));
      one->set_last(to_text(range.addresses.last));
      one->set_note(range.note);
    }
  }
  made.set_state(state_of(state.stage));
  if (state.job)
    fill(made.mutable_activity(), *state.job);
  made.set_version(state.version);
  set_labels(made, state.labels);
  made.set_quarantine_seconds(state.quarantine_seconds);
  made.set_mtu(domain::mtu_of(*state.guests));
  for (auto& server : domain::name_server_texts(*state.guests))
    made.add_name_servers(std::move(server));
  made.set_classless_routes(state.guests->classless_routes());
  return made;
}

v1::Installation view(const uuid& id, const domain::installation_state& state) {
  v1::Installation made;
  made.set_id(to_text(installation_id{id}));
  made.set_edition(std::string(domain::name_of(state.edition)));
  made.set_clusters(static_cast<std::uint32_t>(state.cluster_names.size()));
  made.set_clusters_max(state.clusters_max);
  made.set_prefixes(static_cast<std::uint32_t>(state.prefixes.size()));
  made.set_prefixes_max(state.prefixes_max);
  made.set_version(state.version);
  return made;
}

v1::Job view(const v1::JobEvent::Started& started, std::string_view resource,
             std::string_view resource_name, std::string_view who_asked, utc_time at) {
  v1::Job made;
  made.set_id(to_text(job_id{domain::from_proto(started.job())}));
  made.set_kind(std::string(domain::name_of(started.kind())));
  made.set_resource(std::string(resource));
  made.set_resource_name(std::string(resource_name));
  made.set_state(v1::Job::RUNNING);
  auto* step = made.add_steps();
  step->set_name("accepted");
  set_time(step->mutable_at(), at);
  set_time(made.mutable_started_at(), at);
  set_time(made.mutable_deadline(), from_micros(started.deadline()));
  made.set_who(std::string(who_asked));
  return made;
}

std::string resource_text(std::string_view noun, const uuid& id) {
  if (noun.empty() || noun == "unknown")
    return to_text(id);
  return std::string(noun) + "_" + to_text(id);
}

std::string who(const v1::Principal& principal) {
  if (principal.kind() == v1::Principal::OPERATOR)
    return principal.name().empty() ? "operator" : principal.name();
  if (principal.kind() == v1::Principal::KIND_UNSPECIFIED)
    return principal.name();
  auto text = lower_case(v1::Principal::Kind_Name(principal.kind()));
  return principal.name().empty() ? text : text + " " + principal.name();
}

std::string name_of(v1::HypervisorKind kind) {
  if (kind == v1::HYPERVISOR_KIND_UNSPECIFIED)
    return "unknown";
  return lower_case(v1::HypervisorKind_Name(kind));
}

void set_time(google::protobuf::Timestamp* target, utc_time when) {
  const auto micros = static_cast<std::int64_t>(to_micros(when));
  target->set_seconds(micros / micros_per_second);
  target->set_nanos(static_cast<std::int32_t>(micros % micros_per_second * nanos_per_micro));
}

utc_time from_proto(const google::protobuf::Timestamp& when) {
  return from_micros(static_cast<std::uint64_t>(when.seconds() * micros_per_second +
                                                when.nanos() / nanos_per_micro));
}

} // namespace orrery::projections
