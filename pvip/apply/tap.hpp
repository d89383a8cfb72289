#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/file_descriptor.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace orrery::pvip {

/// Makes a tap in the thread's network namespace. It lives as long as the descriptor, until
/// `make_tap_persist`. Errors: `already_exists`, `io_failed`.
[[nodiscard]] result<file_descriptor> open_new_tap(const std::string& name);

/// Attaches to a tap that exists; nothing when another process (a guest) holds it. Errors:
/// `io_failed`.
[[nodiscard]] result<std::optional<file_descriptor>> open_existing_tap(const std::string& name);

/// Gives the tap its owner and lets it outlive the descriptor. Errors: `io_failed`.
[[nodiscard]] result<void> make_tap_persist(const file_descriptor& tap, std::uint32_t owner_uid);

} // namespace orrery::pvip
