#pragma once

#include "projections/inventory.hpp"
#include "projections/rows.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// Where the rows of the inventory lie; for its own two files.

namespace orrery::projections::inventory_keys {

/// Keys of the column family "inventory". Noun is one byte, ids are 16, a name has two bytes of
/// length in front.
enum class prefix : std::uint8_t {
  row = 1,          ///< noun id              -> the view (v1::Vm, …)
  by_name = 2,      ///< noun name id         -> nothing
  by_cluster = 3,   ///< cluster vm           -> nothing
  by_node = 4,      ///< node vm              -> nothing
  by_observed = 5,  ///< state vm             -> nothing; state is one byte
  gone = 6,         ///< noun id              -> when it ended (8) name
  gone_by_name = 7, ///< noun name id         -> nothing
  by_label = 8,     ///< key value vm         -> nothing; two bytes of length before each text
  by_label_key = 9  ///< key vm               -> nothing
};

inline std::string key_with(prefix which, inventory_noun noun) {
  auto key = key_of(which);
  add_u8(key, static_cast<std::uint8_t>(noun));
  return key;
}

inline std::string key_with(prefix which, inventory_noun noun, const uuid& id) {
  auto key = key_with(which, noun);
  add_uuid(key, id);
  return key;
}

inline std::string name_prefix(prefix which, inventory_noun noun, std::string_view name) {
  auto key = key_with(which, noun);
  add_text(key, name);
  return key;
}

inline std::string name_key(prefix which, inventory_noun noun, std::string_view name,
                            const uuid& id) {
  auto key = name_prefix(which, noun, name);
  add_uuid(key, id);
  return key;
}

inline std::string index_prefix(prefix which, const uuid& of) {
  auto key = key_of(which);
  add_uuid(key, of);
  return key;
}

inline std::string observed_prefix(v1::VmObserved::State state) {
  auto key = key_of(prefix::by_observed);
  add_u8(key, static_cast<std::uint8_t>(state));
  return key;
}

inline std::string label_prefix(std::string_view key, std::string_view value) {
  auto made = key_of(prefix::by_label);
  add_text(made, key);
  add_text(made, value);
  return made;
}

inline std::string label_key_prefix(std::string_view key) {
  auto made = key_of(prefix::by_label_key);
  add_text(made, key);
  return made;
}

inline uuid id_at_end(std::string_view key) {
  return key.size() < uuid_size ? uuid{} : uuid_at(key, key.size() - uuid_size);
}

} // namespace orrery::projections::inventory_keys
