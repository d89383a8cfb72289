#include "projections/usage.hpp"

#include "events/domain/nic.hpp"
#include "projections/rows.hpp"
#include "projections/usage_rows.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>

namespace orrery::projections {

namespace {

/// The lives that some commits tell of, each read at most once and written once.
class usage_fold {
public:
  explicit usage_fold(writer& rows) : x_rows(rows) {}

  void fold(const folded_commit& commit) {
    domain::for_each_step(
        *commit.body, [this](const v1::Decision&, const v1::Step& step, int, utc_time decided_at) {
          for (const auto& event : step.events())
            if (event.has_vm())
              see(domain::from_proto(step.entity()), event.vm(),
                  event.effective_at() == 0 ? to_micros(decided_at) : event.effective_at());
        });
    x_heads[commit.where] = to_micros(domain::last_time(*commit.body));
  }

  void write() {
    for (const auto& [vm, life] : x_lives)
      if (life && life->changed)
        x_rows.put(living_key(vm), to_row(life->is));
    for (const auto& [where, time] : x_heads) {
      std::string bytes;
      add_u64(bytes, time);
      x_rows.put(head_key(where), std::move(bytes));
    }
  }

private:
  struct known_life {
    usage_life is;
    bool changed = false;
  };

  void see(const uuid& vm, const v1::VmEvent& event, micros at) {
    switch (event.body_case()) {
    case v1::VmEvent::kCreated:
      begin(vm, event.created(), at);
      break;
    case v1::VmEvent::kAddressGiven:
      give_address(vm, at);
      break;
    case v1::VmEvent::kAddressesAdded:
      count_addresses(vm, size_of(event.addresses_added().addresses()), at);
      break;
    case v1::VmEvent::kAddressesRemoved:
      count_addresses(vm, -size_of(event.addresses_removed().addresses()), at);
      break;
    case v1::VmEvent::kDefined:
    case v1::VmEvent::kStopped:
      enter(vm, v1::UsageInterval::STOPPED, at);
      break;
    case v1::VmEvent::kStarted:
    case v1::VmEvent::kReachable:
      enter(vm, v1::UsageInterval::RUNNING, at);
      break;
    case v1::VmEvent::kAbsent:
      enter(vm, v1::UsageInterval::ABSENT, at);
      break;
    case v1::VmEvent::kUnseen:
      enter(vm, v1::UsageInterval::UNKNOWN, at);
      break;
    case v1::VmEvent::kRemoved:
      end(vm, at);
      break;
    case v1::VmEvent::kStartRequested: // wishes and jobs: what is wanted is not what is
    case v1::VmEvent::kShutdownRequested:
    case v1::VmEvent::kStopRequested:
    case v1::VmEvent::kRemovalRequested:
    case v1::VmEvent::kLabelsChanged:
    case v1::VmEvent::kRateChanged:
    case v1::VmEvent::kAddressesRemovalRequested:
    case v1::VmEvent::kJobStarted:
    case v1::VmEvent::kJobAttemptFailed:
    case v1::VmEvent::kJobEnded:
    case v1::VmEvent::BODY_NOT_SET:
      break;
    }
  }

  void begin(const uuid& vm, const v1::VmEvent::Created& event, micros at) {
    if (find(vm) != nullptr)
      return; // only in logs that were made up
    known_life life;
    life.changed = true;
    life.is.vm = vm;
    life.is.created = at;
    life.is.cluster = domain::from_proto(event.cluster());
    life.is.vcpus = event.vcpus();
    life.is.memory_mib = event.memory_mib();
    life.is.name = event.name();
    life.is.last.start = at;
    const auto place = place_of(life.is);
    x_rows.put(place_key(place), place_row(place));
    x_lives.insert_or_assign(vm, std::move(life));
  }

  void give_address(const uuid& vm, micros at) {
    auto* life = find(vm);
    if (life == nullptr || life->is.address_at != 0)
      return;
    life->is.address_at = std::max(at, life->is.created);
    life->is.addresses = 1;
    life->changed = true;
  }

  /// Of one address, or of a network behind the guest.
  static std::int64_t size_of(const v1::FurtherAddresses& addresses) {
    const auto prefix = domain::from_proto(addresses).prefix;
    return std::int64_t{1} << (domain::whole_address -
                               std::min(prefix.length, domain::whole_address));
  }

  void count_addresses(const uuid& vm, std::int64_t more, micros at) {
    auto* life = find(vm);
    if (life == nullptr)
      return;
    // Below none and above all there are only in logs that were made up.
    constexpr auto most = std::int64_t{std::numeric_limits<std::uint32_t>::max()};
    life->is.addresses = static_cast<std::uint32_t>(
        std::clamp(std::int64_t{life->is.addresses} + more, std::int64_t{0}, most));
    life->is.has_further_addresses = true;
    life->changed = true;
    std::string count;
    add_u32(count, life->is.addresses);
    x_rows.put(addresses_key(vm, at), std::move(count));
  }

  void enter(const uuid& vm, usage_state state, micros at) {
    auto* life = find(vm);
    if (life == nullptr || life->is.state == state)
      return;
    life->changed = true;
    if (at > life->is.last.end())
      leave(life->is, at);
    else // the phase in progress had no length: it never was
      resume(life->is, state);
    life->is.state = state;
  }

  /// Ends the phase in progress.
  void leave(usage_life& life, micros at) {
    auto& run = life.last;
    run.phases.push_back({at, life.state});
    if (run.phases.size() == phases_per_run)
      write_run(life);
  }

  void write_run(usage_life& life) {
    auto next = life.now();
    x_rows.put(run_key(life.vm, life.last.start), to_row(life.last));
    life.last = {next.start, life.last.start, next.before, {}};
  }

  /// Goes on with the phase before an empty one, if it has that state: so that equal phases never
  /// touch, and the phases do not depend on what was seen in no time.
  void resume(usage_life& life, usage_state state) {
    auto& run = life.last;
    if (run.phases.empty() && run.previous != 0) {
      const auto key = run_key(life.vm, run.previous);
      const auto row = x_rows.find(key);
      auto before = row ? run_from_row(run.previous, *row) : std::nullopt;
      if (!before || before->phases.empty() || before->phases.back().state != state)
        return;
      x_rows.erase(key);
      run = std::move(*before);
    }
    if (!run.phases.empty() && run.phases.back().state == state)
      run.phases.pop_back();
  }

  void end(const uuid& vm, micros at) {
    auto* found = find(vm);
    if (found == nullptr)
      return;
    auto& life = found->is;
    x_rows.erase(living_key(vm));
    x_rows.erase(place_key(place_of(life)));
    if (at > life.last.end())
      leave(life, at);
    if (!life.last.phases.empty())
      write_run(life);
    if (life.last.end() > life.created) {
      life.end = life.last.end();
      const auto place = place_of(life);
      x_rows.put(place_key(place), place_row(place));
      x_rows.put(ended_key(vm, life.created), to_row(life));
    }
    x_lives.insert_or_assign(vm, std::nullopt);
  }

  known_life* find(const uuid& vm) {
    auto [at, is_new] = x_lives.try_emplace(vm);
    if (is_new)
      if (const auto row = x_rows.find(living_key(vm)))
        if (auto life = life_from_row(vm, *row))
          at->second = known_life{std::move(*life)};
    return at->second ? &*at->second : nullptr;
  }

  writer& x_rows;
  std::unordered_map<uuid, std::optional<known_life>> x_lives; ///< nothing: none is living
  std::map<partition_number, micros> x_heads;
};

} // namespace

void usage::apply(commit_span commits, writer& rows) const {
  usage_fold fold(rows);
  for (const auto& commit : commits)
    fold.fold(*commit);
  fold.write();
}

} // namespace orrery::projections
