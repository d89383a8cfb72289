#include "actors/api/http/problem.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>

namespace orrery::http {

namespace {

/// The highest number of an error code; a new one makes `every_code_has_a_row` fail until it is
/// raised here and has its row.
constexpr std::uint16_t code_max = 30;

TEST(problem, every_code_has_a_row_of_its_own) {
  std::set<std::string_view> titles;
  for (std::uint16_t number = 1; number <= code_max; ++number) {
    const auto code = static_cast<error_code>(number);
    EXPECT_GE(status_of(code), 400) << number;
    EXPECT_LE(status_of(code), 599) << number;
    EXPECT_TRUE(titles.insert(title_of(code)).second) << number;
  }
  EXPECT_EQ(name_of(static_cast<error_code>(code_max + 1)), "internal")
      << "a new code: raise code_max";
}

TEST(problem, a_code_of_a_newer_version_is_an_internal_error) {
  EXPECT_EQ(status_of(static_cast<error_code>(60000)), 500);
}

TEST(problem, the_statuses_that_clients_rely_on) {
  EXPECT_EQ(status_of(error_code::invalid_argument), 400);
  EXPECT_EQ(status_of(error_code::unauthenticated), 401);
  EXPECT_EQ(status_of(error_code::read_only), 403);
  EXPECT_EQ(status_of(error_code::not_found), 404);
  EXPECT_EQ(status_of(error_code::already_exists), 409);
  EXPECT_EQ(status_of(error_code::too_large), 413);
  EXPECT_EQ(status_of(error_code::key_reused), 422);
  EXPECT_EQ(status_of(error_code::too_many_requests), 429);
  EXPECT_EQ(status_of(error_code::unavailable), 503);
}

TEST(problem, the_body_has_the_members_of_rfc_9457_and_ours) {
  const error failure{error_code::busy, "vm 'web-1' is being stopped by job_1; wait for it", true};
  const auto body = nlohmann::json::parse(problem_body(failure, 409, "/v1/vms/web-1:start"));
  EXPECT_EQ(body.at("type"), "urn:orrery:problem:busy");
  EXPECT_EQ(body.at("title"), "Busy");
  EXPECT_EQ(body.at("status"), 409);
  EXPECT_EQ(body.at("detail"), failure.text);
  EXPECT_EQ(body.at("instance"), "/v1/vms/web-1:start");
  EXPECT_EQ(body.at("code"), "busy");
  EXPECT_EQ(body.at("retryable"), true);
}

TEST(problem, text_that_is_not_utf8_still_gives_json) {
  const error failure{error_code::driver_failed, "libvirt said \xff\xfe\"\n", false};
  const auto body = nlohmann::json::parse(problem_body(failure, 502, ""));
  EXPECT_EQ(body.at("code"), "driver_failed");
  EXPECT_FALSE(body.contains("instance"));
}

} // namespace

} // namespace orrery::http
