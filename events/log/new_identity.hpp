#pragma once

#include "events/log/history.hpp"

#include <cstdint>

namespace orrery::log {

/// 64 bits from the kernel's source of randomness. Blocks only before the machine has any.
[[nodiscard]] std::uint64_t random_number();

/// The identity of a log that is being made: of an installation and a log that never were.
[[nodiscard]] log_identity new_identity();

} // namespace orrery::log
