#include "events/core/error.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>

namespace orrery {
namespace {

/// Names are part of the API and numbers of the log, so neither may move: append here what is
/// appended there.
constexpr std::string_view names[] = {"internal",
                                      "invalid_argument",
                                      "not_found",
                                      "already_exists",
                                      "busy",
                                      "capacity_exhausted",
                                      "addresses_exhausted",
                                      "unsupported",
                                      "unauthenticated",
                                      "too_large",
                                      "too_many_requests",
                                      "unavailable",
                                      "timed_out",
                                      "conflict",
                                      "storage_full",
                                      "damaged",
                                      "log_cut",
                                      "locked",
                                      "clock_untrusted",
                                      "read_only",
                                      "driver_failed",
                                      "guest_stopped",
                                      "superseded",
                                      "key_reused",
                                      "config_invalid",
                                      "unknown_record",
                                      "io_failed",
                                      "image_unknown",
                                      "target_behind",
                                      "limit_reached"};

TEST(error_code, has_the_name_that_its_number_always_had) {
  std::uint16_t number = 0;
  for (const auto name : names)
    EXPECT_EQ(name_of(static_cast<error_code>(++number)), name) << number;
}

TEST(error_code, has_no_name_that_is_not_in_the_list_above) {
  std::set<std::string_view> known(std::begin(names), std::end(names));
  EXPECT_EQ(known.size(), std::size(names)) << "each once";
  for (std::uint16_t number = 0; number < 2'000; ++number) {
    const auto name = name_of(static_cast<error_code>(number));
    EXPECT_TRUE(known.contains(name)) << name;
    if (number > std::size(names)) {
      EXPECT_EQ(name, "internal") << number << " has no row in the list above";
    }
  }
}

TEST(error_code, is_named_in_snake_case) {
  for (const auto name : names)
    EXPECT_TRUE(std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || c == '_';
    })) << name;
}

TEST(error_code, of_a_newer_version_reads_as_internal) {
  EXPECT_EQ(name_of(static_cast<error_code>(0)), "internal");
  EXPECT_EQ(name_of(static_cast<error_code>(65'535)), "internal");
}

TEST(result_death, reading_the_wrong_side_ends_the_process) {
  const result<int> failed(error{error_code::busy, "no", true});
  const result<int> done(1);
  const result<void> nothing;
  EXPECT_DEATH(static_cast<void>(failed.value()), "has_value");
  EXPECT_DEATH(static_cast<void>(*failed), "has_value");
  EXPECT_DEATH(static_cast<void>(done.error()), "has_value");
  EXPECT_DEATH(static_cast<void>(nothing.error()), "x_error");
}

TEST(result, is_a_value_or_an_error) {
  result<std::string> done("text");
  ASSERT_TRUE(done);
  EXPECT_EQ(*done, "text");
  EXPECT_EQ(done->size(), 4U);
  const result<std::string> failed(error{error_code::busy, "no", true});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), (error{error_code::busy, "no", true}));
}

TEST(result, moves_what_cannot_be_copied) {
  result<std::unique_ptr<int>> made(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = *std::move(made);
  EXPECT_EQ(*taken, 7);
}

TEST(result_void, is_done_or_an_error) {
  const result<void> done;
  EXPECT_TRUE(done);
  const result<void> failed(error{error_code::locked, "held", false});
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().code, error_code::locked);
}

} // namespace
} // namespace orrery
