#include "actors/engine/engine.hpp"
#include "events/core/crash_point.hpp"
#include "events/core/safety.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

// From waiting commands to one accepted record.

namespace orrery::actors {

namespace {

/// Pause before the log is tried again after it had no room.
constexpr std::chrono::milliseconds full_retry{1'000};

/// Room for header, salt and times below the log's own limit.
constexpr std::size_t body_size_max = log::record_size_max - 1'024;

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

/// Someone waits for the answer, and can be told to come again; observations and timers must not
/// get lost.
bool has_asker(const submission& who) { return static_cast<bool>(who.done); }

} // namespace

bool engine::is_settled(submission& who, batch_marks& marks) {
  const auto& command = who.command;
  if (command.has_origin() && command.origin().nonce() != 0) {
    if (x_state.was_decided(command.origin()))
      return true; // its reply is in the record; whoever waits reads it there
    if (!marks.origins.emplace(command.origin().nonce(), command.origin().number()).second &&
        safety::holds(safety::line::once_in_batch))
      return true; // it came twice
  }
  if (command.has_stream())
    return is_out_of_turn(command, marks);
  if (x_state.is_outdated(command)) {
    refuse(who,
           {error_code::conflict,
            "the observation is of a connection to the node that was replaced meanwhile", false});
    return true;
  }
  if (!command.has_key())
    return false;
  if (answer_from_key(who))
    return true;
  if (x_state.keys_are_full()) {
    refuse(who, {error_code::too_many_requests,
                 "a million requests with an Idempotency-Key were made in the last 7 days: try "
                 "without a key, or later",
                 true});
    return true;
  }
  marks.keys.insert(command.key().key_hash());
  return false;
}

std::vector<engine::submission_ptr> engine::take_commands() {
  const auto size_max = is_cautious() ? 1 : batch_size_max;
  std::vector<submission_ptr> taken;
  batch_marks marks;
  std::size_t bytes = 0;
  while (!x_queue.empty() && taken.size() < size_max && bytes < body_size_max / 2) {
    auto& front = x_queue.front();
    if (front->command.has_key() && marks.keys.contains(front->command.key().key_hash()) &&
        safety::holds(safety::line::key_once_in_batch))
      break; // the second one of a key waits until the first one is accepted
    const bool is_alone = is_suspect(front->command);
    if (is_alone && !taken.empty())
      break;
    auto who = std::move(front);
    x_queue.pop_front();
    if (is_settled(*who, marks))
      continue;
    bytes += who->command.ByteSizeLong();
    taken.push_back(std::move(who));
    if (is_alone)
      break;
  }
  x_birth.queued->store(x_queue.size());
  return taken;
}

result<utc_time> engine::time_to_decide() {
  const auto wall = x_birth.wall_clock();
  const auto steady = x_birth.steady_clock();
  const auto head = x_state.head_time();
  auto now = x_clock.next(wall, steady, head);
  if (now)
    return now;
  // The operator's word counts before it is decided: it is what makes that possible. But the
  // transport may bring it again when another clock has gone wrong.
  const auto is_new_trust = [this](const submission_ptr& who) {
    return is_trust_command(who->command) && !x_state.was_decided(who->command.origin());
  };
  if (!std::ranges::any_of(x_queue, is_new_trust))
    return now;
  x_clock.trust(wall, steady, head);
  return x_clock.next(wall, steady, head);
}

void engine::trust_clock() {
  x_clock.trust(x_birth.wall_clock(), x_birth.steady_clock(), x_state.head_time());
  pump();
}

void engine::pump() {
  if (x_batch || x_queue.empty() || x_is_stopped || x_is_retired || !x_owner.is_idle() ||
      x_birth.steady_clock() < x_not_before)
    return;
  const auto now = time_to_decide();
  if (!now) {
    distrust_clock(now.error().text);
    std::deque<submission_ptr> kept;
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
  x_batch_began = x_birth.steady_clock();
  if (is_poison(commands.front()->command))
    return refuse_poison(std::move(commands.front()), *now);
  note_begin(commands);
  x_batch.emplace(++x_batch_number, std::move(commands),
                  domain::context{*now, {}, x_birth.policies});
  crash_point("partition.decide.before");
  ask_on();
}

void engine::ask_on() {
  if (x_batch->is_decided())
    return commit();
  x_hands.decide(x_batch->ask());
}

void engine::on_decided(const decide_answer& decided) {
  if (!x_batch || x_batch->number() != decided.batch)
    return; // of a batch that was given up
  x_batch->on_answer(decided);
  if (x_batch->outstanding() == 0)
    ask_on();
}

void engine::give_back(std::vector<submission_ptr> commands) {
  for (auto at = commands.rbegin(); at != commands.rend(); ++at)
    x_queue.push_front(std::move(*at));
  x_birth.queued->store(x_queue.size());
}

void engine::commit() {
  note_end();
  auto built = x_batch->build(body_size_max, x_state, x_outbox);
  x_batch.reset();
  give_back(std::move(built.left));
  for (const auto& one : built.unrecorded)
    answer(*one.who, one.reply, domain::from_proto(one.who->command.id()), 0);
  if (built.body.decisions_size() == 0)
    return pump();
  append(std::move(built.body), std::move(built.recorded));
}

void engine::append(v1::CommitBody body, std::vector<batch::answered> recorded) {
  body.set_salt(x_birth.random());
  if (!safety::holds(safety::line::acceptance_first)) {
    auto unaccepted = x_state;
    projections::folded_commit early;
    early.body = std::make_shared<const v1::CommitBody>(body);
    early.touched = unaccepted.fold(body, x_owner.head().next);
    x_hands.accepted(early);
  }
  in_flight flight;
  flight.ticket = ++x_ticket;
  flight.recorded = std::move(recorded);
  flight.began = x_batch_began;
  flight.sent_at = x_birth.wall_clock();
  auto record = x_owner.make_commit(body.SerializeAsString());
  x_in_flight = std::move(flight);
  crash_point("partition.append.before");
  x_hands.append(x_ticket, std::move(record));
  crash_point("partition.append.after");
}

void engine::on_appended(std::uint64_t ticket, const log::append_outcome& outcome) {
  if (ticket != x_ticket)
    return;
  const bool was_owning = is_owning();
  x_owner.on_appended(outcome);
  switch (outcome.fate) {
  case log::append_fate::durable:
    if (!safety::holds(safety::line::read_back) && x_in_flight)
      answer_recorded(*x_in_flight, x_owner.head().next);
    break;
  case log::append_fate::not_written:
    if (was_owning)
      on_not_written(outcome.failure);
    else
      raise_alarm("the log cannot be claimed: " + outcome.failure.text);
    break;
  case log::append_fate::unknown:
    if (was_owning)
      doubt();
    break;
  }
  if (!x_is_stopped && x_owner.is_committed())
    finish_commit();
}

void engine::on_not_written(const error& why) {
  x_not_before = x_birth.steady_clock() + full_retry;
  raise_alarm(why.text);
  if (!x_in_flight)
    return;
  std::vector<submission_ptr> kept;
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
void engine::raise_alarm(const std::string& why) {
  x_alarm = why;
  if (x_alarm_told != why)
    std::fprintf(stderr, "warn: no change is taken: %s\n", why.c_str());
  x_alarm_told = why;
  x_is_alarm_of_clock = false;
}

void engine::distrust_clock(const std::string& why) {
  raise_alarm(why);
  x_is_alarm_of_clock = true;
}

void engine::end_alarm() {
  x_alarm.clear();
  x_is_alarm_of_clock = false;
  if (!std::exchange(x_alarm_told, {}).empty())
    std::fprintf(stderr, "info: changes are taken again\n");
}

void engine::answer_recorded(const in_flight& flight, std::uint64_t seq) const {
  for (const auto& one : flight.recorded) {
    answer(*one.who, one.reply, domain::from_proto(one.who->command.id()), seq);
    if (x_birth.tell.command_decided)
      x_birth.tell.command_decided(noun_of(one.who->command), outcome_of(one.reply));
  }
}

/// Of a record that was read back.
void engine::answer_commit(const in_flight& flight) {
  answer_recorded(flight, flight.folded->seq);
  answer_askers(*flight.folded->body, flight.folded->seq);
}

void engine::finish_commit() {
  ORRERY_CHECK(x_in_flight && x_in_flight->folded);
  auto flight = std::move(*x_in_flight);
  x_in_flight.reset();
  x_owner.release();
  end_alarm();
  for (const auto& one : flight.folded->touched)
    note_timers(one);
  x_hands.accepted(*flight.folded);
  send_streams();
  crash_point("partition.reply.before");
  answer_commit(flight);
  crash_point("partition.reply.after");
  if (x_birth.tell.committed)
    x_birth.tell.committed(*flight.folded, std::chrono::duration_cast<std::chrono::microseconds>(
                                               x_birth.steady_clock() - flight.began));
  pump();
}

} // namespace orrery::actors
