#include "actors/partition.hpp"

#include "actors/engine/engine.hpp"
#include "actors/entity.hpp"
#include "events/log/sha256.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <unordered_map>
#include <utility>

namespace orrery::actors {

namespace {

constexpr std::chrono::seconds sleep_check_interval{5};

/// The actor around an engine: it wakes entities, has them decide and evolve, starts and stops the
/// clusters' hypervisors, and carries records and commands to and fro.
class memory : public engine_hands {
public:
  static inline const char* name = "partition"; // for CAF

  void begin(partition_actor::pointer self, partition_birth birth);
  void on_console(const console_request& asked);
  void on_status(const status_request& asked);
  void on_records(const records_read& read);
  void on_decided(const decided& all);
  void on_tick();
  void on_stop();

  engine& core() { return *x_engine; }

  void append(std::uint64_t ticket, std::string record) override;
  void decide(std::vector<std::pair<uuid, decide_request>> asked) override;
  void accepted(const projections::folded_commit& commit) override;
  void project(std::shared_ptr<const projections::folded_commit> commit) override;
  void owning(std::uint64_t epoch) override;
  void owning_ended() override;
  void carry(const v1::Command& command) override;

private:
  using steady_time = std::chrono::steady_clock::time_point;

  struct awake_entity {
    entity_actor actor;
    steady_time last_used;
  };

  entity_actor& wake_entity(const uuid& entity, v1::Command::BodyCase noun);

  void rest(const awake_entity& one) { x_self->send(one.actor, rest_atom::value); }

  void let_sleep();
  void start_cluster(const uuid& cluster, const domain::entity_ptr& state, bool with_world);
  void tell(const domain::touched& one);
  /// The cluster of a node or VM, when its hypervisor is driven here.
  [[nodiscard]] std::optional<uuid> driven_cluster_of(const uuid& entity,
                                                      const domain::entity_ptr& state) const;

  partition_actor handle() { return caf::actor_cast<partition_actor>(x_self); }

  partition_actor::pointer x_self = nullptr;
  partition_birth x_birth;
  std::optional<engine> x_engine;
  std::unordered_map<uuid, awake_entity> x_awake;
  std::unordered_map<uuid, hypervisor_actor> x_hypervisors;
  steady_time x_last_sleep_check;
};

void memory::begin(partition_actor::pointer self, partition_birth birth) {
  x_self = self;
  x_birth = std::move(birth);
  x_birth.engine.has_projections = x_birth.projector.has_value();
  x_engine.emplace(x_birth.engine, *this);
  x_last_sleep_check = x_birth.engine.steady_clock();
  self->delayed_send(self, engine::tick_interval, tick_atom::value);
}

// For the engine ----------------------------------------------------------------------------------

void memory::append(std::uint64_t ticket, std::string record) {
  x_birth.log->append(x_birth.engine.where, std::move(record),
                      [to = handle(), ticket](const log::append_outcome& outcome) {
                        caf::anon_send(to, appended{ticket, outcome});
                      });
}

entity_actor& memory::wake_entity(const uuid& entity, v1::Command::BodyCase noun) {
  auto found = x_awake.find(entity);
  if (found == x_awake.end()) {
    entity_birth birth{entity, x_engine->state().find(entity), handle()};
    found =
        x_awake.emplace(entity, awake_entity{wake(x_self->system(), noun, std::move(birth)), {}})
            .first;
  }
  found->second.last_used = x_birth.engine.steady_clock();
  return found->second.actor;
}

void memory::decide(std::vector<std::pair<uuid, decide_request>> asked) {
  const auto sheet = std::make_shared<answer_sheet>(asked.size());
  for (auto& [entity, request] : asked) {
    const auto noun = request.commands.front().second->body_case();
    x_self->send(wake_entity(entity, noun), decide_commands{std::move(request), sheet});
  }
}

void memory::on_decided(const decided& all) {
  for (const auto& one : all.sheet->answers())
    x_engine->on_decided(one);
}

void memory::project(std::shared_ptr<const projections::folded_commit> commit) {
  if (x_birth.projected)
    x_birth.projected->add();
  x_self->send(*x_birth.projector, actors::project{{std::move(commit)}});
}

void memory::carry(const v1::Command& command) {
  if (x_birth.carry)
    x_birth.carry(command);
}

void memory::owning(std::uint64_t epoch) {
  std::unordered_map<uuid, cluster_world> worlds;
  x_engine->state().for_each([&](const uuid& entity, const domain::entity_ptr& state) {
    if (std::holds_alternative<domain::cluster_state>(*state))
      start_cluster(entity, state, true);
    if (const auto cluster = domain::cluster_of(entity, *state); !cluster.is_none())
      worlds[cluster].entities.push_back({entity, state});
  });
  for (auto& [cluster, hypervisor] : x_hypervisors) {
    auto& world = worlds[cluster];
    world.log_epoch = epoch;
    x_self->send(hypervisor, std::move(world));
  }
}

void memory::owning_ended() {
  for (auto& [cluster, hypervisor] : x_hypervisors)
    x_self->send(hypervisor, stop_atom::value);
  x_hypervisors.clear();
  for (auto& [entity, awake] : x_awake)
    rest(awake);
  x_awake.clear();
}

void memory::accepted(const projections::folded_commit& folded) {
  std::unordered_map<uuid, entities_changed> for_cluster;
  for (const auto& one : folded.touched) {
    const auto& state = one.after != nullptr ? one.after : one.before;
    if (one.after != nullptr && std::holds_alternative<domain::cluster_state>(*one.after))
      start_cluster(one.entity, one.after, false);
    if (const auto cluster = driven_cluster_of(one.entity, state))
      for_cluster[*cluster].entities.push_back({one.entity, one.after});
    tell(one);
  }
  for (auto& [cluster, changed] : for_cluster)
    x_self->send(x_hypervisors.at(cluster), std::move(changed));
  let_sleep();
}

void memory::tell(const domain::touched& one) {
  const auto awake = x_awake.find(one.entity);
  if (awake == x_awake.end())
    return;
  if (one.after != nullptr) {
    x_self->send(awake->second.actor, accept_state{one.after});
    return;
  }
  rest(awake->second);
  x_awake.erase(awake);
}

// Hypervisors and sleepers ------------------------------------------------------------------------

std::optional<uuid> memory::driven_cluster_of(const uuid& entity,
                                              const domain::entity_ptr& state) const {
  if (state == nullptr)
    return std::nullopt;
  const auto cluster = domain::cluster_of(entity, *state);
  return x_hypervisors.contains(cluster) ? std::optional(cluster) : std::nullopt;
}

void memory::start_cluster(const uuid& cluster, const domain::entity_ptr& state, bool with_world) {
  if (!x_birth.make_hypervisor || x_hypervisors.contains(cluster))
    return;
  const auto kind = std::get<domain::cluster_state>(*state).kind;
  auto made = x_birth.make_hypervisor(kind, cluster, handle());
  if (!made)
    return;
  if (!with_world)
    x_self->send(*made, cluster_world{{}, x_engine->status().epoch});
  x_hypervisors.emplace(cluster, std::move(*made));
}

void memory::let_sleep() {
  const auto now = x_birth.engine.steady_clock();
  if (x_awake.size() <= awake_max && now - x_last_sleep_check < sleep_check_interval)
    return;
  x_last_sleep_check = now;
  const bool too_many = x_awake.size() > awake_max;
  for (auto at = x_awake.begin(); at != x_awake.end();) {
    // What was sent before still arrives, in order, before the rest.
    if (now - at->second.last_used < awake_idle_max && !too_many) {
      ++at;
      continue;
    }
    rest(at->second);
    at = x_awake.erase(at);
  }
}

void memory::on_console(const console_request& asked) {
  if (const auto cluster = driven_cluster_of(asked.vm, x_engine->state().find(asked.vm)))
    return x_self->send(x_hypervisors.at(*cluster), asked);
  asked.done(error{error_code::unavailable,
                   x_birth.engine.is_read_only
                       ? "this process only reads the log: consoles are with the one that owns it"
                       : "nobody drives that VM's hypervisor now: try again",
                   true});
}

void memory::on_status(const status_request& asked) {
  partition_status told;
  told.engine = x_engine->status();
  told.awake = x_awake.size();
  told.acknowledged = x_engine->acknowledged();
  // A partition in which nothing was ever decided has no state to speak of.
  if (asked.with_digest && x_engine->state().head_time() != utc_time{})
    told.state_digest = log::to_text(log::sha256_of(x_engine->state().to_bytes()));
  asked.done(told);
}

void memory::on_records(const records_read& read) {
  x_engine->on_records(*read.records, read.end);
  if (x_birth.handed)
    x_birth.handed->leave();
}

void memory::on_tick() {
  x_self->delayed_send(x_self, engine::tick_interval, tick_atom::value);
  x_engine->on_tick();
  let_sleep();
}

void memory::on_stop() {
  x_engine->stop();
  owning_ended();
  x_self->quit();
}

partition_actor::behavior_type partition(partition_actor::stateful_pointer<memory> self,
                                         partition_birth birth) {
  self->state.begin(self, std::move(birth));
  return {
      [self](const submit& one) { self->state.core().on_submit(one.what); },
      [self](const records_read& read) { self->state.on_records(read); },
      [self](const read_failed& failed) { self->state.core().on_read_failed(failed.why); },
      [self](const carried& came) {
        for (auto& command : *came.commands)
          self->state.core().on_carried(std::move(command));
      },
      [self](const stream_taken& what) {
        self->state.core().on_stream_taken(what.target, what.number);
      },
      [self](const wanted& now) { self->state.core().set_wanted(now.is_wanted); },
      [self](trust_clock_atom) { self->state.core().trust_clock(); },
      [self](retire_atom) { self->state.core().retire(); },
      [self](const appended& what) { self->state.core().on_appended(what.ticket, what.outcome); },
      [self](const decided& all) { self->state.on_decided(all); },
      [self](const console_request& asked) { self->state.on_console(asked); },
      [self](const status_request& asked) { self->state.on_status(asked); },
      [self](tick_atom) { self->state.on_tick(); },
      [self](stop_atom) { self->state.on_stop(); },
  };
}

} // namespace

partition_actor spawn_partition(caf::actor_system& system, partition_birth birth,
                                bool is_detached) {
  if (is_detached)
    return system.spawn<caf::detached>(partition, std::move(birth));
  return system.spawn(partition, std::move(birth));
}

} // namespace orrery::actors
