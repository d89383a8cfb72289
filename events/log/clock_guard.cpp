#include "events/log/clock_guard.hpp"

#include "events/core/safety.hpp"

#include <algorithm>

namespace orrery::log {

namespace {

constexpr std::string_view way_out =
    ": nothing is decided until the clock is set right and an operator says so "
    "(`orrery installation trust-clock`)";

error disagreement(utc_time wall, std::string_view other, utc_time expected) {
  return {error_code::clock_untrusted,
          "this machine's clock says " + to_text(wall) + " but " + std::string(other) + " says " +
              to_text(expected) + std::string(way_out),
          true};
}

} // namespace

result<utc_time> clock_guard::next(utc_time wall, steady_time steady, utc_time head) {
  if (!x_anchor)
    x_anchor = anchor{wall, steady};
  const auto expected = x_anchor->wall + std::chrono::duration_cast<std::chrono::microseconds>(
                                             steady - x_anchor->steady);
  const auto difference = wall > expected ? wall - expected : expected - wall;
  if (!x_distrust && difference > difference_max)
    x_distrust = disagreement(wall, "the monotonic clock", expected);
  if (!x_distrust && head > x_head_forgiven && wall + difference_max < head)
    x_distrust = disagreement(wall, "the log's last record", head);
  if (x_distrust && safety::holds(safety::line::trusted_clock))
    return *x_distrust;
  // NTP slews slowly: follow it, so that years of small corrections do not add up to a false alarm.
  x_anchor = anchor{wall, steady};
  const auto decided_at = std::max(wall, head + std::chrono::microseconds(1));
  if (wall >= head)
    x_head_forgiven =
        utc_time{}; // the clock has caught up with the log: nothing to forgive any more
  else if (head <= x_head_forgiven)
    x_head_forgiven = decided_at + difference_max;
  return decided_at;
}

void clock_guard::on_appended(utc_time sent, utc_time came_back, utc_time appended) {
  const auto between = std::clamp(appended, sent, std::max(sent, came_back));
  const auto ahead = appended - between;
  if (!x_log_ahead)
    x_log_ahead = ahead;
  if (!x_distrust &&
      (ahead > *x_log_ahead + difference_max || ahead < *x_log_ahead - difference_max))
    x_distrust = disagreement(between, "the log's own clock", appended);
}

void clock_guard::trust(utc_time wall, steady_time steady, utc_time head) {
  x_anchor = anchor{wall, steady};
  x_distrust.reset();
  x_head_forgiven = head;
  x_log_ahead.reset();
}

} // namespace orrery::log
