#include "events/core/units.hpp"

#include <gtest/gtest.h>

#include <type_traits>

namespace orrery {
namespace {

template <class Left, class Right>
concept can_be_added = requires(Left left, Right right) {
  left + right;
};

template <class Left, class Right>
concept can_be_compared = requires(Left left, Right right) {
  left < right;
};

static_assert(!can_be_added<mib, vcpu_count>, "MiB and processors are no sum");
static_assert(!can_be_added<mib, int>, "a bare number has no unit");
static_assert(!can_be_compared<mib, generation_number>);
static_assert(!std::is_convertible_v<int, mib>);
static_assert(can_be_added<mib, mib>);

TEST(quantity, adds_takes_away_and_compares) {
  constexpr mib three{3};
  constexpr mib five{5};
  EXPECT_EQ((three + five).count, 8U);
  EXPECT_EQ((five - three).count, 2U);
  EXPECT_LT(three, five);
  auto sum = three;
  sum += five;
  sum -= three;
  EXPECT_EQ(sum, five);
  EXPECT_EQ(mib{}.count, 0U);
}

} // namespace
} // namespace orrery
