#include "projections/jobs.hpp"
#include "projections/metrics.hpp"
#include "tests/projections/histories.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace orrery::projections {
namespace {

using std::chrono::milliseconds;

/// One that ends a job: a VM that was made is reached.
folded_commit some_commit() {
  static const auto commits = [] {
    auto world = support::world_with_vm();
    world.see(1, v1::VmObserved::RUNNING);
    world.see(1, v1::VmObserved::REACHABLE);
    return history_of(world.commits());
  }();
  return *commits.back();
}

/// Some of everything.
void fill(metrics& shown) {
  shown.count(http_request{"/v1/vms/{id}", "GET", 200, milliseconds(3)});
  shown.count(http_request{"/v1/vms", "POST", 422, milliseconds(8)});
  shown.count(hypervisor_effect{"kvm", "start", "done", milliseconds(900)});
  shown.count(hypervisor_effect{"kvm", "define", "driver_failed", milliseconds(20)});
  shown.count_command("vm", "done");
  shown.count_command("cluster", "capacity_exhausted");
  shown.count_commit(some_commit(), milliseconds(2));
  shown.set_partitions(5);
  shown.set_standing(partition_number{0}, {"owning", 3, false});
  shown.count_void_record("duplicate");
  shown.add_watcher();
  shown.add_watcher();
  shown.remove_watcher();
  shown.count_slow_watcher();
  shown.count_watch_messages(5);
  shown.set_log_end(partition_number{0}, 12);
  shown.set_projection("inventory", 10);
  shown.set_state(partition_number{0}, {});
}

std::size_t series_of(const metrics& shown) {
  std::istringstream text(shown.expose());
  std::size_t count = 0;
  for (std::string line; std::getline(text, line);)
    count += line.empty() || line.starts_with('#') ? 0 : 1;
  return count;
}

bool shows(const metrics& shown, const std::string& line) {
  return ("\n" + shown.expose()).find("\n" + line + "\n") != std::string::npos;
}

TEST(metrics, promtool_finds_nothing_to_say) {
  metrics shown;
  fill(shown);
  auto* promtool = ::popen("promtool check metrics 2>&1 >/dev/null", "w");
  ASSERT_NE(promtool, nullptr);
  const auto text = shown.expose();
  ASSERT_EQ(std::fwrite(text.data(), 1, text.size(), promtool), text.size());
  EXPECT_EQ(::pclose(promtool), 0) << text;
}

TEST(metrics, promtool_does_find_fault_with_a_bad_name) {
  auto* promtool = ::popen("promtool check metrics >/dev/null 2>&1", "w");
  ASSERT_NE(promtool, nullptr);
  std::fputs("# HELP orrery_requests What.\n# TYPE orrery_requests counter\norrery_requests 1\n",
             promtool);
  EXPECT_NE(::pclose(promtool), 0);
}

TEST(metrics, count_what_happened) {
  metrics shown;
  fill(shown);
  EXPECT_TRUE(
      shows(shown, R"(orrery_http_requests_total{method="POST",route="/v1/vms",status="4xx"} 1)"));
  EXPECT_TRUE(
      shows(shown, R"(orrery_commands_total{noun="cluster",outcome="capacity_exhausted"} 1)"));
  EXPECT_TRUE(shows(shown, "orrery_commits_total 1"));
  EXPECT_TRUE(shows(shown, R"(orrery_void_records_total{reason="duplicate"} 1)"));
  EXPECT_TRUE(shows(shown, R"(orrery_hypervisor_effects_total{hypervisor="kvm",)"
                           R"(outcome="driver_failed",verb="define"} 1)"));
  EXPECT_TRUE(shows(shown, "orrery_commit_duration_seconds_count 1"));
  EXPECT_TRUE(shows(shown, R"(orrery_jobs_ended_total{kind="vm.create",state="done"} 1)"));
  EXPECT_TRUE(shows(shown, "orrery_watchers 1"));
  EXPECT_TRUE(shows(shown, "orrery_watchers_slow_total 1"));
  EXPECT_TRUE(shows(shown, "orrery_watch_messages_total 5"));
  EXPECT_TRUE(shows(shown, "orrery_commit_bytes_total " + std::to_string(some_commit().bytes)));
}

TEST(metrics, lag_is_the_distance_to_the_end_of_the_log) {
  metrics shown;
  fill(shown);
  EXPECT_TRUE(shows(shown, R"(orrery_projection_position{projection="inventory"} 10)"));
  EXPECT_TRUE(shows(shown, R"(orrery_projection_lag_records{projection="inventory"} 2)"));
  shown.set_projection("inventory", 12);
  EXPECT_TRUE(shows(shown, R"(orrery_projection_lag_records{projection="inventory"} 0)"));
  shown.set_projection("inventory", 13); // its thread was told first
  EXPECT_TRUE(shows(shown, R"(orrery_projection_lag_records{projection="inventory"} 0)"));
}

/// A clock that a test moves.
struct moved_clock {
  std::chrono::steady_clock::time_point now;

  metrics_birth birth() {
    return {"1.2.3", "/", [this] { return now; }};
  }
};

TEST(metrics, a_projection_at_the_end_is_behind_for_no_time_however_long_nothing_comes) {
  moved_clock clock;
  metrics shown(clock.birth());
  shown.set_log_end(partition_number{0}, 10);
  shown.set_projection("jobs", 10);
  clock.now += std::chrono::hours(1);
  EXPECT_TRUE(shows(shown, R"(orrery_projection_behind_seconds{projection="jobs"} 0)"));
  shown.set_log_end(partition_number{1}, 1);
  EXPECT_TRUE(shows(shown, R"(orrery_projection_behind_seconds{projection="jobs"} 0)"));
  clock.now += std::chrono::seconds(7);
  EXPECT_TRUE(shows(shown, R"(orrery_projection_behind_seconds{projection="jobs"} 7)"));
  shown.set_projection("jobs", 11);
  EXPECT_TRUE(shows(shown, R"(orrery_projection_behind_seconds{projection="jobs"} 0)"));
}

TEST(metrics, a_projection_that_folds_on_is_not_behind_for_longer_and_longer) {
  moved_clock clock;
  metrics shown(clock.birth());
  shown.set_projection("jobs", 0);
  for (std::uint64_t seq = 1; seq < 100; ++seq) { // always one record behind
    shown.set_log_end(partition_number{0}, seq + 1);
    shown.set_projection("jobs", seq);
    clock.now += std::chrono::seconds(1);
    const auto text = shown.expose();
    const bool is_small = text.find("behind_seconds{projection=\"jobs\"} 1\n") != text.npos ||
                          text.find("behind_seconds{projection=\"jobs\"} 2\n") != text.npos;
    EXPECT_TRUE(is_small) << seq << text.substr(text.find("orrery_projection_behind"));
  }
  for (int i = 0; i < 100; ++i)
    clock.now += std::chrono::seconds(1);
  EXPECT_TRUE(shows(shown, R"(orrery_projection_behind_seconds{projection="jobs"} 101)"));
}

TEST(metrics, partitions_are_counted_by_standing_and_one_that_does_not_tell_is_silent) {
  moved_clock clock;
  metrics shown(clock.birth());
  shown.set_partitions(3);
  shown.set_standing(partition_number{0}, {"owning", 4, false});
  shown.set_standing(partition_number{1}, {"owning", 2, true});
  shown.set_standing(partition_number{2}, {"following", 0, false});
  EXPECT_TRUE(shows(shown, "orrery_log_partitions 3"));
  EXPECT_TRUE(shows(shown, R"(orrery_partitions{standing="owning"} 2)"));
  EXPECT_TRUE(shows(shown, R"(orrery_partitions{standing="silent"} 0)"));
  EXPECT_TRUE(shows(shown, "orrery_partitions_blocked 1"));
  EXPECT_TRUE(shows(shown, "orrery_commands_waiting 6"));
  clock.now += silent_after;
  shown.set_standing(partition_number{1}, {"claiming", 0, false});
  clock.now += std::chrono::seconds(1);
  EXPECT_TRUE(shows(shown, R"(orrery_partitions{standing="silent"} 2)"));
  EXPECT_TRUE(shows(shown, R"(orrery_partitions{standing="claiming"} 1)"));
  EXPECT_TRUE(shows(shown, R"(orrery_partitions{standing="owning"} 0)"));
}

TEST(metrics, what_alerts_ask_the_increase_of_is_there_before_it_happens) {
  const metrics shown;
  EXPECT_TRUE(shows(shown, R"(orrery_void_records_total{reason="foreign"} 0)"));
  EXPECT_TRUE(shows(shown, R"(orrery_jobs_ended_total{kind="vm.start",state="failed"} 0)"));
  EXPECT_TRUE(shows(shown, R"(orrery_commands_total{noun="vm",outcome="internal"} 0)"));
}

TEST(metrics, say_what_this_process_takes_and_what_room_there_is) {
  moved_clock clock;
  const metrics shown(clock.birth());
  const auto text = shown.expose();
  for (const auto* name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                           "process_virtual_memory_bytes", "process_open_fds", "process_max_fds",
                           "process_start_time_seconds", "orrery_data_filesystem_size_bytes",
                           "orrery_data_filesystem_free_bytes"}) {
    const auto at = text.find(std::string("\n") + name + " ");
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_GE(std::stod(text.substr(at + std::string(name).size() + 2)), 0) << name;
  }
  EXPECT_TRUE(shows(shown, R"(orrery_build_info{version="1.2.3"} 1)"));
  EXPECT_EQ(metrics({"1", "/no/such"}).expose().find("orrery_data_filesystem"), std::string::npos);
}

TEST(metrics, count_each_ended_job_once_by_kind_and_state) {
  const auto random = random_history(seed_of_this_run(), 2'000);
  const filled_store filled(random);
  std::map<std::pair<std::string, v1::Job::State>, int> counted;
  for (const auto& commit : random)
    for (const auto& one : jobs_ended_by(*commit))
      ++counted[{std::string(domain::name_of(one.kind)), one.state}];
  std::map<std::pair<std::string, v1::Job::State>, int> stored;
  page wanted;
  wanted.size = 1'000;
  do {
    const auto listed = filled.rows->list_jobs({}, wanted);
    ASSERT_TRUE(listed);
    for (const auto& one : listed->items)
      if (one.state() != v1::Job::RUNNING)
        ++stored[{one.kind(), one.state()}];
    wanted.token = listed->next_token;
  } while (!wanted.token.empty());
  EXPECT_FALSE(stored.empty());
  EXPECT_EQ(counted, stored);
}

TEST(metrics, state_is_shown_by_an_owner_only) {
  metrics shown;
  EXPECT_EQ(shown.expose().find("orrery_vms"), std::string::npos);
  state_gauges state;
  state.vms[4][0] = 7;
  state.memory_mib_taken = 3;
  state.nodes_connected = 2;
  state.jobs_running = 5;
  shown.set_state(partition_number{0}, state);
  EXPECT_TRUE(shows(shown, R"(orrery_vms{desired="running",observed="reachable"} 7)"));
  EXPECT_TRUE(shows(shown, R"(orrery_capacity_memory_bytes{share="taken"} 3145728)"));
  EXPECT_TRUE(shows(shown, R"(orrery_nodes{state="connected"} 2)"));
  EXPECT_TRUE(shows(shown, "orrery_jobs_running 5"));
  shown.clear_state(partition_number{0});
  EXPECT_EQ(shown.expose().find("orrery_vms"), std::string::npos);
}

TEST(metrics, the_number_of_series_does_not_depend_on_the_number_of_vms) {
  const auto series_at = [](int vms) {
    metrics shown({"1", "/"});
    fill(shown);
    state_totals totals;
    for (int i = 0; i < vms; ++i) {
      domain::vm_state vm;
      vm.observed.state = v1::VmObserved::State(1 + i % 5);
      totals.add(vm);
      totals.add(domain::node_state{});
      shown.count(http_request{"/v1/vms/{id}", "GET", 200, milliseconds(1)});
      shown.count_commit(some_commit(), milliseconds(1));
    }
    shown.set_state(partition_number{0}, totals.gauges());
    EXPECT_TRUE(shows(shown, R"(orrery_vms{desired="running",observed="stopped"} )" +
                                 std::to_string(vms / 5)));
    return series_of(shown);
  };
  EXPECT_EQ(series_at(10), series_at(10'000));
}

TEST(metrics, labels_that_grow_without_end_are_gathered_under_other) {
  metrics shown;
  constexpr int requests = 3 * static_cast<int>(series_per_metric_max);
  for (int i = 0; i < requests; ++i) {
    shown.count_command("vm-" + std::to_string(i), "done");
    shown.count(http_request{"/v1/vms", "METHOD" + std::to_string(i), 9999, milliseconds(1)});
  }
  EXPECT_LT(series_of(shown), 2 * series_per_metric_max);
  EXPECT_NE(shown.expose().find(R"(orrery_commands_total{noun="other",outcome="other"} 1005)"),
            std::string::npos);
  EXPECT_TRUE(shows(
      shown, R"(orrery_http_requests_total{method="other",route="/v1/vms",status="other"} 1500)"));
}

TEST(metrics, may_be_counted_from_several_threads) {
  metrics shown;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&shown] {
      for (int round = 0; round < 1000; ++round)
        fill(shown);
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_TRUE(shows(shown, "orrery_commits_total 4000"));
}

} // namespace
} // namespace orrery::projections
