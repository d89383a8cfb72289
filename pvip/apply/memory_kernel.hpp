#pragma once

#include "pvip/apply/kernel.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace orrery::pvip {

/// A node's network in memory, with Linux's rules as far as the order of operations depends on
/// them: routes and neighbours need a link that is up; a link that goes takes them along; a change
/// of the MAC drops the link's neighbours.
class memory_kernel final : public kernel {
public:
  memory_kernel();

  [[nodiscard]] result<found_state> read(const reading& wanted) override;
  [[nodiscard]] result<outcome> apply(const operation& what) override;

  /// The state itself, for those who play the intruder.
  [[nodiscard]] found_state& state() { return x_state; }

private:
  found_state x_state;
  /// Where a link probably stands in it: thousands are made one after the other.
  std::unordered_map<std::string, std::size_t> x_places;
  std::uint32_t x_next_index = 2; // 1 is lo, as in Linux
};

} // namespace orrery::pvip
