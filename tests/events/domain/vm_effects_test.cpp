#include "tests/events/domain/vm_story.hpp"

#include <array>

namespace orrery::support {
namespace {

using domain::desired_state;
using domain::wanted_verb;
using testing::ElementsAre;
using testing::IsEmpty;

// Failures and deadlines
// ------------------------------------------------------------------------------------------------

TEST(vm_failure, of_an_attempt_is_kept_and_tried_again) {
  auto at = world_with_vm();
  EXPECT_THAT(types_of(at.tell(report_failure(1, {.text = "no memory"}))),
              ElementsAre("vm.job_attempt_failed"));
  EXPECT_EQ(at.find_vm()->job->failure, "no memory");
  EXPECT_EQ(at.wanted().verb, wanted_verb::run);
  EXPECT_THAT(types_of(at.tell(report_failure(1, {.text = "no memory"}))), IsEmpty())
      << "the same failure again changes nothing";
  EXPECT_THAT(types_of(at.tell(report_failure(1, {.text = "no disk"}))),
              ElementsAre("vm.job_attempt_failed"));
}

TEST(vm_failure, that_is_final_ends_the_job_and_changes_neither_wish_nor_fact) {
  auto at = world_with_vm();
  at.see(1, stopped, never_ran);
  const auto told = at.tell(report_failure(
      1, {.step = "start", .code = error_code::driver_failed, .text = "no kvm", .final = true}));
  expect_end(told, v1::Job::FAILED, error_code::driver_failed, "no kvm");
  EXPECT_EQ(job_end_of(told)->step(), "start");
  EXPECT_EQ(at.find_vm()->desired, desired_state::running);
  EXPECT_EQ(at.find_vm()->observed.state, stopped);
  EXPECT_EQ(at.wanted().verb, wanted_verb::nothing);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_failure, of_an_older_generation_is_dropped) {
  auto at = world_with_running_vm();
  at.must(stop_vm());
  EXPECT_THAT(types_of(at.tell(report_failure(1, {.generation = 1, .final = true}))), IsEmpty());
  EXPECT_TRUE(at.find_vm()->job.has_value());
}

TEST(vm_failure, without_a_job_is_dropped) {
  auto at = world_with_running_vm();
  EXPECT_THAT(types_of(at.tell(report_failure(1, {.generation = 1, .final = true}))), IsEmpty());
}

TEST(vm_failure, of_a_removal_ends_its_job_and_not_the_removal) {
  auto at = world_with_doomed_vm();
  at.tell(report_failure(1, {.generation = 2, .final = true}));
  EXPECT_FALSE(at.find_vm()->job.has_value());
  EXPECT_EQ(at.wanted().verb, wanted_verb::remove);
  EXPECT_NE(at.find_network()->addresses_of.find(nic()), nullptr);
}

TEST(vm_deadline, before_its_time_or_of_another_generation_is_dropped) {
  auto at = world_with_vm();
  EXPECT_THAT(types_of(at.tell(pass_deadline(1, 1))), IsEmpty());
  at.pass(std::chrono::seconds(121));
  EXPECT_THAT(types_of(at.tell(pass_deadline(1, 0))), IsEmpty());
  EXPECT_THAT(types_of(at.tell(pass_deadline(1, 2))), IsEmpty());
  EXPECT_THAT(types_of(at.tell(pass_deadline(1, 1))), ElementsAre("vm.job_ended"));
  EXPECT_THAT(types_of(at.tell(pass_deadline(1, 1))), IsEmpty()) << "at most once";
}

TEST(vm_deadline, of_a_create_says_where_it_stopped_and_keeps_the_address) {
  auto at = world_with_vm();
  at.see(1, running);
  const auto told = at.pass_the_deadline(1);
  for (const auto* words : {"120 s", "started", "10.99.0.2", "orrery vm console web"})
    expect_end(told, v1::Job::FAILED, error_code::timed_out, words);
  EXPECT_EQ(at.wanted().verb, wanted_verb::reach) << "it may answer later";
  EXPECT_NE(at.find_network()->addresses_of.find(nic()), nullptr);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_deadline, tells_the_last_failed_attempt) {
  auto at = world_with_vm();
  at.tell(report_failure(1, {.text = "no room on the disk"}));
  expect_end(at.pass_the_deadline(1), v1::Job::FAILED, error_code::timed_out,
             "no room on the disk");
}

TEST(vm_deadline, of_a_start) {
  auto at = world_with_stopped_vm();
  at.must(start_vm());
  expect_end(at.pass_the_deadline(1), v1::Job::FAILED, error_code::timed_out, "accepted");
}

TEST(vm_deadline, of_a_shutdown_names_the_way_out) {
  auto at = world_with_running_vm();
  at.must(shutdown_vm());
  expect_end(at.pass_the_deadline(1), v1::Job::FAILED, error_code::timed_out, "orrery vm stop web");
  EXPECT_EQ(at.find_vm()->observed.state, reachable);
  EXPECT_THAT(types_of(at.tell(stop_vm())), ElementsAre("vm.stop_requested", "vm.job_started"));
}

TEST(vm_deadline, of_a_stop_on_a_lost_node_names_the_node) {
  auto at = world_with_running_vm();
  auto said = at.next_saying(1, unknown);
  said.reason = "no route to host";
  at.tell(observe(1, said));
  at.must(stop_vm());
  const auto told = at.pass_the_deadline(1);
  expect_end(told, v1::Job::FAILED, error_code::timed_out, "no route to host");
  expect_end(told, v1::Job::FAILED, error_code::timed_out, "60 s");
}

TEST(vm_deadline, has_a_timer_while_a_job_is_there_and_none_without) {
  auto at = world_with_vm();
  const auto due = domain::next_timer(*at.find_vm());
  ASSERT_TRUE(due.has_value());
  EXPECT_EQ(due->due, at.find_vm()->job->deadline);
  EXPECT_EQ(due->command.vm().pass_deadline().generation(), 1U);
  EXPECT_FALSE(domain::next_timer(*world_with_running_vm().find_vm()).has_value());
}

// Effects
// ------------------------------------------------------------------------------------------------

struct effect_row {
  v1::JobKind job;
  std::array<wanted_verb, 5> verbs; ///< absent, stopped, running, reachable, unknown
};

constexpr auto none = wanted_verb::nothing;
constexpr auto run = wanted_verb::run;
constexpr auto reach = wanted_verb::reach;
constexpr auto shut_down = wanted_verb::shut_down;
constexpr auto power_off = wanted_verb::power_off;
constexpr auto erase = wanted_verb::remove;

/// With the guest's generation as new as the job's.
constexpr std::array effect_table{
    effect_row{v1::JOB_KIND_UNSPECIFIED, {none, none, reach, none, none}}, // no job
    effect_row{v1::VM_CREATE, {run, run, reach, reach, run}},
    effect_row{v1::VM_START, {run, run, reach, reach, run}},
    effect_row{v1::VM_SHUTDOWN, {shut_down, shut_down, shut_down, shut_down, shut_down}},
    effect_row{v1::VM_STOP, {power_off, power_off, power_off, power_off, power_off}},
};
constexpr std::array observed_states{absent, stopped, running, reachable, unknown};

domain::vm_state state_of(v1::JobKind job, v1::VmObserved::State observed) {
  domain::vm_state state;
  state.generation = {7};
  state.observed.state = observed;
  state.observed.generation = 7;
  if (job == v1::JOB_KIND_UNSPECIFIED)
    return state;
  state.job.emplace();
  state.job->kind = job;
  state.job->generation = 7;
  return state;
}

TEST(vm_effects, leave_a_guest_alone_that_shall_be_off_and_runs_without_a_job) {
  auto state = state_of(v1::JOB_KIND_UNSPECIFIED, running);
  state.desired = desired_state::stopped;
  EXPECT_EQ(domain::effects(state), domain::wanted_effect{});
}

TEST(vm_effects, ask_again_a_guest_that_was_out_of_sight) {
  auto at = world_with_running_vm();
  at.see(1, unknown);
  EXPECT_EQ(at.wanted(), domain::wanted_effect{});
  at.see(1, running);
  EXPECT_EQ(at.wanted().verb, wanted_verb::reach);
  EXPECT_THAT(types_of(at.see(1, reachable)), ElementsAre("vm.reachable"));
  EXPECT_EQ(at.wanted(), domain::wanted_effect{});
}

TEST(vm_effects, follow_from_job_and_observation_whatever_is_desired) {
  for (const auto& row : effect_table)
    for (std::size_t i = 0; i < observed_states.size(); ++i)
      for (const auto desired : {desired_state::running, desired_state::stopped}) {
        if (row.job == v1::JOB_KIND_UNSPECIFIED && desired == desired_state::stopped)
          continue; // a test of its own
        auto state = state_of(row.job, observed_states[i]);
        state.desired = desired;
        const auto generation = row.verbs[i] == none ? 0U : 7U;
        EXPECT_EQ(domain::effects(state), (domain::wanted_effect{row.verbs[i], {generation}}))
            << v1::JobKind_Name(row.job) << " " << v1::VmObserved::State_Name(observed_states[i]);
      }
}

TEST(vm_effects, run_a_guest_of_an_older_generation_again) {
  for (const auto job : {v1::VM_CREATE, v1::VM_START})
    for (const auto observed : observed_states) {
      auto state = state_of(job, observed);
      state.observed.generation = 6;
      EXPECT_EQ(domain::effects(state).verb, run);
    }
}

TEST(vm_effects, remove_until_it_is_seen_gone_with_a_job_or_without) {
  for (const auto job : {v1::JOB_KIND_UNSPECIFIED, v1::VM_DELETE})
    for (const auto observed : observed_states) {
      auto state = state_of(job, observed);
      state.desired = desired_state::deleted;
      EXPECT_EQ(domain::effects(state), (domain::wanted_effect{erase, {7}}));
      state.removed = true;
      EXPECT_EQ(domain::effects(state), domain::wanted_effect{});
    }
}

TEST(vm_spreads, only_where_a_command_may_send_messages) {
  EXPECT_TRUE(domain::spreads(observe(1, {.state = absent})));
  for (const auto state : {stopped, running, reachable, unknown})
    EXPECT_FALSE(domain::spreads(observe(1, {.state = state})));
  for (const auto& command :
       {start_vm(), stop_vm(), shutdown_vm(), remove_vm(), pass_deadline(1, 1)})
    EXPECT_FALSE(domain::spreads(command));
}

TEST(vm_cause, has_words_for_each) {
  for (int cause = v1::VmObserved::NEVER_RAN; cause <= v1::VmObserved::UNKNOWN_CAUSE; ++cause)
    EXPECT_FALSE(domain::name_of(static_cast<v1::VmObserved::Cause>(cause)).empty());
  EXPECT_EQ(domain::name_of(static_cast<v1::VmObserved::Cause>(99)), "nobody knows why");
}

} // namespace
} // namespace orrery::support
