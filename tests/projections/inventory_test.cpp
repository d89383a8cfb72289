#include "projections/rows.hpp"
#include "tests/projections/histories.hpp"
#include "tests/support/random_history.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace orrery::projections {
namespace {

using support::cluster;
using support::node;
using support::vm;

std::string id_of_vm(std::uint32_t number = 1) { return to_text(vm_id{vm(number)}); }

/// Two clusters that each have a node "n1", a network "lan" and a VM "web".
support::world two_clusters() {
  auto world = support::world_with_running_vm();
  world.must(support::add_cluster({.number = 2, .name = "c2"}));
  world.must(support::add_node({.number = 2, .name = "n1", .cluster = 2}));
  world.must(support::hello({.node = 2, .nonce = 2}));
  world.must(support::add_network(
      {.number = 2, .prefix = "10.98.0.0/24", .gateway = "10.98.0.1", .cluster = 2}));
  world.must(support::place_vm({.number = 2, .network = 2, .cluster = 2}));
  return world;
}

TEST(inventory, an_unknown_name_says_what_to_do) {
  const filled_store filled(support::world_with_running_vm());
  const auto found = filled.rows->find_vm("db");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, error_code::not_found);
  EXPECT_NE(found.error().text.find("orrery vm list"), std::string::npos);
}

TEST(inventory, an_unknown_id_is_not_found) {
  const filled_store filled(support::world_with_running_vm());
  for (const auto& id : {id_of_vm(9), to_text(vm(9))}) {
    const auto found = filled.rows->find_vm(id);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, error_code::not_found);
  }
}

TEST(inventory, the_id_of_another_noun_is_an_invalid_argument) {
  const filled_store filled(support::world_with_running_vm());
  for (const std::string& id : {to_text(node_id{node()}), std::string("vm_1"), std::string("vm_"),
                                std::string("_"), std::string("a_\xff")}) {
    const auto found = filled.rows->find_vm(id);
    ASSERT_FALSE(found) << id;
    EXPECT_EQ(found.error().code, error_code::invalid_argument) << id;
  }
}

TEST(inventory, a_name_that_fits_several_lists_them) {
  const filled_store filled(two_clusters());
  const auto found = filled.rows->find_vm("web");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, error_code::conflict);
  EXPECT_NE(found.error().text.find(id_of_vm(1)), std::string::npos) << found.error().text;
  EXPECT_NE(found.error().text.find(id_of_vm(2)), std::string::npos);
  EXPECT_EQ(filled.rows->find_vm(id_of_vm(2))->value.cluster().name(), "c2");
}

TEST(inventory, a_deleted_vm_is_not_found_and_says_when_it_was_deleted) {
  auto world = support::world_with_running_vm();
  world.must(support::remove_vm());
  const auto asked = world.now();
  world.see(1, v1::VmObserved::ABSENT);
  ASSERT_EQ(world.find_vm(), nullptr);
  const filled_store filled(world);
  for (const auto& text : {id_of_vm(), to_text(vm()), std::string("web")}) {
    const auto found = filled.rows->find_vm(text);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, error_code::not_found);
    EXPECT_NE(found.error().text.find("was deleted at " + to_text(asked).substr(0, 13)),
              std::string::npos)
        << found.error().text;
    EXPECT_NE(found.error().text.find(id_of_vm()), std::string::npos);
  }
  EXPECT_TRUE(filled.rows->list_vms({}, {})->items.empty());
  for (const auto state : {v1::VmObserved::ABSENT, v1::VmObserved::REACHABLE})
    EXPECT_TRUE(filled.rows->list_vms({.observed = state}, {})->items.empty());
}

TEST(inventory, a_name_of_a_deleted_vm_can_be_used_again) {
  auto world = support::world_with_running_vm();
  world.must(support::remove_vm());
  world.see(1, v1::VmObserved::ABSENT);
  world.must(support::place_vm({.number = 2}));
  const filled_store filled(world);
  const auto found = filled.rows->find_vm("web");
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found->value.id(), id_of_vm(2));
}

TEST(inventory, a_name_that_looks_like_an_id_is_found) {
  auto world = support::ready_world();
  const std::string name = "a1993f0e-7c1a-7000-8000-000000000001";
  world.must(support::place_vm({.name = name}));
  const filled_store filled(world);
  const auto found = filled.rows->find_vm(name);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found->value.id(), id_of_vm());
}

TEST(inventory, joins_names_in_the_same_moment) {
  const filled_store filled(support::world_with_running_vm());
  const auto found = filled.rows->find_vm("web");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->value.cluster().name(), "c1");
  EXPECT_EQ(found->value.node().name(), "n1");
  EXPECT_EQ(found->value.network().name(), "lan");
  EXPECT_EQ(found->value.observed().source().name(), "n1");
  EXPECT_EQ(found->at.at(partition_number{0}).seq, filled.commits.back()->seq);
  EXPECT_EQ(found->at.at(partition_number{0}).head, filled.commits.back()->head);
  EXPECT_EQ(filled.rows->find_node("n1")->value.cluster().name(), "c1");
  EXPECT_EQ(filled.rows->find_network("lan")->value.cluster().name(), "c1");
  EXPECT_EQ(filled.rows->find_cluster("c1")->value.vms(), 1U);
}

TEST(inventory, filters_vms_by_cluster_node_state_and_name) {
  const filled_store filled(two_clusters());
  const auto ids = [&filled](const vm_filter& filter) {
    const auto found = filled.rows->list_vms(filter, {});
    EXPECT_TRUE(found) << found.error().text;
    std::vector<std::string> made;
    for (const auto& one : found->items)
      made.push_back(one.id());
    return made;
  };
  const std::vector<std::string> first{id_of_vm(1)};
  const std::vector<std::string> second{id_of_vm(2)};
  EXPECT_EQ(ids({}).size(), 2U);
  EXPECT_EQ(ids({.cluster = "c1"}), first);
  EXPECT_EQ(ids({.cluster = to_text(cluster_id{cluster(2)})}), second);
  EXPECT_EQ(ids({.node = to_text(node_id{node(1)})}), first);
  EXPECT_EQ(ids({.cluster = "c2", .node = "n1"}), second); // "n1" alone fits two nodes
  EXPECT_EQ(ids({.observed = v1::VmObserved::REACHABLE}), first);
  EXPECT_EQ(ids({.observed = v1::VmObserved::ABSENT}), second);
  EXPECT_TRUE(ids({.cluster = "c2", .observed = v1::VmObserved::REACHABLE}).empty());
  EXPECT_TRUE(ids({.cluster = "c1", .node = to_text(node_id{node(2)})}).empty());
  EXPECT_EQ(ids({.name = "web"}).size(), 2U);
  EXPECT_EQ(ids({.cluster = "c2", .name = "web"}), second);
  EXPECT_TRUE(ids({.name = "we"}).empty());
}

/// A filter as people write it.
std::vector<label_term> labelled(std::string_view text) { return parse_labels(text).value(); }

TEST(inventory, filters_by_labels) {
  auto world = two_clusters();
  world.must(support::label_vm(support::labels({{"env", "prod"}, {"team", "web"}}), 1));
  world.must(support::label_vm(support::labels({{"env", "test"}}), 2));
  world.must(support::place_vm({.number = 3, .name = "db", .labels = {{"env", "prod"}}}));
  world.must(support::label_vm(support::labels({{"env", "gone"}}, {"team"}), 1));
  world.must(support::label_vm(support::labels({{"env", "prod"}}), 1));
  const filled_store filled(world);
  const auto ids = [&filled](std::string_view text, const std::string& in = {}) {
    std::vector<std::string> made;
    const auto found = filled.rows->list_vms({.cluster = in, .labels = labelled(text)}, {});
    EXPECT_TRUE(found) << found.error().text;
    for (const auto& one : found->items)
      made.push_back(one.id());
    return made;
  };
  using several = std::vector<std::string>;
  EXPECT_EQ(ids("env=prod"), (several{id_of_vm(1), id_of_vm(3)}));
  EXPECT_EQ(ids("env=test"), several{id_of_vm(2)});
  EXPECT_EQ(ids("env"), (several{id_of_vm(1), id_of_vm(2), id_of_vm(3)}));
  EXPECT_EQ(ids("env,env=test"), several{id_of_vm(2)});
  EXPECT_EQ(ids("env=prod", "c2"), several{});
  EXPECT_EQ(ids("env=prod", "c1"), (several{id_of_vm(1), id_of_vm(3)}));
  for (const auto* nothing : {"team", "team=web", "env=gone", "env=", "en", "env=pro"})
    EXPECT_TRUE(ids(nothing).empty()) << nothing;
}

TEST(inventory, filters_other_nouns_by_labels_too) {
  auto world = two_clusters();
  world.must(support::label_cluster(support::labels({{"site", "fra"}}), 2));
  world.must(support::label_node(support::labels({{"rack", "a1"}}), 1));
  world.must(support::label_network(support::labels({{"zone", ""}}), 2));
  const filled_store filled(world);
  const auto clusters = filled.rows->list_clusters({.labels = labelled("site=fra")}, {});
  ASSERT_EQ(clusters->items.size(), 1U);
  EXPECT_EQ(clusters->items.front().name(), "c2");
  EXPECT_EQ(filled.rows->list_nodes({.labels = labelled("rack")}, {})->items.size(), 1U);
  EXPECT_TRUE(filled.rows->list_nodes({.labels = labelled("rack=b1")}, {})->items.empty());
  EXPECT_EQ(filled.rows->list_networks({.labels = labelled("zone=")}, {})->items.size(), 1U);
}

TEST(inventory, a_filter_by_labels_that_cannot_be_is_refused) {
  for (const auto* text : {",", "=", "env,", "En", "env=a b", "env==", "-", "a,,b"})
    EXPECT_EQ(parse_labels(text).error().code, error_code::invalid_argument) << text;
  EXPECT_TRUE(parse_labels("")->empty());
  std::string many = "a";
  for (std::size_t at = 0; at < domain::labels_max; ++at)
    many += ",a";
  EXPECT_EQ(parse_labels(many).error().code, error_code::invalid_argument);
}

TEST(inventory, a_token_of_one_filter_by_labels_is_not_that_of_another) {
  auto world = support::ready_world();
  for (std::uint32_t number = 1; number <= 3; ++number)
    world.must(support::place_vm({.number = number,
                                  .name = "vm-" + std::to_string(number),
                                  .labels = {{"env", "prod"}, {"tier", "1"}}}));
  const filled_store filled(world);
  const auto first = filled.rows->list_vms({.labels = labelled("env=prod")}, {2, ""});
  ASSERT_TRUE(first);
  ASSERT_EQ(first->items.size(), 2U);
  const page next{2, first->next_token};
  const auto second = filled.rows->list_vms({.labels = labelled("env=prod")}, next);
  ASSERT_TRUE(second) << second.error().text;
  ASSERT_EQ(second->items.size(), 1U);
  EXPECT_EQ(second->items.front().name(), "vm-3");
  EXPECT_FALSE(filled.rows->list_vms({.labels = labelled("tier=1")}, next));
}

TEST(inventory, a_filter_that_names_nothing_is_refused) {
  const filled_store filled(two_clusters());
  EXPECT_EQ(filled.rows->list_vms({.cluster = "c9"}, {}).error().code, error_code::not_found);
  EXPECT_EQ(filled.rows->list_vms({.node = "n1"}, {}).error().code, error_code::conflict);
  EXPECT_EQ(filled.rows->list_nodes({.cluster = "c9"}, {}).error().code, error_code::not_found);
}

TEST(inventory, lists_the_other_nouns_by_cluster_and_name) {
  const filled_store filled(two_clusters());
  EXPECT_EQ(filled.rows->list_clusters({}, {})->items.size(), 2U);
  EXPECT_EQ(filled.rows->list_clusters({.name = "c2"}, {})->items.size(), 1U);
  EXPECT_EQ(filled.rows->list_nodes({}, {})->items.size(), 2U);
  const auto nodes = filled.rows->list_nodes({.cluster = "c2"}, {});
  ASSERT_EQ(nodes->items.size(), 1U);
  EXPECT_EQ(nodes->items.front().cluster().name(), "c2");
  EXPECT_EQ(filled.rows->list_networks({.cluster = "c1", .name = "lan"}, {})->items.size(), 1U);
}

TEST(inventory, tells_when_a_network_went_also_one_that_never_was_ready) {
  auto world = support::ready_world();
  world.must(support::add_cluster({.number = 2, .name = "c2"}));
  world.must(support::add_network({.number = 2, .name = "dmz", .cluster = 2})); // overlaps
  world.must(support::remove_network());
  const filled_store filled(world);
  for (const std::string name : {"lan", "dmz"}) {
    const auto found = filled.rows->find_network(name);
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().code, error_code::not_found);
    EXPECT_NE(found.error().text.find("network '" + name + "'"), std::string::npos);
    EXPECT_NE(found.error().text.find("was deleted at 2026-"), std::string::npos);
  }
  EXPECT_TRUE(filled.rows->list_networks({}, {})->items.empty());
  EXPECT_EQ(filled.rows->find_vm("dmz").error().text.find("deleted"), std::string::npos);
}

TEST(inventory, has_a_row_of_the_installation) {
  const filled_store nobody(support::world{});
  EXPECT_EQ(nobody.rows->find_installation(support::installation()).error().code,
            error_code::not_found);
  auto world = two_clusters();
  world.must(support::set_limit(v1::Installation::PREFIXES, 7));
  const filled_store filled(world);
  const auto found = filled.rows->find_installation(support::installation());
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_EQ(found->value.id(), to_text(installation_id{support::installation()}));
  EXPECT_EQ(found->value.edition(), "multi_cluster");
  EXPECT_EQ(found->value.clusters(), 2U);
  EXPECT_EQ(found->value.clusters_max(), domain::clusters_max_default);
  EXPECT_EQ(found->value.prefixes(), 2U);
  EXPECT_EQ(found->value.prefixes_max(), 7U);
  EXPECT_EQ(filled.rows->find_vm("").error().code, error_code::not_found);
}

/// Each label of each VM finds it, and nothing else is found. How many labels there are.
std::size_t expect_found_by_labels(const support::world& world, const store& rows) {
  std::map<std::string, std::set<std::string>> wanted; // VMs by filter
  world.state().for_each([&](const uuid& id, const domain::entity_ptr& state) {
    if (const auto* held = std::get_if<domain::vm_state>(state.get()))
      for (const auto& one : held->labels)
        for (const auto& text : {one.key, one.key + "=" + one.value})
          wanted[text].insert(to_text(vm_id{id}));
  });
  for (const auto& [text, ids] : wanted) {
    const auto answer = rows.list_vms({.labels = labelled(text)}, {page_size_max, ""});
    EXPECT_TRUE(answer) << answer.error().text;
    std::set<std::string> found;
    if (answer)
      for (const auto& one : answer->items)
        found.insert(one.id());
    EXPECT_EQ(found, ids) << text;
  }
  return wanted.size();
}

/// Each row against the state that it was folded from. How many labels hang on VMs.
std::size_t expect_rows_of(const support::world& world) {
  const filled_store filled(world);
  std::size_t vms = 0;
  world.state().for_each([&](const uuid& id, const domain::entity_ptr& state) {
    const auto* held = std::get_if<domain::vm_state>(state.get());
    if (held == nullptr)
      return;
    ++vms;
    auto found = filled.rows->find_vm(to_text(vm_id{id}));
    ASSERT_TRUE(found) << found.error().text;
    for (auto* joined : {found->value.mutable_cluster(), found->value.mutable_node(),
                         found->value.mutable_network()})
      joined->clear_name();
    if (found->value.observed().has_source())
      found->value.mutable_observed()->mutable_source()->clear_name();
    EXPECT_EQ(to_row(found->value), to_row(view(id, *held)));
  });
  std::size_t by_state = 0;
  for (const auto state : {v1::VmObserved::ABSENT, v1::VmObserved::STOPPED, v1::VmObserved::RUNNING,
                           v1::VmObserved::REACHABLE, v1::VmObserved::UNKNOWN})
    by_state += filled.rows->list_vms({.observed = state}, {page_size_max, ""})->items.size();
  EXPECT_EQ(by_state, vms);
  EXPECT_EQ(filled.rows->list_vms({}, {page_size_max, ""})->items.size(), vms);
  return expect_found_by_labels(world, *filled.rows);
}

TEST(inventory, shows_exactly_what_random_worlds_hold) {
  constexpr std::uint64_t worlds = 8; // of few VMs each: in one of them labels may be rare
  const auto seed = seed_of_this_run();
  std::size_t labels = 0;
  for (std::uint64_t i = 0; i < worlds; ++i) {
    SCOPED_TRACE(seed + i);
    labels += expect_rows_of(support::random_world(seed + i, 1500));
  }
  EXPECT_GT(labels, worlds);
}

} // namespace
} // namespace orrery::projections
