#include "actors/api/http/message.hpp"

#include <gtest/gtest.h>

#include <random>

namespace orrery::http {

namespace {

using namespace std::string_literals;

TEST(target, broken_ones_are_refused_with_the_reason) {
  struct wrong {
    std::string target;
    std::string reason;
  };

  const std::vector<wrong> all{
      {"", "does not start with '/'"},
      {"*", "does not start with '/'"},
      {"vms", "does not start with '/'"},
      {"/a%", "without two hexadecimal digits"},
      {"/a%2", "without two hexadecimal digits"},
      {"/a%zz", "without two hexadecimal digits"},
      {"/a?b=%4", "without two hexadecimal digits"},
      {"/a%2fb", "escaped '/'"},
      {"/a%00", "control character"},
      {"/a%0d%0ab", "control character"},
      {"/a\x7f", "control character"},
      {"/a%ff", "not UTF-8"},
      {"/a?x=%c0%80", "not UTF-8"},
      {"/a\xff", "not UTF-8"},
  };
  for (const auto& [target, reason] : all) {
    const auto parsed = parse_target(target);
    ASSERT_FALSE(parsed) << target;
    EXPECT_EQ(parsed.error().code, error_code::invalid_argument);
    EXPECT_NE(parsed.error().text.find(reason), std::string::npos) << parsed.error().text;
  }
}

TEST(target, too_many_parameters_are_refused) {
  std::string target = "/v1/vms?";
  for (std::size_t i = 0; i <= parameter_count_max; ++i)
    target += "a=1&";
  EXPECT_FALSE(parse_target(target));
}

TEST(target, is_split_and_decoded) {
  const auto parsed = parse_target("/v1/vms/caf%C3%A9:start?pageSize=10&name=a+b%2Fc&flag&&=x");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->path, "/v1/vms/café:start");
  const std::vector<field> wanted{{"pageSize", "10"}, {"name", "a b/c"}, {"flag", ""}, {"", "x"}};
  EXPECT_EQ(parsed->query, wanted);
}

TEST(target, absolute_form_loses_its_authority) {
  EXPECT_EQ(parse_target("http://localhost:1/v1/vms?a=b")->path, "/v1/vms");
  EXPECT_EQ(parse_target("http://localhost")->path, "/");
}

TEST(target, random_bytes_never_give_a_path_that_is_not_clean) {
  const auto seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 20000; ++round) {
    std::string target = "/";
    const auto size = random() % 24;
    for (std::size_t i = 0; i < size; ++i)
      target += random() % 3 == 0 ? "%/?&=+a0F\xc3"[random() % 10] : static_cast<char>(random());
    const auto parsed = parse_target(target);
    if (parsed) {
      EXPECT_EQ(parsed->path.find('\0'), std::string::npos);
      EXPECT_EQ(parsed->path.front(), '/');
    }
  }
}

TEST(reply, that_cannot_be_sent_becomes_500) {
  response split;
  split.headers.push_back({"X", "a\r\nSet-Cookie: b"});
  response name;
  name.headers.push_back({"X Y", "a"});
  response status;
  status.status = 42;
  response type;
  type.content_type = "a\nb";
  for (const auto& one : {split, name, status, type}) {
    const auto bytes = to_bytes(one, {});
    EXPECT_TRUE(bytes.starts_with("HTTP/1.1 500 ")) << bytes;
    EXPECT_EQ(bytes.find("Set-Cookie"), std::string::npos);
  }
}

TEST(reply, has_length_date_and_connection) {
  response one;
  one.body = "{}";
  one.headers.push_back({"Orrery-Position", "0/12"});
  const auto bytes = to_bytes(one, framing{.close = false, .head_only = false});
  EXPECT_TRUE(bytes.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << bytes;
  EXPECT_NE(bytes.find(" GMT\r\n"), std::string::npos);
  EXPECT_NE(bytes.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_NE(bytes.find("Orrery-Position: 0/12\r\n"), std::string::npos);
  EXPECT_TRUE(bytes.ends_with("Connection: keep-alive\r\n\r\n{}")) << bytes;
}

TEST(reply, to_head_and_204_has_no_body) {
  response one;
  one.body = "{}";
  EXPECT_TRUE(to_bytes(one, framing{.close = true, .head_only = true}).ends_with("\r\n\r\n"));
  one.status = 204;
  const auto bytes = to_bytes(one, {});
  EXPECT_TRUE(bytes.ends_with("\r\n\r\n"));
  EXPECT_EQ(bytes.find("Content-Length"), std::string::npos);
}

TEST(problem_reply, says_how_to_log_in_and_when_to_retry) {
  const auto login = problem_response(error{error_code::unauthenticated, "no token", false}, "/v1");
  EXPECT_EQ(login.status, 401);
  EXPECT_EQ(login.content_type, "application/problem+json");
  EXPECT_EQ(login.headers, (std::vector<field>{{"WWW-Authenticate", "Bearer"}}));
  const auto later = problem_response(error{error_code::unavailable, "starting", true});
  EXPECT_EQ(later.headers, (std::vector<field>{{"Retry-After", "1"}}));
}

TEST(size_text, is_what_people_say) {
  EXPECT_EQ(size_text(16384), "16 KiB");
  EXPECT_EQ(size_text(1048576), "1 MiB");
  EXPECT_EQ(size_text(1000), "1000 bytes");
}

} // namespace

} // namespace orrery::http
