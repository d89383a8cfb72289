#include "tests/sim/driven_cluster.hpp"

#include "events/core/crash_point.hpp"
#include "tests/sim/process.hpp"

#include <algorithm>
#include <list>
#include <unordered_set>

namespace orrery::sim {

namespace {

constexpr micros turn_latency{100};
constexpr micros sent_latency_max{500};

/// How long a piece of work on a host takes; now and then very long.
constexpr micros work_min{1'000};
constexpr micros work_max{60'000};
constexpr micros work_slow_max{15'000'000};
constexpr std::uint32_t work_is_slow = 10; ///< odds in a thousand

/// Its thread gets no time for so long; other parts of the process do.
constexpr micros stall_max{4'000'000};
constexpr std::uint32_t turn_is_stalled = 2; ///< odds in a thousand

constexpr std::chrono::milliseconds arp_patience{300};

/// Threads of a workbench, without threads: work happens at the end of the time that it takes, all
/// at once.
class turns_bench final : public actors::bench {
public:
  turns_bench(process& in, std::size_t threads) : x_in(in), x_free(threads) {}

  ~turns_bench() override;

  void add(const uuid& key, work todo) override;
  std::unordered_set<uuid> busy() override;

private:
  struct task {
    uuid key;
    work act;
    bool has_begun = false;
  };

  void begin_some();
  void end(const std::shared_ptr<task>& ended);

  process& x_in;
  std::size_t x_free;
  std::list<std::shared_ptr<task>> x_tasks;
  std::shared_ptr<bool> x_is_here = std::make_shared<bool>(true);
};

/// What has begun is waited for, unless it dies with its process.
turns_bench::~turns_bench() {
  *x_is_here = false;
  if (!x_in.is_alive())
    return;
  disarm_crash_points();
  for (const auto& one : x_tasks)
    if (one->has_begun)
      one->act();
}

void turns_bench::add(const uuid& key, work todo) {
  x_tasks.push_back(std::make_shared<task>(task{key, std::move(todo)}));
  begin_some();
}

std::unordered_set<uuid> turns_bench::busy() {
  std::unordered_set<uuid> found;
  for (const auto& one : x_tasks)
    found.insert(one->key);
  return found;
}

void turns_bench::begin_some() {
  for (auto at = x_tasks.begin(); at != x_tasks.end() && x_free > 0; ++at) {
    const auto& one = *at;
    const bool is_first = std::none_of(
        x_tasks.begin(), at, [&one](const auto& earlier) { return earlier->key == one->key; });
    if (one->has_begun || !is_first)
      continue;
    one->has_begun = true;
    --x_free;
    auto& around = x_in.around();
    auto takes = around.between(work_min, work_max);
    if (around.strikes(fault::verb, work_is_slow))
      takes = around.between(work_max, work_slow_max);
    x_in.later(takes, [this, one, here = x_is_here] {
      if (*here)
        end(one);
    });
  }
}

void turns_bench::end(const std::shared_ptr<task>& ended) {
  const auto here = x_is_here;
  ended->act();
  if (!*here)
    return;
  x_tasks.remove(ended);
  ++x_free;
  begin_some();
}

} // namespace

void driven_cluster::begin() {
  auto& in = x_of.in();
  actors::driving_birth birth;
  birth.traits.kind = v1::SIMULATED;
  birth.traits.operations_max =
      drivers::limits_of(drivers::hypervisor_kind::simulated).operations_max;
  birth.traits.arp_patience = arp_patience;
  birth.traits.make_link = [&in](const uuid& node, const domain::node_state&) {
    return result<actors::node_link>(in.machines().connect(in.number(), node));
  };
  birth.installation = in.around().identity.installation.value;
  birth.where = x_of.where();
  birth.wall_clock = [&in] { return in.wall(); };
  birth.steady_clock = [&in] { return in.steady(); };
  birth.random = [&in] { return in.random(); };
  x_core.emplace(std::move(birth), *this);
}

void driven_cluster::then(std::function<void(actors::cluster_driving&)> act) {
  auto& around = x_of.in().around();
  if (around.strikes(fault::pause, turn_is_stalled))
    // A mailbox keeps its order: what comes later never overtakes.
    x_stalled_until =
        std::max(x_stalled_until, around.time.now() + around.between(micros(0), stall_max));
  const auto latency = std::max(turn_latency, x_stalled_until - around.time.now());
  x_of.in().later(latency, [weak = weak_from_this(), act = std::move(act)] {
    if (const auto self = weak.lock(); self && !self->x_is_stopped)
      act(*self->x_core);
  });
}

void driven_cluster::on_world(std::vector<std::pair<uuid, domain::entity_ptr>> entities,
                              std::uint64_t epoch) {
  then([entities = std::move(entities), epoch](auto& core) { core.on_world(entities, epoch); });
}

void driven_cluster::on_changed(const uuid& entity, const domain::entity_ptr& state) {
  then([entity, state](auto& core) { core.on_changed(entity, state); });
}

void driven_cluster::on_tick() {
  if (!x_is_stopped && x_of.in().around().time.now() >= x_stalled_until)
    x_core->on_tick();
}

void driven_cluster::stop() {
  then([self = this](auto& core) {
    self->x_is_stopped = true;
    core.stop();
  });
}

std::unique_ptr<actors::bench> driven_cluster::make_bench(std::size_t threads) {
  return std::make_unique<turns_bench>(x_of.in(), threads);
}

std::function<void(std::function<void()>)> driven_cluster::poster() {
  return [weak = weak_from_this()](std::function<void()> act) {
    if (const auto self = weak.lock())
      self->then([act = std::move(act)](auto&) { act(); });
  };
}

void driven_cluster::send(v1::Command command) {
  auto what = std::make_shared<actors::submission>();
  what->command = std::move(command);
  auto& in = x_of.in();
  in.stamp(what->command);
  in.later(in.around().between(micros(0), sent_latency_max),
           [of = &x_of, what] { of->core().on_submit(what); });
}

} // namespace orrery::sim
