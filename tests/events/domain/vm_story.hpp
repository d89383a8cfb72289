#pragma once

#include "events/domain/vm.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace orrery::support {

inline constexpr auto absent = v1::VmObserved::ABSENT;
inline constexpr auto stopped = v1::VmObserved::STOPPED;
inline constexpr auto running = v1::VmObserved::RUNNING;
inline constexpr auto reachable = v1::VmObserved::REACHABLE;
inline constexpr auto unknown = v1::VmObserved::UNKNOWN;
inline constexpr auto never_ran = v1::VmObserved::NEVER_RAN;
inline constexpr auto by_guest = v1::VmObserved::GUEST;
inline constexpr auto by_host = v1::VmObserved::HOST;
inline constexpr auto crashed = v1::VmObserved::CRASHED;

/// "web" runs, and a user just asked for it to be removed.
inline world world_with_doomed_vm() {
  auto at = world_with_running_vm();
  at.must(remove_vm());
  return at;
}

inline void expect_end(const v1::Decision& decision, v1::Job::State state, error_code code,
                       const std::string& words) {
  const auto* ended = job_end_of(decision);
  ASSERT_NE(ended, nullptr) << decision.ShortDebugString();
  EXPECT_EQ(ended->state(), state) << ended->ShortDebugString();
  EXPECT_EQ(ended->code(), static_cast<std::uint32_t>(code)) << ended->text();
  EXPECT_THAT(ended->text(), testing::HasSubstr(words));
}

inline void expect_done(const v1::Decision& decision, const std::string& step) {
  const auto* ended = job_end_of(decision);
  ASSERT_NE(ended, nullptr) << decision.ShortDebugString();
  EXPECT_EQ(ended->state(), v1::Job::DONE) << ended->ShortDebugString();
  EXPECT_EQ(ended->step(), step);
  EXPECT_EQ(ended->code(), 0U);
  EXPECT_EQ(ended->text(), "");
}

} // namespace orrery::support
