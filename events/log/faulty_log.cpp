#include "events/log/faulty_log.hpp"

#include "events/core/check.hpp"
#include "events/log/record_header.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

namespace orrery::log {

namespace {

using steady = std::chrono::steady_clock;

/// Of all odds.
constexpr std::uint32_t certain = 1000;

/// Longer waits would only make a simulation slow.
constexpr std::uint32_t steps_max = 10'000;

/// The largest piece of garbage, in bytes: some times a header's size.
constexpr std::size_t garbage_size_max = 300;

/// How long a step lasts when nothing is due, if the log drives itself.
constexpr std::chrono::milliseconds step_time{1};

/// Stores a record and waits for what became of it.
append_outcome store(log& to, partition_number where, std::string bytes) {
  std::mutex lock;
  std::condition_variable told;
  std::optional<append_outcome> outcome;
  to.append(where, std::move(bytes), [&](const append_outcome& said) {
    const std::lock_guard hold(lock);
    outcome = said;
    told.notify_one(); // under the lock: the waiter's stack must outlive this call
  });
  std::unique_lock hold(lock);
  told.wait(hold, [&] { return outcome.has_value(); });
  return *outcome;
}

append_outcome told_instead(append_fate fate, partition_number where, const std::string& fault) {
  return {fate,
          0,
          {error_code::unavailable,
           "an append to partition " + to_text(where) + " " + fault +
               " on purpose: this log has faults; try again",
           true}};
}

void check(const log_faults& faults) {
  for (const auto odds : {faults.refused, faults.dropped, faults.delayed, faults.reordered,
                          faults.duplicated, faults.reply_lost, faults.neighbour, faults.lagging})
    ORRERY_CHECK(odds <= certain);
  for (const auto steps : {faults.delay_steps_max, faults.lag_steps_max}) {
    ORRERY_CHECK(steps >= 1);
    ORRERY_CHECK(steps <= steps_max);
  }
}

/// Chances and numbers under a seed, the same on every machine (the standard's distributions are
/// not).
class dice {
public:
  explicit dice(std::uint64_t seed) : x_source(seed) {}

  /// From 0 to one below `limit`.
  [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return x_source() % limit; }

  [[nodiscard]] bool happens(std::uint32_t odds) { return below(certain) < odds; }

private:
  std::mt19937_64 x_source;
};

/// A record that is void by the acceptance rule.
std::string void_record(std::uint64_t seed) {
  dice own(seed);
  const log_id another{uuid{own.below(UINT64_MAX), own.below(UINT64_MAX)}};
  const auto after = own.below(4);
  const auto seq = own.below(100);
  const auto kind = own.below(3);
  std::string garbage = "x"; // so that it never begins with a record's magic
  for (auto left = own.below(garbage_size_max); left > 0; --left)
    garbage += static_cast<char>(own.below(256));
  if (kind == 0)
    return make_record(claim_header{another, after, 1}, garbage);
  if (kind == 1)
    return make_record(commit_header{another, after, seq, {}}, garbage);
  return garbage;
}

} // namespace

class faulty_log::core {
public:
  core(std::shared_ptr<log> inside, std::uint64_t seed, log_faults faults, drive by)
      : x_inside(std::move(inside)), x_by(by), x_append_dice(seed), x_step_dice(~seed),
        x_faults(faults) {
    ORRERY_CHECK(x_inside != nullptr);
    check(faults);
    if (by == drive::own_thread)
      x_thread = std::thread([this] { run(); });
  }

  core(const core&) = delete;
  core& operator=(const core&) = delete;

  ~core() {
    if (x_thread.joinable()) {
      {
        const std::lock_guard hold(x_lock);
        x_closing = true;
      }
      x_changed.notify_all();
      x_thread.join();
    }
    settle();
  }

  void append(partition_number where, std::string bytes,
              std::function<void(const append_outcome&)> done);
  result<std::vector<record>> read(partition_number where, offset from, std::size_t bytes_max,
                                   std::chrono::milliseconds patience);
  result<offset> end(partition_number where);
  bool step(bool with_new_faults);

  void settle() {
    while (step(false)) {
    }
  }

  void set_faults(log_faults faults) {
    check(faults);
    const std::lock_guard hold(x_lock);
    x_faults = faults;
  }

  log_fault_counts counts() const {
    const std::lock_guard hold(x_lock);
    return x_counts;
  }

  [[nodiscard]] drive driven_by() const { return x_by; }

private:
  /// An append whose outcome was not told yet.
  struct pending {
    std::function<void(const append_outcome&)> done;
    std::optional<append_outcome> outcome;
  };

  /// Something that comes to pass at a step: a record is stored, something is told, or both.
  struct landing {
    partition_number where{0};
    std::string neighbour; ///< stored first; empty: none
    std::string bytes;     ///< valid when `is_stored`
    bool is_stored = false;
    std::uint64_t number = 0;              ///< of the append; 0 for a copy
    std::uint64_t copy_in = 0;             ///< steps until the same is stored again; 0: never
    std::optional<append_outcome> instead; ///< what is told in place of the truth
    std::shared_ptr<pending> waits;        ///< null when there is nobody to tell
    std::uint64_t log_fault_counts::*counted = nullptr; ///< what happened with this
  };

  struct partition {
    std::deque<std::shared_ptr<pending>> line; ///< in order of append
    std::uint64_t due = 0;                     ///< when the last append that keeps its place lands
    std::uint64_t stored = 0;                  ///< number of the latest append that was stored
    std::uint64_t thaws = 0;                   ///< the step at which the watermark moves again
    std::optional<offset> shown;               ///< where the watermark stands still
  };

  struct drawn {
    bool refused = false;
    bool dropped = false;
    bool delayed = false;
    bool reordered = false;
    bool duplicated = false;
    bool reply_lost = false;
    std::uint64_t delay = 0;
    std::uint64_t copy_delay = 0;
    std::string neighbour;
  };

  drawn draw();

  void add(std::uint64_t due, landing one) { x_landings[{due, x_order++}] = std::move(one); }

  void take(landing one, drawn faults, std::string bytes);
  void land(landing one);
  void finish(partition_number where, pending& one, append_outcome outcome);
  void tell();
  void move_watermarks(bool with_new_faults);
  [[nodiscard]] std::optional<landing> next_due();
  [[nodiscard]] std::optional<offset> shown(partition_number where);
  [[nodiscard]] bool has_work() const;
  [[nodiscard]] bool is_due() const;
  void hide(partition_number where, std::vector<record>& found);
  void count(std::uint64_t log_fault_counts::*what);
  void run();

  const std::shared_ptr<log> x_inside;
  const drive x_by;
  mutable std::mutex x_lock; ///< never held while the log inside stores, or while `done` is called
  std::condition_variable x_changed; ///< there is work for the thread, or more to be read
  dice x_append_dice;
  dice x_step_dice; ///< apart, so that what an append meets does not depend on steps
  log_faults x_faults;
  log_fault_counts x_counts;
  std::uint64_t x_now = 0;      ///< steps taken
  std::uint64_t x_appended = 0; ///< appends so far
  std::uint64_t x_order = 0;    ///< keeps landings of one step in order
  std::map<std::pair<std::uint64_t, std::uint64_t>, landing> x_landings; ///< by step and order
  std::map<partition_number, partition> x_partitions;
  std::vector<std::shared_ptr<pending>> x_finished;           ///< to be told, in order
  std::vector<std::pair<partition_number, offset>> x_durable; ///< of those
  bool x_closing = false;
  std::thread x_thread;
};

/// Needs the lock. Draws everything every time, so that one kind's odds do not shift another's.
faulty_log::core::drawn faulty_log::core::draw() {
  drawn all;
  all.refused = x_append_dice.happens(x_faults.refused);
  all.dropped = x_append_dice.happens(x_faults.dropped);
  all.delayed = x_append_dice.happens(x_faults.delayed);
  all.reordered = x_append_dice.happens(x_faults.reordered);
  all.duplicated = x_append_dice.happens(x_faults.duplicated);
  all.reply_lost = x_append_dice.happens(x_faults.reply_lost);
  all.delay = 1 + x_append_dice.below(x_faults.delay_steps_max);
  all.copy_delay = 1 + x_append_dice.below(x_faults.delay_steps_max);
  const bool has_neighbour = x_append_dice.happens(x_faults.neighbour);
  const auto neighbour_seed = x_append_dice.below(UINT64_MAX);
  if (has_neighbour)
    all.neighbour = void_record(neighbour_seed);
  return all;
}

void faulty_log::core::append(partition_number where, std::string bytes,
                              std::function<void(const append_outcome&)> done) {
  {
    const std::lock_guard hold(x_lock);
    landing one;
    one.where = where;
    one.number = ++x_appended;
    one.waits = std::make_shared<pending>(pending{std::move(done), std::nullopt});
    x_partitions[where].line.push_back(one.waits);
    take(std::move(one), draw(), std::move(bytes));
  }
  x_changed.notify_all();
}

/// Needs the lock. Says when what comes to pass.
void faulty_log::core::take(landing one, drawn faults, std::string bytes) {
  auto& of = x_partitions[one.where];
  auto due = x_now + 1;
  if (faults.refused || faults.dropped) {
    one.counted = faults.refused ? &log_fault_counts::refused : &log_fault_counts::dropped;
    one.instead = faults.refused ? told_instead(append_fate::not_written, one.where, "was refused")
                                 : told_instead(append_fate::unknown, one.where, "got no answer");
    add(due, std::move(one));
    return;
  }
  if (faults.reply_lost) { // told now, whenever the record itself is stored
    landing word;
    word.where = one.where;
    word.waits = std::exchange(one.waits, nullptr);
    word.instead = told_instead(append_fate::unknown, one.where, "got no answer");
    word.counted = &log_fault_counts::reply_lost;
    add(due, std::move(word));
  }
  if (faults.delayed || faults.reordered)
    due += faults.delay;
  if (!faults.reordered)
    of.due = due = std::max(due, of.due);
  if (faults.delayed)
    one.counted = &log_fault_counts::delayed;
  if (faults.duplicated)
    one.copy_in = faults.copy_delay;
  one.neighbour = std::move(faults.neighbour);
  one.bytes = std::move(bytes);
  one.is_stored = true;
  add(due, std::move(one));
}

bool faulty_log::core::step(bool with_new_faults) {
  {
    const std::lock_guard hold(x_lock);
    ++x_now;
    move_watermarks(with_new_faults);
  }
  while (auto one = next_due())
    land(std::move(*one));
  tell();
  x_changed.notify_all();
  const std::lock_guard hold(x_lock);
  return has_work();
}

std::optional<faulty_log::core::landing> faulty_log::core::next_due() {
  const std::lock_guard hold(x_lock);
  if (x_landings.empty() || x_landings.begin()->first.first > x_now)
    return std::nullopt;
  return std::move(x_landings.extract(x_landings.begin()).mapped());
}

void faulty_log::core::land(landing one) {
  if (!one.neighbour.empty() &&
      store(*x_inside, one.where, std::move(one.neighbour)).fate == append_fate::durable)
    count(&log_fault_counts::neighbour);
  append_outcome outcome;
  if (one.is_stored)
    outcome = store(*x_inside, one.where, one.copy_in > 0 ? one.bytes : std::move(one.bytes));
  const std::lock_guard hold(x_lock);
  auto& of = x_partitions[one.where];
  if (one.counted != nullptr)
    ++(x_counts.*one.counted);
  if (one.is_stored && one.number > 0) {
    if (of.stored > one.number)
      ++x_counts.reordered;
    of.stored = std::max(of.stored, one.number);
  }
  if (one.copy_in > 0 && outcome.fate == append_fate::durable) {
    landing copy;
    copy.where = one.where;
    copy.bytes = std::move(one.bytes);
    copy.is_stored = true;
    copy.counted = &log_fault_counts::duplicated;
    add(x_now + one.copy_in, std::move(copy));
  }
  if (one.waits)
    finish(one.where, *one.waits, one.instead ? *one.instead : std::move(outcome));
}

/// Needs the lock. What is at the head of a partition's line and has its outcome can be told.
void faulty_log::core::finish(partition_number where, pending& one, append_outcome outcome) {
  one.outcome = std::move(outcome);
  auto& line = x_partitions[where].line;
  while (!line.empty() && line.front()->outcome) {
    if (line.front()->outcome->fate == append_fate::durable)
      x_durable.emplace_back(where, line.front()->outcome->at);
    x_finished.push_back(std::move(line.front()));
    line.pop_front();
  }
}

void faulty_log::core::tell() {
  std::vector<std::shared_ptr<pending>> finished;
  {
    const std::lock_guard hold(x_lock);
    finished.swap(x_finished);
    for (const auto& [where, at] : x_durable) // what is told can be read, by whoever hears it
      if (auto& shown = x_partitions[where].shown; shown)
        shown = std::max(*shown, at + 1);
    x_durable.clear();
  }
  for (const auto& one : finished)
    one->done(*one->outcome);
}

/// Needs the lock.
void faulty_log::core::move_watermarks(bool with_new_faults) {
  for (auto& [where, of] : x_partitions) {
    const bool stops = with_new_faults && x_step_dice.happens(x_faults.lagging);
    if (of.shown && of.thaws > x_now)
      continue;
    of.shown.reset();
    if (!stops)
      continue;
    const auto end = x_inside->end(where);
    if (!end)
      continue; // the reads say why
    of.shown = *end;
    of.thaws = x_now + 1 + x_step_dice.below(x_faults.lag_steps_max);
  }
}

/// Needs the lock.
bool faulty_log::core::has_work() const {
  return !x_landings.empty() || std::any_of(x_partitions.begin(), x_partitions.end(),
                                            [](const auto& one) { return one.second.shown; });
}

/// Needs the lock. Whether the next step does something.
bool faulty_log::core::is_due() const {
  return !x_landings.empty() && x_landings.begin()->first.first <= x_now + 1;
}

void faulty_log::core::count(std::uint64_t log_fault_counts::*what) {
  const std::lock_guard hold(x_lock);
  ++(x_counts.*what);
}

/// Where the watermark stands still, if it does. From now on it may.
std::optional<offset> faulty_log::core::shown(partition_number where) {
  const std::lock_guard hold(x_lock);
  return x_partitions[where].shown;
}

/// Takes away what is above the watermark.
void faulty_log::core::hide(partition_number where, std::vector<record>& found) {
  const auto limit = shown(where);
  if (!limit || found.empty() || found.back().at < *limit)
    return;
  while (!found.empty() && found.back().at >= *limit)
    found.pop_back();
  count(&log_fault_counts::lagging);
}

result<std::vector<record>> faulty_log::core::read(partition_number where, offset from,
                                                   std::size_t bytes_max,
                                                   std::chrono::milliseconds patience) {
  const auto deadline = steady::now() + patience;
  while (true) {
    const auto left =
        std::max(std::chrono::milliseconds(0),
                 std::chrono::ceil<std::chrono::milliseconds>(deadline - steady::now()));
    const bool may_wait = x_by == drive::own_thread && left.count() > 0;
    const auto limit = shown(where);
    auto found = x_inside->read(where, from, bytes_max,
                                may_wait && !limit ? left : std::chrono::milliseconds(0));
    if (!found)
      return found;
    const bool is_end = found->empty();
    hide(where, *found);
    if (!found->empty() || !may_wait || (is_end && !limit))
      return found;
    std::unique_lock hold(x_lock);
    x_changed.wait_for(hold, left, [&] { return x_partitions[where].shown != limit; });
  }
}

result<offset> faulty_log::core::end(partition_number where) {
  auto end = x_inside->end(where);
  if (const auto limit = shown(where); end && limit && *limit < *end) {
    count(&log_fault_counts::lagging);
    return *limit;
  }
  return end;
}

void faulty_log::core::run() {
  std::unique_lock hold(x_lock);
  while (true) {
    x_changed.wait(hold, [this] { return x_closing || has_work(); });
    if (x_closing)
      return;
    hold.unlock();
    step(true);
    hold.lock();
    x_changed.wait_for(hold, step_time, [this] { return x_closing || !has_work() || is_due(); });
  }
}

faulty_log::faulty_log(std::shared_ptr<log> inside, std::uint64_t seed, log_faults faults, drive by)
    : x_core(std::make_unique<core>(std::move(inside), seed, faults, by)) {}

faulty_log::~faulty_log() = default;

void faulty_log::append(partition_number where, std::string bytes,
                        std::function<void(const append_outcome&)> done) {
  x_core->append(where, std::move(bytes), std::move(done));
}

result<std::vector<record>> faulty_log::read(partition_number where, offset from,
                                             std::size_t bytes_max,
                                             std::chrono::milliseconds patience) {
  return x_core->read(where, from, bytes_max, patience);
}

result<offset> faulty_log::end(partition_number where) { return x_core->end(where); }

bool faulty_log::step() {
  ORRERY_CHECK(x_core->driven_by() == drive::caller);
  return x_core->step(true);
}

void faulty_log::settle() {
  ORRERY_CHECK(x_core->driven_by() == drive::caller);
  x_core->settle();
}

void faulty_log::set_faults(log_faults faults) { x_core->set_faults(faults); }

log_fault_counts faulty_log::counts() const { return x_core->counts(); }

} // namespace orrery::log
