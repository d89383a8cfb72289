#include "events/core/text.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace orrery {
namespace {

TEST(utf8, refuses_broken_texts) {
  const std::vector<std::string> bad{
      "\x80",             // a continuation alone
      "\xc3",             // cut
      "\xc3(",            // no continuation
      "\xc0\xaf",         // overlong '/'
      "\xc1\xbf",         // overlong
      "\xe0\x80\xaf",     // overlong
      "\xe0\x9f\xbf",     // overlong
      "\xf0\x80\x80\xaf", // overlong
      "\xf0\x8f\xbf\xbf", // overlong
      "\xed\xa0\x80",     // the first surrogate
      "\xed\xbf\xbf",     // the last surrogate
      "\xf4\x90\x80\x80", // above U+10FFFF
      "\xf5\x80\x80\x80", // no such first byte
      "\xfe",
      "\xff",
      "\xe2\x82",             // cut
      "\xf0\x9f\x92",         // cut
      "\xf0\x9f\x92(",        // no continuation
      "fine until here \xe2", // cut at the end
  };
  for (const auto& text : bad)
    EXPECT_FALSE(is_utf8(text)) << text;
}

TEST(utf8, takes_well_formed_texts) {
  for (const auto* text : {"", "abc", "\x01", "ä", "€", "💻", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf4\x8f\xbf\xbf", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"})
    EXPECT_TRUE(is_utf8(text)) << text;
  EXPECT_TRUE(is_utf8(std::string("a\0b", 3)));
}

TEST(name, refuses_and_says_what_it_wants) {
  const std::vector<std::string> bad{"",
                                     "-",
                                     "1a",
                                     "a-",
                                     "A",
                                     "a_b",
                                     "a.b",
                                     "a b",
                                     "ä",
                                     "a\n",
                                     "\xff",
                                     "a/../b",
                                     std::string(64, 'a'),
                                     std::string("a\0", 2)};
  for (const auto& text : bad) {
    const auto checked = check_name("vm", text);
    ASSERT_FALSE(checked.has_value()) << text;
    EXPECT_EQ(checked.error().code, error_code::invalid_argument);
    EXPECT_EQ(checked.error().text.substr(0, 4), "vm '");
    EXPECT_NE(checked.error().text.find("want 1 to 63 of a-z"), std::string::npos);
    EXPECT_TRUE(is_utf8(checked.error().text));
    EXPECT_LT(checked.error().text.size(), 250U);
  }
}

TEST(name, takes_what_can_be_a_host_name) {
  for (const auto& text : {std::string("a"), std::string("web-1"), std::string("a--b"),
                           std::string("x9"), std::string(63, 'a')})
    EXPECT_TRUE(check_name("vm", text).has_value()) << text;
}

TEST(printable, replaces_what_a_screen_must_not_get) {
  EXPECT_EQ(printable("a\x1b[31mb\x7f\n", 100), "a?[31mb??");
  EXPECT_EQ(printable("\xff\xc3", 100), "??");
  EXPECT_EQ(printable("\xed\xa0\x80", 100), "???");
  EXPECT_EQ(printable("ä€💻", 100), "ä€💻");
  EXPECT_EQ(printable(std::string("a\0b", 3), 100), "a?b");
}

TEST(printable, cuts_at_a_character) {
  EXPECT_EQ(printable("aäb", 2), "a");
  EXPECT_EQ(printable("aäb", 3), "aä");
  EXPECT_EQ(printable("💻", 3), "");
  EXPECT_EQ(printable("abc", 0), "");
  EXPECT_EQ(printable("abc", 3), "abc");
}

TEST(printable, gives_well_formed_texts_within_the_limit_for_any_bytes) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 2'000; ++round) {
    std::string text;
    for (auto left = random() % 40; left > 0; --left)
      text += static_cast<char>(random() % 3 == 0 ? 0xc0 + random() % 64 : random() % 256);
    const auto size_max = random() % 50;
    const auto shown = printable(text, size_max);
    ASSERT_TRUE(is_utf8(shown)) << "round " << round;
    ASSERT_LE(shown.size(), size_max) << "round " << round;
    ASSERT_EQ(printable(shown, size_max), shown) << "round " << round;
  }
}

} // namespace
} // namespace orrery
