#include "events/core/rare.hpp"

#include <gtest/gtest.h>

#include <string>

namespace orrery {
namespace {

TEST(rare, takes_a_pointers_room_and_is_empty_at_first) {
  const rare<std::string> none;
  EXPECT_FALSE(none);
  EXPECT_EQ(sizeof(none), sizeof(void*));
}

TEST(rare, has_a_value_of_its_own) {
  rare<std::string> one = std::string("a");
  auto copy = one;
  *copy += "b";
  EXPECT_EQ(*one, "a");
  EXPECT_EQ(*copy, "ab");
  EXPECT_EQ(copy->size(), 2U);
  one = copy;
  copy.reset();
  EXPECT_FALSE(copy);
  EXPECT_EQ(*one, "ab");
}

TEST(rare, can_be_its_own_copy_and_be_moved) {
  rare<std::string> one = std::string("a");
  const auto& same = one;
  one = same;
  EXPECT_EQ(*one, "a");
  const auto moved = std::move(one);
  EXPECT_EQ(*moved, "a");
}

TEST(rare, is_made_anew) {
  rare<std::string> one = std::string("a");
  one.emplace() = "c";
  EXPECT_EQ(*one, "c");
}

} // namespace
} // namespace orrery
