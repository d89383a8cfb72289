#include "actors/partition.hpp"

#include "actors/batch.hpp"
#include "actors/entity.hpp"
#include "events/core/crash_point.hpp"
#include "events/log/clock_guard.hpp"
#include "events/log/owner.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <cstdio>
#include <deque>
#include <map>
#include <unordered_map>
#include <utility>

namespace orrery::actors {

namespace {

// The way of a command:
//
//   submit -> queue -> batch -> entities decide -> ONE record -> append -> read back, accepted ->
//   delivered
//                                                                                   |
//            replies, accepted steps to entities, commits to the projector <--------+

constexpr std::chrono::milliseconds tick_interval{250};

/// Pause before a claim is made again after one that did not win.
constexpr std::chrono::milliseconds claim_retry{1'000};

/// Pause before the log is tried again after it had no room.
constexpr std::chrono::milliseconds full_retry{1'000};

/// A decision is a pure function: one that takes this long hangs, and only a restart helps.
constexpr std::chrono::seconds decide_patience{600};

/// Room for header, salt and times below the log's own limit.
constexpr std::size_t body_size_max = log::record_size_max - 1'024;

constexpr std::chrono::seconds sleep_check_interval{5};
constexpr std::chrono::seconds state_report_interval{1};

/// A timer whose command was sent is looked at again after this long.
constexpr std::chrono::seconds timer_repeat{5};

v1::Reply reply_of(const error& failure) {
  v1::Reply reply;
  reply.set_code(static_cast<std::uint32_t>(failure.code));
  reply.set_text(failure.text);
  reply.set_retryable(failure.retryable);
  return reply;
}

void answer(const submission& who, v1::Reply reply, const uuid& command, std::uint64_t seq) {
  if (who.done)
    who.done(command_reply{std::move(reply), command, seq});
}

void refuse(const submission& who, const error& failure) {
  answer(who, reply_of(failure), domain::from_proto(who.command.id()), 0);
}

std::string_view noun_of(const v1::Command& command) {
  switch (command.body_case()) {
  case v1::Command::kInstallation:
    return "installation";
  case v1::Command::kCluster:
    return "cluster";
  case v1::Command::kNode:
    return "node";
  case v1::Command::kNetwork:
    return "network";
  case v1::Command::kVm:
    return "vm";
  case v1::Command::BODY_NOT_SET:
    break;
  }
  return "none";
}

std::string_view outcome_of(const v1::Reply& reply) {
  return reply.code() == 0 ? std::string_view("done")
                           : orrery::name_of(static_cast<error_code>(reply.code()));
}

bool is_trust_command(const v1::Command& command) {
  return command.has_installation() && command.installation().has_trust_clock();
}

/// Someone waits for the answer, and can be told to come again; observations and timers must not
/// get lost.
bool has_asker(const submission& who) { return static_cast<bool>(who.done); }

class memory {
public:
  static inline const char* name = "partition";

  void begin(partition_actor::pointer self, partition_birth birth);
  void on_submit(std::shared_ptr<submission> what);
  void on_records(const records_read& read);
  void on_read_failed(const error& why);
  void on_appended(const appended& what);
  void on_decided(const decide_answer& decided);
  void on_console(const console_request& asked);
  void on_status(const status_request& asked);
  void on_tick();
  void on_stop();

private:
  using steady_time = std::chrono::steady_clock::time_point;

  struct awake_entity {
    entity_actor actor;
    steady_time last_used;
  };

  /// A record of ours between append and acceptance.
  struct in_flight {
    std::uint64_t ticket = 0;
    std::vector<batch::answered> recorded;
    steady_time began;
    std::shared_ptr<const projections::folded_commit> folded; ///< once read back
  };

  // Owning
  void claim();
  void take_ownership(std::uint64_t epoch);
  void lose_ownership();
  void found_installation();

  // Deciding
  void pump();
  std::vector<std::shared_ptr<submission>> take_commands();
  /// True when there is nothing to decide: it was decided before, or is out of date.
  bool is_settled(submission& who, std::map<std::uint64_t, bool>& keys_in_batch);
  void ask_on();
  entity_actor& wake_entity(const uuid& entity, v1::Command::BodyCase noun);

  // Committing
  void commit();
  void on_not_written(const error& why);
  void raise_alarm(const std::string& why);
  void finish_commit();
  void give_back(std::vector<std::shared_ptr<submission>> commands);

  // Folding
  void read_record(const log::record& record);
  void fold(const log::reading& read, std::uint64_t seq);
  /// Commands that wait here but were accepted in a record that this owner does not wait for.
  void answer_from(const v1::CommitBody& body, std::uint64_t seq);
  void after_replay();
  void accept(const projections::folded_commit& folded);
  void note_timers(const domain::touched& one);
  void start_cluster(const uuid& cluster, const domain::entity_ptr& state, bool with_world);
  [[nodiscard]] std::optional<hypervisor_actor>
  hypervisor_of(const domain::entity_ptr& state) const;

  // Time
  void fire_timers();
  void let_sleep();
  void report_state();
  void halt(const error& why);

  partition_actor handle() { return caf::actor_cast<partition_actor>(x_self); }

  partition_actor::pointer x_self = nullptr;
  partition_birth x_birth;
  std::optional<log::owner> x_owner;
  log::clock_guard x_clock;
  domain::partition_state x_state;

  std::deque<std::shared_ptr<submission>> x_queue;
  std::optional<batch> x_batch;
  std::optional<in_flight> x_in_flight;
  std::uint64_t x_batch_number = 0;
  std::uint64_t x_ticket = 0;
  steady_time x_batch_began;
  steady_time x_not_before; ///< no append before this (log full, claim lost)

  std::unordered_map<uuid, awake_entity> x_awake;
  std::unordered_map<uuid, hypervisor_actor> x_hypervisors;
  std::multimap<utc_time, uuid> x_timers;

  log::offset x_next_offset = 0;
  std::uint64_t x_last_seq = 0;        ///< of the last accepted record
  std::uint64_t x_last_commit_seq = 0; ///< of the last accepted commit
  bool x_is_replayed = false;
  bool x_is_stopped = false;
  std::string x_alarm;      ///< why nothing is decided now
  std::string x_alarm_told; ///< the last that the process's log was told
  steady_time x_last_sleep_check;
  steady_time x_last_report;
};

void memory::begin(partition_actor::pointer self, partition_birth birth) {
  x_self = self;
  x_birth = std::move(birth);
  x_owner.emplace(x_birth.identity, x_birth.where);
  x_last_sleep_check = x_last_report = x_not_before = x_birth.steady_clock();
  self->delayed_send(self, tick_interval, tick_atom::value);
}

// Owning ------------------------------------------------------------------------------------------

void memory::claim() {
  if (x_birth.is_read_only || x_is_stopped || x_birth.steady_clock() < x_not_before)
    return;
  x_not_before = x_birth.steady_clock() + claim_retry;
  auto nonce = x_birth.random();
  if (nonce == 0)
    nonce = 1;
  auto record =
      x_owner->make_claim(x_birth.owner_name, x_birth.address, nonce, x_birth.wall_clock());
  const auto ticket = ++x_ticket;
  x_birth.log->append(x_birth.where, std::move(record),
                      [to = handle(), ticket](const log::append_outcome& outcome) {
                        caf::anon_send(to, appended{ticket, outcome});
                      });
}

void memory::take_ownership(std::uint64_t epoch) {
  x_not_before = x_birth.steady_clock();
  std::unordered_map<uuid, cluster_world> worlds;
  x_state.for_each([&](const uuid& entity, const domain::entity_ptr& state) {
    if (std::holds_alternative<domain::cluster_state>(*state))
      start_cluster(entity, state, true);
    else if (const auto* node = std::get_if<domain::node_state>(state.get()))
      worlds[node->cluster].entities.push_back({entity, state});
    else if (const auto* vm = std::get_if<domain::vm_state>(state.get()))
      worlds[vm->cluster].entities.push_back({entity, state});
    note_timers({entity, nullptr, state});
  });
  for (auto& [cluster, hypervisor] : x_hypervisors) {
    auto& world = worlds[cluster];
    world.log_epoch = epoch;
    x_self->send(hypervisor, std::move(world));
  }
  if (x_state.find(x_birth.identity.installation.value) == nullptr)
    found_installation();
  if (x_birth.tell.owning)
    x_birth.tell.owning(epoch);
  pump();
}

void memory::found_installation() {
  auto founding = std::make_shared<submission>();
  domain::set(founding->command.mutable_id(),
              make_uuid(x_birth.wall_clock(), x_birth.where, x_birth.random()));
  founding->command.mutable_principal()->set_kind(v1::Principal::SYSTEM);
  founding->command.mutable_principal()->set_name("orreryd");
  domain::set(founding->command.mutable_entity(), x_birth.identity.installation.value);
  founding->command.mutable_installation()->mutable_found()->set_edition(x_birth.edition);
  x_queue.push_front(std::move(founding));
}

void memory::lose_ownership() {
  for (auto& [cluster, hypervisor] : x_hypervisors)
    x_self->send(hypervisor, stop_atom::value);
  x_hypervisors.clear();
  for (auto& [entity, awake] : x_awake)
    x_self->send(awake.actor, rest_atom::value);
  x_awake.clear();
  x_timers.clear();
  std::vector<std::shared_ptr<submission>> undecided;
  if (x_batch)
    undecided = x_batch->give_up();
  x_batch.reset();
  if (x_in_flight)
    for (auto& one : x_in_flight->recorded)
      undecided.push_back(std::move(one.who));
  x_in_flight.reset();
  give_back(std::move(undecided));
}

// Deciding ----------------------------------------------------------------------------------------

void memory::on_submit(std::shared_ptr<submission> what) {
  if (x_birth.is_read_only)
    return refuse(*what,
                  {error_code::read_only,
                   "this process only reads: send changes to the one that owns the log", false});
  if (x_is_stopped)
    return refuse(*what, {error_code::unavailable,
                          x_alarm.empty() ? "orreryd is stopping: try again when it is back"
                                          : "orreryd decides nothing: " + x_alarm,
                          true});
  domain::clean_texts(what->command);
  x_queue.push_back(std::move(what));
  x_birth.queued->store(x_queue.size());
  pump();
}

bool memory::is_settled(submission& who, std::map<std::uint64_t, bool>& keys_in_batch) {
  const auto& command = who.command;
  if (command.has_origin() && command.origin().nonce() != 0 &&
      x_state.was_decided(command.origin()))
    return true; // its reply is in the record; whoever waits reads it there
  if (x_state.is_outdated(command)) {
    refuse(who,
           {error_code::conflict,
            "the observation is of a connection to the node that was replaced meanwhile", false});
    return true;
  }
  if (!command.has_key())
    return false;
  if (const auto* known = x_state.find_key(command.key().key_hash())) {
    if (known->body_hash == command.key().body_hash())
      answer(who, *known->reply, known->command, known->seq);
    else
      refuse(who, {error_code::key_reused,
                   "that Idempotency-Key came with another request before: use a new key", false});
    return true;
  }
  if (x_state.keys_are_full()) {
    refuse(who, {error_code::too_many_requests,
                 "a million requests with an Idempotency-Key were made in the last 7 days: try "
                 "without a key, or later",
                 true});
    return true;
  }
  keys_in_batch.emplace(command.key().key_hash(), true);
  return false;
}

std::vector<std::shared_ptr<submission>> memory::take_commands() {
  // Owners that die one after the other without a commit may die of one command: find it by going
  // one at a time.
  constexpr std::uint32_t claims_before_caution = 3;
  const auto size_max = x_owner->claims_in_a_row() >= claims_before_caution ? 1 : batch_size_max;
  std::vector<std::shared_ptr<submission>> taken;
  std::map<std::uint64_t, bool> keys_in_batch;
  std::size_t bytes = 0;
  while (!x_queue.empty() && taken.size() < size_max && bytes < body_size_max / 2) {
    auto& front = x_queue.front();
    if (front->command.has_key() && keys_in_batch.contains(front->command.key().key_hash()))
      break; // the second one of a key waits until the first one is accepted
    auto who = std::move(front);
    x_queue.pop_front();
    if (is_settled(*who, keys_in_batch))
      continue;
    bytes += who->command.ByteSizeLong();
    taken.push_back(std::move(who));
  }
  x_birth.queued->store(x_queue.size());
  return taken;
}

void memory::pump() {
  if (x_batch || x_queue.empty() || x_is_stopped || !x_owner->is_idle() ||
      x_birth.steady_clock() < x_not_before)
    return;
  const auto wall = x_birth.wall_clock();
  const auto steady = x_birth.steady_clock();
  const auto head = x_state.head_time();
  if (std::ranges::any_of(x_queue, [](const auto& who) { return is_trust_command(who->command); }))
    x_clock.trust(wall, steady, head);
  const auto now = x_clock.next(wall, steady, head);
  if (!now) {
    raise_alarm(now.error().text);
    std::deque<std::shared_ptr<submission>> kept;
    for (auto& who : x_queue) {
      if (has_asker(*who))
        refuse(*who, now.error());
      else
        kept.push_back(std::move(who));
    }
    x_queue = std::move(kept);
    return;
  }
  x_alarm.clear();
  auto commands = take_commands();
  if (commands.empty())
    return;
  x_batch_began = steady;
  x_batch.emplace(++x_batch_number, std::move(commands),
                  domain::context{*now, {}, x_birth.policies});
  ask_on();
}

entity_actor& memory::wake_entity(const uuid& entity, v1::Command::BodyCase noun) {
  auto found = x_awake.find(entity);
  if (found == x_awake.end()) {
    entity_birth birth{entity, x_state.find(entity), handle()};
    found =
        x_awake.emplace(entity, awake_entity{wake(x_self->system(), noun, std::move(birth)), {}})
            .first;
  }
  found->second.last_used = x_batch_began;
  return found->second.actor;
}

void memory::ask_on() {
  if (x_batch->is_decided())
    return commit();
  for (auto& [entity, request] : x_batch->ask()) {
    const auto noun = request.commands.front().second->body_case();
    x_self->send(wake_entity(entity, noun), std::move(request));
  }
}

void memory::on_decided(const decide_answer& decided) {
  if (!x_batch || x_batch->number() != decided.batch)
    return; // of a batch that was given up
  x_batch->on_answer(decided);
  if (x_batch->outstanding() == 0)
    ask_on();
}

// Committing --------------------------------------------------------------------------------------

void memory::give_back(std::vector<std::shared_ptr<submission>> commands) {
  for (auto at = commands.rbegin(); at != commands.rend(); ++at)
    x_queue.push_front(std::move(*at));
  x_birth.queued->store(x_queue.size());
}

void memory::commit() {
  auto built = x_batch->build(body_size_max);
  x_batch.reset();
  give_back(std::move(built.left));
  for (const auto& one : built.unrecorded)
    answer(*one.who, one.reply, domain::from_proto(one.who->command.id()), 0);
  if (built.body.decisions_size() == 0)
    return pump();
  built.body.set_salt(x_birth.random());
  in_flight flight;
  flight.ticket = ++x_ticket;
  flight.recorded = std::move(built.recorded);
  flight.began = x_batch_began;
  auto record = x_owner->make_commit(built.body.SerializeAsString());
  x_in_flight = std::move(flight);
  crash_point("partition.append.before");
  x_birth.log->append(x_birth.where, std::move(record),
                      [to = handle(), ticket = x_ticket](const log::append_outcome& outcome) {
                        caf::anon_send(to, appended{ticket, outcome});
                      });
  crash_point("partition.append.after");
}

void memory::on_appended(const appended& what) {
  if (what.ticket != x_ticket)
    return;
  const bool was_owning = x_owner->stands() == log::standing::owning;
  x_owner->on_appended(what.outcome);
  switch (what.outcome.fate) {
  case log::append_fate::durable:
    break;
  case log::append_fate::not_written:
    if (was_owning)
      on_not_written(what.outcome.failure);
    else
      raise_alarm("the log cannot be claimed: " + what.outcome.failure.text);
    break;
  case log::append_fate::unknown:
    if (was_owning)
      lose_ownership();
    break;
  }
  if (!x_is_stopped && x_owner->is_committed())
    finish_commit();
}

void memory::on_not_written(const error& why) {
  x_not_before = x_birth.steady_clock() + full_retry;
  raise_alarm(why.text);
  std::vector<std::shared_ptr<submission>> kept;
  for (auto& one : x_in_flight->recorded) {
    if (has_asker(*one.who))
      refuse(*one.who, why);
    else
      kept.push_back(std::move(one.who));
  }
  x_in_flight.reset();
  give_back(std::move(kept));
}

/// For the status, and once for the log of the process.
void memory::raise_alarm(const std::string& why) {
  x_alarm = why;
  if (x_alarm_told != why)
    std::fprintf(stderr, "warn: no change is taken: %s\n", why.c_str());
  x_alarm_told = why;
}

void memory::finish_commit() {
  ORRERY_CHECK(x_in_flight && x_in_flight->folded);
  auto flight = std::move(*x_in_flight);
  x_in_flight.reset();
  x_owner->release();
  if (!std::exchange(x_alarm_told, {}).empty())
    std::fprintf(stderr, "info: changes are taken again\n");
  accept(*flight.folded);
  crash_point("partition.reply.before");
  for (const auto& one : flight.recorded) {
    answer(*one.who, one.reply, domain::from_proto(one.who->command.id()), flight.folded->seq);
    if (x_birth.tell.command_decided)
      x_birth.tell.command_decided(noun_of(one.who->command), outcome_of(one.reply));
  }
  crash_point("partition.reply.after");
  if (x_birth.tell.committed)
    x_birth.tell.committed(flight.recorded.size(),
                           std::chrono::duration_cast<std::chrono::microseconds>(
                               x_birth.steady_clock() - flight.began));
  let_sleep();
  pump();
}

// Folding -----------------------------------------------------------------------------------------

void memory::on_records(const records_read& read) {
  for (const auto& record : *read.records) {
    if (x_owner->stands() == log::standing::halted)
      break;
    if (record.at != x_next_offset) {
      halt({error_code::log_cut,
            "the log jumps from record " + std::to_string(x_next_offset) + " to " +
                std::to_string(record.at) + ": records are missing; restore it from a backup",
            false});
      break;
    }
    ++x_next_offset;
    read_record(record);
  }
  if (x_birth.handed)
    x_birth.handed->leave();
  if (!x_is_replayed && x_next_offset >= x_birth.end_at_start && !x_is_stopped)
    after_replay();
}

void memory::read_record(const log::record& record) {
  crash_point("partition.read_back.before");
  const bool was_owning = x_owner->stands() == log::standing::owning;
  const auto read = x_owner->on_record(record.bytes);
  switch (read.what) {
  case log::reading::kind::halt:
    return halt(*read.alarm);
  case log::reading::kind::nothing:
    if (x_birth.tell.record_void)
      x_birth.tell.record_void(name_of(*read.reason));
    if (was_owning && x_owner->stands() != log::standing::owning)
      lose_ownership();
    return;
  case log::reading::kind::claim:
    if (was_owning)
      lose_ownership();
    x_last_seq = read.after.next - 1;
    if (read.ours)
      take_ownership(read.after.epoch);
    return;
  case log::reading::kind::commit:
    break;
  }
  fold(read, read.after.next - 1);
  crash_point("partition.read_back.after");
  if (!x_is_stopped && x_owner->is_committed())
    finish_commit();
}

void memory::fold(const log::reading& read, std::uint64_t seq) {
  auto body = domain::parse_commit(read.body);
  if (body == nullptr)
    return halt({error_code::unknown_record,
                 "record " + std::to_string(seq) +
                     " is part of the log but its body cannot be read: it was written by another "
                     "version, or damaged before it was written",
                 false});
  x_last_seq = x_last_commit_seq = seq;
  if (x_birth.tell.check_projections)
    if (auto checked = x_birth.tell.check_projections(seq, read.after.hash); !checked)
      return halt(checked.error());
  const bool is_projected = !x_birth.projector || seq <= x_birth.projected_seq;
  if (!x_is_replayed && is_projected) {
    x_state.fold_alone(*body, seq);
    return answer_from(*body, seq);
  }
  auto folded = std::make_shared<projections::folded_commit>();
  folded->where = x_birth.where;
  folded->seq = seq;
  folded->head = read.after.hash;
  folded->bytes = read.body.size();
  folded->touched = x_state.fold(*body, seq);
  folded->body = std::move(body);
  if (x_is_replayed && x_birth.tell.folded)
    x_birth.tell.folded(*folded);
  if (!is_projected) {
    if (x_birth.projected)
      x_birth.projected->add();
    x_self->send(*x_birth.projector, project{{folded}, x_next_offset});
  }
  if (read.ours && x_in_flight)
    x_in_flight->folded = std::move(folded);
  else
    answer_from(*folded->body, seq);
}

void memory::answer_from(const v1::CommitBody& body, std::uint64_t seq) {
  if (x_queue.empty())
    return;
  for (const auto& decision : body.decisions()) {
    const auto command = domain::from_proto(decision.command().id());
    const auto waits = std::ranges::find_if(x_queue, [&command](const auto& who) {
      return domain::from_proto(who->command.id()) == command;
    });
    if (waits == x_queue.end())
      continue;
    answer(**waits, decision.reply(), command, seq);
    x_queue.erase(waits);
  }
}

void memory::after_replay() {
  x_is_replayed = true;
  if (x_birth.tell.present)
    x_state.for_each_unordered(
        [this](const uuid&, const domain::entity_ptr& state) { x_birth.tell.present(*state); });
  if (x_birth.tell.replayed)
    if (auto checked = x_birth.tell.replayed(x_last_seq, x_last_commit_seq); !checked)
      return halt(checked.error());
  claim();
}

std::optional<hypervisor_actor> memory::hypervisor_of(const domain::entity_ptr& state) const {
  if (state == nullptr)
    return std::nullopt;
  uuid cluster;
  if (const auto* vm = std::get_if<domain::vm_state>(state.get()))
    cluster = vm->cluster;
  else if (const auto* node = std::get_if<domain::node_state>(state.get()))
    cluster = node->cluster;
  const auto found = x_hypervisors.find(cluster);
  return found == x_hypervisors.end() ? std::nullopt : std::optional(found->second);
}

void memory::start_cluster(const uuid& cluster, const domain::entity_ptr& state, bool with_world) {
  if (!x_birth.make_hypervisor || x_hypervisors.contains(cluster))
    return;
  const auto kind = std::get<domain::cluster_state>(*state).kind;
  auto made = x_birth.make_hypervisor(kind, cluster, handle());
  if (!made)
    return;
  if (!with_world)
    x_self->send(*made, cluster_world{{}, x_owner->head().epoch});
  x_hypervisors.emplace(cluster, std::move(*made));
}

void memory::accept(const projections::folded_commit& folded) {
  std::unordered_map<uuid, accept_steps> for_entity;
  domain::for_each_step(
      *folded.body, [&](const v1::Decision&, const v1::Step& step, int, utc_time decided_at) {
        if (step.events_size() > 0)
          for_entity[domain::from_proto(step.entity())].steps.emplace_back(&step, decided_at);
      });
  for (const auto& one : folded.touched) {
    note_timers(one);
    if (one.after != nullptr && std::holds_alternative<domain::cluster_state>(*one.after))
      start_cluster(one.entity, one.after, false);
    const auto hypervisor = hypervisor_of(one.after != nullptr ? one.after : one.before);
    const auto awake = x_awake.find(one.entity);
    if (awake == x_awake.end()) {
      if (hypervisor)
        x_self->send(*hypervisor, entity_changed{one.entity, one.after});
      continue;
    }
    auto& steps = for_entity[one.entity];
    steps.body = folded.body;
    if (hypervisor)
      steps.tell_hypervisor = [to = *hypervisor](const uuid& entity,
                                                 const domain::entity_ptr& state) {
        caf::anon_send(to, entity_changed{entity, state});
      };
    x_self->send(awake->second.actor, std::move(steps));
    if (one.after == nullptr) {
      x_self->send(awake->second.actor, rest_atom::value);
      x_awake.erase(awake);
    }
  }
}

void memory::note_timers(const domain::touched& one) {
  if (one.after == nullptr)
    return;
  if (const auto next = domain::next_timer(*one.after))
    x_timers.emplace(next->due, one.entity);
}

// Time --------------------------------------------------------------------------------------------

void memory::on_tick() {
  x_self->delayed_send(x_self, tick_interval, tick_atom::value);
  if (x_is_stopped)
    return;
  if (x_batch && x_birth.steady_clock() - x_batch_began > decide_patience)
    return halt({error_code::internal, "a decision takes for ever: restart orreryd", false});
  const auto stands = x_owner->stands();
  if (x_is_replayed && (stands == log::standing::following || stands == log::standing::in_doubt))
    claim();
  if (stands == log::standing::owning) {
    fire_timers();
    report_state();
  }
  pump();
}

void memory::fire_timers() {
  const auto now = std::max(x_birth.wall_clock(), x_state.head_time());
  while (!x_timers.empty() && x_timers.begin()->first <= now) {
    const auto entity = x_timers.begin()->second;
    x_timers.erase(x_timers.begin());
    const auto state = x_state.find(entity);
    if (state == nullptr)
      continue;
    auto next = domain::next_timer(*state);
    if (!next)
      continue;
    if (next->due > now)
      continue; // a newer wish moved it; that one has its own entry
    auto due = std::make_shared<submission>();
    due->command = std::move(next->command);
    domain::set(due->command.mutable_id(),
                make_uuid(x_birth.wall_clock(), x_birth.where, x_birth.random()));
    due->command.mutable_principal()->set_kind(v1::Principal::TIMER);
    domain::set(due->command.mutable_entity(), entity);
    x_queue.push_back(std::move(due));
    x_timers.emplace(now + timer_repeat, entity); // looked at again, should the command get lost
  }
}

void memory::let_sleep() {
  const auto now = x_birth.steady_clock();
  if (x_awake.size() <= awake_max && now - x_last_sleep_check < sleep_check_interval)
    return;
  x_last_sleep_check = now;
  const bool too_many = x_awake.size() > awake_max;
  for (auto at = x_awake.begin(); at != x_awake.end();) {
    // Nothing is being asked between two batches. What was sent before still arrives, in order,
    // before the rest.
    if (now - at->second.last_used < awake_idle_max && !too_many) {
      ++at;
      continue;
    }
    x_self->send(at->second.actor, rest_atom::value);
    at = x_awake.erase(at);
  }
}

void memory::report_state() {
  const auto now = x_birth.steady_clock();
  if (now - x_last_report < state_report_interval)
    return;
  x_last_report = now;
  if (x_birth.tell.still_owning)
    x_birth.tell.still_owning();
}

void memory::halt(const error& why) {
  x_alarm = why.text;
  x_is_stopped = true;
  if (x_birth.tell.fatal)
    x_birth.tell.fatal(why);
}

void memory::on_read_failed(const error& why) { halt(why); }

void memory::on_console(const console_request& asked) {
  const auto state = x_state.find(asked.vm);
  const auto hypervisor = hypervisor_of(state);
  if (hypervisor)
    return x_self->send(*hypervisor, asked);
  asked.done(error{error_code::unavailable,
                   x_birth.is_read_only
                       ? "this process only reads the log: consoles are with the one that owns it"
                       : "nobody drives that VM's hypervisor now: try again",
                   true});
}

void memory::on_status(const status_request& asked) {
  partition_status status;
  switch (x_owner->stands()) {
  case log::standing::following:
    status.standing = "following";
    break;
  case log::standing::claiming:
    status.standing = "claiming";
    break;
  case log::standing::owning:
    status.standing = "owning";
    break;
  case log::standing::in_doubt:
    status.standing = "in_doubt";
    break;
  case log::standing::halted:
    status.standing = "halted";
    break;
  }
  if (!x_is_replayed)
    status.standing = "replaying";
  status.epoch = x_owner->head().epoch;
  status.seq = x_last_seq;
  status.entities = x_state.size();
  status.awake = x_awake.size();
  status.queued = x_queue.size();
  status.alarm = x_alarm;
  if (asked.with_digest)
    status.state_digest = log::to_text(log::sha256_of(x_state.to_bytes()));
  asked.done(status);
}

void memory::on_stop() {
  x_is_stopped = true;
  for (auto& who : x_queue)
    refuse(*who, {error_code::unavailable, "orreryd is stopping: try again when it is back", true});
  x_queue.clear();
  for (auto& [cluster, hypervisor] : x_hypervisors)
    x_self->send(hypervisor, stop_atom::value);
  x_hypervisors.clear();
  for (auto& [entity, awake] : x_awake)
    x_self->send(awake.actor, rest_atom::value);
  x_awake.clear();
  x_self->quit();
}

partition_actor::behavior_type partition(partition_actor::stateful_pointer<memory> self,
                                         partition_birth birth) {
  self->state.begin(self, std::move(birth));
  return {
      [self](const submit& one) { self->state.on_submit(one.what); },
      [self](const records_read& read) { self->state.on_records(read); },
      [self](const read_failed& failed) { self->state.on_read_failed(failed.why); },
      [self](const appended& what) { self->state.on_appended(what); },
      [self](const decide_answer& decided) { self->state.on_decided(decided); },
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
