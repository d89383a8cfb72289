#include "actors/engine/engine.hpp"

#include <algorithm>
#include <cstdio>

// Commands that end their owner: found, refused, and tried again later.

namespace orrery::actors {

namespace {

/// After a death in the middle of a decision commands are decided one by one for so long: what
/// ended the last life comes again soon, by a client, a timer or an observation.
constexpr std::chrono::minutes caution_time{1};

/// So long what ended its owners is refused before it is tried once more: a state may have passed.
constexpr std::chrono::minutes refusal_time{10};

/// Owners that die one after the other without a commit, too, may die of one command.
constexpr std::uint32_t claims_before_caution = 3;

} // namespace

bool engine::is_cautious() const {
  return x_owner.claims_in_a_row() >= claims_before_caution ||
         (x_birth.moment && x_birth.moment->died_deciding() &&
          x_birth.steady_clock() < x_owning_since + caution_time);
}

command_kind engine::kind_of(const v1::Command& command) const {
  const auto entity = domain::from_proto(command.entity());
  return {x_state.find(entity) == nullptr ? uuid{} : entity, domain::verb_of(command).number};
}

bool engine::is_suspect(const v1::Command& command) const {
  return x_birth.moment && x_birth.moment->has_suspects() &&
         x_birth.moment->deaths(kind_of(command)) > 0;
}

bool engine::is_poison(const v1::Command& command) {
  if (!is_suspect(command))
    return false;
  const auto kind = kind_of(command);
  if (x_birth.moment->deaths(kind) < last_moment::deaths_max)
    return false;
  const auto now = x_birth.steady_clock();
  auto since =
      std::ranges::find(x_refused_since, kind, &std::pair<command_kind, steady_time>::first);
  if (since == x_refused_since.end())
    since = x_refused_since.insert(since, {kind, now});
  if (now - since->second < refusal_time)
    return true;
  x_birth.moment->forgive(kind);
  x_refused_since.erase(since);
  return false;
}

void engine::refuse_poison(submission_ptr who, utc_time now) {
  const error why{error_code::internal,
                  "orreryd died " + std::to_string(last_moment::deaths_max) +
                      " times while it decided " + domain::verb_of(who->command).name +
                      (kind_of(who->command).entity.is_none() ? "" : " for this entity") +
                      ": it is a defect of orreryd, which its journal tells more of; another "
                      "version tries it at once, this one again in " +
                      std::to_string(refusal_time.count()) + " minutes",
                  false};
  std::fprintf(stderr, "alarm: %s\n", why.text.c_str());
  v1::CommitBody body;
  body.set_decided_at(to_micros(now));
  auto* decision = body.add_decisions();
  *decision->mutable_command() = who->command;
  *decision->mutable_reply() = domain::reply_of(why);
  std::vector<batch::answered> recorded;
  recorded.push_back({std::move(who), decision->reply()});
  append(std::move(body), std::move(recorded));
}

void engine::note_begin(const std::vector<submission_ptr>& commands) {
  if (!x_birth.moment)
    return;
  if (commands.size() == 1 && (is_cautious() || is_suspect(commands.front()->command)))
    x_birth.moment->begin_one(kind_of(commands.front()->command));
  else
    x_birth.moment->begin_many();
}

void engine::note_end() {
  if (x_birth.moment)
    x_birth.moment->end();
}

} // namespace orrery::actors
