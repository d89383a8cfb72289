#pragma once

#include "events/schema/record.pb.h"
#include "projections/paging.hpp"
#include "projections/projection.hpp"
#include "projections/views.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

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

  [[nodiscard]] std::uint32_t version() const override { return 7; }

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

/// A place in the log of a partition: behind record `seq` or, when `entry` is said, behind that
/// entry of it (from 0; those behind it are still to come).
struct entry_place {
  std::uint64_t seq = 0;
  std::optional<std::uint32_t> entry = {};

  friend bool operator==(const entry_place&, const entry_place&) = default;
};

/// The same over all partitions; one that is not in it stands at its beginning.
using entry_places = std::map<partition_number, entry_place>;

/// Whether entries may lie between the places and `upto`.
[[nodiscard]] bool is_before(const entry_places& places, const log_positions& upto);

/// Some of the entries behind a place, each with the place behind it.
struct following_entries {
  struct one {
    v1::TimelineEntry entry;
    partition_number where{};
    entry_place at; ///< without an `entry` when it was the last of its record
  };

  std::vector<one> entries;
  entry_places reached; ///< of all partitions; go on from here
};

/// The entries behind `after` and up to `upto`, at most `count_max` (1 or more) of them; those of a
/// partition in order, those of all by time as far as they are read together. Reads little more
/// than what it gives. Gives none only when there are none; then `reached` is `upto`. The rows
/// must hold `upto`, and `after` must not be ahead of it.
[[nodiscard]] following_entries list_following(const reader& rows, const entry_places& after,
                                               const log_positions& upto, std::size_t count_max);

/// True when there is an entry of the resource.
[[nodiscard]] bool has_events(const reader& rows, const uuid& resource);

} // namespace orrery::projections
