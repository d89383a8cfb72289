#include "events/domain/labels.hpp"
#include "tests/support/random_history.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

#include <map>

namespace orrery::domain {
namespace {

using support::labels;

label_list hung(const v1::SetLabels& wanted) { return labels_of(wanted.set()).value(); }

TEST(labels, are_set_changed_and_removed) {
  auto now = hung(labels({{"tier", "1"}, {"env", "prod"}}));
  EXPECT_EQ(now, (label_list{{"env", "prod"}, {"tier", "1"}}));
  const auto changed = change_of(now, labels({{"env", "test"}, {"team", ""}}, {"tier", "none"}));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->set_size(), 2);
  ASSERT_EQ(changed->removed_size(), 1);
  EXPECT_EQ(changed->removed(0), "tier");
  change(now, *changed);
  EXPECT_EQ(now, (label_list{{"env", "test"}, {"team", ""}}));
}

TEST(labels, that_are_so_already_change_nothing) {
  const auto now = hung(labels({{"env", "prod"}}));
  const auto changed = change_of(now, labels({{"env", "prod"}}, {"tier"}));
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->set_size() + changed->removed_size(), 0);
}

TEST(labels, have_keys_and_values_of_few_characters) {
  const std::string longest(label_text_size_max, 'a');
  for (const auto& key :
       {std::string("a"), std::string("0"), std::string("acme.org/cost-centre_1"), longest})
    EXPECT_TRUE(check_label_key(key)) << key;
  for (const auto& key : {std::string(), std::string("A"), std::string("-a"), std::string("a-"),
                          std::string("a b"), std::string("a=b"), std::string("a,b"),
                          std::string("\xc3\xa4"), std::string("a\0b", 3), longest + "a"})
    EXPECT_EQ(check_label_key(key).error().code, error_code::invalid_argument) << key;
  for (const auto& value : {std::string(), std::string("v1.2-rc+3"), std::string("ops@acme:8080/x"),
                            std::string(label_text_size_max, 'Z')})
    EXPECT_TRUE(check_label_value(value)) << value;
  for (const auto& value : {std::string("a b"), std::string("a,b"), std::string("a=b"),
                            std::string("\n"), std::string(label_text_size_max + 1, 'Z')})
    EXPECT_EQ(check_label_value(value).error().code, error_code::invalid_argument) << value;
}

TEST(labels, said_twice_are_refused) {
  for (const auto& wanted :
       {labels({{"a", "1"}, {"a", "1"}}), labels({{"a", "1"}}, {"a"}), labels({}, {"a", "a"})})
    EXPECT_EQ(change_of({}, wanted).error().code, error_code::invalid_argument);
}

TEST(labels, are_few) {
  v1::SetLabels many;
  for (std::size_t at = 0; at < labels_max; ++at)
    many.add_set()->set_key("k" + std::to_string(at));
  const auto now = hung(many);
  EXPECT_EQ(now.size(), labels_max);
  const auto refused = change_of(now, labels({{"one-more", ""}}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, error_code::limit_reached);
  EXPECT_NE(refused.error().text.find("32"), std::string::npos);
  EXPECT_TRUE(change_of(now, labels({{"one-more", ""}}, {"k0"})));
  many.add_set()->set_key("one-more");
  EXPECT_EQ(labels_of(many.set()).error().code, error_code::limit_reached);
  for (std::size_t at = 0; at < 2 * labels_max; ++at)
    many.add_remove("x" + std::to_string(at));
  EXPECT_EQ(change_of({}, many).error().code, error_code::limit_reached);
}

TEST(labels, are_what_a_map_would_hold) {
  support::dice dice(7);
  label_list now;
  std::map<std::string, std::string> wanted;
  for (int turn = 0; turn < 2'000; ++turn) {
    const auto key = "k" + std::to_string(dice.below(40));
    const auto value = std::to_string(dice.below(3));
    const bool removes = dice.chance(40);
    const auto changed =
        removes ? change_of(now, labels({}, {key})) : change_of(now, labels({{key, value}}));
    const bool fits = removes || wanted.contains(key) || wanted.size() < labels_max;
    ASSERT_EQ(changed.has_value(), fits);
    if (!changed)
      continue;
    change(now, *changed);
    if (removes)
      wanted.erase(key);
    else
      wanted[key] = value;
    ASSERT_EQ(now.size(), wanted.size());
    for (const auto& [name, held] : wanted) {
      const auto* found = find(now, name);
      ASSERT_NE(found, nullptr);
      ASSERT_EQ(*found, held);
    }
  }
}

TEST(labels, hang_on_every_noun) {
  auto world = support::ready_world();
  world.must(support::place_vm({.labels = {{"env", "prod"}}}));
  EXPECT_EQ(world.find_vm()->labels, (label_list{{"env", "prod"}}));
  const auto wanted = labels({{"team", "web"}}, {"env"});
  world.must(support::label_vm(wanted));
  world.must(support::label_node(wanted));
  world.must(support::label_network(wanted));
  world.must(support::label_cluster(wanted));
  const label_list hanging{{"team", "web"}};
  EXPECT_EQ(world.find_vm()->labels, hanging);
  EXPECT_EQ(world.find_node()->labels, hanging);
  EXPECT_EQ(world.find_network()->labels, hanging);
  EXPECT_EQ(world.find_cluster()->labels, hanging);
}

TEST(labels, that_cannot_be_refuse_a_new_vm) {
  auto world = support::ready_world();
  const auto said = world.tell(support::place_vm({.labels = {{"Env", "prod"}}}));
  EXPECT_EQ(said.reply().code(), static_cast<std::uint32_t>(error_code::invalid_argument));
  EXPECT_EQ(world.find_vm(), nullptr);
}

} // namespace
} // namespace orrery::domain
