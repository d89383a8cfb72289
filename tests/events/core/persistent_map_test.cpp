#include "events/core/id.hpp"
#include "events/core/persistent_map.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace orrery {
namespace {

template <class Key, class Value>
std::vector<std::pair<Key, Value>> entries_of(const persistent_map<Key, Value>& map) {
  std::vector<std::pair<Key, Value>> entries;
  map.for_each(
      [&entries](const Key& key, const Value& value) { entries.emplace_back(key, value); });
  return entries;
}

template <class Key, class Value>
std::vector<std::pair<Key, Value>> entries_of(const std::map<Key, Value>& map) {
  return {map.begin(), map.end()};
}

TEST(persistent_map, is_empty_at_first) {
  persistent_map<int, int> map;
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.size(), 0U);
  EXPECT_EQ(map.find(1), nullptr);
  EXPECT_FALSE(map.contains(1));
  EXPECT_FALSE(map.erase(1));
  EXPECT_TRUE(entries_of(map).empty());
}

TEST(persistent_map, replaces_the_value_of_a_key) {
  persistent_map<std::string, int> map;
  map.put("a", 1);
  map.put("a", 2);
  EXPECT_EQ(map.size(), 1U);
  EXPECT_EQ(*map.find("a"), 2);
  EXPECT_TRUE(map.erase("a"));
  EXPECT_FALSE(map.erase("a"));
  EXPECT_TRUE(map.empty());
}

TEST(persistent_map, keeps_a_pointer_good_while_a_copy_holds_the_entry) {
  persistent_map<int, std::string> map;
  map.put(1, "one");
  const auto copy = map;
  const auto* value = copy.find(1);
  map.put(1, "other");
  map.erase(1);
  EXPECT_EQ(*value, "one");
}

/// Random puts and erases against std::map, with copies on the way that must stay as they were.
template <class Key, class MakeKey> void compare(std::uint64_t seed, const MakeKey& make_key) {
  std::mt19937_64 random(seed);
  persistent_map<Key, std::uint64_t> map;
  std::map<Key, std::uint64_t> model;
  std::vector<std::pair<persistent_map<Key, std::uint64_t>, std::map<Key, std::uint64_t>>> copies;
  for (int step = 0; step < 3'000; ++step) {
    const Key key = make_key(random() % 400);
    if (random() % 5 == 0) {
      auto* value = map.edit(key);
      ASSERT_EQ(value != nullptr, model.contains(key));
      if (value != nullptr)
        model[key] = ++*value;
    } else if (random() % 3 == 0) {
      ASSERT_EQ(map.erase(key), model.erase(key) == 1) << "seed " << seed << ", step " << step;
    } else {
      const auto value = random();
      map.put(key, value);
      model[key] = value;
    }
    ASSERT_EQ(map.size(), model.size()) << "seed " << seed << ", step " << step;
    ASSERT_EQ(map.contains(key), model.contains(key));
    if (step % 100 == 0)
      copies.emplace_back(map, model);
  }
  ASSERT_EQ(entries_of(map), entries_of(model)) << "seed " << seed;
  for (const auto& [copy, then] : copies)
    ASSERT_EQ(entries_of(copy), entries_of(then)) << "seed " << seed << ": a copy has changed";
}

TEST(persistent_map, equals_a_std_map_and_leaves_copies_untouched) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    compare<std::uint32_t>(seed, [](std::uint64_t n) { return static_cast<std::uint32_t>(n); });
    compare<std::string>(seed, [](std::uint64_t n) { return "name-" + std::to_string(n); });
    compare<uuid>(seed, [](std::uint64_t n) { return uuid{n * 65'536, n}; });
  }
}

TEST(persistent_map, holds_the_same_whatever_the_order_of_arrival) {
  std::vector<std::uint32_t> keys(1'000);
  for (std::uint32_t i = 0; i < keys.size(); ++i)
    keys[i] = i;
  persistent_map<std::uint32_t, std::uint32_t> sorted;
  for (const auto key : keys)
    sorted.put(key, key);
  std::mt19937_64 random(3);
  std::ranges::shuffle(keys, random);
  persistent_map<std::uint32_t, std::uint32_t> shuffled;
  for (const auto key : keys)
    shuffled.put(key, key);
  EXPECT_EQ(entries_of(sorted), entries_of(shuffled));
}

TEST(persistent_map, is_made_of_ascending_entries) {
  for (const std::uint32_t size : {0U, 1U, 7U, 1'000U, 100'000U}) {
    persistent_map<std::uint32_t, std::uint32_t>::ascending entries;
    for (std::uint32_t i = 0; i < size; ++i)
      ASSERT_TRUE(entries.add(2 * i, i));
    auto map = entries.take();
    ASSERT_EQ(map.size(), size);
    for (std::uint32_t i = 0; i < size; ++i) {
      ASSERT_EQ(*map.find(2 * i), i);
      ASSERT_FALSE(map.contains(2 * i + 1));
    }
    map.put(1, 7); // it can be changed like any other
    EXPECT_EQ(map.size(), size + 1);
    EXPECT_TRUE(entries.take().empty());
  }
}

TEST(persistent_map, is_not_made_of_entries_that_do_not_ascend) {
  persistent_map<int, int>::ascending entries;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(entries.add(i, i));
    EXPECT_FALSE(entries.add(i, -1));
    EXPECT_FALSE(entries.add(i - 1, -1));
  }
  const auto map = entries.take();
  EXPECT_EQ(map.size(), 100U);
  EXPECT_EQ(*map.find(99), 99);
}

/// Runs of neighbours go and come at random places, more of them come or go for a while: nodes of
/// all levels split, empty and join.
TEST(persistent_map, equals_a_std_map_while_it_grows_and_shrinks) {
  constexpr std::uint64_t keys = 60'000;
  std::mt19937_64 random(11);
  persistent_map<std::uint64_t, std::uint64_t> map;
  std::map<std::uint64_t, std::uint64_t> model;
  for (std::uint64_t step = 0; step < 3'000; ++step) {
    const bool grows = (step / 500) % 2 == 0;
    const bool erases = random() % 8 < (grows ? 2U : 6U);
    const auto first = random() % keys;
    const auto last = first + random() % 1'000;
    const auto stride = 1 + random() % 2 * 30;
    for (auto key = first; key < last; key += stride)
      if (erases) {
        ASSERT_EQ(map.erase(key), model.erase(key) == 1) << step;
      } else {
        map.put(key, step);
        model[key] = step;
      }
    for (auto key = first; key < last; ++key)
      ASSERT_EQ(map.contains(key), model.contains(key)) << step;
    ASSERT_EQ(map.size(), model.size()) << step;
  }
  EXPECT_EQ(entries_of(map), entries_of(model));
  while (!model.empty()) {
    const auto gone = std::prev(model.end())->first;
    ASSERT_TRUE(map.erase(gone));
    model.erase(gone);
  }
  EXPECT_TRUE(map.empty());
}

/// Counts comparisons, to see that sorted arrivals make no list.
struct counted {
  std::uint32_t value = 0;
  static inline std::uint64_t comparisons = 0;

  friend bool operator<(const counted& left, const counted& right) {
    ++comparisons;
    return left.value < right.value;
  }
};

TEST(persistent_map, stays_shallow_for_sorted_keys) {
  persistent_map<counted, int> map;
  for (std::uint32_t i = 0; i < 100'000; ++i)
    map.put({i}, 0);
  counted::comparisons = 0;
  for (std::uint32_t i = 0; i < 1'000; ++i)
    ASSERT_NE(map.find({i * 100}), nullptr);
  // 2^17 is more than 100,000; a comparison more a level, and two at the end.
  EXPECT_LT(counted::comparisons / 1'000, 30U);
}

} // namespace
} // namespace orrery
