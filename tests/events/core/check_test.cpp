#include "events/core/check.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

TEST(check_death, ends_the_process_and_names_the_place) {
  EXPECT_DEATH(ORRERY_CHECK(1 + 1 == 3), "check_test.cpp:[0-9]+: 1 \\+ 1 == 3");
}

TEST(check, goes_on_when_all_is_well) {
  int asked = 0;
  ORRERY_CHECK(++asked == 1);
  EXPECT_EQ(asked, 1) << "asked once, in release too";
}

} // namespace
} // namespace orrery
