#pragma once

#include "tests/support/invariants.hpp"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What the checks have in common; for the folder's own files.

namespace orrery::support {

// Names of the checks over several partitions.
inline constexpr std::string_view streams_in_order = "streams_in_order";
inline constexpr std::string_view streams_arrive = "streams_arrive";
inline constexpr std::string_view prefix_once = "prefix_once";
inline constexpr std::string_view granted_first = "granted_first";
inline constexpr std::string_view prefixes_are_networks = "prefixes_are_networks";

// Of the rows that are folded from the log (usage_check.hpp).
inline constexpr std::string_view usage_tiles_lives = "usage_tiles_lives";

/// Collects what is broken, with the place in the log that is being looked at.
class findings {
public:
  void at(std::uint64_t seq, const uuid& entity) {
    x_where = "record " + std::to_string(seq) + ", " + orrery::to_text(entity) + ": ";
  }

  void nowhere() { x_where.clear(); }

  void add(std::string_view check, const std::string& text) {
    x_found.push_back({std::string(check), x_where + text});
  }

  [[nodiscard]] std::vector<violation> take() { return std::move(x_found); }

private:
  std::string x_where;
  std::vector<violation> x_found;
};

/// All entities of a noun, by id.
template <class State> std::map<uuid, const State*> all_of(const domain::partition_state& state) {
  std::map<uuid, const State*> found;
  state.for_each([&found](const uuid& entity, const domain::entity_ptr& one) {
    if (const auto* as = std::get_if<State>(one.get()))
      found.emplace(entity, as); // the partition's state keeps it alive
  });
  return found;
}

inline std::string text_of(const uuid& value) { return orrery::to_text(value); }

} // namespace orrery::support
