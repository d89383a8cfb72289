#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace orrery {

/// An ordered map whose copy is one pointer: copies share what they have in common, and a change
/// copies only the path to it. So an entity with 100,000 names in it can be copied for every
/// tentative decision. A treap: the priorities come from the hash of the key, so equal content has
/// equal shape. Thread-safe as a value (nodes never change).
template <class Key, class Value> class persistent_map {
public:
  [[nodiscard]] std::size_t size() const { return x_size; }

  [[nodiscard]] bool empty() const { return x_size == 0; }

  /// The value of `key`, or null. The pointer lives as long as this map or a copy that still holds
  /// the entry.
  [[nodiscard]] const Value* find(const Key& key) const {
    const node* at = x_root.get();
    while (at != nullptr) {
      if (key < at->key)
        at = at->left.get();
      else if (at->key < key)
        at = at->right.get();
      else
        return &at->value;
    }
    return nullptr;
  }

  [[nodiscard]] bool contains(const Key& key) const { return find(key) != nullptr; }

  /// Sets `key` to `value`.
  void put(const Key& key, Value value) {
    if (!contains(key))
      ++x_size;
    x_root = with(x_root, make(key, std::move(value), nullptr, nullptr));
  }

  /// Removes `key`; false when it was not there.
  bool erase(const Key& key) {
    if (!contains(key))
      return false;
    --x_size;
    x_root = without(x_root, key);
    return true;
  }

  /// Calls `visit(key, value)` in ascending order of keys.
  template <class Visitor> void for_each(Visitor visit) const { walk(x_root.get(), visit); }

private:
  struct node;
  using link = std::shared_ptr<const node>;

  struct node {
    Key key;
    Value value;
    std::uint64_t priority = 0;
    link left;
    link right;
  };

  static std::uint64_t priority_of(const Key& key) {
    // std::hash of integers is the identity in libstdc++: mix, or sorted keys would make a list
    // (splitmix64's constants).
    std::uint64_t mixed = std::hash<Key>{}(key) + 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
  }

  static link make(const Key& key, Value value, link left, link right) {
    return std::make_shared<const node>(
        node{key, std::move(value), priority_of(key), std::move(left), std::move(right)});
  }

  static link copy(const node& from, link left, link right) {
    return std::make_shared<const node>(
        node{from.key, from.value, from.priority, std::move(left), std::move(right)});
  }

  static link with(const link& at, const link& added) {
    if (at == nullptr)
      return added;
    if (added->key < at->key) {
      auto left = with(at->left, added);
      if (left->priority > at->priority)
        return copy(*left, left->left, copy(*at, left->right, at->right));
      return copy(*at, std::move(left), at->right);
    }
    if (at->key < added->key) {
      auto right = with(at->right, added);
      if (right->priority > at->priority)
        return copy(*right, copy(*at, at->left, right->left), right->right);
      return copy(*at, at->left, std::move(right));
    }
    return copy(*added, at->left, at->right);
  }

  static link merged(const link& left, const link& right) {
    if (left == nullptr)
      return right;
    if (right == nullptr)
      return left;
    if (left->priority > right->priority)
      return copy(*left, left->left, merged(left->right, right));
    return copy(*right, merged(left, right->left), right->right);
  }

  static link without(const link& at, const Key& key) {
    if (key < at->key)
      return copy(*at, without(at->left, key), at->right);
    if (at->key < key)
      return copy(*at, at->left, without(at->right, key));
    return merged(at->left, at->right);
  }

  template <class Visitor> static void walk(const node* at, Visitor& visit) {
    if (at == nullptr)
      return;
    walk(at->left.get(), visit);
    visit(at->key, at->value);
    walk(at->right.get(), visit);
  }

  link x_root;
  std::size_t x_size = 0;
};

} // namespace orrery
