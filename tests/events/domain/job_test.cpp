#include "events/domain/job.hpp"
#include "tests/support/expect.hpp"

#include <gtest/gtest.h>

#include <set>

namespace orrery::support {
namespace {

TEST(job_kind, has_a_name_of_its_own) {
  std::set<std::string_view> names;
  const auto* kinds = v1::JobKind_descriptor();
  for (int i = 0; i < kinds->value_count(); ++i) {
    const auto kind = static_cast<v1::JobKind>(kinds->value(i)->number());
    const auto name = domain::name_of(kind);
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name == "unknown", kind == v1::JOB_KIND_UNSPECIFIED) << name;
  }
  EXPECT_EQ(domain::name_of(static_cast<v1::JobKind>(99)), "unknown");
}

TEST(job, is_its_command_and_ends_exactly_once_whatever_happens_after) {
  auto at = world_with_running_vm();
  const auto began = at.must(stop_vm());
  ASSERT_EQ(at.find_vm()->job->job, domain::from_proto(began.command().id()));
  const auto late = at.pass_the_deadline(1);
  ASSERT_NE(job_end_of(late), nullptr);
  EXPECT_EQ(domain::from_proto(job_end_of(late)->job()), domain::from_proto(began.command().id()));
  // All that may still come for it:
  EXPECT_EQ(job_end_of(at.see(1, v1::VmObserved::STOPPED, v1::VmObserved::HOST)), nullptr);
  EXPECT_EQ(job_end_of(at.tell(report_failure(1, {.generation = 2, .final = true}))), nullptr);
  EXPECT_EQ(job_end_of(at.tell(pass_deadline(1, 2))), nullptr);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(job_bytes, tell_every_field_apart) {
  domain::activity plain;
  const auto bytes_of = [](const domain::activity& job) {
    domain::state_bytes out;
    out.add(job);
    return out.bytes();
  };
  std::set<std::string> seen{bytes_of(plain)};
  const auto differs = [&](auto change) {
    auto changed = plain;
    change(changed);
    EXPECT_TRUE(seen.insert(bytes_of(changed)).second);
  };
  differs([](auto& job) { job.job = command_number(1); });
  differs([](auto& job) { job.kind = v1::VM_STOP; });
  differs([](auto& job) { job.generation = 3; });
  differs([](auto& job) { job.step = "started"; });
  differs([](auto& job) { job.started_at = start_of_time(); });
  differs([](auto& job) { job.deadline = start_of_time(); });
  differs([](auto& job) { job.failure_code = 1; });
  differs([](auto& job) { job.failure = "x"; });
}

} // namespace
} // namespace orrery::support
