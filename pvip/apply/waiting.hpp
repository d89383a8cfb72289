#pragma once

#include <chrono>
#include <cstdint>

namespace orrery::pvip {

enum class waited : std::uint8_t { ready, in_vain, failed };

/// Waits until there is `event` (of poll(2)) on a descriptor, or until the time has come; once at
/// least it is looked, whatever the time. Signals interrupt nothing. `failed`: errno says why.
[[nodiscard]] waited wait_for(int descriptor, short event,
                              std::chrono::steady_clock::time_point until);

} // namespace orrery::pvip
