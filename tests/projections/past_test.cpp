#include "projections/past.hpp"
#include "tests/projections/histories.hpp"
#include "tests/support/random_history.hpp"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <map>

namespace orrery::projections {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr partition_number here{0};

as_of at_record(std::uint64_t seq) {
  as_of when;
  when.position.set(here, {seq, {}});
  return when;
}

as_of at_time(const folded_commit& commit) {
  as_of when;
  when.time = from_micros(commit.body->decided_at());
  return when;
}

/// What a question about one thing of a state must be answered, without names of other things.
template <class View> void forget_names(View& one) {
  if constexpr (requires { one.mutable_cluster(); })
    if (one.has_cluster())
      one.mutable_cluster()->clear_name();
  if constexpr (requires { one.mutable_node(); }) {
    if (one.has_node())
      one.mutable_node()->clear_name();
    if (one.has_network())
      one.mutable_network()->clear_name();
    if (one.observed().has_source())
      one.mutable_observed()->mutable_source()->clear_name();
  }
}

template <class View>
void expect_view(const result<answer<View>>& found, const View& wanted, const std::string& where) {
  ASSERT_TRUE(found) << where << ": " << found.error().text;
  auto said = found->value;
  forget_names(said);
  EXPECT_TRUE(MessageDifferencer::Equals(said, wanted)) << where << "\n"
                                                        << said.ShortDebugString() << "\n"
                                                        << wanted.ShortDebugString();
}

/// Everything that exists in a state, asked for by id at that moment.
std::size_t expect_state(const store& rows, const domain::partition_state& state, const as_of& when,
                         const std::string& where) {
  std::size_t seen = 0;
  state.for_each([&](const uuid& id, const domain::entity_ptr& entity) {
    ++seen;
    if (const auto* vm = std::get_if<domain::vm_state>(entity.get()))
      expect_view(rows.find_vm(to_text(vm_id{id}), when), view(id, *vm), where);
    else if (const auto* node = std::get_if<domain::node_state>(entity.get()))
      expect_view(rows.find_node(to_text(node_id{id}), when), view(id, *node), where);
    else if (const auto* cluster = std::get_if<domain::cluster_state>(entity.get()))
      expect_view(rows.find_cluster(to_text(cluster_id{id}), when), view(id, *cluster), where);
    else if (const auto* network = std::get_if<domain::network_state>(entity.get()))
      expect_view(rows.find_network(to_text(network_id{id}), when), view(id, *network), where);
  });
  return seen;
}

TEST(past, is_the_fold_of_the_prefix_at_any_moment) {
  const auto seed = seed_of_this_run();
  const filled_store filled(random_history(seed, 800));
  support::dice dice(seed);
  domain::partition_state state;
  std::map<std::string, bool> ever; // each VM that there was: whether it is there now
  std::size_t compared = 0;
  for (std::size_t i = 0; i < filled.commits.size(); ++i) {
    const auto& commit = *filled.commits[i];
    const auto folded = state.fold(*commit.body, commit.seq);
    for (const auto& one : folded) {
      const auto& any = one.after == nullptr ? one.before : one.after;
      if (any != nullptr && std::holds_alternative<domain::vm_state>(*any))
        ever[to_text(vm_id{one.entity})] = one.after != nullptr;
    }
    const bool is_last_of_its_time =
        i + 1 == filled.commits.size() ||
        filled.commits[i + 1]->body->decided_at() > commit.body->decided_at();
    if (!dice.chance(15) || !is_last_of_its_time)
      continue;
    for (const auto& when : {at_record(commit.seq), at_time(commit)}) {
      compared += expect_state(*filled.rows, state, when, text_of(when));
      for (const auto& [id, is_there] : ever) {
        const auto asked = filled.rows->find_vm(id, when);
        EXPECT_TRUE(is_there || asked.error().code == error_code::not_found) << id;
      }
    }
  }
  EXPECT_GT(compared, 100U) << "seed " << seed;
}

TEST(past, a_name_means_what_was_called_so_then) {
  auto world = support::world_with_running_vm();
  const auto first_seq = history_of(world.commits()).back()->seq;
  world.must(support::remove_vm());
  world.see(1, v1::VmObserved::ABSENT);
  const auto between = history_of(world.commits()).back()->seq;
  world.must(support::place_vm({.number = 2}));
  const filled_store filled(world);
  const auto then = filled.rows->find_vm("web", at_record(first_seq));
  ASSERT_TRUE(then) << then.error().text;
  EXPECT_EQ(then->value.id(), to_text(vm_id{support::vm(1)}));
  EXPECT_EQ(then->value.node().name(), "n1");
  const auto now = filled.rows->find_vm("web");
  ASSERT_TRUE(now);
  EXPECT_EQ(now->value.id(), to_text(vm_id{support::vm(2)}));
  const auto gone = filled.rows->find_vm("web", at_record(between));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, error_code::not_found);
  EXPECT_NE(gone.error().text.find("/v1/events?resource=vm_"), std::string::npos);
}

TEST(past, before_the_first_record_there_is_nothing) {
  const filled_store filled(support::world_with_vm());
  as_of when;
  when.time = from_micros(1);
  EXPECT_EQ(filled.rows->find_vm("web", when).error().code, error_code::not_found);
}

TEST(past, what_is_not_there_yet_is_told) {
  const filled_store filled(support::world_with_vm());
  const auto later = at_record(filled.commits.back()->seq + 1);
  const auto found = filled.rows->find_vm("web", later);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, error_code::unavailable);
  EXPECT_TRUE(found.error().retryable);
}

TEST(past, a_position_must_say_something_of_the_partition) {
  const filled_store filled(support::world_with_vm());
  as_of other;
  other.position.set(partition_number{7}, {3, {}});
  const auto found = filled.rows->find_vm("web", other);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, error_code::invalid_argument);
  EXPECT_NE(found.error().text.find("7/3"), std::string::npos);
}

TEST(past, of_what_never_was_is_not_found) {
  const filled_store filled(support::world_with_vm());
  const auto when = at_record(filled.commits.back()->seq);
  EXPECT_EQ(filled.rows->find_vm("db", when).error().code, error_code::not_found);
  EXPECT_EQ(filled.rows->find_vm(to_text(vm_id{support::vm(9)}), when).error().code,
            error_code::not_found);
  EXPECT_EQ(filled.rows->find_vm("node_1", when).error().code, error_code::invalid_argument);
}

} // namespace
} // namespace orrery::projections
