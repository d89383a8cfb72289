#include "actors/bench_support.hpp"

#include "actors/hypervisors/hypervisor.hpp"
#include "actors/log_reader.hpp"
#include "actors/partition.hpp"
#include "actors/policies.hpp"
#include "actors/projector.hpp"
#include "actors/system_config.hpp"
#include "drivers/simulated/simulated_hypervisor.hpp"
#include "events/log/new_identity.hpp"
#include "events/log/segment_log.hpp"
#include "events/log/sha256.hpp"
#include "projections/state_totals.hpp"
#include "pvip/apply/host_network.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <algorithm>
#include <future>
#include <thread>

namespace orrery::actors {

namespace {

using log::random_number;

// Burst
// ------------------------------------------------------------------------------------------------

/// About what one decision costs: 3 us of hashing.
constexpr std::size_t entity_work_bytes = std::size_t{4} * 1024;

caf::behavior burst_entity(caf::event_based_actor* self, caf::actor asker) {
  return {[self, asker](tick_atom) {
    static const std::string work(entity_work_bytes, 'x');
    const auto digest = log::sha256_of(work);
    if (digest[0] + digest[1] >= 0) // the work is used
      self->send(asker, tick_atom::value);
  }};
}

struct burst_memory {
  std::vector<caf::actor> entities;
  std::size_t waiting = 0;
  std::size_t bursts_left = 0;
  std::chrono::steady_clock::time_point began;
  std::chrono::nanoseconds spent{0};
};

caf::behavior burst_partition(caf::stateful_actor<burst_memory>* self, burst_shape shape,
                              std::shared_ptr<std::promise<std::chrono::nanoseconds>> result) {
  self->state.bursts_left = shape.bursts;
  const auto ask_all = [self, shape] {
    auto& mine = self->state;
    mine.entities.clear();
    for (std::size_t i = 0; i < shape.messages; ++i)
      mine.entities.push_back(self->spawn<caf::lazy_init>(burst_entity, caf::actor(self)));
    mine.waiting = shape.messages;
    mine.began = std::chrono::steady_clock::now();
    for (const auto& entity : mine.entities)
      self->send(entity, tick_atom::value);
  };
  ask_all();
  return {[self, ask_all, result](tick_atom) {
    auto& mine = self->state;
    if (--mine.waiting > 0)
      return;
    mine.spent += std::chrono::steady_clock::now() - mine.began;
    if (--mine.bursts_left > 0)
      return ask_all();
    result->set_value(mine.spent);
    mine.entities.clear();
    self->quit();
  }};
}

// Partition
// ------------------------------------------------------------------------------------------------

constexpr partition_number the_partition{0};

/// As in orreryd (actors/run.cpp).
constexpr std::size_t chunks_handed_max = 4;
constexpr std::size_t commits_projected_max = 1'024;

/// Between two looks at whether the partition came to rest after its start.
constexpr std::chrono::milliseconds rest_look{50};

/// A run's commits are projected long before.
constexpr std::chrono::minutes projection_patience{10};

/// A guest of the world that is there before the node is connected.
constexpr drivers::fencing_token first_token{1, 0};

utc_time wall_clock() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

result<void> add_guests(const std::shared_ptr<drivers::simulated_world>& world,
                        const uuid& installation, const domain::partition_state& folded) {
  drivers::simulated_hypervisor driver(world);
  if (auto connected = driver.connect(); !connected)
    return connected.error();
  result<void> added{};
  folded.for_each([&](const uuid& entity, const domain::entity_ptr& state) {
    const auto* vm = std::get_if<domain::vm_state>(state.get());
    if (vm == nullptr || !added)
      return;
    added = driver.define(spec_of(installation, entity, *vm), vm->generation, first_token);
    const bool is_on = domain::is_on(vm->observed.state);
    if (added && is_on)
      added = driver.start(vm_id{entity}, vm->generation, first_token);
  });
  return added;
}

/// A node's network on which every port is there already: a start finds nothing to do. (The one of
/// the simulated kind would spend the bench's time on its model of a kernel.)
class finished_network final : public pvip::host_network {
public:
  result<pvip::apply_report> reconcile(std::vector<pvip::port>) override {
    return pvip::apply_report{};
  }

  result<void> ensure(const pvip::port&) override { return {}; }

  result<void> announce(const std::string&, bool) override { return {}; }

  result<void> amend(const pvip::port&) override { return {}; }

  std::unordered_set<std::string> announced() override { return {}; }

  result<pvip::apply_report> answer_on(const std::string&) override { return pvip::apply_report{}; }

  result<void> remove(const std::string&) override { return {}; }

  result<bool> answers_arp(const pvip::port&, std::chrono::milliseconds) override { return true; }
};

hypervisor_kind_traits traits_of(std::shared_ptr<drivers::simulated_world> world) {
  hypervisor_kind_traits traits;
  traits.kind = v1::SIMULATED;
  traits.operations_max = drivers::limits_of(drivers::hypervisor_kind::simulated).operations_max;
  traits.make_link = [world = std::move(world)](const uuid&,
                                                const domain::node_state&) -> result<node_link> {
    node_link link;
    link.hypervisor = std::make_unique<drivers::simulated_hypervisor>(world);
    link.network = std::make_unique<finished_network>();
    link.speaker = pvip::make_simulated_speaker();
    return link;
  };
  return traits;
}

} // namespace

std::string scheduler_policy() {
  const auto made = make_system_config(0);
  const auto policy =
      caf::get_or(*made, "scheduler.policy", caf::atom("stealing")); // CAF's own default
  return caf::to_string(policy);
}

std::chrono::nanoseconds run_burst(const burst_shape& shape) {
  const auto config = make_system_config(std::max(2U, std::thread::hardware_concurrency()));
  config->set("scheduler.policy", caf::atom_from_string(shape.policy));
  caf::actor_system system(*config);
  auto result = std::make_shared<std::promise<std::chrono::nanoseconds>>();
  auto spent = result->get_future();
  if (shape.is_detached)
    system.spawn<caf::detached>(burst_partition, shape, std::move(result));
  else
    system.spawn(burst_partition, shape, std::move(result));
  return spent.get();
}

struct bench_partition::parts {
  domain::kind_policies policies = make_policies();
  std::shared_ptr<log::log> log;
  log::log_identity identity;
  std::shared_ptr<projections::store> store;
  std::shared_ptr<drivers::simulated_world> world;
  std::shared_ptr<flow> handed = std::make_shared<flow>(chunks_handed_max);
  std::shared_ptr<flow> projected = std::make_shared<flow>(commits_projected_max);
  std::shared_ptr<std::atomic<std::size_t>> queued = std::make_shared<std::atomic<std::size_t>>(0);
  std::uint64_t nonce = random_number() | 1;
  std::atomic<std::uint64_t> number{0};
  std::atomic<std::uint64_t> from_hypervisor{0}; ///< commands that it sent
  std::atomic<std::uint64_t> node_epoch{0};
  projections::state_totals totals; ///< the partition's thread only
  std::promise<void> owning;
  bool is_owning_told = false; ///< the partition's thread only
  std::unique_ptr<caf::actor_system_config> config;
  std::unique_ptr<caf::actor_system> system;
  std::optional<projector_actor> projector;
  std::optional<partition_actor> partition;
  std::unique_ptr<log_reader> reader;

  void stamp(v1::Command& command) {
    command.mutable_origin()->set_nonce(nonce);
    command.mutable_origin()->set_number(++number);
  }

  partition_birth birth();
  void start_actors();
  void wait_for_rest(std::size_t guests);
};

partition_birth bench_partition::parts::birth() {
  partition_birth made;
  made.engine.where = the_partition;
  made.log = log;
  made.engine.identity = identity;
  made.engine.policies = &policies;
  made.engine.owner_name = "bench";
  made.engine.end_at_start = log->end(the_partition).value();
  made.engine.projected_seq = store ? store->lowest_position(the_partition).seq : 0;
  made.projector = projector;
  made.handed = handed;
  made.projected = projected;
  made.engine.queued = queued;
  made.make_hypervisor = [this](v1::HypervisorKind, const uuid& cluster,
                                const partition_actor& to) -> std::optional<hypervisor_actor> {
    hypervisor_birth of;
    of.traits = traits_of(world);
    of.installation = identity.installation.value;
    of.cluster = cluster;
    of.partition = to;
    of.where = the_partition;
    of.stamp = [this](v1::Command& command) {
      stamp(command);
      ++from_hypervisor;
    };
    of.wall_clock = wall_clock;
    of.random = random_number;
    return spawn_hypervisor(*system, std::move(of));
  };
  made.engine.wall_clock = wall_clock;
  made.engine.steady_clock = std::chrono::steady_clock::now;
  made.engine.random = random_number;
  made.engine.tell.owning = [this](std::uint64_t) {
    if (!is_owning_told)
      owning.set_value();
    is_owning_told = true;
  };
  made.engine.tell.fatal = [](const error& why) {
    // A bench has nothing to save: it ends, and says why.
    std::fprintf(stderr, "orrery-bench: %s\n", why.text.c_str());
    std::_Exit(EXIT_FAILURE);
  };
  made.engine.tell.folded = [this](const projections::folded_commit& folded) {
    totals.apply(folded.touched);
    for (const auto& one : folded.touched)
      if (one.after != nullptr)
        if (const auto* node = std::get_if<domain::node_state>(one.after.get()))
          node_epoch = node->epoch;
  };
  return made;
}

void bench_partition::parts::start_actors() {
  config = make_system_config(0);
  system = std::make_unique<caf::actor_system>(*config);
  if (store) {
    projector_birth made;
    made.store = store;
    made.projected = projected;
    made.fatal = [](const error& why) {
      std::fprintf(stderr, "orrery-bench: %s\n", why.text.c_str());
      std::_Exit(EXIT_FAILURE);
    };
    projector = spawn_projector(*system, std::move(made));
  }
  partition = spawn_partition(*system, birth());
  reader = std::make_unique<log_reader>(log, the_partition, 0, *partition, handed, projected);
}

/// Until the node greeted, every guest was asked after, nothing waits any more, and everything is
/// projected: else the first runs would pay for what was there before.
void bench_partition::parts::wait_for_rest(std::size_t guests) {
  while (from_hypervisor < guests + 1)
    std::this_thread::sleep_for(rest_look);
  while (true) {
    std::promise<engine_status> told;
    auto standing = told.get_future();
    caf::anon_send(*partition, status_request{false, [&told](const partition_status& status) {
                                                told.set_value(status.engine);
                                              }});
    const auto now = standing.get();
    if (now.queued == 0 && (!store || store->lowest_position(the_partition).seq >= now.seq))
      return;
    std::this_thread::sleep_for(rest_look);
  }
}

result<std::unique_ptr<bench_partition>> bench_partition::start(const options& wanted) {
  auto made = std::make_unique<parts>();
  made->log = wanted.log;
  made->identity = wanted.identity;
  if (!made->log) {
    log::open_report report;
    auto opened = log::segment_log::open(wanted.directory + "/log", {}, report);
    if (!opened)
      return opened.error();
    made->identity = (*opened)->identity();
    made->log = std::move(*opened);
  }
  if (wanted.with_projections) {
    auto store = projections::store::open(wanted.directory + "/projections");
    if (!store)
      return store.error();
    made->store = std::move(*store);
  }
  drivers::simulated_world::options world;
  world.verb_time = std::chrono::microseconds(0);
  auto opened_world = drivers::simulated_world::open(std::move(world));
  if (!opened_world)
    return opened_world.error();
  made->world = std::move(*opened_world);
  const auto installation = made->identity.installation.value;
  if (auto added = add_guests(made->world, installation, *wanted.folded); !added)
    return added.error();
  made->start_actors();
  made->owning.get_future().get();
  made->wait_for_rest(made->world->guest_count());
  return std::unique_ptr<bench_partition>(new bench_partition(std::move(made)));
}

bench_partition::bench_partition(std::unique_ptr<parts> made) : x_parts(std::move(made)) {}

bench_partition::~bench_partition() {
  auto& all = *x_parts;
  all.reader.reset();
  caf::anon_send(*all.partition, stop_atom::value);
  if (all.projector)
    caf::anon_send(*all.projector, stop_atom::value);
  all.partition.reset();
  all.projector.reset();
  all.system.reset(); // waits for every actor
}

std::shared_ptr<submission>
bench_partition::prepare(v1::Command command,
                         std::function<void(std::uint32_t code, std::uint64_t seq)> done) {
  auto made = std::make_shared<submission>();
  made->command = std::move(command);
  if (done)
    made->done = [done = std::move(done)](const command_reply& reply) {
      done(reply.reply.code(), reply.seq);
    };
  return made;
}

void bench_partition::submit(std::shared_ptr<submission> what) {
  x_parts->stamp(what->command);
  caf::anon_send(*x_parts->partition, actors::submit{std::move(what)});
}

void bench_partition::wait_for_projections(std::uint64_t seq) {
  if (x_parts->store)
    ORRERY_CHECK(x_parts->store->wait_for(the_partition, seq, projection_patience));
}

std::uint64_t bench_partition::node_epoch() const { return x_parts->node_epoch; }

} // namespace orrery::actors
