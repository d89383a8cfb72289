#pragma once

#include "events/core/id.hpp"
#include "events/schema/usage.pb.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The rows of the column family "usage", for those who fold, read and check them.

namespace orrery::projections {

/// The keys. A VM is its id (16); times are microseconds since 1970 (8).
enum class usage_prefix : std::uint8_t {
  living = 1,    ///< vm               -> `usage_life` as it is now
  ended = 2,     ///< vm created       -> `usage_life` as it ended
  run = 3,       ///< vm start         -> `phase_run`; the last one is in the life
  by_life = 4,   ///< class created vm -> `life_place`'s rest; class is one byte
  head = 5,      ///< partition (2)    -> time of its last step (8)
  addresses = 6, ///< vm at          -> how many it has from then on (4), when not as before
};

/// Microseconds since 1970, as the log has them.
using micros = std::uint64_t;

using usage_state = v1::UsageInterval::State;

/// All states that a phase can have, in the order of their numbers.
inline constexpr std::array<usage_state, 4> usage_states{
    v1::UsageInterval::ABSENT, v1::UsageInterval::STOPPED, v1::UsageInterval::RUNNING,
    v1::UsageInterval::UNKNOWN};

/// Microseconds in each state.
using time_in_states = std::array<std::uint64_t, usage_states.size()>;

[[nodiscard]] inline std::uint64_t& in(time_in_states& times, usage_state state) {
  return times.at(static_cast<std::size_t>(state) - 1);
}

/// One stretch of a VM's life in one state, from `start` to just before `end`.
struct usage_phase {
  micros start = 0;
  micros end = 0;
  usage_state state = v1::UsageInterval::ABSENT;
  time_in_states before{}; ///< from creation to `start`, so that sums need no walk
};

/// Phases in one row, at most: the price of a row is paid for each, small or large.
inline constexpr std::size_t phases_per_run = 16;

/// Phases that ended, one behind the other: each begins where the one before ended.
struct phase_run {
  struct ended_phase {
    micros end = 0;
    usage_state state = v1::UsageInterval::ABSENT;
  };

  micros start = 0;
  micros previous = 0;     ///< start of the run before; 0: it is the first
  time_in_states before{}; ///< from creation to `start`
  std::vector<ended_phase> phases;

  [[nodiscard]] micros end() const { return phases.empty() ? start : phases.back().end; }

  /// Calls `visit(usage_phase)` in order until it gives false; gives the times up to there.
  template <class Visitor> [[nodiscard]] time_in_states walk(Visitor visit) const {
    usage_phase phase{start, start, {}, before};
    for (const auto& one : phases) {
      phase.start = phase.end;
      phase.end = one.end;
      phase.state = one.state;
      if (!visit(phase))
        break;
      in(phase.before, phase.state) += phase.end - phase.start;
    }
    return phase.before;
  }
};

/// A VM from its creation on.
struct usage_life {
  uuid vm;
  micros created = 0;
  std::optional<micros> end; ///< when it was seen gone
  uuid cluster;
  std::uint32_t vcpus = 0;
  std::uint64_t memory_mib = 0;
  micros address_at = 0;              ///< when it got its first address; 0: not yet
  std::uint32_t addresses = 0;        ///< how many it has now, with those of networks behind it
  bool has_further_addresses = false; ///< or had: rows tell when
  phase_run last; ///< the phases that are in no row yet; of an ended life: none, at the end
  usage_state state = v1::UsageInterval::ABSENT; ///< now, since `last` ended
  std::string name;

  /// The phase in progress; its `end` says nothing. Of an ended life: nothing, at the end.
  [[nodiscard]] usage_phase now() const {
    return {last.end(), 0, state, last.walk([](const usage_phase&) { return true; })};
  }
};

/// Where a life stands in the index by time.
struct life_place {
  std::uint8_t life_class = 0;
  micros created = 0;
  uuid vm;
  micros end = 0; ///< 0: living
  uuid cluster;
};

/// Lives are indexed by how long they were, so that a question about one month passes over most of
/// those that ended before: class 0 is the living, class k those below 4^(k-1) minutes, and the
/// last all that were longer.
inline constexpr std::uint8_t life_classes = 15;

/// No life of a class was as long as this; the largest number for the last class.
[[nodiscard]] micros length_limit(std::uint8_t life_class);

[[nodiscard]] std::string living_key(const uuid& vm);
[[nodiscard]] std::string ended_prefix(const uuid& vm);
[[nodiscard]] std::string ended_key(const uuid& vm, micros created);
[[nodiscard]] std::string run_prefix(const uuid& vm);
[[nodiscard]] std::string run_key(const uuid& vm, micros start);
[[nodiscard]] std::string addresses_prefix(const uuid& vm);
[[nodiscard]] std::string addresses_key(const uuid& vm, micros at);
[[nodiscard]] std::string class_prefix(std::uint8_t life_class);
[[nodiscard]] std::string head_key(partition_number where);

[[nodiscard]] std::string to_row(const usage_life& life);
[[nodiscard]] std::string to_row(const phase_run& run);

/// Nothing when the bytes make no sense.
[[nodiscard]] std::optional<usage_life> life_from_row(const uuid& vm, std::string_view bytes);
[[nodiscard]] std::optional<phase_run> run_from_row(micros start, std::string_view bytes);

[[nodiscard]] life_place place_of(const usage_life& life);
[[nodiscard]] std::string place_key(const life_place& place);
[[nodiscard]] std::string place_row(const life_place& place);
[[nodiscard]] std::optional<life_place> place_from_row(std::string_view key,
                                                       std::string_view value);

} // namespace orrery::projections
