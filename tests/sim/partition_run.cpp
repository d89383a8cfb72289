#include "tests/sim/partition_run.hpp"

#include "actors/engine/log_fold.hpp"
#include "actors/policies.hpp"
#include "events/core/check.hpp"
#include "tests/sim/process.hpp"

namespace orrery::sim {

namespace {

constexpr micros read_latency_min{500};
constexpr micros read_latency_max{3'000};
constexpr micros decide_latency_max{500};
constexpr micros told_latency_max{300};

/// A report may come long after its record was read back; one in so many does.
constexpr micros late_report_max{3'000'000};
constexpr std::uint64_t late_reports = 16;

/// What lags is asked for again.
constexpr micros read_again{10'000};

/// So much at most is read at once, so that a batch of records ends anywhere.
constexpr std::size_t read_bytes_max = 20'000;

const domain::kind_policies& policies() {
  static const auto made = actors::make_policies();
  return made;
}

} // namespace

partition_run::partition_run(process& in, partition_number where, bool is_shared)
    : x_in(in), x_where(where) {
  auto made = birth(is_shared);
  made.start = snapshot();
  x_next = made.start == nullptr ? 0 : made.start->next;
  x_engine.emplace(std::move(made), *this);
}

/// Every second process goes on from a snapshot of all that there is.
std::shared_ptr<actors::partition_snapshot> partition_run::snapshot() {
  if (x_in.number() % 2 == 1)
    return nullptr;
  const auto& identity = x_in.around().identity;
  actors::log_fold fold(x_in.around().store, identity, x_where);
  auto moved = fold.advance();
  while (moved && *moved)
    moved = fold.advance();
  if (!moved || fold.at().seq() == 0)
    return nullptr;
  auto read = actors::decode_snapshot(actors::encode_snapshot(identity, fold.at()), identity);
  ORRERY_CHECK(read);
  return std::make_shared<actors::partition_snapshot>(std::move(*read));
}

actors::engine_birth partition_run::birth(bool is_shared) {
  actors::engine_birth made;
  made.where = x_where;
  made.identity = x_in.around().identity;
  made.policies = &policies();
  made.edition = v1::MULTI_CLUSTER;
  made.is_shared = is_shared;
  made.process = is_shared ? x_in.nonce() : 0;
  made.owner_name = "process " + std::to_string(x_in.number());
  const auto end = x_in.way().log().end(x_where);
  made.end_at_start = end ? *end : 0;
  made.queued = std::make_shared<std::atomic<std::size_t>>(0);
  made.wall_clock = [this] { return x_in.wall(); };
  made.steady_clock = [this] { return x_in.steady(); };
  made.random = [this] { return x_in.random(); };
  auto& truth = x_in.around().truth(x_where);
  const auto number = x_in.number();
  auto& tell = made.tell;
  tell.check_projections = [&truth, number](std::uint64_t seq, const log::digest& head) {
    truth.on_folded(number, seq, head);
    return result<void>{};
  };
  tell.current = [this](bool is_current) { x_is_current = is_current; };
  tell.waiting = [this](std::uint64_t owner) { x_waits_for = owner; };
  tell.stream_taken = [this](partition_number source, std::uint64_t taken) {
    x_in.on_stream_taken(source, x_where, taken);
  };
  tell.clock_trusted = [this] { x_in.on_clock_trusted(); };
  tell.claimed = [this](std::uint64_t by) { x_in.on_claimed(x_where, by); };
  tell.fatal = [&truth, number](const error& why) { truth.on_fatal(number, why); };
  tell.record_void = [&truth, number](std::string_view why) { truth.on_void(number, why); };
  return made;
}

void partition_run::begin() { on_stored(); }

void partition_run::stop() {
  x_engine->stop();
  owning_ended();
}

void partition_run::on_tick() {
  std::erase_if(x_ending, [](const auto& one) { return one->is_stopped(); });
  x_engine->on_tick();
  for (const auto& [cluster, driven] : x_clusters)
    driven->on_tick();
}

// Reading: what actors/log_reader does in its thread ---------------------------------------------

void partition_run::on_stored() {
  if (std::exchange(x_is_reading, true))
    return;
  auto& around = x_in.around();
  x_in.later(around.between(read_latency_min, read_latency_max), [this] { read(); });
}

void partition_run::read() {
  x_is_reading = false;
  auto& way = x_in.way();
  if (way.is_frozen())
    return; // the end of it is told
  const auto bytes_max = 1 + x_in.random() % read_bytes_max;
  const auto found = way.log().read(x_where, x_next, bytes_max, std::chrono::milliseconds(0));
  if (!found)
    return x_engine->on_read_failed(found.error());
  if (!found->empty())
    x_next = found->back().at + 1;
  const auto end = way.log().end(x_where);
  if (!found->empty() || std::exchange(x_is_first, false))
    x_engine->on_records(*found, end ? *end : x_next);
  if (x_in.random() % 256 == 0)
    x_in.around().truth(x_where).compare(x_in.number(), x_engine->status().seq, x_engine->state());
  const auto stored = x_in.around().store->end(x_where);
  if (stored && x_next < *stored && !std::exchange(x_is_reading, true))
    x_in.later(found->empty() ? read_again : micros(200), [this] { read(); });
}

// For the engine ----------------------------------------------------------------------------------

void partition_run::append(std::uint64_t ticket, std::string record) {
  x_in.way().log().append(
      x_where, std::move(record),
      [weak = x_in.weak_from_this(), this, ticket](const log::append_outcome& outcome) {
        const auto alive = weak.lock();
        if (alive == nullptr)
          return;
        const bool is_late = alive->around().has(fault::log) && alive->random() % late_reports == 0;
        alive->later(
            alive->around().between(micros(0), is_late ? late_report_max : told_latency_max),
            [this, ticket, outcome] { x_engine->on_appended(ticket, outcome); });
      });
  x_in.way().drive();
}

void partition_run::decide(std::vector<std::pair<uuid, actors::decide_request>> asked) {
  for (auto& one : asked)
    x_in.later(x_in.around().between(micros(0), decide_latency_max), [this, one = std::move(one)] {
      const auto& [entity, request] = one;
      x_engine->on_decided(actors::decide_all(entity, x_engine->state().find(entity), request));
    });
}

void partition_run::project(std::shared_ptr<const projections::folded_commit> /*commit*/) {}

void partition_run::carry(const v1::Command& command) { x_in.carry(command); }

void partition_run::start_cluster(const uuid& cluster, std::uint64_t epoch, bool with_world) {
  if (x_clusters.contains(cluster))
    return;
  auto made = std::make_shared<driven_cluster>(*this, cluster);
  made->begin();
  x_clusters.emplace(cluster, made);
  if (!with_world)
    made->on_world({}, epoch);
}

void partition_run::owning(std::uint64_t epoch) {
  auto& around = x_in.around();
  around.seen.tell("owns", x_in.number(), [&] { return "epoch " + std::to_string(epoch); });
  std::map<uuid, std::vector<std::pair<uuid, domain::entity_ptr>>> worlds;
  x_engine->state().for_each([&](const uuid& entity, const domain::entity_ptr& state) {
    if (std::holds_alternative<domain::cluster_state>(*state))
      start_cluster(entity, epoch, true);
    if (const auto cluster = domain::cluster_of(entity, *state); !cluster.is_none())
      worlds[cluster].emplace_back(entity, state);
  });
  for (const auto& [cluster, driven] : x_clusters)
    driven->on_world(std::move(worlds[cluster]), epoch);
}

void partition_run::owning_ended() {
  x_in.around().seen.note("owns no more", x_in.number());
  for (const auto& [cluster, driven] : x_clusters) {
    driven->stop();
    x_ending.push_back(driven);
  }
  x_clusters.clear();
}

void partition_run::accepted(const projections::folded_commit& commit) {
  for (const auto& one : commit.touched) {
    const auto& state = one.after != nullptr ? one.after : one.before;
    if (state == nullptr)
      continue;
    if (one.after != nullptr && std::holds_alternative<domain::cluster_state>(*one.after))
      start_cluster(one.entity, x_engine->status().epoch, false);
    const auto cluster = domain::cluster_of(one.entity, *state);
    if (const auto found = x_clusters.find(cluster); found != x_clusters.end())
      found->second->on_changed(one.entity, one.after);
  }
}

void partition_run::submit(v1::Command command,
                           std::function<void(const actors::command_reply&)> done) {
  auto what = std::make_shared<actors::submission>();
  what->command = std::move(command);
  what->done = std::move(done);
  x_engine->on_submit(std::move(what));
}

} // namespace orrery::sim
