#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/file_descriptor.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace orrery::pvip {

/// The process of this machine that runs `program` with `-c configuration`, as a BIRD of ours does,
/// whoever started it: for one whose socket somebody removed. As a descriptor (pidfd_open(2)), so
/// that it stays this very process. Nothing when there is none. Reads /proc; blocks no longer.
[[nodiscard]] std::optional<file_descriptor> process_of_bird(const std::string& program,
                                                             const std::string& configuration);

/// Sends it a signal, and waits until it has ended. Errors: `timed_out`, `io_failed` (the right to
/// is missing).
[[nodiscard]] result<void> end_process(const file_descriptor& process, int signal,
                                       std::chrono::milliseconds limit);

} // namespace orrery::pvip
