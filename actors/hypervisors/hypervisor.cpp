#include "actors/hypervisors/hypervisor.hpp"

#include "actors/hypervisors/workbench.hpp"
#include "events/domain/nic.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <unordered_map>
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

constexpr std::chrono::milliseconds tick_interval{250};

/// Between attempts to reach a node, or to do something to a guest that failed: doubled each time,
/// up to the maximum.
constexpr std::chrono::milliseconds pause_min{500};
constexpr std::chrono::milliseconds pause_max{10'000};

/// A guest that was asked to shut down is asked again: many ignore the first request while they
/// boot.
constexpr std::chrono::milliseconds shutdown_repeat{5'000};

/// An effect that was done but whose fact does not show is looked at again.
constexpr std::chrono::milliseconds pursue_repeat{5'000};

/// A guest that runs and does not answer, and for which no job waits, is asked again.
constexpr std::chrono::milliseconds silent_repeat{30'000};

/// Every guest is asked how it stands at least this often, in case an event was lost.
constexpr std::chrono::seconds sweep_interval{60};

/// How often a node is asked for a sign of life.
constexpr std::chrono::seconds alive_interval{15};

using steady_clock = std::chrono::steady_clock;

enum class node_phase : std::uint8_t { known, connecting, greeting, preparing, serving };

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

class memory {
public:
  static inline const char* name = "hypervisor";

  void begin(hypervisor_actor::pointer self, hypervisor_birth birth);
  void on_world(const cluster_world& world);
  void on_changed(const uuid& entity, const domain::entity_ptr& state);
  void on_console(const console_request& asked);
  void on_tick();
  void on_stop();

private:
  /// Work on the bench holds a plain pointer to it: the bench ends, and waits for its threads,
  /// before the link does.
  struct node_bench {
    node_link link;
    workbench bench;

    node_bench(node_link made, std::size_t threads) : link(std::move(made)), bench(threads) {}

    ~node_bench() {
      if (link.hypervisor)
        link.hypervisor->listen({});
    }
  };

  struct node_entry {
    domain::entity_ptr state;
    std::unique_ptr<node_bench> bench;
    node_phase phase = node_phase::known;
    std::uint64_t nonce = 0;
    std::uint64_t number = 0; ///< of the last observation in this epoch
    steady_clock::time_point not_before;
    std::chrono::milliseconds pause = pause_min;
    steady_clock::time_point last_sweep;
    steady_clock::time_point last_alive;
    bool is_looking_for_strays = false;
    bool must_look_again = false;
    std::set<uuid> strays_told; ///< of which people were told in this connection

    [[nodiscard]] const domain::node_state& node() const {
      return std::get<domain::node_state>(*state);
    }
  };

  struct guest_entry {
    domain::entity_ptr state;
    domain::wanted_effect busy_with; ///< under way on the workbench; verb nothing: idle
    bool is_busy = false;
    domain::wanted_effect done; ///< the last effect that was pursued to its end
    steady_clock::time_point not_before;
    std::chrono::milliseconds pause = pause_min;

    [[nodiscard]] const domain::vm_state& vm() const { return std::get<domain::vm_state>(*state); }
  };

  void on_node(const uuid& node, const domain::entity_ptr& state);
  void on_guest(const uuid& vm, const domain::entity_ptr& state);

  void connect(const uuid& node);
  void on_connected(const uuid& node, const result<drivers::node_facts>& facts);
  void prepare(const uuid& node);
  void on_prepared(const uuid& node, std::uint64_t nonce, const result<pvip::apply_report>& report);
  void lose(const uuid& node, const std::string& reason);
  void stay_in_touch(const uuid& node, node_entry& entry);

  /// A stray is a guest of ours on a node that has no VM: what a dead predecessor had asked for,
  /// and the hypervisor did only after the guest was seen gone. One that never ran is removed.
  void look_for_strays(const uuid& node);
  void on_guests_listed(const uuid& node, const result<std::vector<drivers::guest_seen>>& listed);
  void remove_stray(const uuid& node, vm_id vm);

  void ask_guest(const uuid& vm, bool is_fenced);
  void pursue_guest(const uuid& vm);
  void on_pursued(const uuid& vm, const domain::wanted_effect& wanted, const work_report& report,
                  std::chrono::microseconds took);
  /// `wish`: generation of the newest wish that was known when the looking began.
  void observe(const uuid& vm, const std::vector<sighting>& seen, generation_number wish);
  void report_failure(const guest_entry& guest, const uuid& vm, const work_failure& failure);
  void retry_later(guest_entry& guest);

  void send_command(v1::Command command, const uuid& entity);
  [[nodiscard]] node_entry* serving_node_of(const guest_entry& guest);

  /// Runs `then` on this actor's turn, from any thread.
  [[nodiscard]] std::function<void(std::function<void()>)> poster();

  hypervisor_actor::pointer x_self = nullptr;
  hypervisor_birth x_birth;
  std::uint64_t x_log_epoch = 0;
  std::map<uuid, node_entry> x_nodes;
  std::unordered_map<uuid, guest_entry> x_guests;
  bool x_is_stopped = false;
};

void memory::begin(hypervisor_actor::pointer self, hypervisor_birth birth) {
  x_self = self;
  x_birth = std::move(birth);
  self->delayed_send(self, tick_interval, tick_atom::value);
}

std::function<void(std::function<void()>)> memory::poster() {
  return [to = caf::actor_cast<hypervisor_actor>(x_self)](std::function<void()> run) {
    caf::anon_send(to, thunk{std::move(run)});
  };
}

void memory::on_world(const cluster_world& world) {
  x_log_epoch = world.log_epoch;
  for (const auto& one : world.entities)
    if (std::holds_alternative<domain::vm_state>(*one.state))
      on_guest(one.entity, one.state);
  for (const auto& one : world.entities)
    if (std::holds_alternative<domain::node_state>(*one.state))
      on_node(one.entity, one.state);
}

void memory::on_changed(const uuid& entity, const domain::entity_ptr& state) {
  if (state == nullptr) {
    x_guests.erase(entity); // only VMs end, and they end when they were seen gone
    return;
  }
  if (std::holds_alternative<domain::vm_state>(*state))
    on_guest(entity, state);
  else if (std::holds_alternative<domain::node_state>(*state))
    on_node(entity, state);
}

// Nodes -------------------------------------------------------------------------------------------

void memory::on_node(const uuid& node, const domain::entity_ptr& state) {
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

void memory::connect(const uuid& node) {
  auto& entry = x_nodes.at(node);
  if (entry.bench == nullptr) {
    auto link = x_birth.traits.make_link(node, entry.node());
    if (!link) {
      entry.not_before = steady_clock::now() + pause_max;
      return lose(node, link.error().text);
    }
    entry.bench = std::make_unique<node_bench>(std::move(*link), x_birth.traits.operations_max);
  }
  entry.phase = node_phase::connecting;
  entry.bench->bench.add({}, [this, node, post = poster(), bench = entry.bench.get()] {
    auto facts = std::make_shared<result<drivers::node_facts>>(bench->link.hypervisor->connect());
    post([this, node, facts] { on_connected(node, *facts); });
  });
}

void memory::on_connected(const uuid& node, const result<drivers::node_facts>& facts) {
  auto& entry = x_nodes.at(node);
  if (!facts) {
    entry.not_before = steady_clock::now() + entry.pause;
    entry.pause = std::min(entry.pause * 2, pause_max);
    return lose(node, facts.error().text);
  }
  entry.last_alive = steady_clock::now();
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
  entry.bench->link.hypervisor->listen([this, node, post = poster()](vm_id vm) {
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
}

void memory::prepare(const uuid& node) {
  auto& entry = x_nodes.at(node);
  entry.phase = node_phase::preparing;
  std::vector<pvip::port> ports;
  for (const auto& [vm, guest] : x_guests)
    if (guest.vm().node == node && !guest.vm().nic.network.is_none())
      ports.push_back(port_of(guest.vm(), entry.bench->link.guest_uid));
  entry.bench->bench.add({}, [this, node, nonce = entry.nonce, post = poster(),
                              bench = entry.bench.get(), ports = std::move(ports)]() mutable {
    auto report = std::make_shared<result<pvip::apply_report>>(
        bench->link.network->reconcile(std::move(ports)));
    post([this, node, nonce, report] { on_prepared(node, nonce, *report); });
  });
}

void memory::on_prepared(const uuid& node, std::uint64_t nonce,
                         const result<pvip::apply_report>& report) {
  auto& entry = x_nodes.at(node);
  if (entry.phase != node_phase::preparing || entry.nonce != nonce)
    return; // lost meanwhile
  if (!report)
    return lose(node, "its network cannot be prepared: " + report.error().text);
  // Nothing of ours can have drifted on a node that we see for the first time.
  const bool is_new = entry.node().epoch <= 1;
  for (const auto& line : report->drift)
    std::fprintf(stderr, "%s: node %s: %s: %s\n", is_new ? "info" : "warn",
                 entry.node().name.c_str(), is_new ? "set up" : "drift repaired", line.c_str());
  entry.phase = node_phase::serving;
  entry.last_sweep = steady_clock::now();
  for (auto& [vm, guest] : x_guests)
    if (guest.vm().node == node)
      ask_guest(vm, true);
  look_for_strays(node);
}

void memory::lose(const uuid& node, const std::string& reason) {
  auto& entry = x_nodes.at(node);
  entry.phase = node_phase::known;
  entry.not_before = std::max(entry.not_before, steady_clock::now() + pause_min);
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

void memory::stay_in_touch(const uuid& node, node_entry& entry) {
  const auto now = steady_clock::now();
  if (entry.phase == node_phase::known && now >= entry.not_before)
    return connect(node);
  if (entry.phase != node_phase::serving)
    return;
  if (now - entry.last_alive > alive_interval) {
    entry.last_alive = now;
    entry.bench->bench.add({}, [this, node, post = poster(), bench = entry.bench.get()] {
      auto facts = std::make_shared<result<drivers::node_facts>>(bench->link.hypervisor->connect());
      post([this, node, facts] {
        if (x_nodes.at(node).phase == node_phase::serving)
          on_connected(node, *facts);
      });
    });
  }
  if (now - entry.last_sweep > sweep_interval) {
    entry.last_sweep = now;
    for (auto& [vm, guest] : x_guests)
      if (guest.vm().node == node)
        ask_guest(vm, false);
    look_for_strays(node);
  }
}

void memory::look_for_strays(const uuid& node) {
  auto& entry = x_nodes.at(node);
  if (entry.phase != node_phase::serving)
    return; // it is done when the node is served
  if (entry.is_looking_for_strays) {
    entry.must_look_again = true; // many words of one guest cost two looks
    return;
  }
  entry.is_looking_for_strays = true;
  entry.bench->bench.add({}, [this, node, installation = x_birth.installation, post = poster(),
                              bench = entry.bench.get()] {
    auto listed = std::make_shared<result<std::vector<drivers::guest_seen>>>(
        bench->link.hypervisor->list(installation));
    post([this, node, listed] { on_guests_listed(node, *listed); });
  });
}

void memory::on_guests_listed(const uuid& node,
                              const result<std::vector<drivers::guest_seen>>& listed) {
  auto& entry = x_nodes.at(node);
  entry.is_looking_for_strays = false;
  if (std::exchange(entry.must_look_again, false))
    look_for_strays(node);
  if (!listed || entry.phase != node_phase::serving)
    return;
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

void memory::remove_stray(const uuid& node, vm_id vm) {
  auto& entry = x_nodes.at(node);
  const drivers::fencing_token token{x_birth.incarnation, x_log_epoch};
  entry.bench->bench.add(
      vm.value, [vm, token, name = entry.node().name, bench = entry.bench.get()] {
        const auto done = bench->link.hypervisor->undefine(vm, token);
        std::fprintf(stderr, "%s: node %s: guest %s without a VM %s\n", done ? "info" : "warn",
                     name.c_str(), to_text(vm).c_str(),
                     done ? "was removed; it never ran" : ("stays: " + done.error().text).c_str());
      });
}

// Guests ------------------------------------------------------------------------------------------

void memory::on_guest(const uuid& vm, const domain::entity_ptr& state) {
  auto& guest = x_guests[vm];
  if (guest.state != nullptr && guest.vm().version > std::get<domain::vm_state>(*state).version)
    return;
  guest.state = state;
  guest.pause = pause_min;
  guest.not_before = {};
  pursue_guest(vm);
}

memory::node_entry* memory::serving_node_of(const guest_entry& guest) {
  const auto found = x_nodes.find(guest.vm().node);
  return found == x_nodes.end() || found->second.phase != node_phase::serving ? nullptr
                                                                              : &found->second;
}

void memory::ask_guest(const uuid& vm, bool is_fenced) {
  const auto found = x_guests.find(vm);
  if (found == x_guests.end())
    return;
  auto* node = serving_node_of(found->second);
  if (node == nullptr)
    return;
  const drivers::fencing_token token{x_birth.incarnation, x_log_epoch};
  node->bench->bench.add(vm, [this, vm, is_fenced, token, wish = found->second.vm().generation,
                              nonce = node->nonce, post = poster(), bench = node->bench.get()] {
    auto report = std::make_shared<work_report>(is_fenced ? ask_fenced(bench->link, vm, token)
                                                          : ask(bench->link, vm));
    post([this, vm, wish, nonce, report] {
      const auto again = x_guests.find(vm);
      if (again == x_guests.end())
        return;
      const auto* serving = serving_node_of(again->second);
      if (serving == nullptr || serving->nonce != nonce)
        return;
      observe(vm, report->seen, wish);
      pursue_guest(vm);
    });
  });
}

void memory::pursue_guest(const uuid& vm) {
  const auto found = x_guests.find(vm);
  if (found == x_guests.end() || x_is_stopped)
    return;
  auto& guest = found->second;
  const auto wanted = domain::effects(guest.vm());
  if (guest.is_busy || wanted.verb == domain::wanted_verb::nothing ||
      steady_clock::now() < guest.not_before)
    return;
  auto* node = serving_node_of(guest);
  if (node == nullptr)
    return;
  guest.is_busy = true;
  guest.busy_with = wanted;
  guest_task task{
      x_birth.installation, vm, guest.state, wanted, {x_birth.incarnation, x_log_epoch}};
  node->bench->bench.add(vm, [this, vm, task = std::move(task), nonce = node->nonce,
                              patience = x_birth.traits.arp_patience, post = poster(),
                              bench = node->bench.get()] {
    const auto began = steady_clock::now();
    auto report = std::make_shared<work_report>(pursue(bench->link, task, patience));
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began);
    post([this, vm, wanted = task.wanted, nonce, report, took] {
      const auto again = x_guests.find(vm);
      if (again == x_guests.end())
        return;
      const auto* serving = serving_node_of(again->second);
      if (serving == nullptr || serving->nonce != nonce)
        return;
      on_pursued(vm, wanted, *report, took);
    });
  });
}

void memory::retry_later(guest_entry& guest) {
  guest.not_before = steady_clock::now() + guest.pause;
  guest.pause = std::min(guest.pause * 2, pause_max);
}

void memory::on_pursued(const uuid& vm, const domain::wanted_effect& wanted,
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
  if (report.failure) {
    report_failure(guest, vm, *report.failure);
    retry_later(guest);
  } else if (wanted.verb == domain::wanted_verb::reach) {
    guest.not_before = steady_clock::now();
    guest.not_before += guest.vm().job ? x_birth.traits.arp_patience : silent_repeat;
  } else if (wanted.verb == domain::wanted_verb::shut_down) {
    guest.not_before = steady_clock::now() + shutdown_repeat;
  } else {
    guest.not_before = steady_clock::now() + pursue_repeat;
  }
  // A newer wish does not wait for the pause of an older one.
  if (domain::effects(guest.vm()) != wanted) {
    guest.not_before = {};
    pursue_guest(vm);
  }
}

void memory::observe(const uuid& vm, const std::vector<sighting>& seen, generation_number wish) {
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

void memory::report_failure(const guest_entry& guest, const uuid& vm, const work_failure& failure) {
  v1::Command command;
  auto* body = command.mutable_vm()->mutable_report_failure();
  body->set_generation(guest.busy_with.generation.count);
  body->set_step(failure.step);
  body->set_code(static_cast<std::uint32_t>(failure.why.code));
  body->set_text(failure.why.text);
  body->set_final(failure.is_final);
  send_command(std::move(command), vm);
}

void memory::send_command(v1::Command command, const uuid& entity) {
  auto what = std::make_shared<submission>();
  what->command = std::move(command);
  domain::set(what->command.mutable_id(),
              make_uuid(x_birth.wall_clock(), x_birth.where, x_birth.random()));
  what->command.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  domain::set(what->command.mutable_entity(), entity);
  x_birth.stamp(what->command);
  x_self->send(x_birth.partition, submit{std::move(what)});
}

void memory::on_console(const console_request& asked) {
  const auto found = x_guests.find(asked.vm);
  auto* node = found == x_guests.end() ? nullptr : serving_node_of(found->second);
  if (node == nullptr)
    return asked.done(error{error_code::unavailable,
                            "the VM's node is not in sight: `orrery node list` shows why", true});
  // A key of its own: a console can be read while a long verb is under way on the guest.
  const uuid key{asked.vm.a, ~asked.vm.b};
  node->bench->bench.add(key, [asked, bench = node->bench.get()] {
    asked.done(bench->link.hypervisor->console(vm_id{asked.vm}, asked.bytes_max));
  });
}

void memory::on_tick() {
  if (x_is_stopped)
    return;
  x_self->delayed_send(x_self, tick_interval, tick_atom::value);
  for (auto& [node, entry] : x_nodes)
    stay_in_touch(node, entry);
  // Only those that want something: asleep VMs cost a comparison.
  for (auto& [vm, guest] : x_guests)
    if (domain::effects(guest.vm()).verb != domain::wanted_verb::nothing)
      pursue_guest(vm);
}

void memory::on_stop() {
  x_is_stopped = true;
  for (auto& [node, entry] : x_nodes)
    if (entry.bench != nullptr)
      entry.bench->link.hypervisor->listen({});
  x_nodes.clear(); // waits for verbs under way
  x_guests.clear();
  x_self->quit();
}

hypervisor_actor::behavior_type hypervisor(hypervisor_actor::stateful_pointer<memory> self,
                                           hypervisor_birth birth) {
  self->state.begin(self, std::move(birth));
  return {
      [self](const cluster_world& world) { self->state.on_world(world); },
      [self](const entity_changed& one) { self->state.on_changed(one.entity, one.state); },
      [self](const console_request& asked) { self->state.on_console(asked); },
      [](const thunk& todo) { todo.run(); },
      [self](tick_atom) { self->state.on_tick(); },
      [self](stop_atom) { self->state.on_stop(); },
  };
}

} // namespace

hypervisor_actor spawn_hypervisor(caf::actor_system& system, hypervisor_birth birth) {
  // A thread of its own: when it stops it waits for the verbs under way, which must hold up nobody
  // else.
  return system.spawn<caf::detached>(hypervisor, std::move(birth));
}

} // namespace orrery::actors
