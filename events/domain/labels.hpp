#pragma once

#include "events/domain/types.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orrery::domain {

// Labels: pairs of texts that people hang on a cluster, node, network or VM to find it by. They
// mean nothing to us.

struct label {
  std::string key;
  std::string value;

  template <class Bytes, class Self> static void members(Bytes& bytes, Self& of) {
    bytes.all(of.key, of.value);
  }

  friend bool operator==(const label&, const label&) = default;
};

/// In the order of the keys, each key once.
using label_list = std::vector<label>;

/// Labels of one thing: as many as a person can survey, and few enough to be part of each view.
inline constexpr std::size_t labels_max = 32;

/// Bytes of a key or a value: as of a name.
inline constexpr std::size_t label_text_size_max = 63;

/// A key: 1 to 63 of a-z, 0-9 and "._/-", with a letter or digit first and last. Errors:
/// `invalid_argument`.
[[nodiscard]] result<void> check_label_key(std::string_view key);

/// A value: up to 63 of letters, digits and "._:/@+-". Neither has a comma or '=', so "key=value,
/// …" has one meaning. Errors: `invalid_argument`.
[[nodiscard]] result<void> check_label_value(std::string_view value);

/// The labels of something new. Errors: `invalid_argument` (a key or value that cannot be, a key
/// twice), `limit_reached` (too many).
[[nodiscard]] result<label_list>
labels_of(const google::protobuf::RepeatedPtrField<v1::Label>& given);

/// What `wanted` changes; an event without content when nothing. Errors: as above.
[[nodiscard]] result<v1::LabelsChanged> change_of(const label_list& now,
                                                  const v1::SetLabels& wanted);

/// Sets one, whatever it was.
void put(label_list& among, const v1::Label& one);

/// Total: what is removed and not there is passed over.
void change(label_list& of, const v1::LabelsChanged& event);

/// Appends one.
void add(google::protobuf::RepeatedPtrField<v1::Label>& to, std::string key, std::string value);

/// The value, or null.
[[nodiscard]] const std::string* find(const label_list& among, std::string_view key);

/// Decides `set_labels` for any noun: `add` makes an event of that noun in a decision.
template <class AddEvent>
[[nodiscard]] outcome set_labels(const label_list& now, const v1::SetLabels& wanted, AddEvent add) {
  auto changed = change_of(now, wanted);
  if (!changed)
    return changed.error();
  decision made;
  if (changed->set_size() > 0 || changed->removed_size() > 0)
    *add(made)->mutable_labels_changed() = std::move(*changed);
  return made;
}

} // namespace orrery::domain
