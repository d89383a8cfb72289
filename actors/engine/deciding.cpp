#include "actors/engine/deciding.hpp"

namespace orrery::actors {

decide_answer decide_all(const uuid& entity, const domain::entity_ptr& accepted,
                         const decide_request& asked) {
  decide_answer answer;
  answer.batch = asked.batch;
  answer.entity = entity;
  answer.decided.reserve(asked.commands.size());
  auto state = asked.has_state ? asked.state : accepted;
  for (const auto& [index, command] : asked.commands) {
    auto with = asked.with;
    with.command = domain::from_proto(command->id());
    auto said =
        std::make_shared<domain::outcome>(domain::decide(state.get(), entity, *command, with));
    if (*said && !said->value().events.empty()) {
      const auto& events = said->value().events;
      state = domain::evolve(state, {events.begin(), events.end()}, with.now);
    }
    answer.decided.push_back({index, std::move(said), state});
  }
  return answer;
}

} // namespace orrery::actors
