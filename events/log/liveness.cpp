#include "events/log/liveness.hpp"

#include "events/core/check.hpp"

#include <algorithm>
#include <iterator>

namespace orrery::log {

namespace {

/// A wait that was told so many own heartbeats ago goes on: own ones may come back in twos and
/// threes while it is told once for each that is posted.
constexpr std::uint32_t untold_max = suspect_at;

/// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
/// 2014): each bit of the input changes each bit of the output with probability one half.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

} // namespace

std::uint64_t rendezvous_weight(process_id process, partition_number where) {
  return mix(mix(static_cast<std::uint64_t>(process)) ^ mix(static_cast<std::uint64_t>(where)));
}

void claim_pacer::on_sent(std::chrono::milliseconds now, std::uint64_t random) {
  x_sent = now;
  x_next = after(now, random);
}

void claim_pacer::on_deposed(std::chrono::milliseconds now, std::uint64_t random) {
  end_epoch(now);
  x_next = std::max(x_next, after(now, random));
}

void claim_pacer::on_doubt(std::chrono::milliseconds now, std::uint64_t random) {
  end_epoch(now);
  if (x_sent != std::chrono::milliseconds::min())
    x_next = std::max(x_next, after(x_sent, random));
}

void claim_pacer::end_epoch(std::chrono::milliseconds now) {
  if (!x_began)
    return;
  x_pause = now - *x_began < short_epoch ? std::min(2 * x_pause, pause_max) : pause_min;
  x_began.reset();
}

std::chrono::milliseconds claim_pacer::after(std::chrono::milliseconds now,
                                             std::uint64_t random) const {
  const auto half = static_cast<std::uint64_t>(x_pause.count() / 2);
  return now + x_pause + std::chrono::milliseconds(random % (half + 1));
}

liveness::liveness(process_id self) : x_self(self) { ORRERY_CHECK(self != process_id{0}); }

void liveness::on_heartbeat(const heartbeat& read) {
  if (read.process == process_id{0} || read.number == 0)
    return;
  auto found = x_known.find(read.process);
  if (found == x_known.end()) {
    if (x_known.size() >= processes_max && read.process != x_self && !make_room())
      return;
    found = x_known.emplace(read.process, known_process{}).first;
  }
  auto& known = found->second;
  if (read.number <= known.last.number)
    return; // the board may repeat: an old one says nothing about now
  known = known_process{read};
  if (read.process == x_self)
    count_own();
}

/// Forgets the one that is silent for the longest time; false when all live.
bool liveness::make_room() {
  const auto silent =
      std::max_element(x_known.begin(), x_known.end(), [](const auto& left, const auto& right) {
        return left.second.silence < right.second.silence;
      });
  if (silent->second.is_live())
    return false;
  x_known.erase(silent);
  return true;
}

/// An own heartbeat came back.
void liveness::count_own() {
  x_own_came_back = std::min(x_own_came_back + 1, suspect_at);
  for (auto at = x_known.begin(); at != x_known.end();) {
    auto& [process, known] = *at;
    if (known.grace > 0)
      --known.grace;
    else if (process != x_self)
      ++known.silence;
    at = known.silence >= forget_at ? x_known.erase(at) : std::next(at);
  }
  count_waits();
  for (auto at = x_barred.begin(); at != x_barred.end();) {
    if (--at->second.left == 0)
      at = x_barred.erase(at);
    else
      ++at;
  }
}

void liveness::count_waits() {
  for (auto at = x_waits.begin(); at != x_waits.end();) {
    auto& one = at->second;
    const auto seq = told_seq(one.owner, at->first);
    const bool has_grown = seq > one.seq;
    one.seq = std::max(one.seq, seq);
    one.stood = has_grown ? 0 : one.stood + 1;
    if (++one.untold > untold_max)
      at = x_waits.erase(at);
    else
      ++at;
  }
}

std::optional<std::uint64_t> liveness::told_seq(process_id owner, partition_number where) const {
  const auto* known = find(owner);
  if (known == nullptr)
    return std::nullopt;
  const auto& owned = known->last.owned;
  const auto found = std::lower_bound(
      owned.begin(), owned.end(), where,
      [](const owned_partition& one, partition_number wanted) { return one.where < wanted; });
  if (found == owned.end() || found->where != where)
    return std::nullopt;
  return found->seq;
}

void liveness::restart_count() {
  for (auto& [process, known] : x_known)
    known.silence = 0;
}

void liveness::on_break() {
  restart_count();
  for (auto& [process, known] : x_known)
    known.grace = reconnect_grace;
}

void liveness::on_claim(partition_number where, std::optional<process_id> by) {
  for (auto& [process, known] : x_known)
    if (known.is_live() || process == by)
      known.silence = 0;
  x_waits.erase(where);
  const auto barred = x_barred.find(where);
  if (barred != x_barred.end() && barred->second.process == by)
    x_barred.erase(barred); // it gets another chance, or the two would fight without an end
}

void liveness::work_waits(partition_number where, process_id owner) {
  const auto barred = x_barred.find(where);
  if (barred != x_barred.end() && barred->second.process == owner)
    return;
  auto& one = x_waits[where];
  if (one.owner != owner)
    one = wait{owner, told_seq(owner, where)};
  one.untold = 0;
  if (one.stood < stuck_at) // judged here, where it is sure that work waits still
    return;
  x_barred[where] = bar{owner};
  x_waits.erase(where);
}

bool liveness::is_live(process_id process) const {
  const auto* known = find(process);
  return known != nullptr && known->is_live();
}

const known_process* liveness::find(process_id process) const {
  const auto found = x_known.find(process);
  return found == x_known.end() ? nullptr : &found->second;
}

std::vector<known_process> liveness::others() const {
  std::vector<known_process> all;
  for (const auto& [process, known] : x_known)
    if (process != x_self)
      all.push_back(known);
  return all;
}

std::optional<process_id> liveness::chosen(partition_number where) const {
  const auto best = best_of(where, std::nullopt);
  const auto barred = x_barred.find(where);
  if (!best || barred == x_barred.end() || barred->second.process != *best)
    return best;
  const auto* own = find(x_self);
  if (*best != x_self && own != nullptr && may_own(*own))
    return x_self;
  const auto next = best_of(where, best);
  return next ? next : best;
}

/// The heaviest of those that may own, but for one.
std::optional<process_id> liveness::best_of(partition_number where,
                                            std::optional<process_id> but) const {
  std::optional<process_id> best;
  std::uint64_t best_weight = 0;
  for (const auto& [process, known] : x_known) {
    const auto weight = rendezvous_weight(process, where);
    // Ascending by process, so of two equal weights the higher process is chosen everywhere.
    if (process == but || !may_own(known) || (best && weight < best_weight))
      continue;
    best = process;
    best_weight = weight;
  }
  return best;
}

bool liveness::may_own(const known_process& known) {
  return known.is_live() && known.last.ready && !known.last.leaving;
}

bool liveness::should_own(partition_number where) const {
  return is_settled() && chosen(where) == x_self;
}

} // namespace orrery::log
