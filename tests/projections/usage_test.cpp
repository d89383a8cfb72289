#include "events/core/wide.hpp"
#include "projections/usage.hpp"
#include "projections/usage_query.hpp"
#include "tests/projections/expander.hpp"
#include "tests/projections/histories.hpp"
#include "tests/support/memory_rows.hpp"
#include "tests/support/random_history.hpp"
#include "tests/support/usage_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

namespace orrery::projections {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto absent = v1::UsageInterval::ABSENT;
constexpr auto stopped = v1::UsageInterval::STOPPED;
constexpr auto running = v1::UsageInterval::RUNNING;
constexpr auto unknown = v1::UsageInterval::UNKNOWN;
constexpr auto no_state = v1::UsageInterval::STATE_UNSPECIFIED;

const utc_time long_ago = support::start_of_time() - hours(24);
const utc_time far_ahead = support::start_of_time() + hours(24) * 3'000;

/// One interval, without what is the same for all of its VM.
struct piece {
  std::string vm;
  std::string meter;
  v1::UsageInterval::State state = no_state;
  std::uint64_t amount = 0;
  utc_time start;
  utc_time end;

  friend auto operator<=>(const piece&, const piece&) = default;

  friend void PrintTo(const piece& shown, std::ostream* out) {
    *out << shown.vm << " " << shown.meter << " " << shown.state << " " << shown.amount << " ["
         << to_text(shown.start) << ", " << to_text(shown.end) << ")";
  }
};

using pieces = std::vector<piece>;

piece piece_of(const v1::UsageInterval& one) {
  return {one.resource().id(),     one.meter(),          one.state(), one.amount(),
          from_proto(one.start()), from_proto(one.end())};
}

/// All rows of a list, page after page.
template <class Row, class Question>
std::vector<Row> all_of(const Question& ask, std::uint32_t size = page_size_max) {
  std::vector<Row> found;
  page wanted{size, ""};
  do {
    auto listed = ask(wanted);
    EXPECT_TRUE(listed) << (listed ? "" : listed.error().text);
    if (!listed)
      return found;
    EXPECT_LE(listed->items.size(), size);
    std::ranges::move(listed->items, std::back_inserter(found));
    wanted.token = listed->next_token;
  } while (!wanted.token.empty());
  return found;
}

pieces pieces_of(const reader& rows, const usage_terms& terms, std::uint32_t size = page_size_max) {
  pieces found;
  for (const auto& one : all_of<v1::UsageInterval>(
           [&](const page& wanted) { return list_usage(rows, terms, wanted); }, size)) {
    EXPECT_EQ(one.microseconds(),
              to_micros(from_proto(one.end())) - to_micros(from_proto(one.start())));
    found.push_back(piece_of(one));
  }
  return found;
}

/// The list of two lists: what touches and is equal becomes one. Associative.
pieces merged(pieces left, const pieces& right) {
  left.insert(left.end(), right.begin(), right.end());
  std::ranges::sort(
      left, {}, [](const piece& one) { return std::tie(one.vm, one.meter, one.start, one.end); });
  pieces made;
  for (auto& one : left) {
    const bool goes_on = !made.empty() && made.back().vm == one.vm &&
                         made.back().meter == one.meter && made.back().state == one.state &&
                         made.back().end == one.start;
    if (goes_on)
      made.back().end = one.end;
    else
      made.push_back(one);
  }
  return made;
}

// What a VM's events say, told by hand: which state begins when, the last word on a moment counts.

struct told_vm {
  utc_time created;
  std::optional<utc_time> end = {};
  std::optional<utc_time> address = {};
  std::uint64_t vcpus = 0;
  std::uint64_t memory = 0;
  std::map<utc_time, v1::UsageInterval::State> states = {};
};

std::optional<v1::UsageInterval::State> told_state(const std::string& type) {
  static const std::map<std::string, v1::UsageInterval::State> states{
      {"vm.created", absent},  {"vm.absent", absent},   {"vm.defined", stopped},
      {"vm.stopped", stopped}, {"vm.started", running}, {"vm.reachable", running},
      {"vm.unseen", unknown}};
  const auto found = states.find(type);
  return found == states.end() ? std::nullopt : std::optional(found->second);
}

/// Told from the commits' bodies alone.
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
        if (event.vm().has_address_given())
          vm.address = when;
        if (event.vm().has_removed())
          vm.end = when;
      }
    });
  return vms;
}

/// The intervals that these tell, up to the end of the log.
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
      if (life.address && *life.address < end)
        found.push_back({vm, "nic.address", no_state, 1, *life.address, end});
    }
  return merged(found, {});
}

pieces sorted(pieces all) {
  std::ranges::sort(
      all, {}, [](const piece& one) { return std::tie(one.vm, one.meter, one.start, one.end); });
  return all;
}

/// The states of the one VM of a world, with the seconds from `from` to the end of each, whole.
struct stretch {
  v1::UsageInterval::State state;
  std::int64_t milliseconds;

  friend bool operator==(const stretch&, const stretch&) = default;

  friend void PrintTo(const stretch& shown, std::ostream* out) {
    *out << shown.state << " for " << shown.milliseconds << " ms";
  }
};

std::vector<stretch> stretches_of(const support::world& at, std::uint32_t number = 1) {
  const auto rows = support::usage_rows_of(at.commits());
  std::vector<stretch> found;
  for (const auto& one : pieces_of(
           support::memory_reader(rows),
           {.from = long_ago, .to = far_ahead, .vm = support::vm(number), .what = meter::vm_state}))
    found.push_back(
        {one.state, std::chrono::round<std::chrono::milliseconds>(one.end - one.start).count()});
  return found;
}

// Refusals ----------------------------------------------------------------------------------------

TEST(usage, of_no_time_or_too_long_a_time_is_an_invalid_argument) {
  const auto at = support::world_with_vm();
  const auto rows = support::usage_rows_of(at.commits());
  const support::memory_reader from(rows);
  const auto begin = support::start_of_time();
  for (const auto& end : {begin, begin - seconds(1), begin + usage_range_max + microseconds(1)}) {
    EXPECT_EQ(list_usage(from, {begin, end}, {}).error().code, error_code::invalid_argument);
    EXPECT_EQ(list_vm_usage(from, {begin, end}, {}).error().code, error_code::invalid_argument);
    EXPECT_EQ(list_total_usage(from, {begin, end}, {}).error().code, error_code::invalid_argument);
  }
  EXPECT_TRUE(list_usage(from, {begin, begin + usage_range_max}, {}));
}

TEST(usage, a_token_fits_its_own_question_only) {
  const filled_store filled(random_history(3, 300));
  const usage_filter asked{long_ago, far_ahead};
  const auto first = filled.rows->list_usage(asked, {1, ""});
  ASSERT_TRUE(first);
  ASSERT_FALSE(first->next_token.empty());
  const page next{1, first->next_token};
  EXPECT_TRUE(filled.rows->list_usage(asked, next));
  EXPECT_EQ(filled.rows->list_vm_usage(asked, next).error().code, error_code::invalid_argument);
  auto other = asked;
  other.to -= seconds(1);
  EXPECT_EQ(filled.rows->list_usage(other, next).error().code, error_code::invalid_argument);
}

TEST(usage, of_a_vm_that_never_was_is_not_found_and_a_node_is_no_vm) {
  const filled_store filled(support::world_with_vm());
  for (const auto& text : {std::string("db"), std::string("n1"), to_text(vm_id{support::vm(9)})})
    EXPECT_EQ(filled.rows->list_usage({long_ago, far_ahead, text}, {}).error().code,
              error_code::not_found)
        << text;
  EXPECT_EQ(filled.rows->list_usage({long_ago, far_ahead, to_text(node_id{support::node()})}, {})
                .error()
                .code,
            error_code::invalid_argument);
  EXPECT_EQ(filled.rows->list_usage({long_ago, far_ahead, "", "c9"}, {}).error().code,
            error_code::not_found);
}

TEST(usage, a_sum_beyond_128_bits_is_refused) {
  auto world = support::world_with_vm();
  auto commits = world.commits();
  auto& last = commits.back().second;
  for (auto& step : *last.mutable_decisions(0)->mutable_steps())
    for (auto& event : *step.mutable_events())
      if (event.vm().has_created())
        event.mutable_vm()->mutable_created()->set_memory_mib(~std::uint64_t{0});
  // Each VM alone is below 2^64 MiB for below 2^49 µs; it takes 2^15 of them.
  const auto rows = support::usage_rows_of(commits);
  const support::memory_reader from(rows);
  const auto sums = list_vm_usage(from, {long_ago, far_ahead}, {});
  ASSERT_TRUE(sums);
  for (const auto& sum : sums->items.at(0).sums())
    EXPECT_TRUE(parse_uint128(sum.unit_microseconds())) << sum.unit_microseconds();
  EXPECT_TRUE(list_total_usage(from, {long_ago, far_ahead}, {}));
}

// Lives -------------------------------------------------------------------------------------------

TEST(usage, of_a_vm_that_never_ran_is_absent_then_stopped) {
  auto at = support::world_with_vm();
  at.pass(seconds(2));
  at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::NEVER_RAN);
  at.pass(seconds(3));
  at.must(support::stop_vm());
  EXPECT_THAT(stretches_of(at), ElementsAre(stretch{absent, 2'000}, stretch{stopped, 3'000}));
}

TEST(usage, of_power_cycles_counts_each) {
  auto at = support::world_with_vm();
  for (int cycle = 0; cycle < 2; ++cycle) {
    at.pass(seconds(1));
    at.see(1, v1::VmObserved::RUNNING);
    at.pass(seconds(2));
    at.see(1, v1::VmObserved::REACHABLE); // runs as before
    at.pass(seconds(3));
    at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  }
  at.pass(seconds(1));
  at.must(support::remove_vm());
  at.pass(seconds(1));
  at.see(1, v1::VmObserved::ABSENT);
  at.pass(seconds(100));
  at.must(support::place_vm({.number = 2, .name = "db"}));
  EXPECT_THAT(stretches_of(at),
              ElementsAre(stretch{absent, 1'000}, stretch{running, 5'000}, stretch{stopped, 1'000},
                          stretch{running, 5'000}, stretch{stopped, 2'000}));
}

TEST(usage, of_a_vm_whose_node_is_out_of_sight_is_unknown_and_never_stopped) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(5));
  at.see(1, v1::VmObserved::UNKNOWN);
  at.pass(seconds(7));
  at.see(1, v1::VmObserved::UNKNOWN); // no news
  at.pass(seconds(2));
  at.see(1, v1::VmObserved::RUNNING);
  const auto found = stretches_of(at);
  ASSERT_GE(found.size(), 3U);
  EXPECT_EQ(found[found.size() - 2], (stretch{running, 5'000}));
  EXPECT_EQ(found.back(), (stretch{unknown, 9'000}));
}

TEST(usage, of_wishes_is_nothing) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(5));
  at.must(support::stop_vm());
  at.pass(seconds(6)); // and the hypervisor takes its time
  at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::HOST);
  at.pass(seconds(1));
  at.must(support::start_vm());
  const auto found = stretches_of(at);
  EXPECT_EQ(found[found.size() - 2], (stretch{running, 11'000}));
  EXPECT_EQ(found.back(), (stretch{stopped, 1'000}));
}

TEST(usage, two_facts_of_one_record_count_at_their_own_times) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(10));
  auto off = at.next_saying(1, v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  off.at = at.now() - seconds(6);
  auto on = at.next_saying(1, v1::VmObserved::RUNNING);
  on.at = at.now() - seconds(2);
  at.tell_all({support::observe(1, off), support::observe(1, on)});
  at.pass(seconds(1));
  at.must(support::stop_vm());
  const auto found = stretches_of(at);
  ASSERT_GE(found.size(), 3U);
  EXPECT_EQ(found[found.size() - 3], (stretch{running, 4'000}));
  EXPECT_EQ(found[found.size() - 2], (stretch{stopped, 4'000}));
  EXPECT_EQ(found.back(), (stretch{running, 3'000}));
}

TEST(usage, a_fact_from_before_the_last_one_begins_with_that) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(10));
  at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  at.pass(seconds(10));
  auto on = at.next_saying(1, v1::VmObserved::RUNNING);
  on.at = at.now() - seconds(15);
  at.must(support::observe(1, on)); // it was never off for any time
  at.pass(seconds(1));
  at.must(support::stop_vm());
  const auto found = stretches_of(at);
  EXPECT_EQ(found.back(), (stretch{running, 21'000})) << "one interval, as if nothing had been";
}

TEST(usage, of_an_address_is_from_its_grant_to_the_fact_that_the_vm_is_gone) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(10));
  at.must(support::remove_vm());
  at.pass(seconds(3));
  at.see(1, v1::VmObserved::ABSENT);
  const auto gone = at.now();
  at.pass(seconds(50));
  const auto rows = support::usage_rows_of(at.commits());
  const auto found = pieces_of(support::memory_reader(rows),
                               {.from = long_ago, .to = far_ahead, .what = meter::nic_address});
  const auto given = tell(at.commits()).begin()->second.front().address;
  ASSERT_TRUE(given);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].start, *given);
  EXPECT_NEAR(static_cast<double>((found[0].end - gone).count()), 0, 10'000);
  EXPECT_EQ(found[0].amount, 1U);
}

// Questions ---------------------------------------------------------------------------------------

TEST(usage, what_goes_on_is_counted_to_the_end_of_the_log_and_says_so) {
  auto at = support::world_with_running_vm();
  at.pass(seconds(10));
  at.must(support::place_vm({.number = 2, .name = "db"}));
  const auto head = domain::last_time(at.commits().back().second);
  const filled_store filled(at);
  const auto ask = [&](utc_time to) {
    const auto found = filled.rows->list_vm_usage({long_ago, to, "web"}, {});
    EXPECT_TRUE(found);
    return found->items.at(0);
  };
  EXPECT_TRUE(ask(far_ahead).open());
  EXPECT_EQ(from_proto(ask(far_ahead).end()), head);
  EXPECT_FALSE(ask(head).open()) << "all that was asked for is known";
  EXPECT_EQ(from_proto(ask(head - seconds(1)).end()), head - seconds(1));
  EXPECT_EQ(ask(head).cluster().name(), "c1");
  EXPECT_EQ(ask(head).resource().name(), "web");
}

TEST(usage, of_a_vm_that_is_gone_is_there_by_name) {
  auto at = support::world_with_running_vm();
  at.must(support::remove_vm());
  at.pass(seconds(1));
  at.see(1, v1::VmObserved::ABSENT);
  const filled_store filled(at);
  const auto found = filled.rows->list_vm_usage({long_ago, far_ahead, "web", "c1"}, {});
  ASSERT_TRUE(found) << found.error().text;
  ASSERT_EQ(found->items.size(), 1U);
  EXPECT_FALSE(found->items[0].open());
}

/// A random history, folded and told by hand.
struct random_usage {
  explicit random_usage(std::uint64_t seed)
      : world(support::random_world(seed, 800)), rows(support::usage_rows_of(world.commits())),
        from(rows) {}

  support::world world;
  support::memory_rows rows;
  support::memory_reader from;

  [[nodiscard]] utc_time begin() const {
    return from_micros(world.commits().front().second.decided_at());
  }

  [[nodiscard]] utc_time end() const { return domain::last_time(world.commits().back().second); }

  /// Anywhere in the history; now and then exactly where something happens.
  [[nodiscard]] utc_time moment(support::dice& dice) const {
    if (dice.chance(50))
      return from_micros(world.commits()[dice.below(world.commits().size())].second.decided_at());
    return begin() +
           microseconds(dice.below(static_cast<std::uint64_t>((end() - begin()).count())));
  }
};

constexpr int random_runs = 30;

TEST(usage, of_random_histories_is_what_their_events_tell) {
  const auto seed = seed_of_this_run();
  std::set<v1::UsageInterval::State> seen;
  for (int run = 0; run < random_runs; ++run) {
    const random_usage made(seed + static_cast<std::uint64_t>(run));
    const auto found = pieces_of(made.from, {.from = long_ago, .to = far_ahead});
    EXPECT_EQ(sorted(found), told_pieces(made.world.commits()))
        << "seed " << seed << " run " << run;
    for (const auto& one : found) {
      seen.insert(one.state);
      EXPECT_LT(one.start, one.end);
    }
    EXPECT_EQ(support::to_text(support::check_usage(made.world.commits(), made.rows)), "");
  }
  EXPECT_EQ(seen.size(), 5U) << "random histories show every state";
}

using sums = std::map<std::tuple<std::string, std::string, v1::UsageInterval::State>, uint128>;

sums sums_of(const pieces& all) {
  sums made;
  for (const auto& one : all)
    made[{one.vm, one.meter, one.state}] +=
        uint128{one.amount} * static_cast<std::uint64_t>((one.end - one.start).count());
  return made;
}

sums vm_sums(const reader& rows, const usage_terms& terms, std::uint32_t size = page_size_max) {
  sums made;
  for (const auto& vm : all_of<v1::VmUsage>(
           [&](const page& wanted) { return list_vm_usage(rows, terms, wanted); }, size))
    for (const auto& sum : vm.sums())
      made[{vm.resource().id(), sum.meter(), sum.state()}] +=
          *parse_uint128(sum.unit_microseconds());
  return made;
}

sums total_sums(const reader& rows, const usage_terms& terms) {
  sums made;
  for (const auto& sum : all_of<v1::UsageTotal>(
           [&](const page& wanted) { return list_total_usage(rows, terms, wanted); }))
    made[{"", sum.meter(), sum.state()}] += *parse_uint128(sum.unit_microseconds());
  return made;
}

sums without_vms(const sums& all) {
  sums made;
  for (const auto& [key, value] : all)
    made[{"", std::get<1>(key), std::get<2>(key)}] += value;
  return made;
}

TEST(usage, of_a_time_cut_anywhere_is_the_usage_of_its_parts) {
  const auto seed = seed_of_this_run();
  support::dice dice(seed);
  for (int run = 0; run < random_runs; ++run) {
    const random_usage made(seed + static_cast<std::uint64_t>(run));
    std::array<utc_time, 4> at{made.moment(dice), made.moment(dice), made.moment(dice),
                               made.moment(dice)};
    std::ranges::sort(at);
    if (std::ranges::adjacent_find(at) != at.end())
      continue;
    const auto ask = [&](utc_time from, utc_time to) {
      return sorted(pieces_of(made.from, {.from = from, .to = to}));
    };
    const auto first = ask(at[0], at[1]);
    const auto second = ask(at[1], at[2]);
    const auto third = ask(at[2], at[3]);
    const auto whole = ask(at[0], at[3]);
    EXPECT_EQ(merged(merged(first, second), third), whole) << "seed " << seed << " run " << run;
    EXPECT_EQ(merged(first, merged(third, second)), whole) << "seed " << seed << " run " << run;
    auto added = sums_of(first);
    for (const auto* part : {&second, &third})
      for (const auto& [key, value] : sums_of(*part))
        added[key] += value;
    const usage_terms terms{.from = at[0], .to = at[3]};
    EXPECT_EQ(vm_sums(made.from, terms), added) << "seed " << seed << " run " << run;
    EXPECT_EQ(total_sums(made.from, terms), without_vms(added));
  }
}

TEST(usage, of_parts_of_what_there_is_fits_the_whole) {
  const auto seed = seed_of_this_run();
  support::dice dice(seed);
  for (int run = 0; run < random_runs; ++run) {
    const random_usage made(seed + static_cast<std::uint64_t>(run));
    usage_terms terms{.from = made.moment(dice), .to = far_ahead};
    const auto whole = pieces_of(made.from, terms);
    for (const std::uint32_t size : {1U, 3U, 7U, 64U}) {
      EXPECT_EQ(pieces_of(made.from, terms, size), whole) << size << ", seed " << seed;
      EXPECT_EQ(vm_sums(made.from, terms, size), sums_of(whole)) << size << ", seed " << seed;
    }
    pieces added;
    for (const auto what :
         {meter::nic_address, meter::vm_memory, meter::vm_state, meter::vm_vcpu}) {
      terms.what = what;
      const auto part = pieces_of(made.from, terms, 5);
      added.insert(added.end(), part.begin(), part.end());
    }
    EXPECT_EQ(sorted(added), sorted(whole)) << "seed " << seed;
    terms.what = std::nullopt;
    added.clear();
    for (const auto& [vm, lives] : tell(made.world.commits())) {
      terms.vm = parse_id<vm_tag>(vm)->value;
      const auto part = pieces_of(made.from, terms, 2);
      added.insert(added.end(), part.begin(), part.end());
    }
    EXPECT_EQ(sorted(added), sorted(whole)) << "seed " << seed;
  }
}

TEST(usage, is_the_same_whatever_way_a_long_story_comes) {
  const auto seed = seed_of_this_run();
  const auto ways = expand(random_history(seed, 1'000), seed);
  for (const auto& one : ways)
    EXPECT_EQ(one.digest, ways.front().digest) << one.name << ", seed " << seed;
}

/// A VM that ends while its list is read page by page is neither missed nor told twice.
TEST(usage, a_vm_that_ends_between_two_pages_is_told_once) {
  auto world = support::ready_world();
  for (std::uint32_t number = 1; number <= 9; ++number)
    world.must(support::place_vm({.number = number, .name = "vm" + std::to_string(number)}));
  const auto living = world.commits().size();
  world.pass(seconds(3));
  for (const std::uint32_t number : {2U, 5U, 8U}) {
    world.must(support::remove_vm(number));
    world.see(number, v1::VmObserved::ABSENT);
  }
  const auto all = history_of(world.commits());
  const filled_store filled(history(all.begin(), all.begin() + static_cast<long>(living)));
  std::vector<std::string> names;
  page wanted{2, ""};
  bool is_first = true;
  do {
    const auto found = filled.rows->list_vm_usage({long_ago, far_ahead}, wanted);
    ASSERT_TRUE(found) << found.error().text;
    for (const auto& vm : found->items)
      names.push_back(vm.resource().name());
    wanted.token = found->next_token;
    if (std::exchange(is_first, false)) {
      ASSERT_TRUE(filled.rows->apply(all));
    }
  } while (!wanted.token.empty());
  EXPECT_THAT(names, ElementsAre("vm1", "vm2", "vm3", "vm4", "vm5", "vm6", "vm7", "vm8", "vm9"));
}

/// The rows of many lives that are over, and one that goes on from before them.
TEST(usage, a_question_passes_over_what_was_over_before) {
  v1::CommitBody body;
  std::uint64_t now = to_micros(support::start_of_time());
  body.set_decided_at(now);
  const auto tell = [&](std::uint32_t number) -> v1::VmEvent& {
    auto* step = body.add_decisions()->add_steps();
    domain::set(step->mutable_entity(), support::vm(number));
    auto* event = step->add_events();
    event->set_effective_at(now);
    return *event->mutable_vm();
  };
  constexpr std::uint32_t lives = 20'000;
  tell(lives + 1).mutable_created()->set_vcpus(1);
  for (std::uint32_t number = 1; number <= lives; ++number) {
    now += 3'600'000'000;
    tell(number).mutable_created()->set_vcpus(1);
    now += 1'800'000'000;
    tell(number).mutable_removed();
  }
  v1::CommitBody last; // says how far the log goes
  last.set_decided_at(now);
  last.add_decisions();
  const support::commit_list commits{{2, body}, {3, last}};
  const auto rows = support::usage_rows_of(commits);
  const support::memory_reader from(rows);
  const auto end = from_micros(now);
  const auto found = list_vm_usage(from, {.from = end - hours(2), .to = end}, {});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->items.size(), 3U) << "two of the last two hours, and the one from before";
  EXPECT_TRUE(found->next_token.empty());
  EXPECT_LT(from.seen(), 100U);
}

/// A VM that has changed a hundred thousand times is summed as fast as any other.
TEST(usage, a_sum_reads_no_more_of_a_long_story) {
  v1::CommitBody body;
  std::uint64_t now = to_micros(support::start_of_time());
  body.set_decided_at(now);
  const auto tell = [&]() -> v1::VmEvent& {
    auto* step = body.add_decisions()->add_steps();
    domain::set(step->mutable_entity(), support::vm());
    auto* event = step->add_events();
    event->set_effective_at(now);
    now += 1'000'000;
    return *event->mutable_vm();
  };
  tell().mutable_created()->set_vcpus(2);
  for (int change = 0; change < 50'000; ++change) {
    tell().mutable_started();
    tell().mutable_stopped();
  }
  support::commit_list commits;
  commits.emplace_back(2, body);
  const auto rows = support::usage_rows_of(commits);
  const support::memory_reader from(rows);
  const auto begin = support::start_of_time() + seconds(10'000);
  const auto found = list_vm_usage(
      from, {.from = begin, .to = begin + seconds(60'000), .what = meter::vm_vcpu}, {});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->items.at(0).sums_size(), 2);
  for (const auto& sum : found->items[0].sums())
    EXPECT_EQ(sum.unit_microseconds(), "60000000000") << "2 vcpus for half of 60,000 s";
  EXPECT_LT(from.seen(), 60U);
}

} // namespace
} // namespace orrery::projections
