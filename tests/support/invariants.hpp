#pragma once

#include "events/domain/partition_state.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What must hold of every history, whatever happened: named checks over the accepted commits of a
/// partition and the state folded from them, and over the streams between partitions. Knows no test
/// framework, so that system tests can use it on a log that was dumped.
namespace orrery::support {

/// A promise that was broken: the check's name, and a sentence that names the things.
struct violation {
  std::string check;
  std::string text;
};

/// Accepted commits in order, each with its sequence number. Claims take numbers too, so numbers
/// rise and are not dense.
using commit_list = std::vector<std::pair<std::uint64_t, v1::CommitBody>>;

/// A guest that exists on a hypervisor.
struct guest {
  uuid vm;
  uuid node;
};

/// The names of all checks of `check_invariants`, `check_guests`, `check_streams`, `check_space`
/// and `check_usage` (usage_check.hpp).
[[nodiscard]] std::span<const std::string_view> all_checks();

/// All checks over a history; `state` is what the process under test folded from it. Empty when all
/// is well.
[[nodiscard]] std::vector<violation> check_invariants(const commit_list& commits,
                                                      const domain::partition_state& state);

/// Those of them that need the state alone: names, addresses, capacity. Cheap enough to be asked
/// often.
[[nodiscard]] std::vector<violation> check_state(const domain::partition_state& state);

/// The world against the state, once everything has settled: each VM that was seen defined has
/// exactly one guest and on its node, no guest is there twice, none without a VM. A VM that was not
/// seen yet, or is unknown, may have one.
[[nodiscard]] std::vector<violation> check_guests(const domain::partition_state& state,
                                                  std::span<const guest> guests);

/// The streams between the partitions of a log: what is decided is what was sent, in order and
/// once; and, with `is_settled`, all of it is decided.
[[nodiscard]] std::vector<violation>
check_streams(const std::map<partition_number, commit_list>& commits, bool is_settled);

/// The states of all partitions at one moment.
using all_states = std::map<partition_number, const domain::partition_state*>;

/// The address space over all partitions, at any moment: a prefix is held by one network, a network
/// that gives out addresses holds its prefix, and one that does not has given none. With
/// `is_settled`: what is held is exactly what there are networks for, and all of them are ready.
[[nodiscard]] std::vector<violation> check_space(const all_states& states, bool is_settled);

/// The checks over serialised commit bodies in the order of the log, as a dump gives them. A body
/// that does not parse is a violation "readable" and ends the check.
[[nodiscard]] std::vector<violation> check_log(const std::vector<std::string>& bodies);

/// Who said what an event tells of a guest, and when; null for events that nobody said.
[[nodiscard]] const v1::VmEvent::Source* source_of(const v1::VmEvent& event);

/// One line each, for a test's message; empty for none.
[[nodiscard]] std::string to_text(const std::vector<violation>& found);

} // namespace orrery::support
