#pragma once

#include <compare>
#include <cstdint>

namespace orrery {

/// A number with a unit in its type. Arithmetic only between equals; never negative.
template <class Tag, class Rep> struct quantity {
  Rep count = 0;

  friend constexpr auto operator<=>(const quantity&, const quantity&) = default;

  constexpr quantity& operator+=(quantity other) {
    count += other.count;
    return *this;
  }

  constexpr quantity& operator-=(quantity other) {
    count -= other.count;
    return *this;
  }

  friend constexpr quantity operator+(quantity left, quantity right) { return left += right; }

  friend constexpr quantity operator-(quantity left, quantity right) { return left -= right; }
};

using mib = quantity<struct mib_tag, std::uint64_t>;         ///< 2^20 bytes
using vcpu_count = quantity<struct vcpu_tag, std::uint32_t>; ///< virtual processors
using generation_number =
    quantity<struct generation_tag, std::uint64_t>; ///< of a wish; grows by one

} // namespace orrery
