#pragma once

#include "events/core/time.hpp"
#include "events/schema/usage.pb.h"
#include "projections/paging.hpp"
#include "projections/projection.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace orrery::projections {

/// What is measured. Names and meanings never change; a new meaning is a new meter. The numbers
/// stand in page tokens, and order the lists.
///
///   vm.state     1 for each VM                             by state
///   vm.vcpu      virtual processors that it has            by state
///   vm.memory    MiB that it has                           by state
///   nic.address  1 for each address, from when it was given to the fact that its VM is gone
enum class meter : std::uint8_t { nic_address = 1, vm_memory = 2, vm_state = 3, vm_vcpu = 4 };

/// "vm.vcpu".
[[nodiscard]] std::string_view name_of(meter what);

/// Nothing for a text that names none.
[[nodiscard]] std::optional<meter> parse_meter(std::string_view name);

/// The longest time that one question is about: longer than any bill, and shorter than what a
/// mistyped year makes of one.
inline constexpr std::chrono::days usage_range_max{3'660};

/// Rows of the index by life that a question looks at in each of its 15 classes, at most; then the
/// page ends early. All in all about 0.1 s.
inline constexpr std::uint32_t lives_visited_max = 5'000;

/// What is asked for: from `from` to just before `to`. Nothing: any.
struct usage_terms {
  utc_time from;
  utc_time to;
  std::optional<uuid> vm = {};
  std::optional<uuid> cluster = {};
  std::optional<meter> what = {};
};

// Each question is answered by a function of the rows: what has not ended is counted up to the time
// of the last step that was folded of its partition, never up to a clock. So an answer about a time
// in the past stays the same, unless a fact comes that is older than the last one known then.
//
// Lives come in the order of creation. Errors: `invalid_argument` (page; `from` not before `to`; a
// time longer than `usage_range_max`).

/// The exact intervals, by VM, meter and time. Those of one VM and meter never overlap, leave no
/// gap, and neighbours have different states.
[[nodiscard]] result<listing<v1::UsageInterval>>
list_usage(const reader& rows, const usage_terms& terms, const page& wanted);

/// The sums of the intervals of each VM. Reads at most two rows of its phases, however many there
/// are.
[[nodiscard]] result<listing<v1::VmUsage>>
list_vm_usage(const reader& rows, const usage_terms& terms, const page& wanted);

/// The sums over all VMs, by meter and state: of up to `lives_visited_max` VMs a page, whatever the
/// page's size, so a list of several pages is to be added. Errors: also `too_large` (a sum of more
/// than 128 bits).
[[nodiscard]] result<listing<v1::UsageTotal>>
list_total_usage(const reader& rows, const usage_terms& terms, const page& wanted);

} // namespace orrery::projections
