#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace orrery::testing_support {

/// Looks again and again until `is_so`, at most `limit` long: for what nobody announces, as the end
/// of a process. The only pause between two looks that tests have; 5 ms is below what any of the
/// awaited things takes. False when the time is over.
[[nodiscard]] inline bool wait_until(std::chrono::seconds limit,
                                     const std::function<bool()>& is_so) {
  constexpr std::chrono::milliseconds pause(5);
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

} // namespace orrery::testing_support
