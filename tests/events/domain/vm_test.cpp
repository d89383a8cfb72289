#include "tests/events/domain/vm_story.hpp"

namespace orrery::support {
namespace {

using domain::desired_state;
using domain::wanted_verb;
using testing::ElementsAre;
using testing::IsEmpty;

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
  EXPECT_NE(at.find_network()->addresses_of.find(nic()), nullptr);
  EXPECT_EQ(at.wanted().verb, wanted_verb::remove);
  expect_done(at.see(1, absent), "removed");
}

TEST(vm_remove, is_done_when_seen_gone_and_gives_everything_back_in_one_record) {
  auto at = world_with_doomed_vm();
  EXPECT_EQ(at.wanted(), (domain::wanted_effect{wanted_verb::remove, {2}}));
  EXPECT_THAT(types_of(at.see(1, stopped, by_host)), ElementsAre("vm.stopped"));
  EXPECT_NE(at.find_network()->addresses_of.find(nic()), nullptr);
  const auto told = at.see(1, absent);
  EXPECT_THAT(types_of(told), ElementsAre("vm.removed", "vm.job_ended", "network.address_released",
                                          "cluster.vm_released"));
  expect_done(told, "removed");
  EXPECT_EQ(at.find_vm(), nullptr);
  EXPECT_TRUE(at.find_network()->addresses_of.empty());
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
  EXPECT_NE(at.find_network()->addresses_of.find(nic()), nullptr);
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

} // namespace
} // namespace orrery::support
