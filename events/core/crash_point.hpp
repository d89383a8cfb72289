#pragma once

#include "events/core/error.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace orrery {

/// Names of all places where a test can end this process as `kill -9` would, in the order of the
/// way of the data. Every `crash_point(name)` in the product has its row here, so that a test can
/// walk through all of them.
[[nodiscard]] std::span<const std::string_view> all_crash_points();

/// Arms one place: the process kills itself with SIGKILL at the `count`-th pass (1 is the next).
/// One place at a time; arming again replaces it. Errors: `invalid_argument` (unknown name, or
/// `count` is 0).
[[nodiscard]] result<void> arm_crash_point(std::string_view name, std::uint64_t count);

/// Nothing is armed any more.
void disarm_crash_points();

/// What an armed place does from now on instead of ending this process: for a simulation, in which
/// several live in one. It may throw.
void set_crash(void (*crash)());

/// Marks a place between two steps where a crash must lose nothing. Costs one relaxed atomic load
/// while nothing is armed. May be called from any thread.
void crash_point(std::string_view name);

} // namespace orrery
