#pragma once

#include "events/domain/entity.hpp"

#include <cstddef>
#include <deque>
#include <unordered_map>
#include <vector>

namespace orrery::domain {

/// Tentative states over accepted ones: what the commands of one batch see of each other before any
/// of it is accepted.
class overlay {
public:
  [[nodiscard]] bool contains(const uuid& entity) const { return x_changed.contains(entity); }

  /// The tentative state; null when there is none or when the entity would have ended.
  [[nodiscard]] entity_ptr find(const uuid& entity) const {
    const auto at = x_changed.find(entity);
    return at == x_changed.end() ? nullptr : at->second;
  }

  void put(const uuid& entity, entity_ptr state) { x_changed[entity] = std::move(state); }

  /// Takes over everything of `other`.
  void merge(const overlay& other) {
    for (const auto& [entity, state] : other.x_changed)
      x_changed[entity] = state;
  }

  void clear() { x_changed.clear(); }

private:
  std::unordered_map<uuid, entity_ptr> x_changed;
};

/// One command on its way through the entities that it concerns: the addressed one first, then
/// those of its partition that get messages, breadth first, until nobody has anything to say or one
/// refuses (then nothing of it happens). Messages to other partitions are put aside. Knows no
/// actor: whoever drives it asks the entity named by `next` to decide, and reports by `decided`.
///
///   run(command) -> next() -> { decide elsewhere } -> decided(outcome) -> next() … -> null ->
///   finish()
class command_run {
public:
  struct request {
    uuid entity;
    const v1::Command* command = nullptr; ///< lives as long as the run
  };

  command_run(v1::Command command, utc_time decided_at);

  /// Whom to ask now; null when the command has been decided.
  [[nodiscard]] const request* next() const { return x_waiting.empty() ? nullptr : &x_current; }

  /// What the asked entity said, and its state after its own events (as `evolve` gives it with
  /// `decided_at`).
  void decided(outcome said, entity_ptr after);

  /// Tentative states of this run alone: look here before the batch's overlay.
  [[nodiscard]] const overlay& states() const { return x_states; }

  [[nodiscard]] bool refused() const { return x_refused; }

  /// True when the command was allowed and changes nothing.
  [[nodiscard]] bool changes_nothing() const;

  /// What is to be sent to entities of other partitions, without numbers; once, after `next` is
  /// null. Nothing when the command was refused.
  [[nodiscard]] std::vector<v1::Command> take_outgoing();

  /// The decision for the record; once, after `next` is null.
  [[nodiscard]] v1::Decision finish();

private:
  struct pending {
    uuid entity;
    v1::Command command;
    std::uint32_t caused_by = 0;
  };

  void ask_first();
  void send(message sent, std::uint32_t caused_by);

  v1::Decision x_decision;
  std::deque<pending> x_waiting; ///< front: the one being asked
  std::vector<v1::Command> x_outgoing;
  request x_current;
  overlay x_states;
  uuid x_subject;
  std::size_t x_messages = 0;
  bool x_refused = false;
};

/// Decides `command` here and now against `accepted` (a function from id to state) and `tentative`,
/// which takes the new states when it is allowed. The plain loop: what the actors do, without
/// actors. Used by simulation, tests and benches.
template <class Find>
[[nodiscard]] v1::Decision decide_now(v1::Command command, const Find& accepted, overlay& tentative,
                                      const kind_policies& policies, utc_time decided_at) {
  const context with{decided_at, from_proto(command.id()), &policies};
  command_run run(std::move(command), decided_at);
  while (const auto* asked = run.next()) {
    const auto entity = asked->entity;
    entity_ptr state;
    if (run.states().contains(entity))
      state = run.states().find(entity);
    else if (tentative.contains(entity))
      state = tentative.find(entity);
    else
      state = accepted(entity);
    auto said = decide(state.get(), entity, *asked->command, with);
    entity_ptr after = state;
    if (said) {
      google::protobuf::RepeatedPtrField<v1::Event> events(said->events.begin(),
                                                           said->events.end());
      after = evolve(state, events, decided_at);
    }
    run.decided(std::move(said), std::move(after));
  }
  if (!run.refused())
    tentative.merge(run.states());
  return run.finish();
}

/// Calls `visit(decision, step, index of the step in its decision, time of the step)` for each step
/// of a commit.
template <class Visitor> void for_each_step(const v1::CommitBody& body, Visitor visit) {
  std::uint64_t index =
      0; // over the whole record; a decision without steps (a refusal) takes one place
  for (const auto& decision : body.decisions()) {
    for (int step = 0; step < decision.steps_size(); ++step)
      visit(decision, decision.steps(step), step,
            from_micros(body.decided_at() + index + static_cast<std::uint64_t>(step)));
    index += static_cast<std::uint64_t>(std::max(decision.steps_size(), 1));
  }
}

/// The time of the last step of a commit: the next commit starts above it.
[[nodiscard]] utc_time last_time(const v1::CommitBody& body);

} // namespace orrery::domain
