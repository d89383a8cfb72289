#include "tests/projections/histories.hpp"
#include "tests/support/random_history.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace orrery::projections {
namespace {

std::vector<std::string> steps_of(const v1::Job& job) {
  std::vector<std::string> names;
  for (const auto& step : job.steps())
    names.push_back(step.name());
  return names;
}

using names = std::vector<std::string>;

/// The newest job.
v1::Job last_job(const support::world& world) {
  const filled_store filled(world);
  const auto found = filled.rows->list_jobs({}, {});
  EXPECT_TRUE(found);
  EXPECT_FALSE(found->items.empty());
  return found->items.front();
}

TEST(jobs, an_unknown_job_is_not_found) {
  const filled_store filled(support::world_with_vm());
  const auto found = filled.rows->find_job(to_text(job_id{support::command_number(999)}));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, error_code::not_found);
}

TEST(jobs, an_id_that_is_none_is_an_invalid_argument) {
  const filled_store filled(support::world_with_vm());
  for (const auto* id : {"", "web", "job_", "vm_01993f0e-7c1a-7000-8000-000000000001"})
    EXPECT_EQ(filled.rows->find_job(id).error().code, error_code::invalid_argument) << id;
}

TEST(jobs, a_create_passes_its_steps_in_order_of_time) {
  auto world = support::world_with_vm();
  world.pass(std::chrono::seconds(1));
  world.see(1, v1::VmObserved::STOPPED, v1::VmObserved::NEVER_RAN);
  world.pass(std::chrono::seconds(1));
  world.see(1, v1::VmObserved::RUNNING);
  EXPECT_EQ(steps_of(last_job(world)), (names{"accepted", "defined", "started"}));
  world.pass(std::chrono::seconds(1));
  world.see(1, v1::VmObserved::REACHABLE);
  const auto job = last_job(world);
  EXPECT_EQ(steps_of(job), (names{"accepted", "defined", "started", "reachable"}));
  EXPECT_EQ(job.kind(), "vm.create");
  EXPECT_EQ(job.state(), v1::Job::DONE);
  EXPECT_EQ(job.resource(), to_text(vm_id{support::vm()}));
  EXPECT_EQ(job.resource_name(), "web");
  EXPECT_FALSE(job.has_error());
  for (int i = 1; i < job.steps_size(); ++i)
    EXPECT_LT(from_proto(job.steps(i - 1).at()), from_proto(job.steps(i).at()));
  EXPECT_EQ(from_proto(job.ended_at()), from_proto(job.steps(3).at()));
  // The patience counts from the record's time, of which the VM's step is a few microseconds off.
  const auto patience = from_proto(job.deadline()) - from_proto(job.started_at());
  EXPECT_LE(patience, std::chrono::seconds(120));
  EXPECT_GT(patience, std::chrono::milliseconds(119'999));
}

TEST(jobs, a_failed_attempt_is_shown_until_the_job_ends) {
  auto world = support::world_with_vm();
  world.must(support::report_failure(1, {.text = "no disk"}));
  auto job = last_job(world);
  EXPECT_EQ(job.state(), v1::Job::RUNNING);
  EXPECT_EQ(job.last_attempt().code(), "driver_failed");
  EXPECT_EQ(job.last_attempt().text(), "no disk");
  world.pass_the_deadline(1);
  job = last_job(world);
  EXPECT_EQ(job.state(), v1::Job::FAILED);
  EXPECT_FALSE(job.has_last_attempt());
  EXPECT_EQ(job.error().code(), "timed_out");
  EXPECT_TRUE(job.has_ended_at());
  EXPECT_EQ(steps_of(job), (names{"accepted"}));
}

TEST(jobs, one_that_a_newer_wish_replaced_is_cancelled) {
  auto world = support::world_with_vm();
  world.must(support::remove_vm());
  const filled_store filled(world);
  const auto found = filled.rows->list_jobs({}, {});
  ASSERT_EQ(found->items.size(), 3U); // and the network's
  EXPECT_EQ(found->items[0].kind(), "vm.delete");
  EXPECT_EQ(found->items[0].state(), v1::Job::RUNNING);
  EXPECT_EQ(found->items[1].kind(), "vm.create");
  EXPECT_EQ(found->items[1].state(), v1::Job::CANCELLED);
  EXPECT_EQ(found->items[1].error().code(), "superseded");
}

TEST(jobs, a_delete_ends_with_removed_and_keeps_the_name_of_its_vm) {
  auto world = support::world_with_running_vm();
  world.must(support::remove_vm());
  world.see(1, v1::VmObserved::STOPPED, v1::VmObserved::HOST);
  world.see(1, v1::VmObserved::ABSENT);
  const auto job = last_job(world);
  EXPECT_EQ(steps_of(job), (names{"accepted", "stopped", "removed"}));
  EXPECT_EQ(job.state(), v1::Job::DONE);
  EXPECT_EQ(job.resource_name(), "web");
}

TEST(jobs, a_shutdown_ends_with_stopped) {
  auto world = support::world_with_running_vm();
  world.must(support::shutdown_vm());
  world.see(1, v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  EXPECT_EQ(steps_of(last_job(world)), (names{"accepted", "stopped"}));
}

TEST(jobs, a_guest_of_an_older_wish_is_no_step_of_a_start) {
  auto world = support::world_with_stopped_vm();
  world.must(support::start_vm());
  auto said = world.next_saying(1, v1::VmObserved::RUNNING);
  said.generation = 1; // of the create
  world.tell(support::observe(1, said));
  EXPECT_EQ(steps_of(last_job(world)), (names{"accepted"}));
  world.see(1, v1::VmObserved::RUNNING);
  EXPECT_EQ(steps_of(last_job(world)), (names{"accepted", "started"}));
}

TEST(jobs, are_found_by_id_resource_and_state) {
  auto world = support::world_with_running_vm();
  world.must(support::place_vm({.number = 2, .name = "db"}));
  const filled_store filled(world);
  const auto all = filled.rows->list_jobs({}, {});
  ASSERT_EQ(all->items.size(), 3U);               // and the network's
  EXPECT_EQ(all->items[0].resource_name(), "db"); // newest first
  for (const auto& one : all->items)
    EXPECT_EQ(filled.rows->find_job(one.id())->value.resource(), one.resource());
  EXPECT_EQ(filled.rows->list_jobs({.resource = "web"}, {})->items.at(0).resource_name(), "web");
  EXPECT_EQ(filled.rows->list_jobs({.resource = to_text(vm_id{support::vm(2)})}, {})
                ->items.at(0)
                .resource_name(),
            "db");
  EXPECT_EQ(filled.rows->list_jobs({.state = v1::Job::RUNNING}, {})->items.size(), 1U);
  EXPECT_EQ(filled.rows->list_jobs({.state = v1::Job::DONE}, {})->items.size(), 2U);
  EXPECT_TRUE(
      filled.rows->list_jobs({.resource = "web", .state = v1::Job::RUNNING}, {})->items.empty());
  EXPECT_EQ(filled.rows->list_jobs({.resource = "nobody"}, {}).error().code, error_code::not_found);
}

TEST(jobs, of_a_network_run_until_it_has_its_answer) {
  support::world world;
  world.must(support::create_far_cluster());
  world.must(support::add_network());
  auto job = last_job(world);
  EXPECT_EQ(job.kind(), "network.create");
  EXPECT_EQ(job.state(), v1::Job::RUNNING);
  EXPECT_EQ(job.resource(), to_text(network_id{support::network()}));
  EXPECT_EQ(job.resource_name(), "lan");
  EXPECT_EQ(job.who(), "operator");
  EXPECT_EQ(steps_of(job), (names{"accepted"}));
  world.must(support::settle_claim());
  job = last_job(world);
  EXPECT_EQ(job.state(), v1::Job::DONE);
  EXPECT_EQ(steps_of(job), (names{"accepted", "granted"}));
  world.must(support::remove_network());
  EXPECT_EQ(last_job(world).state(), v1::Job::RUNNING);
  world.must(support::settle_release());
  job = last_job(world);
  EXPECT_EQ(job.kind(), "network.delete");
  EXPECT_EQ(job.state(), v1::Job::DONE);
  EXPECT_EQ(job.resource_name(), "lan");
  EXPECT_EQ(steps_of(job), (names{"accepted", "removed"}));
}

TEST(jobs, of_a_network_that_is_refused_in_the_record_that_made_it_tell_its_name_and_why) {
  auto world = support::ready_world();
  world.must(support::add_cluster({.number = 2, .name = "c2"}));
  world.must(support::add_network({.number = 2, .name = "dmz", .cluster = 2}));
  const auto job = last_job(world);
  EXPECT_EQ(job.kind(), "network.create");
  EXPECT_EQ(job.state(), v1::Job::FAILED);
  EXPECT_EQ(job.resource(), to_text(network_id{support::network(2)}));
  EXPECT_EQ(job.resource_name(), "dmz");
  EXPECT_EQ(job.error().code(), "conflict");
  EXPECT_NE(job.error().text().find("overlaps 10.99.0.0/24 of network 'lan'"), std::string::npos);
  EXPECT_TRUE(job.has_ended_at());
}

/// Against the states: a running job is exactly what a resource says of itself.
TEST(jobs, that_run_are_the_activities_of_a_random_world) {
  const auto seed = seed_of_this_run();
  const auto world = support::random_world(seed, 1500);
  const filled_store filled(world);
  std::size_t running = 0;
  world.state().for_each([&](const uuid&, const domain::entity_ptr& state) {
    const auto* job = domain::job_of(*state);
    if (job == nullptr)
      return;
    ++running;
    const auto found = filled.rows->find_job(to_text(job_id{job->job}));
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_EQ(found->value.state(), v1::Job::RUNNING) << "seed " << seed;
    EXPECT_EQ(found->value.kind(), domain::name_of(job->kind));
    EXPECT_EQ(from_proto(found->value.started_at()), job->started_at);
    const auto steps = steps_of(found->value);
    EXPECT_TRUE(std::ranges::count(steps, job->step) == 1) << job->step << ", seed " << seed;
  });
  EXPECT_EQ(filled.rows->list_jobs({.state = v1::Job::RUNNING}, {page_size_max, ""})->items.size(),
            running);
}

} // namespace
} // namespace orrery::projections
