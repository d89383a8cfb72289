#pragma once

#include "events/core/error.hpp"
#include "events/core/time.hpp"

#include <chrono>
#include <optional>

namespace orrery::log {

/// Gives an owner the time of its next record, or says why its clock must not be trusted: one wrong
/// clock would push the log into the future for ever. Compares the wall clock with the log's last
/// time, with the monotonic clock, and with the log's own clock where it has one. Once untrusted it
/// stays so until an operator says otherwise. Pure: the caller reads the clocks.
class clock_guard {
public:
  using steady_time = std::chrono::steady_clock::time_point;

  /// How far the clocks may differ: above any slew of NTP between two decisions, below what a lease
  /// or a bill would feel.
  static constexpr std::chrono::seconds difference_max{5};

  /// The clocks at the start of the process, from when on a jump is noticed: a standby must not
  /// bring a wrong time into the log with its first record. Without it: from the first `next` on.
  void begin(utc_time wall, steady_time steady) { x_anchor = anchor{wall, steady}; }

  /// The time for the next record: the wall clock, or just above `head` (time of the log's last
  /// step). Errors: `clock_untrusted` with the two readings and the way out.
  [[nodiscard]] result<utc_time> next(utc_time wall, steady_time steady, utc_time head);

  /// A record of ours came back, which the log appended at a time of its own; `sent` and
  /// `came_back` are this clock's. A process may have stood still between the two.
  void on_appended(utc_time sent, utc_time came_back, utc_time appended);

  /// An operator says that the clock is right: from now on it is measured from here, even if the
  /// log is ahead of it, or its clock wrong.
  void trust(utc_time wall, steady_time steady, utc_time head);

  /// Why the clock is not trusted, as far as it is known without looking; null when it is.
  [[nodiscard]] const error* distrust() const { return x_distrust ? &*x_distrust : nullptr; }

private:
  struct anchor {
    utc_time wall;
    steady_time steady;
  };

  std::optional<anchor> x_anchor;
  std::optional<error> x_distrust;
  utc_time x_head_forgiven; ///< up to here the log may be ahead of the clock
  /// How far the log's clock is ahead of this one with an operator's blessing; none: the next
  /// record of ours says it.
  std::optional<std::chrono::microseconds> x_log_ahead{0};
};

} // namespace orrery::log
