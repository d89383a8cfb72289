#include "tests/sim/process.hpp"

#include "events/log/heartbeat.hpp"

namespace orrery::sim {

namespace {

/// A beat that comes so much too late means that this process stood still; as in the product.
constexpr micros pause_noticed{500'000};

/// From one part of a process to another.
constexpr micros turn_latency{100};

/// How long one that ends waits for another to take over; as in the product.
constexpr micros hand_over_patience{2'000'000};
constexpr micros hand_over_look{50'000};

} // namespace

process::process(surroundings& around, bus& others, hosts& machines, const process_birth& birth)
    : x_around(around), x_others(others), x_machines(machines), x_birth(birth),
      x_random(around.random.next()), x_nonce(x_random.next() | 1),
      x_way(std::make_shared<log_way>(around, x_random.next())),
      x_liveness(log::process_id{x_nonce}) {
  if (around.has(fault::log))
    x_way->log().set_faults(birth.faults);
}

void process::begin() {
  x_around.seen.tell("start", number(), [] { return std::string("a new process"); });
  for (const auto& [where, truth] : x_around.referees) {
    x_parts.emplace(where, std::make_unique<partition_run>(*this, where, x_birth.is_shared));
    x_parts.at(where)->begin();
  }
  x_next_beat = x_around.time.now();
  if (x_birth.is_shared)
    later(micros(0), [this] { beat(); });
  later(actors::engine::tick_interval, [this] { tick(); });
}

// Turns -------------------------------------------------------------------------------------------

void process::later(micros delay, std::function<void()> act) {
  x_around.time.in(delay, [weak = weak_from_this(), act = std::move(act)]() mutable {
    if (const auto self = weak.lock())
      self->run(std::move(act));
  });
}

void process::run(std::function<void()> act) {
  if (!x_is_alive)
    return;
  if (is_standing_still()) {
    x_held.push_back(std::move(act));
    return;
  }
  try {
    act();
  } catch (const sudden_death&) {
    x_around.count(fault::crash);
    die();
  }
}

std::chrono::steady_clock::time_point process::steady() const {
  return std::chrono::steady_clock::time_point(x_around.time.now());
}

void process::tick() {
  later(actors::engine::tick_interval, [this] { tick(); });
  for (const auto& [where, part] : x_parts)
    part->on_tick();
}

// What happens to it ------------------------------------------------------------------------------

void process::die() {
  if (!x_is_alive)
    return;
  x_is_alive = false;
  x_around.seen.tell("dies", number(), [] { return std::string("without a word"); });
}

void process::stand_still(micros duration) {
  if (is_standing_still())
    return;
  x_still_until = x_around.time.now() + duration;
  if (x_around.random.chance(50))
    x_way->freeze(x_still_until); // what it had sent was still in its own memory
  x_around.seen.tell("still", number(),
                     [&] { return "for " + std::to_string(duration.count() / 1000) + " ms"; });
  x_around.time.in(duration, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self)
      return;
    self->x_around.seen.note("goes on", self->number());
    auto held = std::move(self->x_held);
    self->x_held.clear();
    for (auto& act : held)
      self->run(std::move(act));
  });
}

void process::cut_off(micros duration) {
  x_cut_until = std::max(x_cut_until, x_around.time.now() + duration);
  x_way->freeze(x_cut_until);
  x_around.seen.tell("cut off", number(),
                     [&] { return "for " + std::to_string(duration.count() / 1000) + " ms"; });
  later(duration, [this] {
    break_board();
    for (const auto& [where, part] : x_parts)
      part->on_stored();
  });
}

void process::jump_clock(std::chrono::microseconds by) {
  x_clock_error += by;
  x_around.seen.tell("clock", number(),
                     [&] { return "jumps by " + std::to_string(by.count() / 1000) + " ms"; });
}

void process::break_board() { x_liveness.on_break(); }

void process::leave() {
  if (x_is_leaving)
    return;
  x_is_leaving = true;
  x_around.seen.tell("leaves", number(), [] { return std::string("in good order"); });
  for (const auto& [where, part] : x_parts)
    part->core().retire();
  const auto give_up = x_around.time.now() + hand_over_patience;
  const auto look = std::make_shared<std::function<void()>>();
  *look = [this, give_up, weak = std::weak_ptr(look)] {
    bool owns = false;
    for (const auto& [where, part] : x_parts)
      owns = owns || part->core().is_owning();
    const auto again = weak.lock();
    if (again && owns && has_heir() && x_around.time.now() < give_up)
      return later(hand_over_look, [again] { (*again)(); });
    for (const auto& [where, part] : x_parts)
      part->stop();
    x_is_alive = false;
    x_around.seen.note("gone", number());
  };
  later(hand_over_look, [look] { (*look)(); });
}

void process::calm() {
  x_way->log().set_faults({});
  x_cut_until = std::min(x_cut_until, x_around.time.now());
}

// What others bring -------------------------------------------------------------------------------

void process::on_stored(partition_number where) {
  if (is_alive() && x_parts.contains(where))
    x_parts.at(where)->on_stored();
}

void process::on_board(const std::string& bytes) {
  if (!x_birth.is_shared)
    return;
  if (is_standing_still()) {
    x_held.push_back([this, bytes] { on_board(bytes); });
    return;
  }
  if (const auto said = log::parse_heartbeat(bytes))
    x_liveness.on_heartbeat(*said);
  look_around();
}

void process::on_command(partition_number where, const std::string& bytes) {
  run([this, where, bytes] {
    v1::Command command;
    if (command.ParseFromString(bytes))
      x_parts.at(where)->core().on_carried(std::move(command));
  });
}

bool process::listens(partition_number where) const {
  const auto found = x_listens.find(where);
  return is_alive() && found != x_listens.end() && found->second;
}

void process::stamp(v1::Command& command) {
  command.mutable_origin()->set_nonce(x_nonce);
  command.mutable_origin()->set_number(++x_origin_number);
}

void process::carry(const v1::Command& command) {
  const auto where = domain::target_of(command);
  if (x_birth.is_shared)
    return x_others.send(*this, where, command.SerializeAsString());
  if (x_parts.contains(where)) // nobody else could decide it
    later(turn_latency, [this, where, command] { part(where).core().on_carried(command); });
}

void process::on_stream_taken(partition_number source, partition_number target,
                              std::uint64_t number) {
  if (x_parts.contains(source))
    later(turn_latency,
          [this, source, target, number] { part(source).core().on_stream_taken(target, number); });
}

void process::on_clock_trusted() {
  for (const auto& [where, part] : x_parts)
    later(turn_latency, [part = part.get()] { part->core().trust_clock(); });
}

void process::on_claimed(partition_number where, std::uint64_t by) {
  x_claims.emplace_back(where, by);
}

// Liveness: what actors/membership does in its threads ----------------------------------------

void process::beat() {
  const auto now = x_around.time.now();
  if (now - x_next_beat > pause_noticed)
    x_liveness.restart_count();
  x_next_beat = now + log::heartbeat_period;
  later(log::heartbeat_period, [this] { beat(); });
  log::heartbeat said;
  said.process = log::process_id{x_nonce};
  said.number = ++x_beats;
  said.leaving = x_is_leaving;
  said.ready = true;
  for (const auto& [where, part] : x_parts) {
    said.ready = said.ready && part->is_current();
    if (part->waits_for() != 0)
      x_liveness.work_waits(where, log::process_id{part->waits_for()});
    if (part->core().is_owning())
      said.owned.push_back({where, part->core().status().seq});
  }
  x_others.post(*this, log::encode(said));
  x_way->drive(); // its watermark may lag
}

void process::look_around() {
  for (const auto& [where, by] : std::exchange(x_claims, {}))
    x_liveness.on_claim(where, by == 0 ? std::nullopt : std::optional(log::process_id{by}));
  for (const auto& [where, part] : x_parts) {
    const bool is_wanted = x_liveness.should_own(where) && !x_is_leaving;
    if (std::exchange(x_wanted[where], is_wanted) != is_wanted)
      later(micros(100), [part = part.get(), is_wanted] { part->core().set_wanted(is_wanted); });
    const bool may_decide = is_wanted || part->core().is_owning();
    if (std::exchange(x_listens[where], may_decide) != may_decide && may_decide)
      x_others.repeat(shared_from_this(), where);
  }
}

bool process::has_heir() const {
  for (const auto& other : x_liveness.others())
    if (other.is_live() && other.last.ready && !other.last.leaving)
      return true;
  return false;
}

} // namespace orrery::sim
