#pragma once

#include "events/schema/record.pb.h"
#include "projections/paging.hpp"
#include "projections/projection.hpp"
#include "projections/views.hpp"

#include <functional>
#include <optional>
#include <string_view>

namespace orrery::projections {

/// Type of the entry that a refused command leaves on the timeline of what it was sent to.
inline constexpr std::string_view refused_type = "command.refused";

/// Every event, and every refused command, in order: of each resource, and of all.
///
/// Position "0/12/3": partition 0, record 12, its fourth entry (events and refusals of a record are
/// counted together, from 0).
class timeline final : public projection {
public:
  static constexpr std::string_view family = "timeline";

  [[nodiscard]] std::string_view name() const override { return family; }

  [[nodiscard]] std::uint32_t version() const override { return 5; }

  void apply(commit_span commits, writer& rows) const override;
};

/// Which events. No resource: all of them.
struct event_terms {
  std::optional<uuid> resource = {};
  direction order = direction::ascending; ///< ascending: oldest first, so a last page can be
                                          ///< followed
};

/// Errors: `invalid_argument` (page).
[[nodiscard]] result<listing<v1::TimelineEntry>>
list_events(const reader& rows, const event_terms& terms, const page& wanted);

/// What one step of an accepted record did to a resource.
struct told_step {
  partition_number where{};
  std::uint64_t seq = 0; ///< of the record
  utc_time recorded_at;  ///< the record's time
  utc_time at;           ///< the step's own
  v1::Step step;
};

/// Shows each step with events of a resource, from its first one on; until `visit` says false.
void for_each_step(const reader& rows, const uuid& resource,
                   const std::function<bool(const told_step&)>& visit);

/// True when there is an entry of the resource.
[[nodiscard]] bool has_events(const reader& rows, const uuid& resource);

} // namespace orrery::projections
