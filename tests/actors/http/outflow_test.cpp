#include "actors/api/http/outflow.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace orrery::http {
namespace {

std::shared_ptr<const std::string> piece(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

outflow filled(std::initializer_list<std::string> texts) {
  outflow made;
  for (const auto& text : texts) {
    *made.waiting() += text.size();
    made.add(piece(text));
  }
  return made;
}

std::string written(const std::vector<std::string_view>& pieces) {
  std::string all;
  for (const auto& one : pieces)
    all += one;
  return all;
}

TEST(outflow, gives_what_the_system_did_not_take_again) {
  auto out = filled({"abc", "de", "f"});
  EXPECT_EQ(written(out.begin_write()), "abcdef");
  EXPECT_TRUE(out.is_writing());
  EXPECT_FALSE(out.wrote(4));
  EXPECT_FALSE(out.is_writing());
  EXPECT_EQ(*out.waiting(), 2U);
  EXPECT_EQ(written(out.begin_write()), "ef");
  EXPECT_TRUE(out.wrote(2));
  EXPECT_TRUE(out.is_empty());
}

TEST(outflow, takes_no_more_pieces_at_once_than_it_may) {
  outflow out;
  for (std::size_t i = 0; i < outflow::gather_count_max + 3; ++i) {
    ++*out.waiting();
    out.add(piece("x"));
  }
  EXPECT_EQ(out.begin_write().size(), outflow::gather_count_max);
  EXPECT_FALSE(out.wrote(outflow::gather_count_max));
  EXPECT_EQ(out.begin_write().size(), 3U);
}

TEST(outflow, what_was_counted_and_is_not_here_yet_waits) {
  auto out = filled({"abc"});
  *out.waiting() += 5;
  static_cast<void>(out.begin_write());
  EXPECT_FALSE(out.wrote(3));
  EXPECT_EQ(*out.waiting(), 5U);
}

TEST(outflow, keeps_of_what_was_not_begun_nothing) {
  auto out = filled({"abc", "de"});
  out.keep_what_is_begun();
  EXPECT_TRUE(out.is_empty());
}

TEST(outflow, keeps_a_piece_that_was_written_in_part) {
  auto out = filled({"abc", "de"});
  static_cast<void>(out.begin_write());
  EXPECT_FALSE(out.wrote(1));
  out.keep_what_is_begun();
  EXPECT_EQ(written(out.begin_write()), "bc");
}

TEST(outflow, keeps_what_is_being_written) {
  auto out = filled({"abc", "de"});
  static_cast<void>(out.begin_write());
  out.keep_what_is_begun();
  EXPECT_TRUE(out.wrote(5));
  EXPECT_TRUE(out.is_empty());
}

} // namespace
} // namespace orrery::http
