#include "events/core/wide.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace orrery {
namespace {

constexpr auto most = ~uint128{0};
constexpr const char* most_text = "340282366920938463463374607431768211455";

TEST(wide, what_is_no_number_or_does_not_fit_is_not_read) {
  for (const std::string text :
       {"", "-1", "+1", " 1", "1 ", "01", "1e3", "0x1", "a",
        "340282366920938463463374607431768211456", "999999999999999999999999999999999999999999"})
    EXPECT_FALSE(parse_uint128(text)) << text;
}

TEST(wide, is_read_as_it_was_written) {
  const std::array numbers{uint128{0}, uint128{7}, uint128{10}, uint128{1} << 64, most - 1, most};
  for (const auto number : numbers) {
    const auto read = parse_uint128(to_text(number));
    EXPECT_TRUE(read && *read == number) << to_text(number);
  }
  EXPECT_EQ(to_text(uint128{0}), "0");
  EXPECT_EQ(to_text(most), most_text);
}

TEST(wide, a_sum_that_does_not_fit_is_none) {
  EXPECT_FALSE(sum_of(most, 1));
  EXPECT_FALSE(sum_of(uint128{1} << 127, uint128{1} << 127));
  EXPECT_EQ(to_text(*sum_of(most - 1, 1)), most_text);
}

} // namespace
} // namespace orrery
