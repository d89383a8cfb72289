#include "tests/sim/log_way.hpp"

namespace orrery::sim {

namespace {

/// One step of the faulty log: a round trip to a broker.
constexpr micros step_time{2'000};

} // namespace

log::log_faults draw_log_faults(support::dice& from) {
  const auto odds = [&from](std::uint64_t most) {
    return static_cast<std::uint32_t>(from.below(most + 1));
  };
  log::log_faults made;
  made.refused = odds(10);
  made.dropped = odds(15);
  made.delayed = odds(60);
  made.reordered = odds(40);
  made.duplicated = odds(60);
  made.reply_lost = odds(15);
  made.neighbour = odds(30);
  made.lagging = odds(20);
  made.delay_steps_max = from.chance(70) ? 20 : 2000;
  made.lag_steps_max = from.chance(70) ? 20 : 1000;
  return made;
}

log_way::log_way(surroundings& around, std::uint64_t seed)
    : x_around(around), x_log(around.store, seed, {}, orrery::log::faulty_log::drive::caller) {}

log_way::~log_way() { add(x_around.log_counts, x_log.counts()); }

void add(log::log_fault_counts& sum, const log::log_fault_counts& more) {
  sum.refused += more.refused;
  sum.dropped += more.dropped;
  sum.delayed += more.delayed;
  sum.reordered += more.reordered;
  sum.duplicated += more.duplicated;
  sum.reply_lost += more.reply_lost;
  sum.neighbour += more.neighbour;
  sum.lagging += more.lagging;
}

void log_way::drive() {
  if (x_is_driven)
    return;
  x_is_driven = true;
  const auto now = x_around.time.now();
  const auto delay = std::max(step_time, x_frozen_until - now);
  x_around.time.in(delay, [self = shared_from_this()] {
    self->x_is_driven = false;
    if (self->is_frozen() || self->x_log.step())
      self->drive();
  });
}

} // namespace orrery::sim
