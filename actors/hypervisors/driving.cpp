#include "actors/hypervisors/driving.hpp"

#include "events/core/safety.hpp"
#include "events/domain/nic.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace orrery::actors {

namespace {

// A node, as its cluster's actor lives through it:
//
//   known --connect--> connected --hello--> (accepted in the log) --ports reconciled, guests fenced
//   and asked--> serving
//     ^ |
//     +--------------------------- pause <--- lost: node.lose, its guests unknown
//     <--------------------------------+
//
// Effects go out only while serving: a process whose hello is not in the log may not touch a guest.

/// A guest that was asked to shut down is asked again: many ignore the first request while they
/// boot.
constexpr std::chrono::milliseconds shutdown_repeat{5'000};

/// An effect that was done but whose fact does not show is looked at again.
constexpr std::chrono::milliseconds pursue_repeat{5'000};

/// A guest that runs and does not answer, and for which no job waits, is asked again.
constexpr std::chrono::milliseconds silent_repeat{30'000};

/// Every guest is looked at this often, in case an event was lost, and the node's network, in case
/// somebody changed it.
constexpr std::chrono::seconds sweep_interval{60};

/// How often a node's standing with its routers is looked at, and a routing daemon that died
/// missed: well within the time for which routers keep what it told
/// (pvip/upstream/bird_config.cpp).
constexpr std::chrono::seconds words_interval{5};

/// How often a node is asked for a sign of life.
constexpr std::chrono::seconds alive_interval{15};

std::string_view name_of(domain::wanted_verb verb) {
  switch (verb) {
  case domain::wanted_verb::nothing:
    return "nothing";
  case domain::wanted_verb::run:
    return "run";
  case domain::wanted_verb::reach:
    return "reach";
  case domain::wanted_verb::shut_down:
    return "shut_down";
  case domain::wanted_verb::power_off:
    return "power_off";
  case domain::wanted_verb::remove:
    return "remove";
  }
  return "nothing";
}

/// Whether what its port passes and tells is another, by its VM.
bool is_port_changed(const domain::vm_state& before, const domain::vm_state& now) {
  return before.nic.bits_a_second_max != now.nic.bits_a_second_max ||
         before.nic.further != now.nic.further;
}

/// Whether a guest rests as it was last seen, so that to say it again would change nothing (nor
/// would another cause of its end).
bool is_as_known(const drivers::guest_seen& seen, const domain::vm_state& vm) {
  if (vm.job || domain::effects(vm).verb != domain::wanted_verb::nothing)
    return false;
  const auto now = sighting_of(seen);
  const bool runs = now.state == v1::VmObserved::RUNNING;
  return now.generation.count == vm.observed.generation &&
         (now.state == vm.observed.state ||
          (runs && vm.observed.state == v1::VmObserved::REACHABLE));
}

} // namespace

cluster_driving::cluster_driving(driving_birth birth, driving_hands& hands)
    : x_birth(std::move(birth)), x_hands(hands) {}

void cluster_driving::on_world(const std::vector<std::pair<uuid, domain::entity_ptr>>& entities,
                               std::uint64_t log_epoch) {
  x_log_epoch = log_epoch;
  for (const auto& [entity, state] : entities)
    if (std::holds_alternative<domain::cluster_state>(*state))
      on_cluster(state);
  for (const auto& [entity, state] : entities)
    if (const auto* network = std::get_if<domain::network_state>(state.get()))
      on_network(entity, *network);
  for (const auto& [entity, state] : entities)
    if (std::holds_alternative<domain::vm_state>(*state))
      on_guest(entity, state);
  for (const auto& [entity, state] : entities)
    if (std::holds_alternative<domain::node_state>(*state))
      on_node(entity, state);
}

void cluster_driving::on_changed(const uuid& entity, const domain::entity_ptr& state) {
  if (state == nullptr) {
    if (const auto ended = x_guests.find(entity); ended != x_guests.end()) {
      remove_port(entity, ended->second);
      x_guests.erase(ended); // VMs end when they were seen gone
    }
    x_wanting.erase(entity);
    x_settings.erase(entity);
    return;
  }
  if (std::holds_alternative<domain::vm_state>(*state))
    on_guest(entity, state);
  else if (std::holds_alternative<domain::node_state>(*state))
    on_node(entity, state);
  else if (std::holds_alternative<domain::cluster_state>(*state))
    on_cluster(state);
  else if (const auto* network = std::get_if<domain::network_state>(state.get()))
    on_network(entity, *network);
}

// Nodes -------------------------------------------------------------------------------------------

void cluster_driving::on_node(const uuid& node, const domain::entity_ptr& state) {
  auto& entry = x_nodes[node];
  const auto& now = std::get<domain::node_state>(*state);
  // An entity that fell asleep and woke again has two actors for a moment: the newer word counts.
  if (entry.state != nullptr && entry.node().version > now.version)
    return;
  entry.state = state;
  if (entry.phase == node_phase::known)
    return connect(node);
  if (entry.phase == node_phase::greeting && now.connected && now.nonce == entry.nonce)
    prepare(node);
}

void cluster_driving::connect(const uuid& node) {
  auto& entry = x_nodes.at(node);
  if (entry.bench == nullptr) {
    auto link = x_birth.traits.make_link(node, entry.node());
    if (!link) {
      entry.not_before = x_birth.steady_clock() + pause_max;
      return lose(node, link.error().text);
    }
    entry.bench = std::make_unique<node_bench>(std::move(*link),
                                               x_hands.make_bench(x_birth.traits.operations_max));
  }
  entry.phase = node_phase::connecting;
  entry.bench->tasks->add({}, [this, node, post = x_hands.poster(), to = entry.bench.get()] {
    auto facts = std::make_shared<result<drivers::node_facts>>(to->link.hypervisor->connect());
    post([this, node, facts] { on_connected(node, *facts); });
  });
}

void cluster_driving::on_connected(const uuid& node, const result<drivers::node_facts>& facts) {
  auto& entry = x_nodes.at(node);
  if (!facts) {
    entry.not_before = x_birth.steady_clock() + entry.pause;
    entry.pause = std::min(entry.pause * 2, pause_max);
    return lose(node, facts.error().text);
  }
  entry.last_alive = x_birth.steady_clock();
  if (entry.phase != node_phase::connecting) {
    // A sign of life.
    v1::Command alive;
    auto* body = alive.mutable_node()->mutable_see_alive();
    body->set_nonce(entry.nonce);
    body->set_at(to_micros(x_birth.wall_clock()));
    return send_command(std::move(alive), node);
  }
  entry.pause = pause_min;
  entry.phase = node_phase::greeting;
  entry.nonce = x_birth.random();
  entry.number = 0;
  entry.strays_told.clear();
  entry.bench->link.hypervisor->listen([this, node, post = x_hands.poster()](vm_id vm) {
    post([this, node, vm] {
      if (vm.is_none())
        lose(node, "the connection to its hypervisor broke");
      else if (x_guests.contains(vm.value))
        ask_guest(vm.value, false);
      else
        look_for_strays(node);
    });
  });
  v1::Command hello;
  auto* body = hello.mutable_node()->mutable_hello();
  body->set_nonce(entry.nonce);
  body->set_hypervisor(facts->hypervisor);
  body->set_vcpus(facts->vcpus.count);
  body->set_memory_mib(facts->memory.count);
  for (const auto& image : facts->images)
    body->add_images(image);
  send_command(std::move(hello), node);
  if (!safety::holds(safety::line::hello_first))
    prepare(node);
}

void cluster_driving::lose(const uuid& node, const std::string& reason) {
  auto& entry = x_nodes.at(node);
  entry.phase = node_phase::known;
  entry.not_before = std::max(entry.not_before, x_birth.steady_clock() + pause_min);
  if (entry.bench != nullptr)
    entry.bench->link.hypervisor->listen({});
  if (!entry.node().connected && entry.node().ever_connected)
    return;
  v1::Command lost;
  auto* body = lost.mutable_node()->mutable_lose();
  // The connection of a former life of ours is lost as well: nobody else holds it.
  body->set_nonce(entry.node().nonce);
  body->set_reason(reason);
  send_command(std::move(lost), node);
  if (!entry.node().ever_connected)
    return; // no guest was ever there
  for (auto& [vm, guest] : x_guests) {
    if (guest.vm().node != node)
      continue;
    guest.is_busy = false;
    guest.done = {};
    v1::Command unseen;
    auto* seen = unseen.mutable_vm()->mutable_observe();
    domain::set(seen->mutable_node(), node);
    seen->set_node_epoch(entry.node().epoch);
    // The last word of this epoch: whatever a thread still brings home from before is older.
    seen->set_number(entry.number = std::max(entry.number, guest.vm().observed.number) + 1);
    seen->set_at(to_micros(x_birth.wall_clock()));
    seen->set_state(v1::VmObserved::UNKNOWN);
    seen->set_reason(reason);
    seen->set_generation(guest.vm().observed.generation);
    send_command(std::move(unseen), vm);
  }
}

void cluster_driving::stay_in_touch(const uuid& node, node_entry& entry) {
  const auto now = x_birth.steady_clock();
  if (entry.phase == node_phase::known && now >= entry.not_before)
    return connect(node);
  if (entry.phase != node_phase::serving)
    return;
  if (now - entry.last_alive > alive_interval) {
    entry.last_alive = now;
    entry.bench->tasks->add({}, [this, node, post = x_hands.poster(), to = entry.bench.get()] {
      auto facts = std::make_shared<result<drivers::node_facts>>(to->link.hypervisor->connect());
      post([this, node, facts] {
        if (x_nodes.at(node).phase == node_phase::serving)
          on_connected(node, *facts);
      });
    });
  }
  if (now - entry.last_sweep > sweep_interval) {
    entry.last_sweep = now;
    entry.is_sweeping = true;
    look_for_strays(node);
  }
  if (now - entry.last_words > words_interval && (!x_upstream.is_none() || entry.has_words()))
    speak_with_routers(node);
}

void cluster_driving::look_for_strays(const uuid& node) {
  auto& entry = x_nodes.at(node);
  if (entry.phase != node_phase::serving)
    return; // it is done when the node is served
  if (entry.is_looking_for_strays) {
    entry.must_look_again = true; // many words of one guest cost two looks
    return;
  }
  entry.is_looking_for_strays = true;
  entry.bench->tasks->add({}, [this, node, installation = x_birth.installation,
                               post = x_hands.poster(), to = entry.bench.get()] {
    auto listed = std::make_shared<result<std::vector<drivers::guest_seen>>>(
        to->link.hypervisor->list(installation));
    post([this, node, listed] { on_guests_listed(node, *listed); });
  });
}

void cluster_driving::on_guests_listed(const uuid& node,
                                       const result<std::vector<drivers::guest_seen>>& listed) {
  auto& entry = x_nodes.at(node);
  entry.is_looking_for_strays = false;
  if (std::exchange(entry.must_look_again, false))
    look_for_strays(node);
  if (entry.phase != node_phase::serving)
    return;
  const bool is_sweep = std::exchange(entry.is_sweeping, false);
  if (listed)
    if (const auto newer = newer_owner(*listed, token()))
      return lose(node, *newer);
  if (is_sweep)
    recheck_network(node);
  if (!listed)
    return;
  if (is_sweep)
    ask_changed(node, *listed);
  for (const auto& guest : *listed) {
    if (x_guests.contains(guest.vm.value))
      continue;
    // It holds no address and no memory. Anything else is a person's to judge: it may have data.
    if (guest.condition == drivers::guest_condition::stopped &&
        guest.cause == drivers::stop_cause::none)
      remove_stray(node, guest.vm);
    else if (entry.strays_told.insert(guest.vm.value).second)
      std::fprintf(stderr, "warn: node %s: guest %s is ours but has no VM; it is left alone\n",
                   entry.node().name.c_str(), to_text(guest.vm).c_str());
  }
}

void cluster_driving::ask_changed(const uuid& node,
                                  const std::vector<drivers::guest_seen>& listed) {
  std::unordered_map<uuid, const drivers::guest_seen*> seen;
  seen.reserve(listed.size());
  for (const auto& one : listed)
    seen.emplace(one.vm.value, &one);
  for (const auto& [vm, guest] : x_guests) {
    if (guest.vm().node != node)
      continue;
    const auto found = seen.find(vm);
    if (found == seen.end() || !is_as_known(*found->second, guest.vm()))
      ask_guest(vm, false);
  }
}

void cluster_driving::remove_stray(const uuid& node, vm_id vm) {
  auto& entry = x_nodes.at(node);
  entry.bench->tasks->add(
      vm.value, [vm, token = token(), name = entry.node().name, to = entry.bench.get()] {
        const auto done = to->link.hypervisor->undefine(vm, token);
        std::fprintf(stderr, "%s: node %s: guest %s without a VM %s\n", done ? "info" : "warn",
                     name.c_str(), to_text(vm).c_str(),
                     done ? "was removed; it never ran" : ("stays: " + done.error().text).c_str());
      });
}

// Guests ------------------------------------------------------------------------------------------

void cluster_driving::on_guest(const uuid& vm, const domain::entity_ptr& state) {
  auto& guest = x_guests[vm];
  if (guest.state != nullptr && guest.vm().version > std::get<domain::vm_state>(*state).version)
    return;
  const auto before = std::exchange(guest.state, state);
  if (before != nullptr && is_port_changed(std::get<domain::vm_state>(*before), guest.vm()))
    amend_port(vm, guest);
  const auto wanted = domain::effects(guest.vm());
  // What was done already waits for its facts, which come one by one: done again on the first of
  // them, a start would start a guest once more that has crashed meanwhile.
  if (wanted != guest.done) {
    guest.pause = pause_min;
    guest.not_before = {};
  }
  if (wanted.verb == domain::wanted_verb::nothing)
    x_wanting.erase(vm);
  else
    x_wanting.insert(vm);
  announce_guest(vm, guest);
  pursue_guest(vm);
}

cluster_driving::node_entry* cluster_driving::serving_node_of(const guest_entry& guest) {
  const auto found = x_nodes.find(guest.vm().node);
  return found == x_nodes.end() || found->second.phase != node_phase::serving ? nullptr
                                                                              : &found->second;
}

bool cluster_driving::is_served(const uuid& vm, std::uint64_t nonce) {
  const auto guest = x_guests.find(vm);
  const auto* node = guest == x_guests.end() ? nullptr : serving_node_of(guest->second);
  return node != nullptr && node->nonce == nonce;
}

void cluster_driving::ask_guest(const uuid& vm, bool is_fenced) {
  const auto found = x_guests.find(vm);
  if (found == x_guests.end())
    return;
  auto* node = serving_node_of(found->second);
  if (node == nullptr)
    return;
  const auto& guest = found->second;
  const auto wish = is_fenced ? guest.vm().generation : proven_wish(guest);
  node->bench->tasks->add(vm, [this, vm, is_fenced, token = token(), wish, nonce = node->nonce,
                               post = x_hands.poster(), to = node->bench.get()] {
    auto report = std::make_shared<work_report>(
        is_fenced && safety::holds(safety::line::fence_first) ? ask_fenced(to->link, vm, token)
                                                              : ask(to->link, vm));
    post([this, vm, wish, nonce, report] {
      if (!is_served(vm, nonce))
        return;
      observe(vm, report->seen, wish);
      pursue_guest(vm);
    });
  });
}

/// The newest wish that a mere look at the guest can prove: one that was pursued to its end, behind
/// a fence. A verb of an older one that was given up may still be under way.
generation_number cluster_driving::proven_wish(const guest_entry& guest) {
  if (guest.done.verb != domain::wanted_verb::nothing)
    return guest.done.generation;
  // The first wish is to run: nobody can prove it fulfilled by seeing the guest off. 0 would say
  // nothing.
  return generation_number{std::max<std::uint64_t>(guest.vm().generation.count - 1, 1)};
}

void cluster_driving::pursue_guest(const uuid& vm) {
  const auto found = x_guests.find(vm);
  if (found == x_guests.end() || x_is_stopped)
    return;
  auto& guest = found->second;
  const auto wanted = domain::effects(guest.vm());
  if (guest.is_busy || wanted.verb == domain::wanted_verb::nothing ||
      x_birth.steady_clock() < guest.not_before)
    return;
  auto* node = serving_node_of(guest);
  if (node == nullptr)
    return;
  guest.is_busy = true;
  guest.busy_with = wanted;
  guest_task task{
      x_birth.installation, vm, guest.state, settings_of(guest.vm().network), wanted, token()};
  node->bench->tasks->add(vm, [this, vm, task = std::move(task), nonce = node->nonce,
                               patience = x_birth.traits.arp_patience, clock = x_birth.steady_clock,
                               post = x_hands.poster(), to = node->bench.get()] {
    const auto began = clock();
    auto report = std::make_shared<work_report>(pursue(to->link, task, patience));
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock() - began);
    post([this, vm, wanted = task.wanted, nonce, report, took] {
      if (!is_served(vm, nonce))
        return;
      on_pursued(vm, wanted, *report, took);
    });
  });
}

void cluster_driving::retry_later(guest_entry& guest) {
  guest.not_before = x_birth.steady_clock() + guest.pause;
  guest.pause = std::min(guest.pause * 2, pause_max);
}

void cluster_driving::on_pursued(const uuid& vm, const domain::wanted_effect& wanted,
                                 const work_report& report, std::chrono::microseconds took) {
  auto& guest = x_guests.at(vm);
  guest.is_busy = false;
  if (x_birth.tell.effect_done)
    x_birth.tell.effect_done(
        drivers::name_of(static_cast<drivers::hypervisor_kind>(x_birth.traits.kind)),
        name_of(wanted.verb),
        report.failure ? orrery::name_of(report.failure->why.code) : std::string_view("done"),
        took);
  observe(vm, report.seen, wanted.generation);
  if (!report.failure && wanted.verb != domain::wanted_verb::reach)
    guest.done = wanted;
  guest.is_announced = report.announced.value_or(guest.is_announced);
  if (report.failure) {
    report_failure(guest, vm, *report.failure);
    retry_later(guest);
  } else if (wanted.verb == domain::wanted_verb::reach) {
    guest.not_before = x_birth.steady_clock();
    guest.not_before += guest.vm().job ? x_birth.traits.arp_patience : silent_repeat;
  } else if (wanted.verb == domain::wanted_verb::shut_down) {
    guest.not_before = x_birth.steady_clock() + shutdown_repeat;
  } else {
    guest.not_before = x_birth.steady_clock() + pursue_repeat;
  }
  announce_guest(vm, guest); // words that came meanwhile
  // A newer wish does not wait for the pause of an older one.
  if (domain::effects(guest.vm()) != wanted) {
    guest.not_before = {};
    pursue_guest(vm);
  }
}

void cluster_driving::observe(const uuid& vm, const std::vector<sighting>& seen,
                              generation_number wish) {
  const auto& guest = x_guests.at(vm);
  auto& node = x_nodes.at(guest.vm().node);
  for (const auto& one : seen) {
    v1::Command command;
    auto* body = command.mutable_vm()->mutable_observe();
    domain::set(body->mutable_node(), guest.vm().node);
    body->set_node_epoch(node.node().epoch);
    body->set_number(++node.number);
    body->set_at(to_micros(x_birth.wall_clock()));
    body->set_state(one.state);
    body->set_cause(one.cause);
    body->set_generation(one.generation.count);
    body->set_wish(wish.count);
    send_command(std::move(command), vm);
  }
}

void cluster_driving::report_failure(const guest_entry& guest, const uuid& vm,
                                     const work_failure& failure) {
  v1::Command command;
  auto* body = command.mutable_vm()->mutable_report_failure();
  body->set_generation(guest.busy_with.generation.count);
  body->set_step(failure.step);
  body->set_code(static_cast<std::uint32_t>(failure.why.code));
  body->set_text(failure.why.text);
  body->set_final(failure.is_final);
  send_command(std::move(command), vm);
}

void cluster_driving::send_command(v1::Command command, const uuid& entity) {
  domain::set(command.mutable_id(),
              make_uuid(x_birth.wall_clock(), x_birth.where, x_birth.random()));
  command.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  domain::set(command.mutable_entity(), entity);
  x_hands.send(std::move(command));
}

void cluster_driving::console(const uuid& vm, std::size_t bytes_max,
                              std::function<void(result<std::string>)> done) {
  const auto found = x_guests.find(vm);
  auto* node = found == x_guests.end() ? nullptr : serving_node_of(found->second);
  if (node == nullptr)
    return done(error{error_code::unavailable,
                      "the VM's node is not in sight: `orrery node list` shows why", true});
  // A key of its own: a console can be read while a long verb is under way on the guest.
  const uuid key{vm.a, ~vm.b};
  node->bench->tasks->add(key, [vm, bytes_max, done = std::move(done), to = node->bench.get()] {
    done(to->link.hypervisor->console(vm_id{vm}, bytes_max));
  });
}

void cluster_driving::on_tick() {
  if (x_is_stopped)
    return;
  for (auto& [node, entry] : x_nodes)
    stay_in_touch(node, entry);
  for (const auto& vm : x_wanting) // VMs that sleep cost nothing
    pursue_guest(vm);
}

void cluster_driving::stop() {
  x_is_stopped = true;
  for (auto& [node, entry] : x_nodes)
    if (entry.bench != nullptr)
      entry.bench->link.hypervisor->listen({});
  x_nodes.clear(); // waits for verbs under way
  x_guests.clear();
  x_wanting.clear();
}

} // namespace orrery::actors
