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

TEST(body_reader, refuses_a_name_that_is_given_twice) {
  for (const char* text : {R"({"a":1,"a":1})", R"({"in":{"a":1,"b":2,"a":3}})",
                           R"({"list":[{"a":1},{"a":1,"a":2}]})"}) {
    const auto body = body_reader::parse(text);
    ASSERT_FALSE(body) << text;
    EXPECT_EQ(body.error().text, "'a' is given twice");
  }
  EXPECT_TRUE(body_reader::parse(R"({"a":{"a":1},"list":[{"a":1},{"a":1}]})"));
}

TEST(body_reader, reads_objects_within_and_names_where_it_failed) {
  auto body = body_reader::parse(
      R"({"bgp":{"as":1,"routers":[{"as":2},{"as":"x"},7]},"on":true,"off":"true"})");
  ASSERT_TRUE(body);
  EXPECT_FALSE(body->object("ospf"));
  auto bgp = body->object("bgp");
  ASSERT_TRUE(bgp);
  EXPECT_EQ(bgp->number("as", 9), 1U);
  auto routers = bgp->objects("routers", 3);
  ASSERT_EQ(routers.size(), 3U);
  EXPECT_EQ(routers[0].number("as", 9), 2U);
  EXPECT_TRUE(routers[0].finish());
  static_cast<void>(routers[1].number("as", 9));
  EXPECT_EQ(routers[1].finish().error().text,
            "'bgp.routers[1].as' is not a whole number of at most 9");
  EXPECT_EQ(bgp->finish().error().text, "'bgp.routers[2]' is not an object");
  EXPECT_TRUE(body->truth("on"));
  EXPECT_FALSE(body->truth("missing"));
  EXPECT_FALSE(body->truth("off"));
  EXPECT_EQ(body->finish().error().text, "'off' is neither true nor false");
}

TEST(body_reader, names_an_unknown_field_of_an_object_within) {
  auto body = body_reader::parse(R"({"bgp":{"colour":1}})");
  ASSERT_TRUE(body);
  EXPECT_EQ(body->object("bgp")->finish().error().text, "there is no field 'bgp.colour' here");
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
