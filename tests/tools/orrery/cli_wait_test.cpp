#include "tests/tools/orrery/fake_api.hpp"
#include "tests/tools/orrery/process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace orrery::cli_test {

namespace {

const std::string job = "job_01993f0e-7c1a-7000-8000-000000000009";
const std::string job_route = "GET /v1/jobs/" + job;

/// Keeps the responder of a long poll.
class shelf {
public:
  void put(http::responder one) {
    const std::lock_guard lock(x_mutex);
    x_kept = std::move(one);
    x_changed.notify_all();
  }

  /// The first one that came.
  http::responder take() {
    std::unique_lock lock(x_mutex);
    x_changed.wait_for(lock, patience, [this] { return x_kept != nullptr; });
    return std::move(x_kept);
  }

private:
  std::mutex x_mutex;
  std::condition_variable x_changed;
  http::responder x_kept;
};

TEST(cli_wait, a_failed_job_gives_1_and_its_reason) {
  fake_api api;
  api.on(job_route, 200,
         job_body("FAILED", R"(,"endedAt":"2026-01-01T00:02:00Z",)"
                            R"("error":{"code":"timed_out","text":"no answer to ARP in 120 s"})"));
  const auto done = run({"vm", "start", "web-1"}, api.variables());
  EXPECT_EQ(done.exit, 1);
  EXPECT_EQ(done.out, "");
  EXPECT_NE(done.err.find("✘ failed after 2 min 00 s\n"), std::string::npos) << done.err;
  EXPECT_TRUE(done.err.ends_with("error: vm.create web-1: no answer to ARP in 120 s (timed_out)\n"))
      << done.err;

  const auto as_json = run({"vm", "start", "web-1", "-o", "json"}, api.variables());
  EXPECT_EQ(as_json.exit, 1);
  EXPECT_EQ(nlohmann::json::parse(as_json.out).at("state"), "FAILED");
  EXPECT_EQ(nlohmann::json::parse(as_json.err).at("code"), "timed_out");
}

TEST(cli_wait, a_cancelled_job_gives_2) {
  fake_api api;
  api.on(job_route, 200, job_body("CANCELLED"));
  const auto done = run({"job", "wait", job}, api.variables());
  EXPECT_EQ(done.exit, 2);
  EXPECT_NE(done.err.find("the job was cancelled (cancelled)"), std::string::npos) << done.err;
}

TEST(cli_wait, a_job_that_is_gone_gives_5) {
  const fake_api api;
  EXPECT_EQ(run({"job", "wait", "job_x"}, api.variables()).exit, 5);
}

TEST(cli_wait, a_time_out_gives_8_and_says_how_to_come_back) {
  fake_api api;
  api.on(job_route, 200, job_body("RUNNING"));
  const auto done = run({"vm", "start", "web-1", "--timeout", "400ms"}, api.variables());
  EXPECT_EQ(done.exit, 8);
  EXPECT_NE(done.err.find("the job still runs after 0.4 s; re-attach: orrery job wait " + job +
                          " (timed_out)"),
            std::string::npos)
      << done.err;
  const auto as_json = run({"job", "wait", job, "--timeout", "1ms", "-o", "json"}, api.variables());
  EXPECT_EQ(as_json.exit, 8);
  EXPECT_EQ(nlohmann::json::parse(as_json.out).at("state"), "RUNNING");
}

TEST(cli_wait, a_time_out_holds_also_when_the_api_says_nothing) {
  fake_api api;
  shelf kept;
  api.on(job_route, [&](const http::request&, const http::responder& respond) {
    kept.put(respond); // never answered
  });
  EXPECT_EQ(run({"vm", "start", "web-1", "--timeout", "300ms"}, api.variables()).exit, 8);
}

TEST(cli_wait, a_reply_without_a_job_is_said) {
  fake_api api;
  api.on("POST /v1/vms/web-1:start", 202, R"({"job":{"kind":"vm.start"}})");
  const auto done = run({"vm", "start", "web-1"}, api.variables());
  EXPECT_EQ(done.exit, 1);
  EXPECT_NE(done.err.find("the reply names no job"), std::string::npos) << done.err;
}

TEST(cli_wait, tells_each_step_once_and_shows_the_vm) {
  fake_api api;
  std::atomic<int> looks = 0;
  api.on(job_route, [&](const http::request&, const http::responder& respond) {
    respond(reply(200, ++looks < 3 ? job_body("RUNNING")
                                   : job_body("DONE", R"(,"endedAt":"2026-01-01T00:00:08.9Z")")));
  });
  const auto done =
      run({"vm", "create", "web-1", "--cluster", "local", "--network", "lan", "--image", "debian"},
          api.variables());
  EXPECT_EQ(done.exit, 0);
  EXPECT_EQ(looks, 3);
  EXPECT_EQ(done.err, "vm.create web-1  " + job +
                          "\n✔ accepted  0.0 s\n✔ placed  0.1 s\n✔ done after 8.9 s\n");
  EXPECT_NE(done.out.find("web-1  REACHABLE"), std::string::npos) << done.out;
}

TEST(cli_wait, what_it_prints_at_the_end_depends_on_the_format) {
  const fake_api api;
  const auto deleted = run({"vm", "delete", "web-1"}, api.variables());
  EXPECT_EQ(deleted.out, "vm web-1 deleted\n");
  EXPECT_EQ(run({"vm", "start", "web-1", "-o", "name"}, api.variables()).out, "web-1\n");
  EXPECT_EQ(run({"vm", "start", "web-1", "-q"}, api.variables()).err, "");
  const auto as_json = run({"vm", "delete", "web-1", "-o", "json"}, api.variables());
  EXPECT_EQ(nlohmann::json::parse(as_json.out).at("state"), "DONE");
}

TEST(cli_wait, not_is_one_request_and_the_job) {
  const fake_api api;
  const auto done = run({"vm", "start", "web-1", "--no-wait", "-o", "json"}, api.variables());
  EXPECT_EQ(done.exit, 0);
  EXPECT_EQ(nlohmann::json::parse(done.out).at("state"), "RUNNING");
  EXPECT_EQ(api.requests().size(), 1U);
}

TEST(cli_wait, uses_the_long_poll_of_the_server) {
  fake_api api;
  shelf kept;
  std::atomic<int> looks = 0;
  api.on(job_route, [&](const http::request& asked, const http::responder& respond) {
    EXPECT_NE(asked.parameter("waitSeconds"), nullptr);
    if (++looks == 1)
      kept.put(respond);
    else
      respond(reply(200, R"({"job":)" + job_body("DONE") + R"(,"waitSeconds":2})"));
  });
  process command({"vm", "start", "web-1"}, api.variables());
  const auto respond = kept.take();
  ASSERT_TRUE(respond);
  EXPECT_EQ(looks, 1) << "one look is held by the server, no other comes";
  respond(reply(200, R"({"job":)" + job_body("RUNNING") + R"(,"waitSeconds":2})"));
  EXPECT_EQ(command.finish().exit, 0);
  EXPECT_EQ(looks, 2);
}

TEST(cli_wait, does_without_a_long_poll_where_the_server_has_none) {
  fake_api api;
  api.on(job_route, [&](const http::request& asked, const http::responder& respond) {
    if (asked.parameter("waitSeconds") != nullptr)
      respond(http::problem_response(
          error{error_code::invalid_argument, "unknown parameter waitSeconds", false}));
    else
      respond(reply(200, job_body("DONE")));
  });
  EXPECT_EQ(run({"vm", "start", "web-1"}, api.variables()).exit, 0);
}

TEST(cli_wait, bears_a_restart_of_the_api) {
  fake_api api;
  shelf kept;
  std::atomic<int> looks = 0;
  api.on(job_route, [&](const http::request&, const http::responder& respond) {
    if (++looks == 1)
      kept.put(respond);
    else
      respond(reply(200, job_body("DONE")));
  });
  process command({"vm", "start", "web-1"}, api.variables());
  auto respond = kept.take();
  const auto port = api.port();
  api.stop(); // cuts the look that is held
  EXPECT_TRUE(command.wait_for_err("the API does not answer, trying again"));
  api.start_again(port);
  const auto done = command.finish();
  EXPECT_EQ(done.exit, 0) << done.err;
}

TEST(cli_interrupt, leaves_the_job_gives_2_and_says_how_to_come_back) {
  fake_api api;
  api.on(job_route, 200, job_body("RUNNING"));
  process command(
      {"vm", "create", "web-1", "--cluster", "local", "--network", "lan", "--image", "debian"},
      api.variables());
  ASSERT_TRUE(command.wait_for_err("✔ placed"));
  command.interrupt();
  const auto done = command.finish();
  EXPECT_EQ(done.exit, 2);
  EXPECT_EQ(done.out, "");
  EXPECT_TRUE(done.err.ends_with("detached: vm.create web-1 goes on without this terminal.\n"
                                 "re-attach: orrery job wait " +
                                 job + "\n"))
      << done.err;
  for (const auto& asked : api.requests())
    EXPECT_NE(asked.method, "DELETE") << "leaving must not cancel";
}

TEST(cli_interrupt, works_also_while_the_server_holds_a_long_poll) {
  fake_api api;
  shelf kept;
  api.on(job_route,
         [&](const http::request&, const http::responder& respond) { kept.put(respond); });
  process command({"vm", "start", "web-1"}, api.variables());
  const auto respond = kept.take();
  command.interrupt();
  EXPECT_EQ(command.finish().exit, 2);
}

TEST(cli_interrupt, before_the_job_is_known_says_so) {
  fake_api api;
  shelf kept;
  api.on("POST /v1/vms/web-1:start",
         [&](const http::request&, const http::responder& respond) { kept.put(respond); });
  process command({"vm", "start", "web-1"}, api.variables());
  const auto respond = kept.take();
  command.interrupt();
  const auto done = command.finish();
  EXPECT_EQ(done.exit, 2);
  EXPECT_NE(done.err.find("the request may still be carried out"), std::string::npos) << done.err;
  EXPECT_NE(done.err.find("orrery job list"), std::string::npos) << done.err;
}

} // namespace

} // namespace orrery::cli_test
