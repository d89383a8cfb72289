#pragma once

#include "events/core/id.hpp"
#include "events/domain/types.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>

namespace orrery::actors {

/// Messages to one other partition that it may leave undecided: above it, decisions that would send
/// it more are refused. Ten seconds' work of a partition, 10 MB.
inline constexpr std::size_t unacknowledged_max = 10'000;

/// What the accepted records of a partition send to others and those have not decided yet. Every
/// process that folds the partition keeps it; its owner sends it, and sends it again until it is
/// decided. What was decided is a fact of the target's own log, which every process reads too.
/// Pure: times are monotonic, from any beginning.
///
///   add (folded here) -> send … send -> taken (folded there)
class outbox {
public:
  using steady_time = std::chrono::steady_clock::time_point;

  /// A message stands in an accepted record here. In order of their numbers for each target.
  void add(const v1::Command& sent);

  /// The target's log says that it decided the messages up to `number`; this may come before they
  /// are added, while logs are read.
  void taken(partition_number target, std::uint64_t number);

  /// The number of the last message that each target is known to have decided.
  [[nodiscard]] std::map<partition_number, std::uint64_t> acknowledged() const;

  /// Whether `target` leaves `unacknowledged_max` messages undecided.
  [[nodiscard]] bool is_behind(partition_number target) const;

  /// What waits for whom is sent from its beginning the next time: a new owner cannot know what the
  /// one before it sent.
  void begin_again();

  /// Calls `carry` with each message that is to be sent now: those not sent so far, and, when a
  /// target has not decided any for `repeat_interval`, the first ones again. At most `window`
  /// messages to a target are under way.
  void send(steady_time now, const std::function<void(const v1::Command&)>& carry);

  static constexpr std::chrono::milliseconds repeat_interval{500};
  static constexpr std::size_t window = 1'000;

private:
  struct stream {
    std::deque<v1::Command> waiting; ///< dense by number
    std::uint64_t acknowledged = 0;  ///< number
    std::size_t sent = 0;            ///< so many of the waiting ones are under way
    bool has_moved = false;          ///< since the last `send`
    steady_time repeat;
  };

  std::map<partition_number, stream> x_streams;
};

} // namespace orrery::actors
