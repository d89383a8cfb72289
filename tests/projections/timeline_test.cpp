#include "tests/projections/histories.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace orrery::projections {
namespace {

std::vector<std::string> types_of(const listing<v1::TimelineEntry>& events) {
  std::vector<std::string> types;
  for (const auto& entry : events.items)
    types.push_back(entry.type());
  return types;
}

using names = std::vector<std::string>;

const v1::TimelineEntry& entry_of(const listing<v1::TimelineEntry>& events, std::string_view type) {
  const auto found = std::ranges::find_if(
      events.items, [type](const auto& entry) { return entry.type() == type; });
  EXPECT_NE(found, events.items.end()) << type;
  return found == events.items.end() ? v1::TimelineEntry::default_instance() : *found;
}

TEST(timeline, of_an_unknown_resource_is_not_found) {
  const filled_store filled(support::world_with_vm());
  for (const auto& text : {std::string("db"), to_text(vm_id{support::vm(9)})})
    EXPECT_EQ(filled.rows->list_events({.resource = text}, {}).error().code, error_code::not_found)
        << text;
}

TEST(timeline, a_resource_that_is_neither_name_nor_id_is_an_invalid_argument) {
  const filled_store filled(support::world_with_vm());
  for (const auto* text : {"vm_", "cow_01993f0e-7c1a-7000-8000-000000000001", "_"})
    EXPECT_EQ(filled.rows->list_events({.resource = text}, {}).error().code,
              error_code::invalid_argument)
        << text;
}

TEST(timeline, a_name_that_a_node_and_a_vm_have_lists_both) {
  auto world = support::ready_world();
  world.must(support::place_vm({.name = "n1"}));
  const filled_store filled(world);
  const auto found = filled.rows->list_events({.resource = "n1"}, {});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, error_code::conflict);
  EXPECT_NE(found.error().text.find("node_"), std::string::npos);
  EXPECT_NE(found.error().text.find("vm_"), std::string::npos);
}

TEST(timeline, a_refused_command_stands_on_the_timeline_of_what_it_was_for) {
  auto world = support::world_with_running_vm();
  world.tell(support::start_vm());
  world.tell(support::place_vm({.number = 2})); // the name is taken: the cluster refuses
  const filled_store filled(world);
  const auto vm_events = filled.rows->list_events({.resource = "web"}, {});
  const auto& refused = entry_of(*vm_events, "command.refused");
  EXPECT_EQ(refused.detail(), "vm.start: conflict: VM 'web' is running already");
  EXPECT_EQ(refused.resource(), to_text(vm_id{support::vm()}));
  const auto cluster_events = filled.rows->list_events({.resource = "c1"}, {});
  EXPECT_TRUE(entry_of(*cluster_events, "command.refused")
                  .detail()
                  .starts_with("cluster.place_vm: already_exists: "));
}

TEST(timeline, a_create_is_told_in_order_with_its_causes) {
  const filled_store filled(support::world_with_vm());
  const auto& commit = *filled.commits.back();
  const auto events = filled.rows->list_events({.resource = "web"}, {});
  ASSERT_TRUE(events);
  EXPECT_EQ(types_of(*events),
            (names{"vm.created", "vm.start_requested", "vm.job_started", "vm.address_given"}));
  const auto place = [&](int index) {
    return "0/" + std::to_string(commit.seq) + "/" + std::to_string(index);
  };
  // 0 cluster.vm_placed, 1 to 3 the VM, 4 network.address_assigned, 5 the VM again.
  EXPECT_EQ(events->items[0].position(), place(1));
  EXPECT_EQ(events->items[0].cause(), place(0));
  EXPECT_EQ(events->items[2].position(), place(3));
  EXPECT_EQ(events->items[3].position(), place(5));
  EXPECT_EQ(events->items[3].cause(), place(4));
  EXPECT_EQ(events->items[0].detail(), "node n1, 1 vcpu, 256 MiB");
  EXPECT_EQ(events->items[3].detail(), "10.99.0.2");
  EXPECT_TRUE(events->items[2].detail().starts_with("vm.create, deadline 2026-11-22T"));
  EXPECT_EQ(events->items[0].command(),
            "command_" + to_text(domain::from_proto(commit.body->decisions(0).command().id())));
  const auto cluster_events = filled.rows->list_events({.resource = "c1"}, {});
  const auto& placed = entry_of(*cluster_events, "cluster.vm_placed");
  EXPECT_EQ(placed.detail(), "vm web on node n1, 1 vcpu, 256 MiB");
  EXPECT_EQ(placed.cause(), "");
  EXPECT_EQ(placed.position(), place(0));
}

TEST(timeline, says_how_a_vm_stopped_and_shows_both_times) {
  auto world = support::world_with_running_vm();
  world.pass(std::chrono::seconds(10));
  auto said = world.next_saying(1, v1::VmObserved::STOPPED, v1::VmObserved::CRASHED);
  said.at = world.now() - std::chrono::seconds(5);
  world.must(support::observe(1, said));
  const filled_store filled(world);
  const auto events = filled.rows->list_events({.resource = "web"}, {});
  const auto& stopped = entry_of(*events, "vm.stopped");
  EXPECT_EQ(stopped.detail(), "it crashed");
  EXPECT_EQ(from_proto(stopped.effective_at()), said.at);
  EXPECT_GT(from_proto(stopped.time()), said.at);
}

TEST(timeline, of_a_deleted_vm_is_still_there_by_id_and_name) {
  auto world = support::world_with_running_vm();
  world.must(support::remove_vm());
  world.see(1, v1::VmObserved::ABSENT);
  const filled_store filled(world);
  for (const auto& text :
       {to_text(vm_id{support::vm()}), to_text(support::vm()), std::string("web")}) {
    const auto events = filled.rows->list_events({.resource = text}, {});
    ASSERT_TRUE(events) << events.error().text;
    EXPECT_EQ(entry_of(*events, "vm.removed").detail(), "seen gone");
  }
  const auto cluster_events = filled.rows->list_events({.resource = "c1"}, {});
  EXPECT_EQ(entry_of(*cluster_events, "cluster.vm_released").detail(), "vm web");
}

TEST(timeline, of_prefixes_names_networks_also_those_that_go) {
  auto world = support::ready_world();
  world.must(support::add_cluster({.number = 2, .name = "c2"}));
  world.must(support::add_network({.number = 2, .name = "dmz", .cluster = 2})); // overlaps
  world.must(support::remove_network());
  world.must(support::set_limit(v1::Installation::PREFIXES, 7));
  const filled_store filled(world);
  const auto of_all =
      filled.rows->list_events({.resource = to_text(installation_id{support::installation()})}, {});
  EXPECT_EQ(entry_of(*of_all, "installation.prefix_granted").detail(), "network lan, 10.99.0.0/24");
  EXPECT_EQ(entry_of(*of_all, "installation.prefix_released").detail(),
            "network lan, 10.99.0.0/24");
  EXPECT_EQ(entry_of(*of_all, "installation.limit_set").detail(), "prefixes 7");
  const auto of_first = filled.rows->list_events({.resource = "c1"}, {});
  EXPECT_EQ(entry_of(*of_first, "cluster.network_left").detail(), "network lan");
  const auto of_network = filled.rows->list_events({.resource = "dmz"}, {});
  EXPECT_TRUE(entry_of(*of_network, "network.claim_refused")
                  .detail()
                  .starts_with("conflict: 10.99.0.0/24 overlaps"));
  EXPECT_TRUE(entry_of(*of_network, "network.job_ended")
                  .detail()
                  .starts_with("failed after step accepted: conflict: "));
}

TEST(timeline, of_the_installation_is_there) {
  const filled_store filled(support::founded_world());
  const auto events =
      filled.rows->list_events({.resource = to_text(installation_id{support::installation()})}, {});
  ASSERT_TRUE(events) << events.error().text;
  EXPECT_EQ(types_of(*events), (names{"installation.founded", "installation.cluster_named"}));
}

TEST(timeline, both_orders_hold_the_same_entries) {
  const filled_store filled(random_history(5, 300));
  const auto all = [&](direction order) {
    std::vector<std::string> positions;
    page wanted{7, ""};
    do {
      const auto events = filled.rows->list_events({.order = order}, wanted);
      EXPECT_TRUE(events) << events.error().text;
      for (const auto& entry : events->items)
        positions.push_back(entry.position());
      wanted.token = events->next_token;
    } while (!wanted.token.empty());
    return positions;
  };
  auto up = all(direction::ascending);
  const auto down = all(direction::descending);
  EXPECT_GT(up.size(), 300U);
  std::ranges::reverse(up);
  EXPECT_EQ(up, down);
}

/// A record with more entries than a row holds, read in pages that end anywhere in it.
TEST(timeline, a_page_may_end_within_a_record) {
  auto world = support::ready_world();
  for (std::uint32_t number = 1; number <= 9; ++number)
    world.must(support::place_vm({.number = number, .name = "vm" + std::to_string(number)}));
  auto whole = world.commits().front();
  for (const auto& [seq, body] : world.commits())
    if (seq != whole.first)
      whole.second.mutable_decisions()->MergeFrom(body.decisions());
  const filled_store filled(history_of({whole}));
  const auto read = [&](const std::string& resource, direction order, std::uint32_t size) {
    std::vector<std::string> positions;
    page wanted{size, ""};
    do {
      const auto events = filled.rows->list_events({.resource = resource, .order = order}, wanted);
      EXPECT_TRUE(events) << events.error().text;
      EXPECT_LE(events->items.size(), size);
      for (const auto& entry : events->items)
        positions.push_back(entry.position());
      wanted.token = events->next_token;
    } while (!wanted.token.empty());
    return positions;
  };
  const auto all = filled.rows->list_events({}, {page_size_max, ""});
  ASSERT_TRUE(all) << all.error().text;
  ASSERT_GT(all->items.size(), 50U);
  for (const auto& resource : {std::string(), std::string("c1"), to_text(vm_id{support::vm(5)})}) {
    names expected;
    for (const auto& entry : all->items)
      if (resource.empty() || entry.resource() == resource ||
          (resource == "c1" && entry.resource().starts_with("cluster_")))
        expected.push_back(entry.position());
    EXPECT_GT(expected.size(), 3U) << resource;
    for (const std::uint32_t size : {1U, 5U, 16U, 17U}) {
      EXPECT_EQ(read(resource, direction::ascending, size), expected) << resource << " by " << size;
      auto down = read(resource, direction::descending, size);
      std::ranges::reverse(down);
      EXPECT_EQ(down, expected) << resource << " by " << size;
    }
  }
}

/// Each event of the log is told exactly once, with a line that a person can read.
TEST(timeline, tells_every_event_and_refusal_of_a_random_history) {
  const auto seed = seed_of_this_run();
  const filled_store filled(random_history(seed, 1000));
  std::size_t wanted_count = 0;
  for (const auto& commit : filled.commits)
    for (const auto& decision : commit->body->decisions()) {
      wanted_count += decision.reply().code() != 0 ? 1 : 0;
      for (const auto& step : decision.steps())
        wanted_count += static_cast<std::size_t>(step.events_size());
    }
  std::set<std::string> positions;
  page wanted{page_size_max, ""};
  utc_time last;
  do {
    const auto events = filled.rows->list_events({}, wanted);
    ASSERT_TRUE(events) << events.error().text;
    for (const auto& entry : events->items) {
      EXPECT_TRUE(positions.insert(entry.position()).second) << entry.position();
      EXPECT_GE(from_proto(entry.time()), last) << "seed " << seed;
      last = from_proto(entry.time());
      EXPECT_LE(from_proto(entry.effective_at()), from_proto(entry.time()));
      EXPECT_EQ(entry.detail().find('\n'), std::string::npos);
    }
    wanted.token = events->next_token;
  } while (!wanted.token.empty());
  EXPECT_EQ(positions.size(), wanted_count) << "seed " << seed;
}

/// A history of two partitions in one, with records that hold more entries than a row does.
history two_partitions() {
  auto first = support::ready_world();
  for (std::uint32_t number = 1; number <= 9; ++number)
    first.must(support::place_vm({.number = number, .name = "vm" + std::to_string(number)}));
  auto large = first.commits().front();
  for (const auto& [seq, body] : first.commits())
    if (seq != large.first)
      large.second.mutable_decisions()->MergeFrom(body.decisions());
  const auto& last = first.commits().back();
  large.first = last.first + 2; // a claim lies between
  large.second.set_decided_at(last.second.decided_at() + 1'000'000);
  auto commits = first.commits();
  commits.push_back(large);
  auto mixed = history_of(commits);
  const auto second = support::world_with_running_vm();
  const auto other =
      history_of(moved_to(second.commits(), partition_number{3}), partition_number{3});
  for (std::size_t i = 0; i < other.size(); ++i)
    mixed.insert(mixed.begin() + static_cast<std::ptrdiff_t>(2 * i), other[i]);
  return mixed;
}

using places_of_partitions = std::map<std::string, names>;

/// Positions of entries, by partition.
void add_positions(places_of_partitions& to, const following_entries& found) {
  for (const auto& one : found.entries)
    to[to_text(one.where)].push_back(one.entry.position());
}

/// What a reader who goes on from `at` gets, so many at a time.
places_of_partitions collect(const store& rows, entry_places at, std::size_t count_max) {
  places_of_partitions all;
  const auto upto = rows.lowest_positions();
  while (is_before(at, upto)) {
    const auto found = rows.list_following(at, upto, count_max);
    EXPECT_TRUE(found) << found.error().text;
    EXPECT_LE(found->entries.size(), count_max);
    add_positions(all, *found);
    const auto& last = found->entries;
    EXPECT_TRUE(last.empty() || last.back().at == found->reached.at(last.back().where));
    at = found->reached;
  }
  return all;
}

TEST(timeline_following, gives_every_entry_once_in_order_however_it_is_cut) {
  const filled_store filled(two_partitions());
  const auto listed = filled.rows->list_events({}, {page_size_max, ""});
  ASSERT_TRUE(listed);
  places_of_partitions expected;
  for (const auto& entry : listed->items)
    expected[entry.position().substr(0, entry.position().find('/'))].push_back(entry.position());
  ASSERT_EQ(expected.size(), 2U);
  ASSERT_GT(expected["0"].size(), 100U);
  for (const std::size_t count : {1U, 2U, 7U, 16U, 17U, 33U, 100'000U})
    EXPECT_EQ(collect(*filled.rows, {}, count), expected) << "by " << count;
}

TEST(timeline_following, goes_on_behind_each_entry) {
  const filled_store filled(two_partitions());
  const auto upto = filled.rows->lowest_positions();
  const auto all = filled.rows->list_following({}, upto, 100'000);
  ASSERT_TRUE(all);
  ASSERT_GT(all->entries.size(), 100U);
  entry_places at;
  for (std::size_t passed = 0; passed < all->entries.size(); ++passed) {
    at[all->entries[passed].where] = all->entries[passed].at;
    following_entries rest;
    rest.entries.assign(all->entries.begin() + static_cast<std::ptrdiff_t>(passed) + 1,
                        all->entries.end());
    places_of_partitions expected;
    add_positions(expected, rest);
    EXPECT_EQ(collect(*filled.rows, at, 5), expected) << "behind entry " << passed;
  }
  EXPECT_FALSE(is_before(all->reached, upto));
}

TEST(timeline_following, of_several_partitions_comes_as_the_list_has_it) {
  const filled_store filled(two_partitions());
  const auto found = filled.rows->list_following({}, filled.rows->lowest_positions(), 100'000);
  const auto listed = filled.rows->list_events({}, {page_size_max, ""});
  ASSERT_TRUE(found);
  ASSERT_TRUE(listed);
  EXPECT_TRUE(std::ranges::equal(
      found->entries, listed->items, {}, [](const auto& one) { return one.entry.position(); },
      [](const auto& one) { return one.position(); }));
}

TEST(timeline_following, stops_where_it_is_told_to) {
  const filled_store filled(two_partitions());
  const auto whole = filled.rows->lowest_positions();
  for (const auto& commit : filled.commits) {
    log_positions upto;
    upto.set(commit->where, {commit->seq, commit->head});
    const auto found = filled.rows->list_following({}, upto, 100'000);
    ASSERT_TRUE(found);
    for (const auto& one : found->entries)
      EXPECT_TRUE(one.where == commit->where && one.at.seq <= commit->seq);
    EXPECT_EQ(found->reached.size(), 1U);
    EXPECT_EQ(found->reached.at(commit->where), (entry_place{commit->seq, {}}));
    EXPECT_TRUE(is_before(found->reached, whole));
  }
}

TEST(timeline_following, a_long_history_is_read_in_parts) {
  const filled_store filled(random_history(7, 1000));
  const auto parts = collect(*filled.rows, {}, 32);
  EXPECT_EQ(parts, collect(*filled.rows, {}, 100'000));
  EXPECT_GT(parts.at("0").size(), 500U);
}

} // namespace
} // namespace orrery::projections
