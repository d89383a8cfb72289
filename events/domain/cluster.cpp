#include "events/domain/cluster.hpp"

#include "events/core/text.hpp"
#include "events/domain/ipv6.hpp"
#include "events/domain/nic.hpp"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

namespace orrery::domain {

namespace {

v1::ClusterEvent* add_event(decision& made) { return made.events.emplace_back().mutable_cluster(); }

const kind_policy& policy_of(const cluster_state& state, const context& with) {
  return (*with.policies)[static_cast<std::size_t>(state.kind)];
}

error not_supported(const cluster_state& state, const context& with, std::string_view capability) {
  const std::string kind(policy_of(state, with).name);
  return refuse(error_code::unsupported, "cluster '" + state.name +
                                             "' cannot do it: the capability table says '" +
                                             std::string(capability) + "' is not there on " + kind +
                                             " (GET /v1/hypervisors shows the table)");
}

outcome add_node(const cluster_state& state, const uuid& self,
                 const v1::ClusterCommand::AddNode& command, const context& with) {
  if (auto named = check_name("node", command.name()); !named)
    return named.error();
  if (state.node_names.contains(command.name()))
    return refuse(error_code::already_exists, "cluster '" + state.name + "' has a node '" +
                                                  command.name() +
                                                  "' already: choose another name");
  if (!policy_of(state, with).driver_present)
    return refuse(error_code::unsupported,
                  "this version has no driver for " + std::string(policy_of(state, with).name) +
                      " nodes: cluster '" + state.name + "' cannot take any");
  decision made;
  auto* joined = add_event(made)->mutable_node_joined();
  *joined->mutable_node() = command.node();
  joined->set_name(command.name());
  auto& create = made.messages.emplace_back();
  create.entity = from_proto(command.node());
  auto* body = create.command.mutable_node()->mutable_register_();
  set(body->mutable_cluster(), self);
  body->set_name(command.name());
  *body->mutable_endpoint() = command.endpoint();
  body->set_vcpus(command.vcpus());
  body->set_memory_mib(command.memory_mib());
  body->set_kind(state.kind);
  made.subject = create.entity;
  return made;
}

/// `prefix_of` a network of the cluster: nothing, or a pointer to a prefix as `prefix`.
template <class Prefix, class PrefixOf>
result<void> check_prefix(const cluster_state& state, const Prefix& prefix, PrefixOf prefix_of) {
  result<void> checked;
  state.networks.for_each([&](const uuid&, const cluster_network& other) {
    const Prefix* held = prefix_of(other);
    if (checked && held != nullptr && held->overlaps(prefix))
      checked = refuse(error_code::conflict, to_text(prefix) + " overlaps " + to_text(*held) +
                                                 " of network '" + other.name +
                                                 "': choose another prefix");
  });
  return checked;
}

result<void> check_prefixes(const cluster_state& state, const ipv4_prefix& prefix,
                            const std::optional<ipv6_prefix>& prefix6) {
  auto checked =
      check_prefix(state, prefix, [](const cluster_network& other) { return &other.prefix; });
  if (checked && prefix6)
    checked = check_prefix(state, *prefix6, [](const cluster_network& other) {
      return other.prefix6 ? &*other.prefix6 : nullptr;
    });
  return checked;
}

outcome add_network(const cluster_state& state, const uuid& self,
                    const v1::ClusterCommand::AddNetwork& command, const context& with) {
  if (auto named = check_name("network", command.name()); !named)
    return named.error();
  if (!policy_of(state, with).network_pvip)
    return not_supported(state, with, "network_pvip");
  if (state.network_names.contains(command.name()))
    return refuse(error_code::already_exists, "cluster '" + state.name + "' has a network '" +
                                                  command.name() +
                                                  "' already: choose another name");
  const ipv4_prefix prefix{ipv4{command.prefix()},
                           static_cast<std::uint8_t>(std::min(command.prefix_length(), 32U))};
  if (auto checked = check_prefixes(state, prefix, prefix6_of(command)); !checked)
    return checked.error();
  decision made;
  auto* joined = add_event(made)->mutable_network_joined();
  *joined->mutable_network() = command.network();
  joined->set_name(command.name());
  joined->set_prefix(command.prefix());
  joined->set_prefix_length(command.prefix_length());
  if (command.has_prefix6())
    *joined->mutable_prefix6() = command.prefix6();
  auto& create = made.messages.emplace_back();
  create.entity = from_proto(command.network());
  auto* body = create.command.mutable_network()->mutable_create();
  set(body->mutable_cluster(), self);
  body->set_name(command.name());
  *body->mutable_subnet() = command.subnet();
  body->set_prefix(command.prefix());
  body->set_prefix_length(command.prefix_length());
  body->set_gateway(command.gateway());
  body->set_quarantine_seconds(command.quarantine_seconds());
  if (command.has_prefix6())
    *body->mutable_prefix6() = command.prefix6();
  if (command.has_guests())
    *body->mutable_guests() = command.guests();
  set(body->mutable_installation(), state.installation);
  made.subject = create.entity;
  made.has_job = true;
  return made;
}

result<void> check_vm(const cluster_state& state, const v1::ClusterCommand::PlaceVm& command,
                      const context& with) {
  if (auto named = check_name("vm", command.name()); !named)
    return named;
  if (command.vcpus() < 1 || command.vcpus() > vm_vcpus_max)
    return refuse(error_code::invalid_argument, "a VM needs 1 to " + std::to_string(vm_vcpus_max) +
                                                    " vcpus, not " +
                                                    std::to_string(command.vcpus()));
  if (command.memory_mib() < vm_memory_mib_min || command.memory_mib() > vm_memory_mib_max)
    return refuse(error_code::invalid_argument, "a VM needs " + std::to_string(vm_memory_mib_min) +
                                                    " to " + std::to_string(vm_memory_mib_max) +
                                                    " MiB of memory, not " +
                                                    std::to_string(command.memory_mib()));
  if (auto checked = check_rate(command.bits_a_second_max()); !checked)
    return checked;
  if (!policy_of(state, with).direct_kernel_boot)
    return not_supported(state, with, "direct_kernel_boot");
  if (!policy_of(state, with).linux_guest)
    return not_supported(state, with, "linux_guest");
  if (!state.networks.contains(from_proto(command.network())))
    return refuse(error_code::not_found, "cluster '" + state.name + "' has no such network");
  if (state.vm_names.contains(command.name()))
    return refuse(error_code::already_exists, "cluster '" + state.name + "' has a VM '" +
                                                  command.name() +
                                                  "' already: choose another name");
  return {};
}

bool has_image(const cluster_node& node, const std::string& image) {
  return std::ranges::binary_search(node.images, image);
}

bool has_room(const cluster_node& node, vcpu_count vcpus, mib memory) {
  return node.vcpus_taken + vcpus <= node.vcpus && node.memory_taken + memory <= node.memory;
}

/// The node in sight that has the image and the most free memory; the lowest id among equals.
struct choice {
  uuid node;
  mib memory_free;
  bool any_connected = false;
  bool any_image = false;
};

choice choose_node(const cluster_state& state, const std::string& image, vcpu_count vcpus,
                   mib memory) {
  choice best;
  state.nodes.for_each([&](const uuid& node, const cluster_node& seen) {
    if (!seen.connected)
      return;
    best.any_connected = true;
    if (!has_image(seen, image))
      return;
    best.any_image = true;
    if (!has_room(seen, vcpus, memory))
      return;
    const auto memory_free = seen.memory - seen.memory_taken;
    if (best.node.is_none() || memory_free > best.memory_free) {
      best.node = node;
      best.memory_free = memory_free;
    }
  });
  return best;
}

std::string list_images(const cluster_state& state) {
  std::vector<std::string> names;
  state.nodes.for_each([&names](const uuid&, const cluster_node& node) {
    names.insert(names.end(), node.images.begin(), node.images.end());
  });
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  constexpr std::size_t names_shown_max = 10; // an error text is read by a person
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), names_shown_max); ++i)
    text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > names_shown_max)
    text += ", …";
  return text.empty() ? "none" : text;
}

error no_place(const cluster_state& state, const v1::ClusterCommand::PlaceVm& command,
               const choice& best) {
  if (!best.any_connected)
    return refuse(error_code::unavailable,
                  "cluster '" + state.name + "' has no node in sight: `orrery node list` shows why",
                  true);
  if (!best.any_image)
    return refuse(error_code::image_unknown, "no node in sight of cluster '" + state.name +
                                                 "' has the image '" +
                                                 printable(command.image(), image_name_size_max) +
                                                 "'; there are: " + list_images(state));
  return refuse(error_code::capacity_exhausted,
                "no node of cluster '" + state.name + "' has " + std::to_string(command.vcpus()) +
                    " vcpus and " + std::to_string(command.memory_mib()) +
                    " MiB free: delete a VM, ask for less, or add a node",
                true);
}

outcome place_vm(const cluster_state& state, const uuid& self,
                 const v1::ClusterCommand::PlaceVm& command, const context& with) {
  if (auto checked = check_vm(state, command, with); !checked)
    return checked.error();
  if (auto labels = labels_of(command.labels()); !labels)
    return labels.error();
  const auto best =
      choose_node(state, command.image(), vcpu_count{command.vcpus()}, mib{command.memory_mib()});
  if (best.node.is_none())
    return no_place(state, command, best);
  decision made;
  made.subject = from_proto(command.vm());
  made.has_job = true;
  auto* placed = add_event(made)->mutable_vm_placed();
  *placed->mutable_vm() = command.vm();
  placed->set_name(command.name());
  set(placed->mutable_node(), best.node);
  placed->set_vcpus(command.vcpus());
  placed->set_memory_mib(command.memory_mib());

  auto& create = made.messages.emplace_back();
  create.entity = from_proto(command.vm());
  auto* body = create.command.mutable_vm()->mutable_create();
  set(body->mutable_cluster(), self);
  set(body->mutable_node(), best.node);
  *body->mutable_network() = command.network();
  *body->mutable_nic() = command.nic();
  body->set_name(command.name());
  body->set_image(command.image());
  body->set_vcpus(command.vcpus());
  body->set_memory_mib(command.memory_mib());
  body->set_kind(state.kind);
  *body->mutable_labels() = command.labels();
  body->set_bits_a_second_max(command.bits_a_second_max());

  auto& assign = made.messages.emplace_back();
  assign.entity = from_proto(command.network());
  auto* address = assign.command.mutable_network()->mutable_assign_address();
  *address->mutable_nic() = command.nic();
  *address->mutable_vm() = command.vm();
  address->set_address(command.address());
  return made;
}

outcome note_node(const cluster_state& state, const v1::ClusterCommand::NoteNode& command) {
  decision made;
  const auto* known = state.nodes.find(from_proto(command.node()));
  if (known == nullptr)
    return refuse(error_code::not_found, "cluster '" + state.name + "' has no such node");
  const std::vector<std::string> images(command.images().begin(), command.images().end());
  if (known->connected == command.connected() && known->vcpus.count == command.vcpus() &&
      known->memory.count == command.memory_mib() && known->images == images)
    return made;
  auto* noted = add_event(made)->mutable_node_noted();
  *noted->mutable_node() = command.node();
  noted->set_connected(command.connected());
  noted->set_vcpus(command.vcpus());
  noted->set_memory_mib(command.memory_mib());
  *noted->mutable_images() = command.images();
  return made;
}

outcome release_vm(const cluster_state& state, const v1::ClusterCommand::ReleaseVm& command) {
  decision made;
  if (!state.placements.contains(from_proto(command.vm())))
    return refuse(error_code::internal, "cluster '" + state.name + "' holds nothing for that VM");
  *add_event(made)->mutable_vm_released()->mutable_vm() = command.vm();
  return made;
}

outcome release_network(const cluster_state& state,
                        const v1::ClusterCommand::ReleaseNetwork& command) {
  decision made;
  if (!state.networks.contains(from_proto(command.network())))
    return refuse(error_code::internal, "cluster '" + state.name + "' has no such network");
  *add_event(made)->mutable_network_left()->mutable_network() = command.network();
  return made;
}

/// Whether nodes of the cluster's kind can speak it, by the capability table.
result<void> check_protocol(const cluster_state& state, v1::Upstream::ProtocolCase protocol,
                            const context& with) {
  const auto& policy = policy_of(state, with);
  switch (protocol) {
  case v1::Upstream::kArp:
    return policy.upstream_arp ? result<void>() : not_supported(state, with, "upstream_static");
  case v1::Upstream::kBgp:
    return policy.upstream_bgp ? result<void>() : not_supported(state, with, "upstream_bgp");
  case v1::Upstream::kOspf:
    return policy.upstream_ospf ? result<void>() : not_supported(state, with, "upstream_ospf");
  case v1::Upstream::PROTOCOL_NOT_SET:
    break;
  }
  return {};
}

/// What is said in it was looked at where it came in, and the node looks again.
outcome set_upstream(const cluster_state& state, const v1::ClusterCommand::SetUpstream& command,
                     const context& with) {
  const auto& wanted = command.upstream();
  if (auto checked = check_protocol(state, wanted.protocol_case(), with); !checked)
    return checked.error();
  decision made;
  if (!google::protobuf::util::MessageDifferencer::Equals(*state.upstream, wanted))
    *add_event(made)->mutable_upstream_changed()->mutable_upstream() = wanted;
  return made;
}

outcome create(const cluster_state* state, const v1::ClusterCommand::Create& command) {
  if (state != nullptr)
    return refuse(error_code::already_exists, "there is a cluster with that id already");
  decision made;
  auto* created = add_event(made)->mutable_created();
  created->set_name(command.name());
  created->set_kind(command.kind());
  *created->mutable_installation() = command.installation();
  return made;
}

void place(cluster_state& state, const v1::ClusterEvent::VmPlaced& event) {
  const auto vm = from_proto(event.vm());
  const auto node = from_proto(event.node());
  const placement held{event.name(), node, vcpu_count{event.vcpus()}, mib{event.memory_mib()}};
  state.placements.put(vm, held);
  state.vm_names.put(event.name(), vm);
  if (auto* known = state.nodes.edit(node)) {
    known->vcpus_taken += held.vcpus;
    known->memory_taken += held.memory;
  }
}

void release(cluster_state& state, const uuid& vm) {
  const auto* found = state.placements.find(vm);
  if (found == nullptr)
    return;
  const auto held = *found;
  if (auto* known = state.nodes.edit(held.node)) {
    known->vcpus_taken -= held.vcpus;
    known->memory_taken -= held.memory;
  }
  state.vm_names.erase(held.name);
  state.placements.erase(vm);
}

void leave(cluster_state& state, const uuid& network) {
  if (const auto* left = state.networks.find(network))
    state.network_names.erase(std::string(left->name));
  state.networks.erase(network);
}

void note(cluster_state& state, const v1::ClusterEvent::NodeNoted& event) {
  const auto node = from_proto(event.node());
  const auto* known = state.nodes.find(node);
  auto changed = known != nullptr ? *known : cluster_node{};
  changed.connected = event.connected();
  changed.vcpus = vcpu_count{event.vcpus()};
  changed.memory = mib{event.memory_mib()};
  changed.images.assign(event.images().begin(), event.images().end());
  state.nodes.put(node, std::move(changed));
}

} // namespace

outcome decide(const cluster_state* state, const uuid& self, const v1::ClusterCommand& command,
               const context& with) {
  if (command.body_case() == v1::ClusterCommand::kCreate)
    return create(state, command.create());
  if (state == nullptr)
    return refuse(error_code::not_found, "there is no such cluster");
  switch (command.body_case()) {
  case v1::ClusterCommand::kAddNode:
    return add_node(*state, self, command.add_node(), with);
  case v1::ClusterCommand::kAddNetwork:
    return add_network(*state, self, command.add_network(), with);
  case v1::ClusterCommand::kPlaceVm:
    return place_vm(*state, self, command.place_vm(), with);
  case v1::ClusterCommand::kNoteNode:
    return note_node(*state, command.note_node());
  case v1::ClusterCommand::kReleaseVm:
    return release_vm(*state, command.release_vm());
  case v1::ClusterCommand::kReleaseNetwork:
    return release_network(*state, command.release_network());
  case v1::ClusterCommand::kSetLabels:
    return set_labels(state->labels, command.set_labels(), add_event);
  case v1::ClusterCommand::kSetUpstream:
    return set_upstream(*state, command.set_upstream(), with);
  case v1::ClusterCommand::kCreate:
  case v1::ClusterCommand::BODY_NOT_SET:
    break;
  }
  return refuse(error_code::invalid_argument, "an empty command for a cluster");
}

void evolve(cluster_state& state, const v1::ClusterEvent& event) {
  ++state.version;
  switch (event.body_case()) {
  case v1::ClusterEvent::kCreated:
    state.name = event.created().name();
    state.kind = event.created().kind();
    state.installation = from_proto(event.created().installation());
    break;
  case v1::ClusterEvent::kNodeJoined: {
    cluster_node joined;
    joined.name = event.node_joined().name();
    state.nodes.put(from_proto(event.node_joined().node()), std::move(joined));
    state.node_names.put(event.node_joined().name(), from_proto(event.node_joined().node()));
    break;
  }
  case v1::ClusterEvent::kNodeNoted:
    note(state, event.node_noted());
    break;
  case v1::ClusterEvent::kNetworkJoined: {
    const auto& joined = event.network_joined();
    state.networks.put(
        from_proto(joined.network()),
        cluster_network{joined.name(),
                        {ipv4{joined.prefix()}, static_cast<std::uint8_t>(joined.prefix_length())},
                        prefix6_of(joined)});
    state.network_names.put(joined.name(), from_proto(joined.network()));
    break;
  }
  case v1::ClusterEvent::kNetworkLeft:
    leave(state, from_proto(event.network_left().network()));
    break;
  case v1::ClusterEvent::kVmPlaced:
    place(state, event.vm_placed());
    break;
  case v1::ClusterEvent::kVmReleased:
    release(state, from_proto(event.vm_released().vm()));
    break;
  case v1::ClusterEvent::kLabelsChanged:
    change(state.labels, event.labels_changed());
    break;
  case v1::ClusterEvent::kUpstreamChanged:
    state.upstream = std::make_shared<const v1::Upstream>(event.upstream_changed().upstream());
    break;
  case v1::ClusterEvent::BODY_NOT_SET:
    break;
  }
}

void cluster_state::complete() {
  const auto names_in = [](const auto& things) {
    std::vector<std::pair<std::string, uuid>> names;
    names.reserve(things.size());
    things.for_each(
        [&names](const uuid& id, const auto& one) { names.emplace_back(one.name, id); });
    return persistent_map<std::string, uuid>::of(std::move(names));
  };
  node_names = names_in(nodes);
  network_names = names_in(networks);
  vm_names = names_in(placements);
}

} // namespace orrery::domain
