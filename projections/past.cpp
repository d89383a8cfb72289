#include "projections/past.hpp"

#include "projections/rows.hpp"
#include "projections/timeline.hpp"

namespace orrery::projections {

std::string text_of(const as_of& when) {
  if (when.time)
    return to_text(*when.time);
  std::string text;
  for (const auto& [where, position] : when.position.all())
    text += (text.empty() ? "" : ",") + to_text(where) + "/" + std::to_string(position.seq);
  return text.empty() ? "now" : text;
}

result<domain::entity_ptr> state_at(const reader& history, const uuid& resource, const as_of& when,
                                    std::size_t& steps_left) {
  const auto until = when.position.at(resource.partition()).seq;
  if (!when.time && until == 0)
    return error{error_code::invalid_argument,
                 "position " + text_of(when) + " says nothing of partition " +
                     to_text(resource.partition()) + ", where that thing is",
                 false};
  if (!when.time && until > positions_of(history).at(resource.partition()).seq)
    return error{
        error_code::unavailable,
        "position " + text_of(when) +
            " is not there yet, or was lost with the end of the log: ask for an older one, "
            "or try again",
        true};
  domain::entity_ptr state;
  bool is_too_long = false;
  for_each_step(history, resource, [&](const told_step& told) {
    if (when.time ? told.recorded_at > *when.time : told.seq > until)
      return false;
    is_too_long = steps_left == 0;
    if (is_too_long)
      return false;
    --steps_left;
    state = domain::evolve(std::move(state), told.step.events(), told.at);
    return true;
  });
  if (is_too_long)
    return error{error_code::too_large,
                 "more than " + std::to_string(past_steps_max) +
                     " steps lead to that moment: ask for an earlier one, or by id",
                 false};
  return state;
}

} // namespace orrery::projections
