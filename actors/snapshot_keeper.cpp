#include "actors/snapshot_keeper.hpp"

#include "actors/snapshot_files.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <utility>

namespace orrery::actors {

namespace {

/// Between two looks at how far the log has come.
constexpr std::chrono::seconds pause{2};

/// How long the projections may take to come as far: a snapshot ahead of them is of no use.
constexpr std::chrono::seconds projected_patience{60};

/// Between two looks at them.
constexpr std::chrono::milliseconds projected_pause{100};

using acknowledged_numbers = std::map<partition_number, std::uint64_t>;

void forget_decided(std::vector<v1::Command>& messages, const acknowledged_numbers& decided) {
  std::erase_if(messages, [&](const v1::Command& sent) {
    const auto known = decided.find(domain::target_of(sent));
    return known != decided.end() && sent.stream().number() <= known->second;
  });
}

void warn(partition_number where, const error& why) {
  std::fprintf(stderr, "warn: snapshot of partition %s: %s\n", to_text(where).c_str(),
               why.text.c_str());
}

} // namespace

snapshot_keeper::snapshot_keeper(snapshot_keeper_birth birth, std::vector<log::offset> last)
    : x_birth(std::move(birth)), x_last(std::move(last)) {
  x_thread = std::thread([this] { run(); });
}

snapshot_keeper::~snapshot_keeper() {
  {
    const std::lock_guard lock(x_guard);
    x_is_stopping = true;
  }
  x_changed.notify_all();
  x_thread.join();
}

void snapshot_keeper::run() {
  std::unique_lock lock(x_guard);
  while (!x_changed.wait_for(lock, pause, [this] { return x_is_stopping.load(); })) {
    lock.unlock();
    for (std::size_t i = 0; i < x_birth.partitions && !x_is_stopping; ++i)
      look_at(static_cast<partition_number>(i));
    lock.lock();
  }
}

void snapshot_keeper::look_at(partition_number where) {
  auto& last = x_last[static_cast<std::size_t>(where)];
  const auto end = x_birth.log->end(where);
  if (!end || *end < last + x_birth.interval)
    return;
  if (const auto made = make(where); !made && made.error().code != error_code::unavailable)
    warn(where, made.error());
  last = *end; // whatever became of it: the next one a while later
}

result<void> snapshot_keeper::make(partition_number where) {
  auto start = find_snapshot(x_birth.directory, x_birth.identity, where,
                             std::numeric_limits<std::uint64_t>::max(), *x_birth.log,
                             [where](const error& why) { warn(where, why); });
  if (!start)
    return start.error();
  // Before the fold, which then keeps those messages only that were sent about now, not all of the
  // log's.
  const auto acknowledged = x_birth.acknowledged(where);
  if (!acknowledged)
    return {};
  auto fold = *start ? log_fold(x_birth.log, x_birth.identity, std::move(**start))
                     : log_fold(x_birth.log, x_birth.identity, where);
  while (!x_is_stopping) {
    const auto moved = fold.advance();
    if (!moved)
      return moved.error();
    forget_decided(fold.at().unacknowledged, *acknowledged);
    if (!*moved)
      break;
  }
  const auto& made = fold.at();
  if (x_is_stopping || made.seq() == 0 || !is_projected(where, made.seq()))
    return {};
  return write_snapshot(x_birth.directory, x_birth.identity, made);
}

/// Waits until the projections have come as far; false when they do not, or when this ends.
bool snapshot_keeper::is_projected(partition_number where, std::uint64_t seq) {
  const auto deadline = std::chrono::steady_clock::now() + projected_patience;
  std::unique_lock lock(x_guard);
  while (!x_birth.store->wait_for(where, seq, std::chrono::milliseconds(0)))
    if (std::chrono::steady_clock::now() >= deadline ||
        x_changed.wait_for(lock, projected_pause, [this] { return x_is_stopping.load(); }))
      return false;
  return true;
}

} // namespace orrery::actors
