#include "actors/hypervisors/hypervisor.hpp"

#include "actors/hypervisors/workbench.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <optional>
#include <utility>

namespace orrery::actors {

namespace {

/// The actor around a driving: its threads, its turn and its way to the partition.
class memory : public driving_hands {
public:
  static inline const char* name = "hypervisor"; // for CAF

  void begin(hypervisor_actor::pointer self, hypervisor_birth birth);
  void on_world(const cluster_world& world);
  void on_tick();
  void on_stop();

  cluster_driving& core() { return *x_driving; }

  std::unique_ptr<bench> make_bench(std::size_t threads) override;
  std::function<void(std::function<void()>)> poster() override;
  void send(v1::Command command) override;

private:
  hypervisor_actor::pointer x_self = nullptr;
  hypervisor_birth x_birth;
  std::optional<cluster_driving> x_driving;
  bool x_is_stopped = false;
};

void memory::begin(hypervisor_actor::pointer self, hypervisor_birth birth) {
  x_self = self;
  x_birth = std::move(birth);
  driving_birth core;
  core.traits = x_birth.traits;
  core.installation = x_birth.installation;
  core.where = x_birth.where;
  core.incarnation = x_birth.incarnation;
  core.wall_clock = x_birth.wall_clock;
  core.steady_clock = std::chrono::steady_clock::now;
  core.random = x_birth.random;
  core.tell = x_birth.tell;
  x_driving.emplace(std::move(core), *this);
  self->delayed_send(self, cluster_driving::tick_interval, tick_atom::value);
}

std::unique_ptr<bench> memory::make_bench(std::size_t threads) {
  return std::make_unique<workbench>(threads);
}

std::function<void(std::function<void()>)> memory::poster() {
  return [to = caf::actor_cast<hypervisor_actor>(x_self)](std::function<void()> run) {
    caf::anon_send(to, thunk{std::move(run)});
  };
}

void memory::send(v1::Command command) {
  auto what = std::make_shared<submission>();
  what->command = std::move(command);
  x_birth.stamp(what->command);
  x_self->send(x_birth.partition, submit{std::move(what)});
}

void memory::on_world(const cluster_world& world) {
  std::vector<std::pair<uuid, domain::entity_ptr>> entities;
  entities.reserve(world.entities.size());
  for (const auto& one : world.entities)
    entities.emplace_back(one.entity, one.state);
  x_driving->on_world(entities, world.log_epoch);
}

void memory::on_tick() {
  if (x_is_stopped)
    return;
  x_self->delayed_send(x_self, cluster_driving::tick_interval, tick_atom::value);
  x_driving->on_tick();
}

void memory::on_stop() {
  x_is_stopped = true;
  x_driving->stop();
  x_self->quit();
}

hypervisor_actor::behavior_type hypervisor(hypervisor_actor::stateful_pointer<memory> self,
                                           hypervisor_birth birth) {
  self->state.begin(self, std::move(birth));
  return {
      [self](const cluster_world& world) { self->state.on_world(world); },
      [self](const entities_changed& changed) {
        for (const auto& one : changed.entities)
          self->state.core().on_changed(one.entity, one.state);
      },
      [self](const console_request& asked) {
        self->state.core().console(asked.vm, asked.bytes_max, asked.done);
      },
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
