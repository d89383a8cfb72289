#include "pvip/guest/token_bucket.hpp"

#include <algorithm>

namespace orrery::pvip {

bool token_bucket::take(std::chrono::nanoseconds now) {
  const auto full_at = std::max(x_full_at, now) + x_rate.interval;
  if (full_at - now > x_rate.interval * x_rate.burst) {
    return false;
  }
  x_full_at = full_at;
  return true;
}

} // namespace orrery::pvip
