#include "tests/support/usage_check.hpp"

#include "projections/rows.hpp"
#include "projections/usage.hpp"
#include "projections/usage_rows.hpp"
#include "tests/support/builders.hpp"
#include "tests/support/findings.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace orrery::support {

namespace {

using projections::usage_life;
using projections::usage_phase;
using projections::usage_prefix;

/// A life as the events tell it, without the projection.
struct told_life {
  std::uint64_t created = 0;
  std::optional<std::uint64_t> end;
  std::uint32_t addresses = 0;                      ///< at the end, or now
  std::map<std::uint64_t, std::uint32_t> further{}; ///< how many it has from when on
};

void count_addresses(told_life& life, const v1::VmEvent& event, std::uint64_t at) {
  if (event.has_address_given()) // twice in logs that were made up
    life.addresses = std::max(life.addresses, 1U);
  if (event.has_addresses_added())
    life.addresses += size_of(event.addresses_added().addresses());
  else if (event.has_addresses_removed())
    life.addresses -= size_of(event.addresses_removed().addresses());
  else
    return;
  life.further[at] = life.addresses;
}

using told_lives = std::map<uuid, std::vector<told_life>>;

told_lives lives_of(const commit_list& commits) {
  told_lives lives;
  for (const auto& [seq, body] : commits)
    domain::for_each_step(body, [&lives](const v1::Decision&, const v1::Step& step, int,
                                         utc_time decided_at) {
      for (const auto& event : step.events()) {
        if (!event.has_vm())
          continue;
        const auto at = event.effective_at() == 0 ? to_micros(decided_at) : event.effective_at();
        auto& of_vm = lives[domain::from_proto(step.entity())];
        const bool is_living = !of_vm.empty() && !of_vm.back().end;
        if (event.vm().has_created() && !is_living)
          of_vm.push_back({at, std::nullopt});
        else if (event.vm().has_removed() && is_living)
          of_vm.back().end = std::max(at, of_vm.back().created);
        if (is_living)
          count_addresses(of_vm.back(), event.vm(), at);
      }
    });
  return lives;
}

/// All rows, by VM.
struct read_rows {
  std::map<uuid, std::vector<usage_phase>> phases; ///< those that ended, by start
  std::map<uuid, std::vector<usage_life>> lives;   ///< by creation, the living last
  std::map<std::string, std::string> places;       ///< of the index
  std::map<uuid, std::map<std::uint64_t, std::uint32_t>> addresses; ///< how many from when on
};

bool read(const memory_rows& rows, read_rows& made) {
  constexpr std::size_t behind_vm = 1 + projections::uuid_size;
  for (const auto& [key, value] : rows) {
    const auto vm = projections::uuid_at(key, 1);
    const auto which = static_cast<usage_prefix>(key.front());
    if (which == usage_prefix::run) {
      const auto run = projections::run_from_row(projections::u64_at(key, behind_vm), value);
      if (!run || run->phases.empty())
        return false;
      static_cast<void>(run->walk([&of_vm = made.phases[vm]](const usage_phase& phase) {
        of_vm.push_back(phase);
        return true;
      }));
    } else if (which == usage_prefix::living || which == usage_prefix::ended) {
      const auto life = projections::life_from_row(vm, value);
      if (!life)
        return false;
      auto& of_vm = made.lives[vm]; // keys of the living come first
      of_vm.insert(which == usage_prefix::living || of_vm.empty() || of_vm.back().end
                       ? of_vm.end()
                       : of_vm.end() - 1,
                   *life);
    } else if (which == usage_prefix::addresses) {
      made.addresses[vm][projections::u64_at(key, behind_vm)] = projections::u32_at(value, 0);
    } else if (which == usage_prefix::by_life) {
      made.places.emplace(key, value);
    }
  }
  return true;
}

/// Follows one life through its phases.
class life_walk {
public:
  life_walk(findings& out, const usage_life& life) : x_out(out), x_life(life) {}

  /// Takes the phases of this life off the front.
  void walk(std::vector<usage_phase>& phases) {
    const auto now = x_life.now();
    auto at = phases.begin();
    for (; at != phases.end() && at->start < x_life.last.start; ++at)
      step(*at, at->end);
    phases.erase(phases.begin(), at);
    static_cast<void>(x_life.last.walk([this](const usage_phase& phase) {
      step(phase, phase.end);
      return true;
    }));
    if (!x_life.end)
      step(now, now.start + 1); // it goes on
    else if (x_at != *x_life.end)
      say("its phases end at " + std::to_string(x_at));
    else if (now.before != x_times)
      say("its times are not the sums of its phases");
  }

private:
  void step(const usage_phase& phase, std::uint64_t end) {
    if (phase.start != x_at)
      say("a phase begins at " + std::to_string(phase.start) + ", the one before ended at " +
          std::to_string(x_at));
    if (phase.start >= end)
      say("a phase is empty");
    if (x_state && *x_state == phase.state)
      say("two phases of the same state touch");
    if (phase.before != x_times)
      say("the times before a phase are not their sums");
    x_at = end;
    x_state = phase.state;
    projections::in(x_times, phase.state) += end - phase.start;
  }

  void say(const std::string& what) {
    x_out.add(usage_tiles_lives, "VM " + text_of(x_life.vm) + ": " + what);
  }

  findings& x_out;
  const usage_life& x_life;
  std::uint64_t x_at = x_life.created;
  std::optional<projections::usage_state> x_state;
  projections::time_in_states x_times{};
};

void check_vm(findings& out, const uuid& vm, const std::vector<told_life>& told, read_rows& rows) {
  const auto say = [&out, &vm](const std::string& what) {
    out.add(usage_tiles_lives, "VM " + text_of(vm) + ": " + what);
  };
  std::size_t count = 0;
  auto& lives = rows.lives[vm];
  for (const auto& one : told) {
    if (one.end && *one.end == one.created)
      continue; // it never was
    if (count == lives.size())
      return say("a life is missing");
    const auto& life = lives[count++];
    if (life.created != one.created || life.end != one.end)
      say("it lived from " + std::to_string(one.created) + ", not from " +
          std::to_string(life.created) + ", or ended at another time");
    life_walk(out, life).walk(rows.phases[vm]);
    if (life.addresses != one.addresses || life.has_further_addresses == one.further.empty())
      say("it has " + std::to_string(one.addresses) + " addresses, not " +
          std::to_string(life.addresses));
    for (const auto& [at, held] : one.further)
      if (const auto row = rows.addresses[vm].extract(at); row.empty() || row.mapped() != held)
        say("no row says that it has " + std::to_string(held) + " addresses from " +
            std::to_string(at) + " on");
    const auto place = projections::place_of(life);
    const auto indexed = rows.places.find(projections::place_key(place));
    if (indexed == rows.places.end() || indexed->second != projections::place_row(place))
      say("the index does not have it");
    else
      rows.places.erase(indexed);
  }
  if (count != lives.size())
    say("there are more lives than it had");
  if (!rows.phases[vm].empty())
    say("there are phases outside its life");
  if (!rows.addresses[vm].empty())
    say("there are addresses outside its life");
  rows.addresses.erase(vm);
  rows.lives.erase(vm);
  rows.phases.erase(vm);
}

} // namespace

memory_rows usage_rows_of(const commit_list& commits) {
  memory_rows rows;
  memory_writer writer(rows);
  std::vector<std::shared_ptr<const projections::folded_commit>> folded;
  for (const auto& [seq, body] : commits) {
    auto commit = std::make_shared<projections::folded_commit>();
    commit->seq = seq;
    commit->body = std::shared_ptr<const v1::CommitBody>(std::shared_ptr<void>(), &body);
    folded.push_back(std::move(commit));
  }
  projections::usage().apply(folded, writer);
  return rows;
}

std::vector<violation> check_usage(const commit_list& commits, const memory_rows& rows) {
  findings out;
  read_rows found;
  if (!read(rows, found)) {
    out.add(usage_tiles_lives, "a row makes no sense");
    return out.take();
  }
  for (const auto& [vm, told] : lives_of(commits))
    check_vm(out, vm, told, found);
  for (const auto& [vm, lives] : found.lives)
    out.add(usage_tiles_lives, "VM " + text_of(vm) + " never was, and has a life");
  for (const auto& [vm, counts] : found.addresses)
    out.add(usage_tiles_lives, "VM " + text_of(vm) + " never was, and has addresses");
  for (const auto& [vm, phases] : found.phases)
    out.add(usage_tiles_lives, "VM " + text_of(vm) + " never was, and has phases");
  if (!found.places.empty())
    out.add(usage_tiles_lives, "the index has a life that never was");
  return out.take();
}

} // namespace orrery::support
