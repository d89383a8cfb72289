#include "projections/metrics.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace orrery::projections {
namespace {

using std::chrono::milliseconds;

/// Some of everything.
void fill(metrics& shown) {
  shown.count(http_request{"/v1/vms/{id}", "GET", 200, milliseconds(3)});
  shown.count(http_request{"/v1/vms", "POST", 422, milliseconds(8)});
  shown.count(hypervisor_effect{"kvm", "start", "done", milliseconds(900)});
  shown.count(hypervisor_effect{"kvm", "define", "driver_failed", milliseconds(20)});
  shown.count_command("vm", "done");
  shown.count_command("cluster", "capacity_exhausted");
  shown.count_commit(milliseconds(2));
  shown.count_void_record("duplicate");
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
  metrics few;
  fill(few);
  metrics many;
  fill(many);
  state_gauges state;
  for (auto& row : state.vms)
    row.fill(100'000);
  state.nodes_connected = 5'000;
  state.jobs_running = 10'000;
  many.set_state(partition_number{0}, state);
  for (int i = 0; i < 10'000; ++i)
    many.count(http_request{"/v1/vms/{id}", "GET", 200, milliseconds(1)});
  EXPECT_EQ(series_of(few), series_of(many));
}

TEST(metrics, labels_that_grow_without_end_are_gathered_under_other) {
  metrics shown;
  constexpr int requests = 3 * static_cast<int>(series_per_metric_max);
  for (int i = 0; i < requests; ++i) {
    shown.count_command("vm-" + std::to_string(i), "done");
    shown.count(http_request{"/v1/vms", "METHOD" + std::to_string(i), 9999, milliseconds(1)});
  }
  EXPECT_LT(series_of(shown), 2 * series_per_metric_max);
  EXPECT_NE(shown.expose().find(R"(orrery_commands_total{noun="other",outcome="other"} 1000)"),
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
