#include "events/domain/labels.hpp"

#include "events/core/text.hpp"

#include <algorithm>
#include <utility>

namespace orrery::domain {

namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_one_of(char c, std::string_view these) { return these.find(c) != std::string_view::npos; }

bool is_key_character(char c) { return is_lower_or_digit(c) || is_one_of(c, "._/-"); }

bool is_value_character(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || is_one_of(c, "._:/@+-");
}

auto place_of(label_list& among, std::string_view key) {
  return std::ranges::lower_bound(among, key, {}, &label::key);
}

error too_many() {
  return refuse(error_code::limit_reached,
                "a thing has at most " + std::to_string(labels_max) + " labels: remove some first");
}

void drop(label_list& among, std::string_view key) {
  const auto at = place_of(among, key);
  if (at != among.end() && at->key == key)
    among.erase(at);
}

/// Keys and values that can be, and no key said twice.
result<void> check(const v1::SetLabels& wanted) {
  if (wanted.set_size() + wanted.remove_size() > static_cast<int>(2 * labels_max))
    return too_many();
  std::vector<std::string_view> said;
  for (const auto& one : wanted.set()) {
    if (auto good = check_label_key(one.key()); !good)
      return good;
    if (auto good = check_label_value(one.value()); !good)
      return good;
    said.push_back(one.key());
  }
  for (const auto& key : wanted.remove()) {
    if (auto good = check_label_key(key); !good)
      return good;
    said.push_back(key);
  }
  std::ranges::sort(said);
  if (const auto twice = std::ranges::adjacent_find(said); twice != said.end())
    return refuse(error_code::invalid_argument,
                  "the label '" + std::string(*twice) + "' is said twice: say it once");
  return {};
}

} // namespace

result<void> check_label_key(std::string_view key) {
  const bool is_good = !key.empty() && key.size() <= label_text_size_max &&
                       std::ranges::all_of(key, is_key_character) &&
                       is_lower_or_digit(key.front()) && is_lower_or_digit(key.back());
  if (is_good)
    return {};
  return refuse(error_code::invalid_argument,
                "'" + printable(key, label_text_size_max) +
                    "' is no key of a label: want 1 to 63 of a-z, 0-9 and '._/-', with a letter or "
                    "digit first and last");
}

result<void> check_label_value(std::string_view value) {
  if (value.size() <= label_text_size_max && std::ranges::all_of(value, is_value_character))
    return {};
  return refuse(error_code::invalid_argument,
                "'" + printable(value, label_text_size_max) +
                    "' is no value of a label: want up to 63 letters, digits and '._:/@+-'");
}

result<label_list> labels_of(const google::protobuf::RepeatedPtrField<v1::Label>& given) {
  v1::SetLabels wanted;
  *wanted.mutable_set() = given;
  label_list made;
  const auto changed = change_of(made, wanted);
  if (!changed)
    return changed.error();
  change(made, *changed);
  return made;
}

result<v1::LabelsChanged> change_of(const label_list& now, const v1::SetLabels& wanted) {
  if (auto good = check(wanted); !good)
    return good.error();
  auto then = now;
  for (const auto& one : wanted.set())
    put(then, one);
  for (const auto& key : wanted.remove())
    drop(then, key);
  if (then.size() > labels_max)
    return too_many();
  v1::LabelsChanged made;
  for (const auto& one : then) {
    const auto* before = find(now, one.key);
    if (before != nullptr && *before == one.value)
      continue;
    add(*made.mutable_set(), one.key, one.value);
  }
  for (const auto& one : now)
    if (find(then, one.key) == nullptr)
      made.add_removed(one.key);
  return made;
}

void put(label_list& among, const v1::Label& one) {
  const auto at = place_of(among, one.key());
  if (at != among.end() && at->key == one.key())
    at->value = one.value();
  else
    among.insert(at, {one.key(), one.value()});
}

void change(label_list& of, const v1::LabelsChanged& event) {
  for (const auto& key : event.removed())
    drop(of, key);
  for (const auto& one : event.set())
    put(of, one);
}

void add(google::protobuf::RepeatedPtrField<v1::Label>& to, std::string key, std::string value) {
  auto* one = to.Add();
  one->set_key(std::move(key));
  one->set_value(std::move(value));
}

const std::string* find(const label_list& among, std::string_view key) {
  const auto at = std::ranges::lower_bound(among, key, {}, &label::key);
  return at != among.end() && at->key == key ? &at->value : nullptr;
}

} // namespace orrery::domain
