#include "actors/engine/engine.hpp"

#include <utility>

// Who asks on a shared log: his command goes round by the transport until the accepted records have
// an answer to it, whoever wrote them.

namespace orrery::actors {

namespace {

/// How long somebody waits for an owner to answer: longer than a takeover after the slowest
/// detection. What was decided later is found under the command's id all the same.
constexpr std::chrono::seconds answer_patience{30};

/// Between two sendings of one command; a new owner gets it at once.
constexpr std::chrono::milliseconds repeat_interval{500};

} // namespace

std::optional<error> engine::not_now() const {
  if (!x_is_replayed)
    return error{error_code::unavailable, "this process is still reading the log: try again", true};
  if (!x_is_current && x_birth.steady_clock() - x_current_at > behind_max)
    return error{error_code::unavailable,
                 "this process reads more than 5 s behind the log and takes no changes: try again, "
                 "or ask another one",
                 true};
  if (x_askers.size() >= queue_size_max)
    return queue_is_full();
  return std::nullopt;
}

/// For those who share the log: may this process own anything, and does the owner keep us waiting?
void engine::report_standing() {
  const bool is_current = x_is_replayed && !x_is_stopped &&
                          (x_is_current || x_birth.steady_clock() - x_current_at <= ready_lag_max);
  if (std::exchange(x_is_told_current, is_current) != is_current && x_birth.tell.current)
    x_birth.tell.current(is_current);
  if (x_birth.tell.waiting)
    x_birth.tell.waiting(x_askers.empty() ? 0 : x_owner_process);
}

bool engine::answer_from_key(submission& who) const {
  const auto& key = who.command.key();
  const auto* known = who.command.has_key() ? x_state.find_key(key.key_hash()) : nullptr;
  if (known == nullptr)
    return false;
  if (known->body_hash == key.body_hash())
    answer(who, *known->reply, known->command, known->seq);
  else
    refuse(who, {error_code::key_reused,
                 "that Idempotency-Key came with another request before: use a new key", false});
  return true;
}

void engine::answer_repetition(submission& who) const {
  if (const auto why = not_now())
    return refuse(who, *why);
  if (!answer_from_key(who))
    refuse(who, {error_code::not_found, "nothing was asked for with that Idempotency-Key", false});
}

void engine::ask(submission_ptr what) {
  if (const auto why = not_now())
    return refuse(*what, *why);
  if (answer_from_key(*what))
    return;
  const auto* distrust = is_owning() ? x_clock.distrust() : nullptr;
  if (distrust != nullptr && !is_trust_command(what->command))
    return refuse(*what, *distrust);
  const auto now = x_birth.steady_clock();
  const auto command = domain::from_proto(what->command.id());
  const auto& waiting =
      x_askers
          .emplace(command, asker{std::move(what), now + answer_patience, now + repeat_interval})
          .first->second;
  pass_on(waiting.who->command);
}

/// To the owner: by the transport, unless it is here.
void engine::pass_on(const v1::Command& command) {
  if (is_owning())
    on_carried(command);
  else
    x_hands.carry(command);
}

void engine::repeat_asking(bool at_once) {
  const auto now = x_birth.steady_clock();
  for (auto at = x_askers.begin(); at != x_askers.end();) {
    auto& one = at->second;
    if (answer_from_key(*one.who)) { // another request with the same key was decided
      at = x_askers.erase(at);
      continue;
    }
    if (now >= one.give_up) {
      refuse(*one.who,
             {error_code::timed_out,
              "nobody has decided it within 30 s: no process owns partition " +
                  to_text(x_birth.where) +
                  " now, or its owner cannot decide (GET /v1/status shows it). It may still happen",
              true});
      at = x_askers.erase(at);
      continue;
    }
    if (at_once || now >= one.repeat) {
      one.repeat = now + repeat_interval;
      pass_on(one.who->command);
    }
    ++at;
  }
}

void engine::answer_askers(const v1::CommitBody& body, std::uint64_t seq) {
  if (x_askers.empty())
    return;
  for (const auto& decision : body.decisions()) {
    const auto found = x_askers.find(domain::from_proto(decision.command().id()));
    if (found == x_askers.end())
      continue;
    answer(*found->second.who, decision.reply(), found->first, seq);
    x_askers.erase(found);
  }
}

} // namespace orrery::actors
