#include "events/domain/vm.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace orrery::support {
namespace {

using domain::desired_state;
using domain::wanted_verb;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto absent = v1::VmObserved::ABSENT;
constexpr auto stopped = v1::VmObserved::STOPPED;
constexpr auto running = v1::VmObserved::RUNNING;
constexpr auto reachable = v1::VmObserved::REACHABLE;
constexpr auto unknown = v1::VmObserved::UNKNOWN;
constexpr auto never_ran = v1::VmObserved::NEVER_RAN;
constexpr auto by_guest = v1::VmObserved::GUEST;
constexpr auto by_host = v1::VmObserved::HOST;
constexpr auto crashed = v1::VmObserved::CRASHED;

/// "web" runs, and a user just asked for it to be removed.
world world_with_doomed_vm() {
  auto at = world_with_running_vm();
  at.must(remove_vm());
  return at;
}

void expect_end(const v1::Decision& decision, v1::Job::State state, error_code code,
                const std::string& words) {
  const auto* ended = job_end_of(decision);
  ASSERT_NE(ended, nullptr) << decision.ShortDebugString();
  EXPECT_EQ(ended->state(), state) << ended->ShortDebugString();
  EXPECT_EQ(ended->code(), static_cast<std::uint32_t>(code)) << ended->text();
  EXPECT_THAT(ended->text(), HasSubstr(words));
}

void expect_done(const v1::Decision& decision, const std::string& step) {
  const auto* ended = job_end_of(decision);
  ASSERT_NE(ended, nullptr) << decision.ShortDebugString();
  EXPECT_EQ(ended->state(), v1::Job::DONE) << ended->ShortDebugString();
  EXPECT_EQ(ended->step(), step);
  EXPECT_EQ(ended->code(), 0U);
  EXPECT_EQ(ended->text(), "");
}

// What is refused
// ------------------------------------------------------------------------------------------------

TEST(vm_refuses, any_command_for_a_vm_that_does_not_exist) {
  auto at = ready_world();
  for (const auto& command : {start_vm(), shutdown_vm(), stop_vm(), remove_vm()})
    EXPECT_TRUE(is_refused(at.tell(command), error_code::not_found, {"no such VM"}));
  EXPECT_TRUE(is_refused(at.tell(observe(1, {})), error_code::not_found, {"no such VM"}));
}

TEST(vm_refuses, an_empty_command) {
  auto at = world_with_vm();
  v1::Command empty;
  domain::set(empty.mutable_entity(), vm());
  empty.mutable_vm();
  EXPECT_TRUE(is_refused(at.tell(empty), error_code::invalid_argument, {"VM"}));
}

TEST(vm_refuses, an_observation_without_a_state) {
  auto at = world_with_vm();
  EXPECT_TRUE(is_refused(at.see(1, v1::VmObserved::STATE_UNSPECIFIED), error_code::invalid_argument,
                         {"without a state"}));
}

TEST(vm_refuses, an_observation_of_another_node_than_its_own) {
  auto at = world_with_doomed_vm();
  at.must(add_node({.number = 2, .name = "n2"}));
  at.must(hello({.node = 2}));
  auto said = at.next_saying(1, absent);
  said.node = 2;
  EXPECT_TRUE(is_refused(at.tell(observe(1, said)), error_code::conflict, {"web", "node"}));
  EXPECT_NE(at.find_vm(), nullptr);
}

TEST(vm_refuses, to_start_while_busy) {
  auto at = world_with_vm();
  const auto told = at.tell(start_vm());
  EXPECT_TRUE(is_refused(told, error_code::busy, {"web", "job_", "vm.create", "wait for it"}));
  EXPECT_TRUE(told.reply().retryable());
}

TEST(vm_refuses, to_start_what_runs) {
  auto at = world_with_running_vm();
  EXPECT_TRUE(is_refused(at.tell(start_vm()), error_code::conflict, {"web", "running already"}));
}

TEST(vm_refuses, to_shut_down_while_busy) {
  auto at = world_with_vm();
  EXPECT_TRUE(is_refused(at.tell(shutdown_vm()), error_code::busy, {"web", "stop the VM"}));
}

TEST(vm_refuses, to_shut_down_or_stop_what_is_off) {
  auto at = world_with_stopped_vm();
  EXPECT_TRUE(is_refused(at.tell(shutdown_vm()), error_code::conflict, {"web", "stopped already"}));
  EXPECT_TRUE(is_refused(at.tell(stop_vm()), error_code::conflict, {"web", "stopped already"}));
}

TEST(vm_refuses, to_shut_down_gracefully_where_the_kind_cannot) {
  world at;
  at.must(found());
  at.must(add_cluster({.name = "boxes", .kind = v1::CONTAINER}));
  at.must(add_node());
  at.must(hello());
  at.must(add_network());
  auto policies = default_policies();
  policies[v1::CONTAINER].direct_kernel_boot = true;
  at.must(place_vm());
  at.see(1, running);
  at.see(1, reachable);
  EXPECT_TRUE(
      is_refused(at.tell(shutdown_vm()), error_code::unsupported, {"container", "use stop"}));
}

TEST(vm_refuses, a_second_stop) {
  auto at = world_with_running_vm();
  at.must(stop_vm());
  const auto told = at.tell(stop_vm());
  EXPECT_TRUE(is_refused(told, error_code::busy, {"web", "vm.stop", "wait for it"}));
  EXPECT_EQ(told.reply().text().find("stop the VM"), std::string::npos) << "no way out of a stop";
}

TEST(vm_refuses, everything_but_removal_once_it_is_being_deleted) {
  auto at = world_with_doomed_vm();
  EXPECT_TRUE(is_refused(at.tell(start_vm()), error_code::conflict, {"web", "being deleted"}));
  EXPECT_TRUE(is_refused(at.tell(shutdown_vm()), error_code::conflict, {"web", "being deleted"}));
  EXPECT_TRUE(is_refused(at.tell(stop_vm()), error_code::conflict, {"web", "being deleted"}));
}

TEST(vm_refuses, a_second_removal_while_the_first_is_under_way) {
  auto at = world_with_doomed_vm();
  EXPECT_TRUE(is_refused(at.tell(remove_vm()), error_code::busy, {"web", "vm.delete"}));
}

TEST(vm_refuses, an_id_that_is_taken) {
  auto at = world_with_vm();
  EXPECT_TRUE(is_refused(at.tell(place_vm({.name = "other"})), error_code::already_exists,
                         {"VM with that id"}));
  EXPECT_TRUE(keeps_invariants(at));
}

// Wishes and their jobs
// ------------------------------------------------------------------------------------------------

TEST(vm_create, begins_a_job_with_the_deadline_of_its_kind) {
  auto at = ready_world();
  const auto told = at.must(place_vm());
  EXPECT_TRUE(told.reply().has_job());
  EXPECT_EQ(domain::from_proto(told.reply().entity()), vm());
  const auto* made = at.find_vm();
  ASSERT_NE(made, nullptr);
  ASSERT_TRUE(made->job.has_value());
  EXPECT_EQ(made->job->job, domain::from_proto(told.command().id()));
  EXPECT_EQ(made->job->kind, v1::VM_CREATE);
  EXPECT_EQ(made->job->step, "accepted");
  EXPECT_EQ(made->job->deadline, at.now() + std::chrono::seconds(120));
  EXPECT_EQ(made->desired, desired_state::running);
  EXPECT_EQ(made->generation.count, 1U);
  EXPECT_EQ(at.wanted().verb, wanted_verb::run);
}

TEST(vm_create, is_done_when_the_guest_answers_and_not_before) {
  auto at = world_with_vm();
  EXPECT_THAT(types_of(at.see(1, stopped, never_ran)), ElementsAre("vm.defined"));
  EXPECT_EQ(at.find_vm()->job->step, "defined");
  EXPECT_EQ(at.wanted().verb, wanted_verb::run);
  EXPECT_THAT(types_of(at.see(1, running)), ElementsAre("vm.started"));
  EXPECT_EQ(at.find_vm()->job->step, "started");
  EXPECT_EQ(at.wanted().verb, wanted_verb::reach);
  const auto told = at.see(1, reachable);
  EXPECT_THAT(types_of(told), ElementsAre("vm.reachable", "vm.job_ended"));
  expect_done(told, "reachable");
  EXPECT_EQ(at.wanted().verb, wanted_verb::nothing);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_start, begins_a_wish_with_the_next_generation) {
  auto at = world_with_stopped_vm();
  const auto told = at.tell(start_vm());
  EXPECT_THAT(types_of(told), ElementsAre("vm.start_requested", "vm.job_started"));
  EXPECT_EQ(at.find_vm()->generation.count, 2U);
  EXPECT_EQ(at.find_vm()->desired, desired_state::running);
  EXPECT_EQ(at.wanted(), (domain::wanted_effect{wanted_verb::run, {2}}));
}

TEST(vm_start, is_not_done_by_the_word_on_an_older_generation) {
  auto at = world_with_stopped_vm();
  at.must(start_vm());
  auto said = at.next_saying(1, reachable);
  said.generation = 1;
  EXPECT_THAT(types_of(at.tell(observe(1, said))), ElementsAre("vm.reachable"));
  EXPECT_EQ(at.wanted().verb, wanted_verb::run);
  const auto told = at.see(1, reachable);
  expect_done(told, "reachable");
}

TEST(vm_start, of_a_guest_that_somebody_else_started_takes_it_over) {
  auto at = world_with_stopped_vm();
  at.must(start_vm());
  auto said = at.next_saying(1, running);
  said.generation = 1;
  EXPECT_THAT(types_of(at.tell(observe(1, said))), ElementsAre("vm.started"));
  EXPECT_EQ(at.wanted().verb, wanted_verb::run) << "it does not carry this wish yet";
  EXPECT_THAT(types_of(at.see(1, running)), ElementsAre("vm.started"))
      << "running all the time, but now by this wish";
  EXPECT_EQ(at.find_vm()->job->step, "started");
  EXPECT_EQ(at.wanted().verb, wanted_verb::reach);
}

TEST(vm_start, is_allowed_when_nobody_can_tell_whether_it_runs) {
  auto at = world_with_running_vm();
  at.see(1, unknown);
  EXPECT_THAT(types_of(at.tell(start_vm())), ElementsAre("vm.start_requested", "vm.job_started"));
}

TEST(vm_shutdown, asks_and_is_done_when_seen_off) {
  auto at = world_with_running_vm();
  EXPECT_THAT(types_of(at.tell(shutdown_vm())),
              ElementsAre("vm.shutdown_requested", "vm.job_started"));
  EXPECT_EQ(at.wanted(), (domain::wanted_effect{wanted_verb::shut_down, {2}}));
  const auto told = at.see(1, stopped, by_guest);
  EXPECT_THAT(types_of(told), ElementsAre("vm.stopped", "vm.job_ended"));
  expect_done(told, "stopped");
  EXPECT_EQ(at.find_vm()->desired, desired_state::stopped);
  EXPECT_EQ(at.wanted().verb, wanted_verb::nothing);
}

TEST(vm_stop, pulls_the_plug_and_is_done_when_seen_off) {
  auto at = world_with_running_vm();
  EXPECT_THAT(types_of(at.tell(stop_vm())), ElementsAre("vm.stop_requested", "vm.job_started"));
  EXPECT_EQ(at.wanted(), (domain::wanted_effect{wanted_verb::power_off, {2}}));
  EXPECT_EQ(at.find_vm()->job->deadline, at.now() + std::chrono::seconds(60));
  expect_done(at.see(1, stopped, by_host), "stopped");
}

TEST(vm_stop, is_done_when_the_guest_is_seen_gone) {
  auto at = world_with_running_vm();
  at.must(stop_vm());
  const auto told = at.see(1, absent);
  EXPECT_THAT(types_of(told), ElementsAre("vm.absent", "vm.job_ended"));
  expect_done(told, "stopped");
}

TEST(vm_stop, is_allowed_when_nobody_can_tell_whether_it_runs) {
  auto at = world_with_running_vm();
  at.see(1, unknown);
  EXPECT_THAT(types_of(at.tell(stop_vm())), ElementsAre("vm.stop_requested", "vm.job_started"));
}

TEST(vm_stop, takes_the_place_of_a_shutdown) {
  auto at = world_with_running_vm();
  at.must(shutdown_vm());
  const auto told = at.tell(stop_vm());
  EXPECT_THAT(types_of(told), ElementsAre("vm.job_ended", "vm.stop_requested", "vm.job_started"));
  expect_end(told, v1::Job::CANCELLED, error_code::superseded, "vm.stop");
  EXPECT_EQ(at.find_vm()->generation.count, 3U);
}

TEST(vm_stop, of_a_create_that_only_defined_the_guest_is_done_when_it_is_seen_off_again) {
  auto at = world_with_vm();
  at.see(1, stopped, never_ran);
  at.must(stop_vm());
  EXPECT_EQ(at.wanted().verb, wanted_verb::power_off);
  const auto told = at.see(1, stopped, never_ran);
  EXPECT_THAT(types_of(told), ElementsAre("vm.job_ended"));
  expect_done(told, "stopped");
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_stop, of_a_create_that_did_not_define_the_guest_is_done_when_it_is_seen_absent) {
  auto at = world_with_vm();
  at.must(stop_vm());
  const auto told = at.see(1, absent);
  EXPECT_THAT(types_of(told), ElementsAre("vm.job_ended"));
  expect_done(told, "stopped");
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_stop, is_not_done_by_a_look_from_before_it) {
  auto at = world_with_vm();
  at.must(stop_vm());
  auto said = at.next_saying(1, stopped, never_ran);
  said.wish = 1;
  EXPECT_THAT(types_of(at.tell(observe(1, said))), ElementsAre("vm.defined"))
      << "the create is still under way on the node: it may start the guest";
  EXPECT_EQ(at.wanted().verb, wanted_verb::power_off);
  said = at.next_saying(1, absent);
  said.wish = 1;
  EXPECT_THAT(types_of(at.tell(observe(1, said))), ElementsAre("vm.absent"));
  expect_done(at.see(1, absent), "stopped");
}

TEST(vm_remove, is_not_done_by_a_look_from_before_it) {
  auto at = world_with_vm();
  at.must(remove_vm());
  auto said = at.next_saying(1, absent);
  said.wish = 1;
  EXPECT_THAT(types_of(at.tell(observe(1, said))), IsEmpty())
      << "the create is still under way on the node: it may make the guest";
  EXPECT_NE(at.find_network()->address_of_nic.find(nic()), nullptr);
  EXPECT_EQ(at.wanted().verb, wanted_verb::remove);
  expect_done(at.see(1, absent), "removed");
}

TEST(vm_remove, is_done_when_seen_gone_and_gives_everything_back_in_one_record) {
  auto at = world_with_doomed_vm();
  EXPECT_EQ(at.wanted(), (domain::wanted_effect{wanted_verb::remove, {2}}));
  EXPECT_THAT(types_of(at.see(1, stopped, by_host)), ElementsAre("vm.stopped"));
  EXPECT_NE(at.find_network()->address_of_nic.find(nic()), nullptr);
  const auto told = at.see(1, absent);
  EXPECT_THAT(types_of(told), ElementsAre("vm.removed", "vm.job_ended", "network.address_released",
                                          "cluster.vm_released"));
  expect_done(told, "removed");
  EXPECT_EQ(at.find_vm(), nullptr);
  EXPECT_TRUE(at.find_network()->address_of_nic.empty());
  EXPECT_TRUE(at.find_cluster()->placements.empty());
  EXPECT_TRUE(at.find_cluster()->vm_names.empty());
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_remove, takes_the_place_of_any_job) {
  for (const auto& first : {start_vm(), shutdown_vm(), stop_vm()}) {
    auto at = first.vm().has_start() ? world_with_stopped_vm() : world_with_running_vm();
    at.must(first);
    const auto told = at.tell(remove_vm());
    EXPECT_THAT(types_of(told),
                ElementsAre("vm.job_ended", "vm.removal_requested", "vm.job_started"));
    expect_end(told, v1::Job::CANCELLED, error_code::superseded, "vm.delete");
  }
}

TEST(vm_remove, works_in_every_observed_state) {
  for (const auto state : {absent, stopped, running, reachable, unknown}) {
    auto at = world_with_running_vm();
    at.see(1, state, by_host);
    at.must(remove_vm());
    EXPECT_EQ(at.wanted().verb, wanted_verb::remove);
    at.see(1, absent);
    EXPECT_EQ(at.find_vm(), nullptr);
    EXPECT_TRUE(keeps_invariants(at));
  }
}

TEST(vm_remove, goes_on_after_its_job_failed_and_only_the_fact_releases) {
  auto at = world_with_doomed_vm();
  const auto late = at.pass_the_deadline(1);
  expect_end(late, v1::Job::FAILED, error_code::timed_out, "120 s");
  ASSERT_NE(at.find_vm(), nullptr);
  EXPECT_EQ(at.wanted(), (domain::wanted_effect{wanted_verb::remove, {2}}));
  EXPECT_NE(at.find_network()->address_of_nic.find(nic()), nullptr);
  EXPECT_TRUE(at.find_cluster()->placements.contains(vm()));
  const auto told = at.see(1, absent);
  EXPECT_THAT(types_of(told),
              ElementsAre("vm.removed", "network.address_released", "cluster.vm_released"));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_remove, may_be_asked_again_after_its_job_failed) {
  auto at = world_with_doomed_vm();
  at.pass_the_deadline(1);
  EXPECT_THAT(types_of(at.tell(remove_vm())),
              ElementsAre("vm.removal_requested", "vm.job_started"));
  expect_done(at.see(1, absent), "removed");
}

TEST(vm_remove, takes_unknown_for_no_fact) {
  auto at = world_with_doomed_vm();
  at.see(1, unknown);
  EXPECT_NE(at.find_vm(), nullptr);
  EXPECT_EQ(at.wanted().verb, wanted_verb::remove);
}

// Observations
// ------------------------------------------------------------------------------------------------

TEST(vm_observe, records_nothing_that_changes_nothing) {
  auto at = world_with_running_vm();
  const auto records = at.commits().size();
  EXPECT_THAT(types_of(at.see(1, reachable)), IsEmpty());
  EXPECT_THAT(types_of(at.see(1, running)), IsEmpty()) << "it answered before: that stays";
  at.see(1, stopped, by_host);
  EXPECT_THAT(types_of(at.see(1, stopped, v1::VmObserved::UNKNOWN_CAUSE)), IsEmpty());
  EXPECT_EQ(at.find_vm()->observed.cause, by_host) << "a cause forgotten by a restart stays known";
  at.see(1, absent);
  EXPECT_THAT(types_of(at.see(1, absent)), IsEmpty());
  at.see(1, unknown);
  EXPECT_THAT(types_of(at.see(1, unknown)), IsEmpty());
  EXPECT_EQ(at.commits().size(), records + 3);
}

TEST(vm_observe, never_lets_an_older_number_override) {
  auto at = world_with_vm();
  at.tell(observe(1, {.state = running, .number = 5}));
  EXPECT_THAT(types_of(at.tell(observe(1, {.state = stopped, .cause = by_host, .number = 4}))),
              IsEmpty());
  EXPECT_THAT(types_of(at.tell(observe(1, {.state = stopped, .cause = by_host, .number = 5}))),
              IsEmpty());
  EXPECT_EQ(at.find_vm()->observed.state, running);
}

TEST(vm_observe, never_lets_an_older_epoch_override) {
  auto at = world_with_vm();
  at.must(hello({.nonce = 2}));
  at.tell(observe(1, {.state = running, .epoch = 2, .number = 1}));
  EXPECT_THAT(
      types_of(at.tell(observe(1, {.state = stopped, .cause = by_host, .epoch = 1, .number = 9}))),
      IsEmpty());
  EXPECT_EQ(at.find_vm()->observed.state, running);
}

TEST(vm_observe, drops_an_older_epoch_even_when_the_newer_one_only_confirmed) {
  auto at = world_with_running_vm();
  at.must(hello({.nonce = 2}));
  EXPECT_THAT(types_of(at.tell(observe(1, {.state = reachable, .epoch = 2, .number = 1}))),
              IsEmpty());
  EXPECT_THAT(
      types_of(at.tell(observe(1, {.state = stopped, .cause = by_host, .epoch = 1, .number = 99}))),
      IsEmpty());
  EXPECT_EQ(at.find_vm()->observed.state, reachable);
}

TEST(vm_observe, takes_a_lower_number_of_a_newer_epoch) {
  auto at = world_with_vm();
  at.tell(observe(1, {.state = running, .number = 100}));
  at.must(hello({.nonce = 2}));
  EXPECT_THAT(
      types_of(at.tell(observe(1, {.state = stopped, .cause = crashed, .epoch = 2, .number = 1}))),
      ElementsAre("vm.stopped", "vm.job_ended"));
}

TEST(vm_observe, a_guest_that_stops_by_itself_is_stopped_with_its_cause_and_left_alone) {
  for (const auto cause : {by_guest, by_host, crashed, v1::VmObserved::UNKNOWN_CAUSE}) {
    auto at = world_with_running_vm();
    EXPECT_THAT(types_of(at.see(1, stopped, cause)), ElementsAre("vm.stopped"));
    EXPECT_EQ(at.find_vm()->observed.state, stopped);
    EXPECT_EQ(at.find_vm()->observed.cause, cause);
    EXPECT_EQ(at.find_vm()->desired, desired_state::running) << "nobody wished otherwise";
    EXPECT_EQ(at.wanted().verb, wanted_verb::nothing);
    EXPECT_TRUE(keeps_invariants(at));
  }
}

TEST(vm_observe, a_guest_undefined_behind_our_back_is_absent_and_keeps_what_it_holds) {
  auto at = world_with_running_vm();
  EXPECT_THAT(types_of(at.see(1, absent)), ElementsAre("vm.absent"));
  EXPECT_EQ(at.wanted().verb, wanted_verb::nothing);
  EXPECT_NE(at.find_network()->address_of_nic.find(nic()), nullptr);
  EXPECT_TRUE(at.find_cluster()->placements.contains(vm()));
  EXPECT_THAT(types_of(at.tell(start_vm())), ElementsAre("vm.start_requested", "vm.job_started"));
  EXPECT_EQ(at.wanted().verb, wanted_verb::run) << "a start makes it anew";
}

TEST(vm_observe, a_lost_node_makes_it_unknown_and_never_stopped) {
  auto at = world_with_running_vm();
  at.tell(lose(1, 1));
  auto said = at.next_saying(1, unknown);
  said.reason = "connection reset";
  EXPECT_THAT(types_of(at.tell(observe(1, said))), ElementsAre("vm.unseen"));
  EXPECT_EQ(at.find_vm()->observed.state, unknown);
  EXPECT_EQ(at.find_vm()->observed.reason, "connection reset");
  EXPECT_EQ(at.wanted().verb, wanted_verb::nothing);
  EXPECT_TRUE(at.find_cluster()->placements.contains(vm()));
  EXPECT_THAT(types_of(at.see(1, running)), ElementsAre("vm.started"));
  EXPECT_EQ(at.find_vm()->observed.reason, "");
}

TEST(vm_observe, cleans_the_words_of_a_hypervisor) {
  auto at = world_with_running_vm();
  auto said = at.next_saying(1, unknown);
  said.reason = "bad\x01 \xff bytes" + std::string(2000, 'x');
  at.tell(observe(1, said));
  EXPECT_THAT(at.find_vm()->observed.reason, testing::StartsWith("bad? ? bytes"));
  EXPECT_LE(at.find_vm()->observed.reason.size(), 600U);
}

TEST(vm_observe, a_host_with_a_wrong_clock_moves_no_history) {
  auto at = world_with_running_vm();
  const auto before = at.find_vm()->observed.at;
  at.pass(std::chrono::minutes(1));
  auto said = at.next_saying(1, stopped, by_host);
  said.at = at.now() + std::chrono::hours(24 * 365);
  at.tell(observe(1, said));
  EXPECT_EQ(at.find_vm()->observed.at, at.now()) << "not after the decision";
  const auto second = at.find_vm()->observed.at;
  at.pass(std::chrono::minutes(1));
  said = at.next_saying(1, running);
  said.at = before - std::chrono::hours(24 * 365);
  at.tell(observe(1, said));
  EXPECT_EQ(at.find_vm()->observed.at, second) << "not before the fact before it";
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_observe, a_crash_while_it_starts_fails_the_job_at_once) {
  auto at = world_with_vm();
  at.see(1, stopped, never_ran);
  at.see(1, running);
  const auto told = at.see(1, stopped, crashed);
  EXPECT_THAT(types_of(told), ElementsAre("vm.stopped", "vm.job_ended"));
  expect_end(told, v1::Job::FAILED, error_code::guest_stopped, "it crashed");
  expect_end(told, v1::Job::FAILED, error_code::guest_stopped, "console");
  EXPECT_EQ(at.wanted().verb, wanted_verb::nothing) << "starting again is a user's command";
  EXPECT_NE(at.find_network()->address_of_nic.find(nic()), nullptr) << "it is not seen gone";
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(vm_observe, an_undefine_while_it_starts_fails_the_job_at_once) {
  auto at = world_with_vm();
  at.see(1, running);
  const auto told = at.see(1, absent);
  EXPECT_THAT(types_of(told), ElementsAre("vm.absent", "vm.job_ended"));
  expect_end(told, v1::Job::FAILED, error_code::guest_stopped, "removed from the hypervisor");
}

TEST(vm_observe, a_guest_that_is_off_before_its_start_was_seen_is_started_again) {
  auto at = world_with_stopped_vm();
  at.must(start_vm());
  EXPECT_THAT(types_of(at.see(1, stopped, by_guest)), IsEmpty());
  EXPECT_EQ(at.wanted().verb, wanted_verb::run);
}

TEST(vm_observe, unknown_during_a_job_ends_nothing) {
  auto at = world_with_vm();
  at.see(1, running);
  EXPECT_THAT(types_of(at.see(1, unknown)), ElementsAre("vm.unseen"));
  EXPECT_TRUE(at.find_vm()->job.has_value());
  EXPECT_THAT(types_of(at.see(1, reachable)), ElementsAre("vm.reachable", "vm.job_ended"));
}

TEST(vm_observe, a_late_running_after_a_stop_is_shown_as_it_is) {
  auto at = world_with_running_vm();
  at.must(stop_vm());
  at.see(1, stopped, by_host);
  EXPECT_THAT(types_of(at.see(1, running)), ElementsAre("vm.started"));
  EXPECT_EQ(at.find_vm()->observed.state, running);
  EXPECT_EQ(at.find_vm()->desired, desired_state::stopped);
}

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
  EXPECT_NE(at.find_network()->address_of_nic.find(nic()), nullptr);
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
  EXPECT_NE(at.find_network()->address_of_nic.find(nic()), nullptr);
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
