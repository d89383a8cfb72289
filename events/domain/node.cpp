#include "events/domain/node.hpp"

#include "events/core/text.hpp"

#include <algorithm>

namespace orrery::domain {

namespace {

/// Longest text of a hypervisor that is kept, in bytes: one line on a screen.
constexpr std::size_t hypervisor_text_size_max = 200;

/// Most boot images of one node: a provider's catalogue of kernels, not of disks.
constexpr int images_max = 1000;

v1::NodeEvent* add_event(decision& made) { return made.events.emplace_back().mutable_node(); }

/// Tells the cluster what its ledger must know.
void note_to_cluster(decision& made, const node_state& state, const uuid& self, bool connected,
                     vcpu_count vcpus, mib memory, const std::vector<std::string>& images) {
  auto& note = made.messages.emplace_back();
  note.entity = state.cluster;
  auto* body = note.command.mutable_cluster()->mutable_note_node();
  set(body->mutable_node(), self);
  body->set_connected(connected);
  body->set_vcpus(vcpus.count);
  body->set_memory_mib(memory.count);
  for (const auto& image : images)
    body->add_images(image);
}

outcome register_node(const node_state* state, const v1::NodeCommand::Register& command) {
  if (state != nullptr)
    return refuse(error_code::already_exists, "there is a node with that id already");
  decision made;
  auto* registered = add_event(made)->mutable_registered();
  *registered->mutable_cluster() = command.cluster();
  registered->set_name(command.name());
  *registered->mutable_endpoint() = command.endpoint();
  registered->set_vcpus(command.vcpus());
  registered->set_memory_mib(command.memory_mib());
  registered->set_kind(command.kind());
  return made;
}

vcpu_count offered(const node_state& state, vcpu_count threads) {
  return state.vcpus_wished.count > 0 ? state.vcpus_wished
                                      : vcpu_count{threads.count * vcpus_per_thread};
}

mib offered(const node_state& state, mib memory) {
  if (state.memory_wished.count > 0)
    return state.memory_wished;
  return mib{memory.count > memory_reserve_mib ? memory.count - memory_reserve_mib : 0};
}

std::vector<upstream_session> sessions_of(const v1::NodeEvent::UpstreamNoted& noted) {
  std::vector<upstream_session> made;
  for (const auto& one : noted.sessions())
    made.push_back({one.router(), one.established(), one.reason()});
  return made;
}

std::vector<std::string> sorted_images(const v1::NodeCommand::Hello& command) {
  std::vector<std::string> images(command.images().begin(), command.images().end());
  std::ranges::sort(images);
  images.erase(std::unique(images.begin(), images.end()), images.end());
  return images;
}

outcome hello(const node_state& state, const uuid& self, const v1::NodeCommand::Hello& command,
              const context& with) {
  if (command.images_size() > images_max)
    return refuse(error_code::too_large, "node '" + state.name + "' has more than " +
                                             std::to_string(images_max) + " images");
  decision made;
  if (state.connected && state.nonce == command.nonce())
    return made;
  const auto vcpus = offered(state, vcpu_count{command.vcpus()});
  const auto memory = offered(state, mib{command.memory_mib()});
  const auto images = sorted_images(command);
  auto* connected = add_event(made)->mutable_connected();
  made.events.back().set_effective_at(to_micros(with.now));
  connected->set_epoch(state.epoch + 1);
  connected->set_nonce(command.nonce());
  connected->set_hypervisor(printable(command.hypervisor(), hypervisor_text_size_max));
  connected->set_vcpus(vcpus.count);
  connected->set_memory_mib(memory.count);
  for (const auto& image : images)
    connected->add_images(image);
  note_to_cluster(made, state, self, true, vcpus, memory, images);
  return made;
}

outcome lose(const node_state& state, const uuid& self, const v1::NodeCommand::Lose& command,
             const context& with) {
  decision made;
  const auto reason = printable(command.reason(), hypervisor_text_size_max);
  if (!state.ever_connected) {
    if (state.lost_reason != reason)
      add_event(made)->mutable_unreached()->set_reason(reason);
    return made;
  }
  if (!state.connected || state.nonce != command.nonce())
    return made; // the word of a connection that was replaced meanwhile
  add_event(made)->mutable_lost()->set_reason(reason);
  made.events.back().set_effective_at(to_micros(with.now));
  note_to_cluster(made, state, self, false, state.vcpus, state.memory, state.images);
  return made;
}

outcome see_alive(const node_state& state, const v1::NodeCommand::SeeAlive& command,
                  const context& with) {
  decision made;
  const auto at = std::min(from_micros(command.at()), with.now);
  if (!state.connected || state.nonce != command.nonce() ||
      at < state.seen_until + seen_until_interval)
    return made;
  add_event(made)->mutable_seen_until()->set_at(to_micros(at));
  made.events.back().set_effective_at(to_micros(at));
  return made;
}

outcome note_upstream(const node_state& state, const v1::NodeCommand::NoteUpstream& command) {
  if (static_cast<std::size_t>(command.sessions_size()) > upstream_sessions_max)
    return refuse(error_code::too_large, "node '" + state.name + "' tells of more than " +
                                             std::to_string(upstream_sessions_max) + " routers");
  decision made;
  if (!state.connected || state.nonce != command.nonce())
    return made; // the word of a connection that was replaced meanwhile
  v1::NodeEvent::UpstreamNoted noted;
  for (const auto& one : command.sessions()) {
    auto* session = noted.add_sessions();
    session->set_router(printable(one.router(), hypervisor_text_size_max));
    session->set_established(one.established());
    session->set_reason(printable(one.reason(), hypervisor_text_size_max));
  }
  noted.set_problem(printable(command.problem(), hypervisor_text_size_max));
  if (sessions_of(noted) != state.upstream || noted.problem() != state.upstream_problem)
    *add_event(made)->mutable_upstream_noted() = std::move(noted);
  return made;
}

} // namespace

outcome decide(const node_state* state, const uuid& self, const v1::NodeCommand& command,
               const context& with) {
  if (command.body_case() == v1::NodeCommand::kRegister)
    return register_node(state, command.register_());
  if (state == nullptr)
    return refuse(error_code::not_found, "there is no such node");
  switch (command.body_case()) {
  case v1::NodeCommand::kHello:
    return hello(*state, self, command.hello(), with);
  case v1::NodeCommand::kLose:
    return lose(*state, self, command.lose(), with);
  case v1::NodeCommand::kSeeAlive:
    return see_alive(*state, command.see_alive(), with);
  case v1::NodeCommand::kSetLabels:
    return set_labels(state->labels, command.set_labels(), add_event);
  case v1::NodeCommand::kNoteUpstream:
    return note_upstream(*state, command.note_upstream());
  case v1::NodeCommand::kRegister:
  case v1::NodeCommand::BODY_NOT_SET:
    break;
  }
  return refuse(error_code::invalid_argument, "an empty command for a node");
}

void evolve(node_state& state, const v1::NodeEvent& event, utc_time effective_at) {
  ++state.version;
  switch (event.body_case()) {
  case v1::NodeEvent::kRegistered: {
    const auto& registered = event.registered();
    state.cluster = from_proto(registered.cluster());
    state.name = registered.name();
    state.kind = registered.kind();
    state.libvirt_socket = registered.endpoint().libvirt_socket();
    state.network_namespace = registered.endpoint().network_namespace();
    state.vcpus_wished = vcpu_count{registered.vcpus()};
    state.memory_wished = mib{registered.memory_mib()};
    break;
  }
  case v1::NodeEvent::kConnected: {
    const auto& connected = event.connected();
    state.connected = true;
    state.ever_connected = true;
    state.epoch = connected.epoch();
    state.nonce = connected.nonce();
    state.hypervisor = connected.hypervisor();
    state.vcpus = vcpu_count{connected.vcpus()};
    state.memory = mib{connected.memory_mib()};
    state.images.assign(connected.images().begin(), connected.images().end());
    state.lost_reason.clear();
    state.seen_until = effective_at;
    break;
  }
  case v1::NodeEvent::kUnreached:
    state.lost_reason = event.unreached().reason();
    break;
  case v1::NodeEvent::kLost:
    state.connected = false;
    state.lost_reason = event.lost().reason();
    state.upstream.clear();
    state.upstream_problem.clear();
    break;
  case v1::NodeEvent::kSeenUntil:
    state.seen_until = effective_at;
    break;
  case v1::NodeEvent::kLabelsChanged:
    change(state.labels, event.labels_changed());
    break;
  case v1::NodeEvent::kUpstreamNoted:
    state.upstream = sessions_of(event.upstream_noted());
    state.upstream_problem = event.upstream_noted().problem();
    break;
  case v1::NodeEvent::BODY_NOT_SET:
    break;
  }
}

} // namespace orrery::domain
