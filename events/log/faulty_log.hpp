#pragma once

#include "events/log/log.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace orrery::log {

/// How often a log goes wrong. The odds are chances in 1,000, drawn for each append on its own;
/// all 0: the log inside, as it is. A refused or a dropped append meets nothing else.
struct log_faults {
  std::uint32_t refused = 0;    ///< told `not_written`, and never stored
  std::uint32_t dropped = 0;    ///< told `unknown`, and never stored
  std::uint32_t delayed = 0;    ///< stored up to `delay_steps_max` later; those behind it wait
  std::uint32_t reordered = 0;  ///< the same, but those behind it overtake it
  std::uint32_t duplicated = 0; ///< stored twice, the second time up to `delay_steps_max` later
  std::uint32_t reply_lost = 0; ///< stored, told `unknown`; if delayed as well, told before that
  std::uint32_t neighbour = 0;  ///< a void record is stored before it: garbage, or another log's
  std::uint32_t lagging = 0;    ///< a step stops the high watermark of a partition, for each one

  std::uint32_t delay_steps_max = 20; ///< 1 to 10,000 steps
  std::uint32_t lag_steps_max = 20;   ///< 1 to 10,000 steps
};

/// How often each fault was seen to happen, not only drawn.
struct log_fault_counts {
  std::uint64_t refused = 0;
  std::uint64_t dropped = 0;
  std::uint64_t delayed = 0;
  std::uint64_t reordered = 0; ///< a later append to the same partition was stored before it
  std::uint64_t duplicated = 0;
  std::uint64_t reply_lost = 0;
  std::uint64_t neighbour = 0;
  std::uint64_t lagging = 0; ///< a read or an `end` showed less than there is
};

/// A log that goes wrong as a network and its brokers do, under a seed; what is stored lies in
/// another log. One of these is one process's way to it: several may lead to the same log inside.
///
///   append ──> under way ──step──> log inside          read, end ──> log inside, up to the
///                  │                                                 watermark of this one
///         done, in order <──step
///
/// What still holds, whatever the odds: `done` is called once for each append and in order within a
/// partition; offsets are dense; what is told `durable` can be read at its offset at once, through
/// this log; what is told `not_written` is never stored; the end never goes back. What does not:
/// that a later append has a later offset, that a record is stored once, that others store nothing
/// between. That is what the acceptance rule is for.
///
/// Time is counted in steps. With `drive::caller` there is no thread and no clock: nothing happens
/// but in `step` and `settle`, which call `done`, and a read does not wait. The same calls under
/// the same seed have the same outcome, if one thread makes them and the log inside is written by
/// nobody else meanwhile. A process that crashed is a caller that hears no `done` any more: what it
/// sent may still be stored by further steps.
class faulty_log final : public log {
public:
  enum class drive : std::uint8_t {
    caller,     ///< for simulations: see above
    own_thread, ///< a thread takes a step a millisecond while there is something to do
  };

  faulty_log(std::shared_ptr<log> inside, std::uint64_t seed, log_faults faults, drive by);

  /// Stores everything that is under way, without further faults, and calls `done` for it.
  ~faulty_log() override;

  /// Copies the bytes when they are to be stored twice.
  void append(partition_number where, std::string bytes,
              std::function<void(const append_outcome&)> done) override;
  [[nodiscard]] result<std::vector<record>> read(partition_number where, offset from,
                                                 std::size_t bytes_max,
                                                 std::chrono::milliseconds patience) override;
  [[nodiscard]] result<offset> end(partition_number where) override;

  /// One step of time: stores what is due and waits until the log inside answered, then tells what
  /// can be told. True while something is under way or a watermark stands still. For
  /// `drive::caller`, from one thread at a time, never from a `done`.
  bool step();

  /// Steps, without new faults, until nothing is under way and every watermark moves again.
  void settle();

  /// From now on these; all 0 ends the trouble (what is under way keeps what it drew).
  void set_faults(log_faults faults);

  [[nodiscard]] log_fault_counts counts() const;

private:
  class core;

  std::unique_ptr<core> x_core;
};

} // namespace orrery::log
