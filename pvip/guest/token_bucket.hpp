#pragma once

#include <chrono>

namespace orrery::pvip {

/// How often something may happen: at once as often as `burst`, and once more every `interval`.
struct rate {
  std::chrono::nanoseconds interval{};
  int burst = 0; ///< at least 1
};

/// Counts what may still happen. Time is told, from 0 on, and never goes back.
class token_bucket {
public:
  explicit token_bucket(rate of) : x_rate(of) {}

  /// Whether it may happen now; if so, it did. `now` is of any clock that goes steadily.
  [[nodiscard]] bool take(std::chrono::nanoseconds now);

private:
  rate x_rate;
  std::chrono::nanoseconds x_full_at{}; // when nothing will be owed any more
};

} // namespace orrery::pvip
