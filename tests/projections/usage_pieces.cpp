#include "tests/projections/usage_pieces.hpp"

#include "projections/views.hpp"
#include "tests/support/memory_rows.hpp"
#include "tests/support/usage_check.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace orrery::projections {

namespace {

piece piece_of(const v1::UsageInterval& one) {
  return {one.resource().id(),     one.meter(),          one.state(), one.amount(),
          from_proto(one.start()), from_proto(one.end())};
}

std::optional<v1::UsageInterval::State> told_state(const std::string& type) {
  static const std::map<std::string, v1::UsageInterval::State> states{
      {"vm.created", absent},  {"vm.absent", absent},   {"vm.defined", stopped},
      {"vm.stopped", stopped}, {"vm.started", running}, {"vm.reachable", running},
      {"vm.unseen", unknown}};
  const auto found = states.find(type);
  return found == states.end() ? std::nullopt : std::optional(found->second);
}

} // namespace

pieces pieces_of(const reader& rows, const usage_terms& terms, std::uint32_t size) {
  pieces found;
  for (const auto& one : all_of<v1::UsageInterval>(
           [&](const page& wanted) { return list_usage(rows, terms, wanted); }, size)) {
    EXPECT_EQ(one.microseconds(),
              to_micros(from_proto(one.end())) - to_micros(from_proto(one.start())));
    found.push_back(piece_of(one));
  }
  return found;
}

pieces merged(pieces left, const pieces& right) {
  left.insert(left.end(), right.begin(), right.end());
  std::ranges::sort(
      left, {}, [](const piece& one) { return std::tie(one.vm, one.meter, one.start, one.end); });
  pieces made;
  for (auto& one : left) {
    const bool goes_on = !made.empty() && made.back().vm == one.vm &&
                         made.back().meter == one.meter && made.back().state == one.state &&
                         made.back().amount == one.amount && made.back().end == one.start;
    if (goes_on)
      made.back().end = one.end;
    else
      made.push_back(one);
  }
  return made;
}

std::map<std::string, std::vector<told_vm>> tell(const support::commit_list& commits) {
  std::map<std::string, std::vector<told_vm>> vms;
  for (const auto& [seq, body] : commits)
    domain::for_each_step(body, [&](const v1::Decision&, const v1::Step& step, int, utc_time at) {
      for (const auto& event : step.events()) {
        if (!event.has_vm())
          continue;
        auto& lives = vms[to_text(vm_id{domain::from_proto(step.entity())})];
        auto when = event.effective_at() == 0 ? at : from_micros(event.effective_at());
        if (event.vm().has_created()) {
          lives.push_back({.created = when,
                           .vcpus = event.vm().created().vcpus(),
                           .memory = event.vm().created().memory_mib()});
        }
        auto& vm = lives.back();
        // A fact that stands in one record with the creation has the record's time, which is some
        // steps earlier.
        when = std::max(when, vm.created);
        if (const auto state = told_state(domain::type_of(event)))
          vm.states[when] = *state;
        const auto had = vm.addresses.empty() ? 0 : vm.addresses.rbegin()->second;
        if (event.vm().has_address_given())
          vm.addresses[when] = had + 1;
        if (event.vm().has_addresses_added())
          vm.addresses[when] = had + support::size_of(event.vm().addresses_added().addresses());
        if (event.vm().has_addresses_removed())
          vm.addresses[when] = had - support::size_of(event.vm().addresses_removed().addresses());
        if (event.vm().has_removed())
          vm.end = when;
      }
    });
  return vms;
}

pieces told_pieces(const support::commit_list& commits) {
  const auto head = domain::last_time(commits.back().second);
  pieces found;
  for (const auto& [vm, lives] : tell(commits))
    for (const auto& life : lives) {
      const auto end = life.end.value_or(head);
      for (auto at = life.states.begin(); at != life.states.end(); ++at) {
        const auto next = std::next(at);
        const auto until = next == life.states.end() ? end : next->first;
        for (const auto& [meter, amount] : std::map<std::string, std::uint64_t>{
                 {"vm.state", 1}, {"vm.vcpu", life.vcpus}, {"vm.memory", life.memory}})
          if (at->first < until)
            found.push_back({vm, meter, at->second, amount, at->first, until});
      }
      for (auto at = life.addresses.begin(); at != life.addresses.end(); ++at) {
        const auto next = std::next(at);
        const auto until = next == life.addresses.end() ? end : next->first;
        if (at->first < until)
          found.push_back({vm, "nic.address", no_state, at->second, at->first, until});
      }
    }
  return merged(found, {});
}

pieces sorted(pieces all) {
  std::ranges::sort(
      all, {}, [](const piece& one) { return std::tie(one.vm, one.meter, one.start, one.end); });
  return all;
}

std::vector<stretch> stretches_of(const support::world& at, std::uint32_t number) {
  const auto rows = support::usage_rows_of(at.commits());
  std::vector<stretch> found;
  for (const auto& one : pieces_of(
           support::memory_reader(rows),
           {.from = long_ago, .to = far_ahead, .vm = support::vm(number), .what = meter::vm_state}))
    found.push_back(
        {one.state, std::chrono::round<std::chrono::milliseconds>(one.end - one.start).count()});
  return found;
}

} // namespace orrery::projections
