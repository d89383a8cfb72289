#pragma once

#include "events/core/time.hpp"
#include "events/domain/entity.hpp"
#include "projections/folded_commit.hpp"
#include "projections/projection.hpp"

#include <optional>
#include <string>

namespace orrery::projections {

/// A moment of the past, as a prefix of each log: the records up to a time, or up to a position.
struct as_of {
  std::optional<utc_time> time = {};
  log_positions position = {}; ///< counts when there is no time; the hashes do not

  [[nodiscard]] bool is_now() const { return !time && position.all().empty(); }
};

/// "2026-11-28T12:00:00Z" or "0/5,1/118", for errors.
[[nodiscard]] std::string text_of(const as_of& when);

/// Steps that a question about the past folds, of everything that it looks at: many years of a VM,
/// and some 0.5 s of a cluster that placed as many.
inline constexpr std::size_t past_steps_max = 500'000;

/// The state of a resource then: what folding the prefix of its log gives. Null when it was not
/// there yet, or no more. `history` are the rows of the timeline; `steps_left` is what the question
/// may still fold, `past_steps_max` at its beginning. Errors: `unavailable` (they do
/// not reach that position yet), `invalid_argument` (the position says nothing of its partition),
/// `too_large` (no steps are left).
[[nodiscard]] result<domain::entity_ptr> state_at(const reader& history, const uuid& resource,
                                                  const as_of& when, std::size_t& steps_left);

} // namespace orrery::projections
