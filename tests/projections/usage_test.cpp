#include "events/core/wide.hpp"
#include "projections/usage.hpp"
#include "tests/projections/expander.hpp"
#include "tests/projections/histories.hpp"
#include "tests/projections/usage_pieces.hpp"
#include "tests/support/memory_rows.hpp"
#include "tests/support/random_history.hpp"
#include "tests/support/usage_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

// Questions about usage: refused, answered page by page, cut anywhere, summed.

namespace orrery::projections {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::seconds;
using testing::ElementsAre;

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
