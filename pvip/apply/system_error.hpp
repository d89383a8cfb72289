#pragma once

#include "events/core/error.hpp"

#include <string_view>

namespace orrery::pvip {

/// `io_failed` of a system call: "<what>: <the system's words>", retryable.
[[nodiscard]] error system_error(std::string_view what, int number);

} // namespace orrery::pvip
