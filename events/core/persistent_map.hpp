#pragma once

#include "events/core/own.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace orrery {

/// An ordered map whose copy is one pointer: copies share what they have in common, and a change
/// copies only the path to it, and of that only what a copy holds as well. So an entity with
/// 100,000 names in it can be copied for every tentative decision. A B+ tree: entries lie side by
/// side in leaves, so that an entry costs little more than itself. Thread-safe as a value (a node
/// that two maps hold never changes). Depth is logarithmic, so recursion is shallow.
template <class Key, class Value> class persistent_map {
  // Copying a node (`own`) makes its children shared, so whoever goes on down copies those too.
  struct node;
  using link = std::shared_ptr<const node>;

  struct entry {
    Key key;
    Value value;
  };

  /// A child, and a key that is not above any of its keys but above all of the child before; any
  /// key for the first child.
  struct branch {
    Key low;
    link child;
  };

  /// Either a leaf, of entries, or an inner node, of branches.
  struct node {
    std::vector<entry> entries;
    std::vector<branch> branches;
  };

  /// About a kilobyte: copied in less time than it takes to find.
  static constexpr std::size_t entries_max = std::clamp<std::size_t>(1024 / sizeof(entry), 8, 64);
  /// Copying an inner node counts up each child, of which few are in the processor's cache.
  static constexpr std::size_t branches_max = 16;

public:
  /// Makes a map of entries that come in ascending order of their keys, without looking for their
  /// places.
  class ascending {
  public:
    /// False, and nothing is added, for a key that is not above the last one.
    [[nodiscard]] bool add(Key key, Value value) {
      if (!x_leaf.empty() && !(x_leaf.back().key < key))
        return false;
      if (x_leaf.size() == entries_max)
        end_leaf();
      if (x_leaf.empty())
        x_leaf.reserve(entries_max);
      x_leaf.push_back({std::move(key), std::move(value)});
      ++x_size;
      return true;
    }

    /// The map; the maker is empty then.
    [[nodiscard]] persistent_map take() {
      if (!x_leaf.empty())
        end_leaf();
      auto level = std::exchange(x_leaves, {});
      while (level.size() > 1)
        level = above(std::move(level));
      persistent_map made;
      made.x_size = std::exchange(x_size, 0);
      if (!level.empty())
        made.x_root = std::move(level.front().child);
      return made;
    }

  private:
    void end_leaf() {
      auto made = std::make_shared<node>();
      made->entries = std::move(x_leaf);
      auto low = made->entries.front().key;
      x_leaves.push_back({std::move(low), std::move(made)});
      x_leaf.clear();
    }

    static std::vector<branch> above(std::vector<branch> level) {
      std::vector<branch> made;
      for (std::size_t at = 0; at < level.size(); at += branches_max) {
        const auto count = std::min(branches_max, level.size() - at);
        const auto begin = std::make_move_iterator(level.begin() + static_cast<std::ptrdiff_t>(at));
        auto parent = std::make_shared<node>();
        parent->branches.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
        auto low = parent->branches.front().low;
        made.push_back({std::move(low), std::move(parent)});
      }
      return made;
    }

    std::vector<entry> x_leaf;
    std::vector<branch> x_leaves;
    std::size_t x_size = 0;
  };

  /// Of entries in any order; of two with the same key one counts.
  [[nodiscard]] static persistent_map of(std::vector<std::pair<Key, Value>> entries) {
    const auto by_key = [](const auto& left, const auto& right) {
      return left.first < right.first;
    };
    if (!std::ranges::is_sorted(entries, by_key))
      std::ranges::sort(entries, by_key);
    ascending sorted;
    for (auto& [key, value] : entries)
      static_cast<void>(sorted.add(std::move(key), std::move(value)));
    return sorted.take();
  }

  [[nodiscard]] std::size_t size() const { return x_size; }

  [[nodiscard]] bool empty() const { return x_size == 0; }

  /// The value of `key`, or null. The pointer is good until this map changes, or for as long as a
  /// copy holds the entry.
  [[nodiscard]] const Value* find(const Key& key) const {
    const node* at = x_root.get();
    if (at == nullptr)
      return nullptr;
    while (!at->branches.empty())
      at = at->branches[branch_of(*at, key)].child.get();
    const auto place = place_of(at->entries, key);
    return place == at->entries.end() || key < place->key ? nullptr : &place->value;
  }

  [[nodiscard]] bool contains(const Key& key) const { return find(key) != nullptr; }

  /// Sets `key` to `value`.
  void put(const Key& key, Value value) {
    if (x_root == nullptr)
      x_root = std::make_shared<node>();
    auto rest = put_below(x_root, {key, std::move(value)});
    if (!rest)
      return;
    auto root = std::make_shared<node>();
    root->branches.reserve(branches_max);
    root->branches.push_back({rest->low, std::move(x_root)}); // nobody asks for the first one's
    root->branches.push_back(std::move(*rest));
    x_root = std::move(root);
  }

  /// The value of `key` to change, or null. The pointer is good until this map is copied or
  /// changes.
  [[nodiscard]] Value* edit(const Key& key) {
    if (!contains(key))
      return nullptr;
    auto* at = &x_root;
    while (!(*at)->branches.empty()) {
      auto& here = own(*at);
      at = &here.branches[branch_of(here, key)].child;
    }
    auto& leaf = own(*at);
    return &place_of(leaf.entries, key)->value;
  }

  /// Removes `key`; false when it was not there.
  bool erase(const Key& key) {
    if (!contains(key))
      return false;
    --x_size;
    erase_below(x_root, key);
    while (x_root->branches.size() == 1) {
      auto only = x_root->branches.front().child;
      x_root = std::move(only);
    }
    if (x_size == 0)
      x_root.reset();
    return true;
  }

  /// Calls `visit(key, value)` in ascending order of keys.
  template <class Visitor> void for_each(Visitor visit) const {
    if (x_root != nullptr)
      walk(*x_root, visit);
  }

private:
  template <class Entries> static auto place_of(Entries& entries, const Key& key) {
    return std::lower_bound(entries.begin(), entries.end(), key,
                            [](const entry& one, const Key& sought) { return one.key < sought; });
  }

  static std::size_t branch_of(const node& here, const Key& key) {
    const auto above =
        std::upper_bound(here.branches.begin() + 1, here.branches.end(), key,
                         [](const Key& sought, const branch& one) { return sought < one.low; });
    return static_cast<std::size_t>(above - here.branches.begin()) - 1;
  }

  /// Inserts `added` before `index`. What there is no room for is given back: the upper half, or
  /// little more than `added` when that is among the last, so that keys that ascend more or less
  /// fill each node.
  template <class One>
  static std::vector<One> insert(std::vector<One>& ones, std::size_t index, One added,
                                 std::size_t max) {
    std::vector<One> rest;
    auto* to = &ones;
    if (ones.size() == max) {
      rest.reserve(max);
      const auto kept = index > max - max / 4 ? index : max / 2;
      const auto from = ones.begin() + static_cast<std::ptrdiff_t>(kept);
      rest.assign(std::make_move_iterator(from), std::make_move_iterator(ones.end()));
      ones.erase(from, ones.end());
      if (index >= kept) {
        index -= kept;
        to = &rest;
      }
    }
    to->reserve(max);
    to->insert(to->begin() + static_cast<std::ptrdiff_t>(index), std::move(added));
    return rest;
  }

  /// Puts an entry below `at`; gives back what has no room there any more.
  std::optional<branch> put_below(link& at, entry added) {
    auto& here = own(at);
    if (here.branches.empty()) {
      const auto place = place_of(here.entries, added.key);
      if (place != here.entries.end() && !(added.key < place->key)) {
        place->value = std::move(added.value);
        return std::nullopt;
      }
      ++x_size;
      const auto index = static_cast<std::size_t>(place - here.entries.begin());
      auto rest = insert(here.entries, index, std::move(added), entries_max);
      if (rest.empty())
        return std::nullopt;
      auto low = rest.front().key;
      return branch{std::move(low), std::make_shared<node>(node{std::move(rest), {}})};
    }
    if (const auto full = branch_of(here, added.key); full > 0)
      relieve(here.branches[full - 1], here.branches[full]);
    const auto index = branch_of(here, added.key);
    auto upper = put_below(here.branches[index].child, std::move(added));
    if (!upper)
      return std::nullopt;
    auto rest = insert(here.branches, index + 1, std::move(*upper), branches_max);
    if (rest.empty())
      return std::nullopt;
    auto low = rest.front().low;
    return branch{std::move(low), std::make_shared<node>(node{{}, std::move(rest)})};
  }

  /// Moves entries of a full leaf into half of what room the one before has: without that, keys
  /// that ascend but for a few would leave all leaves little more than half full.
  static void relieve(branch& before, branch& full) {
    const auto room = entries_max - before.child->entries.size();
    if (full.child->entries.size() < entries_max || room == 0)
      return;
    auto& from = own(full.child).entries;
    auto& to = own(before.child).entries;
    to.reserve(entries_max);
    const auto end = from.begin() + static_cast<std::ptrdiff_t>((room + 1) / 2);
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(end));
    from.erase(from.begin(), end);
    full.low = from.front().key;
  }

  static void erase_below(link& at, const Key& key) {
    auto& here = own(at);
    if (here.branches.empty()) {
      here.entries.erase(place_of(here.entries, key));
      return;
    }
    const auto index = branch_of(here, key);
    auto& child = here.branches[index].child;
    erase_below(child, key);
    if (child->entries.empty() && child->branches.empty())
      here.branches.erase(here.branches.begin() + static_cast<std::ptrdiff_t>(index));
    else if (here.branches.size() > 1)
      join(here.branches, index == 0 ? 0 : index - 1);
  }

  /// Makes one of the branches at `index` and behind it when that is at most half full.
  static void join(std::vector<branch>& branches, std::size_t index) {
    const auto& [low, right] = branches[index + 1];
    const auto& left = *branches[index].child;
    if (left.entries.size() + right->entries.size() > entries_max / 2 ||
        left.branches.size() + right->branches.size() > branches_max / 2)
      return;
    auto& all = own(branches[index].child);
    const auto middle = all.branches.size();
    all.entries.insert(all.entries.end(), right->entries.begin(), right->entries.end());
    all.branches.insert(all.branches.end(), right->branches.begin(), right->branches.end());
    if (middle < all.branches.size())
      all.branches[middle].low = low;
    branches.erase(branches.begin() + static_cast<std::ptrdiff_t>(index) + 1);
  }

  template <class Visitor> static void walk(const node& at, Visitor& visit) {
    for (const auto& one : at.entries)
      visit(one.key, one.value);
    for (const auto& one : at.branches)
      walk(*one.child, visit);
  }

  link x_root;
  std::size_t x_size = 0;
};

} // namespace orrery
