#include "tests/events/domain/vm_story.hpp"

namespace orrery::support {
namespace {

using domain::desired_state;
using domain::wanted_verb;
using testing::ElementsAre;
using testing::IsEmpty;

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
  EXPECT_NE(at.find_network()->addresses_of.find(nic()), nullptr);
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
  EXPECT_NE(at.find_network()->addresses_of.find(nic()), nullptr) << "it is not seen gone";
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

} // namespace
} // namespace orrery::support
