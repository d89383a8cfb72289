#include "actors/refolder.hpp"

#include <chrono>
#include <utility>

namespace orrery::actors {

namespace {

/// Between two looks at a log that has nothing more to read, or whose brokers are away.
constexpr std::chrono::milliseconds pause{200};

error given_up() {
  return {error_code::unavailable, "orreryd ended meanwhile: the old rows go on", true};
}

} // namespace

refolder::refolder(refolder_birth birth) : x_birth(std::move(birth)) {
  x_thread = std::thread([this] { run(); });
}

refolder::~refolder() {
  {
    const std::lock_guard lock(x_guard);
    x_is_stopping = true;
  }
  x_changed.notify_all();
  x_thread.join();
}

result<void> refolder::begin(std::string_view projection, projections::refold_aim aim) {
  if (!x_birth.store->positions(projection))
    return projections::no_projection(projection);
  {
    const std::lock_guard lock(x_guard);
    if (!x_under_way.empty())
      return error{error_code::busy,
                   "projection " + x_under_way +
                       " is being folded again: one at a time; `orrery projection list` shows how "
                       "far it is",
                   true};
    x_under_way = projection;
    auto& report = x_reports[x_under_way];
    report = {};
    report.aim = aim;
    report.began = x_birth.wall_clock();
  }
  x_changed.notify_all();
  return {};
}

std::optional<refold_report> refolder::report(std::string_view projection) const {
  const std::lock_guard lock(x_guard);
  const auto found = x_reports.find(projection);
  return found == x_reports.end() ? std::nullopt : std::optional(found->second);
}

void refolder::change(const std::function<void(refold_report&)>& how) {
  const std::lock_guard lock(x_guard);
  how(x_reports[x_under_way]);
}

void refolder::run() {
  std::unique_lock lock(x_guard);
  while (true) {
    x_changed.wait(lock, [this] { return x_is_stopping || !x_under_way.empty(); });
    if (x_is_stopping)
      return;
    const auto aim = x_reports[x_under_way].aim;
    lock.unlock();
    const auto done = refold(aim);
    x_folds.clear(); // and their states
    lock.lock();
    auto& report = x_reports[std::exchange(x_under_way, {})];
    report.ended = x_birth.wall_clock();
    report.outcome = done ? *done : refold_outcome::failed;
    if (!done)
      report.why = done.error().text;
  }
}

result<refold_outcome> refolder::refold(projections::refold_aim aim) {
  auto made = x_birth.store->begin_refolding(x_under_way, aim);
  if (!made)
    return made.error();
  for (std::size_t i = 0; i < x_birth.partitions; ++i)
    x_folds.emplace_back(x_birth.log, x_birth.identity, static_cast<partition_number>(i));
  std::uint64_t all = 0;
  for (const auto& fold : x_folds)
    if (const auto end = x_birth.log->end(fold.where()))
      all += *end;
  change([all](refold_report& report) { report.records_all = all; });
  return aim == projections::refold_aim::replace ? replace(**made) : compare(**made);
}

/// Folds the next records of each partition; false when there were none.
result<bool> refolder::fold_some(projections::refolding& made) {
  if (x_is_stopping)
    return given_up();
  bool has_moved = false;
  std::uint64_t records = 0;
  for (auto& fold : x_folds) {
    const auto before = fold.records();
    const auto commits = fold.next();
    if (!commits && commits.error().code != error_code::unavailable)
      return commits.error();
    if (commits)
      if (auto applied = made.apply(*commits); !applied)
        return applied.error();
    has_moved = has_moved || fold.records() != before;
    records += fold.records();
  }
  change([records](refold_report& report) { report.records = records; });
  return has_moved;
}

/// Folds until `is_done`; when there is nothing to fold before, it waits, or answers false.
result<bool> refolder::fold_until(projections::refolding& made,
                                  const std::function<bool()>& is_done, bool is_patient) {
  while (!is_done()) {
    const auto moved = fold_some(made);
    if (!moved)
      return moved.error();
    if (!*moved && !is_patient)
      return false;
    if (!*moved)
      rest();
  }
  return true;
}

void refolder::rest() {
  std::unique_lock lock(x_guard);
  static_cast<void>(x_changed.wait_for(lock, pause, [this] { return x_is_stopping.load(); }));
}

result<refold_outcome> refolder::replace(projections::refolding& made) {
  auto& store = *x_birth.store;
  const auto live = [&] { return *store.positions(made.name()); };
  while (true) {
    // All the way beside the live rows, which go on meanwhile; what they take in until they are
    // held is the last bit, while commits wait for them.
    if (auto folded = fold_until(
            made, [&] { return made.is_at_least(live()); }, true);
        !folded)
      return folded.error();
    if (auto written = made.write_out(); !written)
      return written.error();
    const auto held = store.hold();
    const auto goal = live();
    const auto reached = fold_until(
        made, [&] { return made.is_at_least(goal); }, false);
    if (!reached)
      return reached.error();
    if (!*reached)
      continue;
    if (auto replaced = store.replace(held, made); !replaced)
      return replaced.error();
    return refold_outcome::done;
  }
}

result<refold_outcome> refolder::compare(projections::refolding& made) {
  if (auto folded = fold_until(
          made, [&] { return made.is_reached(); }, true);
      !folded)
    return folded.error();
  const auto digest = made.digest();
  if (!digest)
    return digest.error();
  const auto old = made.old_digest();
  if (!old)
    return old.error();
  change([&](refold_report& report) {
    report.digest = *digest;
    report.old_digest = *old;
  });
  return *digest == *old ? refold_outcome::done : refold_outcome::differs;
}

} // namespace orrery::actors
