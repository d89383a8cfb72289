#pragma once

#include "actors/config.hpp"
#include "events/core/error.hpp"

namespace orrery::actors {

/// What can be said of a configuration without starting anything. Errors: `config_invalid`.
[[nodiscard]] result<void> check(const config& settings);

/// Runs one orreryd until SIGTERM or SIGINT, which (with SIGUSR2, if it is asked for) the caller
/// must have blocked before any thread
/// began. Blocks. Starts, in this order: log, projections, partition (replays, then claims),
/// hypervisors, API; ends them backwards. Errors: whatever keeps it from starting or going on
/// (`locked`, `damaged`, `log_cut`, `storage_full`, `io_failed`, …).
[[nodiscard]] result<void> run(const config& settings, const run_events& tell);

} // namespace orrery::actors
