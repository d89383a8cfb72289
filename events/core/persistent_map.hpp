#pragma once

#include "events/core/own.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace orrery {

/// An ordered map whose copy is one pointer: copies share what they have in common, and a change
/// copies only the path to it, and of that only what a copy holds as well. So an entity with
/// 100,000 names in it can be copied for every tentative decision. A treap: the priorities come
/// from the hash of the key, so equal content has equal shape. Thread-safe as a value (a node that
/// two maps hold never changes). Depth is logarithmic, so recursion is shallow.
template <class Key, class Value> class persistent_map {
public:
  [[nodiscard]] std::size_t size() const { return x_size; }

  [[nodiscard]] bool empty() const { return x_size == 0; }

  /// The value of `key`, or null. The pointer is good until this map changes, or for as long as a
  /// copy holds the entry.
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
    x_root = with(std::move(x_root), make(key, std::move(value)));
  }

  /// The value of `key` to change, or null. The pointer is good until this map is copied or
  /// changes.
  [[nodiscard]] Value* edit(const Key& key) {
    if (!contains(key))
      return nullptr;
    auto* at = &x_root;
    while (true) {
      auto& here = own(*at);
      if (key < here.key)
        at = &here.left;
      else if (here.key < key)
        at = &here.right;
      else
        return &here.value;
    }
  }

  /// Removes `key`; false when it was not there.
  bool erase(const Key& key) {
    if (!contains(key))
      return false;
    --x_size;
    x_root = without(std::move(x_root), key);
    return true;
  }

  /// Calls `visit(key, value)` in ascending order of keys.
  template <class Visitor> void for_each(Visitor visit) const { walk(x_root.get(), visit); }

private:
  // Copying a node (`own`) makes its children shared, so whoever goes on down copies those too.
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

  static link make(const Key& key, Value value) {
    return std::make_shared<node>(node{key, std::move(value), priority_of(key), nullptr, nullptr});
  }

  static link with(link at, link added) {
    if (at == nullptr)
      return added;
    auto& here = own(at);
    if (added->key < here.key) {
      here.left = with(std::move(here.left), std::move(added));
      return here.left->priority > here.priority ? raised<&node::left, &node::right>(std::move(at))
                                                 : at;
    }
    if (here.key < added->key) {
      here.right = with(std::move(here.right), std::move(added));
      return here.right->priority > here.priority ? raised<&node::right, &node::left>(std::move(at))
                                                  : at;
    }
    here.value = std::move(own(added).value);
    return at;
  }

  /// Turns the tree at `at` so that its child on that side stands above it.
  template <link node::*Side, link node::*Other> static link raised(link at) {
    auto top = std::move(own(at).*Side);
    own(at).*Side = std::move(own(top).*Other);
    own(top).*Other = std::move(at);
    return top;
  }

  static link merged(link left, link right) {
    if (left == nullptr)
      return right;
    if (right == nullptr)
      return left;
    if (left->priority > right->priority) {
      auto& top = own(left);
      top.right = merged(std::move(top.right), std::move(right));
      return left;
    }
    auto& top = own(right);
    top.left = merged(std::move(left), std::move(top.left));
    return right;
  }

  static link without(link at, const Key& key) {
    auto& here = own(at);
    if (key < here.key)
      here.left = without(std::move(here.left), key);
    else if (here.key < key)
      here.right = without(std::move(here.right), key);
    else
      return merged(std::move(here.left), std::move(here.right));
    return at;
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
