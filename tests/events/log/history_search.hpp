#pragma once

#include "events/log/history.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace orrery::log::exploration {

/// What an owner may do beyond a correct one, each a real mistake that the rule must make harmless.
struct owner_faults {
  bool hasty = false;     ///< commits before its first claim was accepted
  bool stubborn = false;  ///< goes on in its epoch after it read that another claim won
  bool doubting = false;  ///< sends another commit for the same number while the first is in flight
  bool pipelined = false; ///< chains a commit on one that was not read back
  bool renumber = false;  ///< makes a commit on the right head with the number before
};

/// A line of the rule taken out, and the mistake of owners that it makes harmless.
struct needed_line {
  std::string_view text;
  rule_lines without;
  owner_faults against;
};

/// One for each line, in the order of `rule_lines`.
[[nodiscard]] std::span<const needed_line> needed_lines();

struct search_result {
  std::uint64_t states = 0;     ///< distinct states of the world
  std::uint64_t deliveries = 0; ///< records judged on the way
  std::uint64_t histories = 0;  ///< distinct ends: everything written and delivered
  std::string violation;        ///< empty when there is none; else what broke and the log
};

/// Explores everything that 2 owners can do from the empty log with 2 claims and 3 commands in all,
/// each record delivered up to twice, late, in any order, or never; each owner reads at its own
/// pace. Stops at the first violation of: at most one record accepted per sequence number; nothing
/// accepted twice; accepted records form one chain; a commit is accepted only from the owner of the
/// claim in force; any two readers agree on every prefix. Without faults also: no reader ever stops
/// and no void has a reason that means a bug.
[[nodiscard]] search_result search_histories(const rule_lines& lines, const owner_faults& faults);

} // namespace orrery::log::exploration
