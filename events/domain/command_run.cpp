#include "events/domain/command_run.hpp"

#include <utility>

namespace orrery::domain {

command_run::command_run(v1::Command command, utc_time) {
  *x_decision.mutable_command() = std::move(command);
  x_waiting.emplace_back().entity = from_proto(x_decision.command().entity());
  ask_first();
}

void command_run::ask_first() {
  if (x_waiting.empty())
    return;
  const auto& first = x_waiting.front();
  // The addressed entity reads the command where it is; messages are kept in the queue.
  const bool is_message = x_messages > 0 && first.command.body_case() != v1::Command::BODY_NOT_SET;
  x_current = {first.entity, is_message ? &first.command : &x_decision.command()};
}

void command_run::decided(outcome said, entity_ptr after) {
  ORRERY_CHECK(!x_waiting.empty());
  const auto asked = std::move(x_waiting.front());
  x_waiting.pop_front();
  auto* reply = x_decision.mutable_reply();
  if (!said) {
    x_refused = true;
    x_waiting.clear();
    x_outgoing.clear();
    x_states.clear();
    x_decision.clear_steps();
    *reply = reply_of(said.error());
    return;
  }
  const auto index = static_cast<std::uint32_t>(x_decision.steps_size());
  auto* step = x_decision.add_steps();
  set(step->mutable_entity(), asked.entity);
  step->set_caused_by(index == 0 ? 0 : asked.caused_by);
  for (auto& event : said->events)
    *step->add_events() = std::move(event);
  x_states.put(asked.entity, std::move(after));
  if (index == 0)
    x_subject = said->subject.is_none() ? asked.entity : said->subject;
  if (said->has_job)
    reply->set_has_job(true);
  for (auto& sent : said->messages)
    send(std::move(sent), index);
  ORRERY_CHECK(x_messages <= messages_per_command_max);
  if (x_waiting.empty())
    set(reply->mutable_entity(), x_subject);
  ask_first();
}

void command_run::send(message sent, std::uint32_t caused_by) {
  ++x_messages;
  const auto& began = x_decision.command();
  if (sent.entity.partition() == from_proto(began.entity()).partition()) {
    auto& waiting = x_waiting.emplace_back();
    waiting.entity = sent.entity;
    waiting.command = std::move(sent.command);
    waiting.caused_by = caused_by;
    return;
  }
  // Who began it all stays known where it is decided.
  auto& going = x_outgoing.emplace_back(std::move(sent.command));
  *going.mutable_id() = began.id();
  *going.mutable_principal() = began.principal();
  set(going.mutable_entity(), sent.entity);
}

bool command_run::changes_nothing() const {
  if (x_refused || !x_outgoing.empty())
    return false;
  for (const auto& step : x_decision.steps())
    if (step.events_size() > 0)
      return false;
  return true;
}

std::vector<v1::Command> command_run::take_outgoing() {
  ORRERY_CHECK(x_waiting.empty());
  return std::exchange(x_outgoing, {});
}

v1::Decision command_run::finish() {
  ORRERY_CHECK(x_waiting.empty());
  return std::move(x_decision);
}

utc_time last_time(const v1::CommitBody& body) {
  std::uint64_t steps = 0;
  for (const auto& decision : body.decisions())
    steps += static_cast<std::uint64_t>(std::max(decision.steps_size(), 1));
  return from_micros(body.decided_at() + (steps > 0 ? steps - 1 : 0));
}

} // namespace orrery::domain
