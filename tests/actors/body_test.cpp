#include "actors/api/body.hpp"

#include <gtest/gtest.h>

namespace orrery::actors {
namespace {

TEST(body_reader, refuses_what_is_not_an_object) {
  for (const char* text : {"", "{", "[]", "1", "\"x\"", "null", "{\"a\":1}x", "\xff"})
    EXPECT_FALSE(body_reader::parse(text)) << text;
}

TEST(body_reader, refuses_deep_nesting_without_a_crash) {
  EXPECT_FALSE(body_reader::parse(std::string(100'000, '[')));
  std::string deep = "{\"a\":";
  for (int i = 0; i < 20; ++i)
    deep += "[";
  for (int i = 0; i < 20; ++i)
    deep += "]";
  EXPECT_FALSE(body_reader::parse(deep + "}"));
}

TEST(body_reader, names_the_field_that_nobody_asked_for) {
  auto body = body_reader::parse(R"({"name":"a","colour":"red"})");
  ASSERT_TRUE(body);
  EXPECT_EQ(body->text("name", 10), "a");
  const auto read = body->finish();
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().text.find("colour"), std::string::npos);
}

TEST(body_reader, tells_a_missing_field_from_a_wrong_one) {
  auto body = body_reader::parse(R"({"vcpus":-1})");
  ASSERT_TRUE(body);
  static_cast<void>(body->number("vcpus", 8));
  ASSERT_FALSE(body->finish());
  EXPECT_NE(body->finish().error().text.find("vcpus"), std::string::npos);
  auto other = body_reader::parse("{}");
  ASSERT_TRUE(other);
  static_cast<void>(other->text("name", 8));
  EXPECT_NE(other->finish().error().text.find("missing"), std::string::npos);
}

TEST(body_reader, takes_numbers_also_as_digits) {
  auto body = body_reader::parse(R"({"a":7,"b":"8","c":"9x","d":1.5})");
  ASSERT_TRUE(body);
  EXPECT_EQ(body->number("a", 10), 7U);
  EXPECT_EQ(body->number("b", 10), 8U);
  static_cast<void>(body->number("c", 10));
  EXPECT_FALSE(body->finish());
}

TEST(body_reader, keeps_to_its_limits) {
  auto body = body_reader::parse(R"({"name":"12345","n":11})");
  ASSERT_TRUE(body);
  static_cast<void>(body->text("name", 4));
  static_cast<void>(body->number("n", 10));
  ASSERT_FALSE(body->finish());
  EXPECT_NE(body->finish().error().text.find("4 bytes"), std::string::npos);
}

} // namespace
} // namespace orrery::actors
