#include "events/core/text.hpp"
#include "events/core/time.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace orrery {
namespace {

TEST(time_parse, refuses_what_is_no_time) {
  const std::vector<std::string> bad{
      "",
      "now",
      "2026-11-22",
      "2026-11-22T09:14:02",
      "2026-11-22 09:14:02Z",
      "2026-11-22T09:14:02+01:00",
      "2026-11-22T09:14:02.Z",
      "2026-11-22T09:14:02.1234567Z",
      "2026-11-22T09:14:02.12x4Z",
      "2026-11-22T09:14:02,123Z",
      "2026-13-22T09:14:02Z",
      "2026-00-22T09:14:02Z",
      "2026-02-30T09:14:02Z",
      "2026-02-29T00:00:00Z",
      "2026-11-22T24:00:00Z",
      "2026-11-22T09:60:02Z",
      "2026-11-22T09:14:60Z",
      "1969-12-31T23:59:59Z",
      "-026-11-22T09:14:02Z",
      "2026-11-22T09:14:02ZZ",
      "2026/11/22T09:14:02Z",
      "2026-11-22T-9:14:02Z",
      std::string(63, 'x') + "ä",
  };
  for (const auto& text : bad) {
    const auto parsed = parse_time(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, error_code::invalid_argument);
    EXPECT_NE(parsed.error().text.find("want UTC like"), std::string::npos);
    EXPECT_TRUE(is_utf8(parsed.error().text));
  }
}

TEST(time_parse, takes_one_to_six_digits_of_a_second_or_none) {
  const auto whole = *parse_time("2026-11-22T09:14:02Z");
  EXPECT_EQ(*parse_time("2026-11-22T09:14:02.1Z"), whole + std::chrono::milliseconds(100));
  EXPECT_EQ(*parse_time("2026-11-22T09:14:02.113Z"), whole + std::chrono::milliseconds(113));
  EXPECT_EQ(*parse_time("2026-11-22T09:14:02.000001Z"), whole + std::chrono::microseconds(1));
}

TEST(time, has_a_text_with_microseconds) {
  EXPECT_EQ(to_text(utc_time()), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(to_text(from_micros(1'795'338'842'113'000)), "2026-11-22T09:14:02.113000Z");
  EXPECT_EQ(to_text(*parse_time("2000-02-29T23:59:59.999999Z")), "2000-02-29T23:59:59.999999Z");
  EXPECT_EQ(to_text(*parse_time("9999-12-31T23:59:59.999999Z")), "9999-12-31T23:59:59.999999Z");
}

TEST(time, is_the_same_after_its_text) {
  std::mt19937_64 random(7);
  const auto last = to_micros(*parse_time("9999-12-31T23:59:59.999999Z"));
  for (int round = 0; round < 5'000; ++round) {
    const auto when = from_micros(random() % last);
    const auto parsed = parse_time(to_text(when));
    ASSERT_TRUE(parsed) << to_text(when);
    ASSERT_EQ(*parsed, when);
    ASSERT_EQ(from_micros(to_micros(when)), when);
  }
}

TEST(time, sorts_as_its_text_does) {
  EXPECT_LT(to_text(from_micros(999'999)), to_text(from_micros(1'000'000)));
}

} // namespace
} // namespace orrery
