#include "actors/engine/engine.hpp"

#include "events/core/crash_point.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace orrery::actors {

namespace {

constexpr std::chrono::seconds state_report_interval{1};

/// A decision is a pure function: one that takes this long hangs, and only a restart helps.
constexpr std::chrono::seconds decide_patience{600};

/// A timer whose command was sent is looked at again after this long.
constexpr std::chrono::seconds timer_repeat{5};

std::string_view name_of(log::standing stands) {
  switch (stands) {
  case log::standing::following:
    return "following";
  case log::standing::claiming:
    return "claiming";
  case log::standing::owning:
    return "owning";
  case log::standing::in_doubt:
    return "in_doubt";
  case log::standing::halted:
    return "halted";
  }
  return "halted";
}

error stopping() {
  return {error_code::unavailable, "orreryd is stopping: try again when it is back", true};
}

} // namespace

error queue_is_full() {
  return {error_code::too_many_requests,
          "10,000 commands are waiting already: try again in a second", true};
}

bool is_trust_command(const v1::Command& command) {
  return command.has_installation() && command.installation().has_trust_clock();
}

error wrong_partition(const v1::Command& command) {
  return {error_code::invalid_argument,
          "the command is for partition " + to_text(domain::target_of(command)) +
              ", which is not this one, or not there",
          false};
}

void answer(const submission& who, v1::Reply reply, const uuid& command, std::uint64_t seq) {
  if (who.done)
    who.done(command_reply{std::move(reply), command, seq});
}

void refuse(const submission& who, const error& failure) {
  answer(who, domain::reply_of(failure), domain::from_proto(who.command.id()), 0);
}

engine::engine(engine_birth birth, engine_hands& hands)
    : x_birth(std::move(birth)), x_hands(hands),
      x_owner(x_birth.start ? log::owner(x_birth.identity, x_birth.start->head)
                            : log::owner(x_birth.identity, x_birth.where)),
      x_is_wanted(!x_birth.is_shared) {
  if (const auto start = std::exchange(x_birth.start, nullptr)) {
    x_state = std::move(start->state);
    for (const auto& sent : start->unacknowledged)
      x_outbox.add(sent);
    x_next_offset = start->next;
    x_last_seq = x_last_commit_seq = start->seq();
    x_owner_process = start->owner_process;
  }
  x_last_report = x_not_before = x_current_at = x_birth.steady_clock();
  x_clock.begin(x_birth.wall_clock(), x_last_report);
}

// Owning ------------------------------------------------------------------------------------------

void engine::claim() {
  const auto stands = x_owner.stands();
  const bool may = stands == log::standing::following || stands == log::standing::in_doubt;
  const auto now = x_birth.steady_clock();
  if (!may || !x_is_replayed || !x_is_wanted || x_is_retired || x_is_stopped ||
      x_birth.is_read_only || now < x_not_before || !x_pacer.may_claim(paced(now)))
    return;
  x_pacer.on_sent(paced(now), jitter());
  auto nonce = x_birth.random();
  if (nonce == 0)
    nonce = 1;
  const auto wall = x_birth.wall_clock();
  auto record =
      x_owner.make_claim({x_birth.owner_name, x_birth.address, x_birth.process, nonce, wall});
  if (!x_claim_sent_at)
    x_claim_sent_at = wall;
  x_hands.append(++x_ticket, std::move(record));
}

/// The pacer's time.
std::chrono::milliseconds engine::paced(steady_time now) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
}

/// Nobody competes for a log that is not shared.
std::uint64_t engine::jitter() const { return x_birth.is_shared ? x_birth.random() : 0; }

void engine::take_ownership(std::uint64_t epoch) {
  end_alarm(); // the log takes records
  x_owning_since = x_not_before = x_birth.steady_clock();
  if (x_birth.is_shared)
    x_pacer.on_accepted(paced(x_not_before));
  x_state.for_each_unordered([&](const uuid& entity, const domain::entity_ptr& state) {
    note_timers({entity, nullptr, state});
  });
  x_hands.owning(epoch);
  x_outbox.begin_again();
  send_streams();
  const bool is_first = x_birth.where == partition_number{0};
  if (is_first && x_state.find(x_birth.identity.installation.value) == nullptr)
    found_installation();
  if (x_birth.tell.owning)
    x_birth.tell.owning(epoch);
  pump();
}

void engine::found_installation() {
  auto founding = std::make_shared<submission>();
  domain::set(founding->command.mutable_id(),
              make_uuid(x_birth.wall_clock(), x_birth.where, x_birth.random()));
  founding->command.mutable_principal()->set_kind(v1::Principal::SYSTEM);
  founding->command.mutable_principal()->set_name("orreryd");
  domain::set(founding->command.mutable_entity(), x_birth.identity.installation.value);
  founding->command.mutable_installation()->mutable_found()->set_edition(x_birth.edition);
  x_queue.push_front(std::move(founding));
}

void engine::lose_ownership() {
  x_hands.owning_ended();
  if (x_birth.tell.owning_ended)
    x_birth.tell.owning_ended();
  x_timers.clear();
  std::vector<submission_ptr> undecided;
  if (x_batch)
    undecided = x_batch->give_up();
  x_batch.reset();
  if (x_birth.moment)
    x_birth.moment->let_go();
  // What was read back counts, whoever owns the partition now: it is answered as by every reader.
  const auto flight = std::exchange(x_in_flight, std::nullopt);
  if (flight && flight->folded && safety::holds(safety::line::answered_if_read))
    answer_commit(*flight);
  else if (flight)
    for (const auto& one : flight->recorded)
      undecided.push_back(one.who);
  if (x_birth.is_shared)
    x_queue.clear(); // who asked repeats it, and the next owner's hypervisors look for themselves
  else
    give_back(std::move(undecided));
}

/// Nothing more is written in this epoch; a new claim, and what is read until then, ends the doubt.
void engine::doubt() {
  lose_ownership();
  x_pacer.on_doubt(paced(x_birth.steady_clock()), jitter());
}

void engine::set_wanted(bool wanted) {
  x_is_wanted = wanted;
  claim();
}

void engine::retire() {
  x_is_retired = true;
  x_queue.clear();
}

// Commands ----------------------------------------------------------------------------------------

void engine::on_submit(submission_ptr what) {
  if (x_birth.is_read_only)
    return refuse(*what,
                  {error_code::read_only,
                   "this process only reads: send changes to the one that owns the log", false});
  if (x_is_stopped || x_is_retired)
    return refuse(*what, x_alarm.empty() ? stopping()
                                         : error{error_code::unavailable,
                                                 "orreryd decides nothing: " + x_alarm, true});
  if (domain::target_of(what->command) != x_birth.where)
    return refuse(*what, wrong_partition(what->command));
  if (what->is_repetition)
    return answer_repetition(*what);
  domain::clean_texts(what->command);
  if (x_birth.is_shared && what->done)
    return ask(std::move(what));
  if (x_birth.is_shared && !is_owning())
    return; // of a hypervisor that is being stopped
  x_queue.push_back(std::move(what));
  x_birth.queued->store(x_queue.size());
  pump();
}

void engine::on_carried(v1::Command command) {
  if (!is_owning() || x_is_stopped || x_is_retired || x_queue.size() >= queue_size_max ||
      domain::target_of(command) != x_birth.where)
    return;
  auto what = std::make_shared<submission>();
  what->command = std::move(command);
  domain::clean_texts(what->command);
  x_queue.push_back(std::move(what));
  pump();
}

// Time --------------------------------------------------------------------------------------------

void engine::on_tick() {
  if (x_is_stopped)
    return;
  if (x_batch && x_birth.steady_clock() - x_batch_began > decide_patience)
    return halt({error_code::internal, "a decision takes for ever: restart orreryd", false});
  report_standing();
  if (x_birth.tell.standing)
    x_birth.tell.standing(status());
  claim();
  if (is_owning()) {
    fire_timers();
    report_state();
  }
  repeat_asking(false);
  send_streams();
  pump();
}

void engine::fire_timers() {
  // A clock that jumped ahead must not use up timers whose time has not come.
  const auto trusted = time_to_decide();
  if (!trusted)
    return distrust_clock(trusted.error().text);
  if (x_is_alarm_of_clock) // also where nobody waits for a decision
    end_alarm();
  const auto now = *trusted;
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

void engine::report_state() {
  const auto now = x_birth.steady_clock();
  if (now - x_last_report < state_report_interval)
    return;
  x_last_report = now;
  if (x_birth.tell.still_owning)
    x_birth.tell.still_owning();
}

void engine::halt(const error& why) {
  x_alarm = why.text;
  x_is_stopped = true;
  if (x_birth.tell.fatal)
    x_birth.tell.fatal(why);
}

void engine::on_read_failed(const error& why) { halt(why); }

void engine::stop() {
  if (x_birth.moment && !x_is_stopped) // a decision that hangs is a death, too
    x_birth.moment->let_go();
  x_is_stopped = true;
  for (auto& who : x_queue)
    refuse(*who, stopping());
  x_queue.clear();
  for (auto& [command, one] : x_askers)
    refuse(*one.who, stopping());
  x_askers.clear();
}

engine_status engine::status() const {
  engine_status told;
  told.standing = x_is_replayed ? name_of(x_owner.stands()) : "replaying";
  told.epoch = x_owner.head().epoch;
  told.seq = x_last_seq;
  told.entities = x_state.size();
  told.queued = x_queue.size();
  told.alarm = x_alarm;
  told.is_blocked = !x_alarm_told.empty() && x_is_wanted;
  return told;
}

} // namespace orrery::actors
