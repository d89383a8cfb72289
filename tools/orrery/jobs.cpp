#include "tools/orrery/jobs.hpp"

#include "events/core/time.hpp"
#include "tools/orrery/terminal.hpp"

#include <algorithm>
#include <optional>

namespace orrery::cli {

namespace {

using clock = std::chrono::steady_clock;

/// A reply that came faster was not held back by the server, whatever it says: without this a
/// server that answers at once would be asked without a pause.
constexpr std::chrono::milliseconds held_back_min = std::chrono::milliseconds(50);

/// A reply takes some time even when --timeout leaves none.
constexpr std::chrono::milliseconds silence_min = std::chrono::milliseconds(100);

std::string what_of(const json& job) {
  auto resource = job.at("resourceName").text();
  if (resource.empty())
    resource = job.at("resource").text();
  const auto kind = job.at("kind").text();
  return (kind.empty() ? std::string("job") : kind) + (resource.empty() ? "" : " " + resource);
}

std::chrono::microseconds between(const json& start, const json& end,
                                  std::chrono::microseconds otherwise) {
  const auto from = parse_time(start.text());
  const auto until = parse_time(end.text());
  return from && until ? *until - *from : otherwise;
}

/// Tells the steps that were not told yet.
void tell_steps(const json& job, std::size_t& told, clock::time_point began, progress& shown) {
  const auto& steps = job.at("steps");
  if (!steps.is_list())
    return;
  for (; told < steps.items.size(); ++told) {
    const auto& step = steps.items[told];
    const auto name = step.is_object() ? step.at("name").text() : step.text();
    const auto passed = std::chrono::floor<std::chrono::microseconds>(clock::now() - began);
    shown.step(name.empty() ? "step" : name, between(job.at("startedAt"), step.at("at"), passed));
  }
}

void tell_end(const json& job, exit_code exit, clock::time_point began, progress& shown) {
  const auto passed = between(job.at("startedAt"), job.at("endedAt"),
                              std::chrono::floor<std::chrono::microseconds>(clock::now() - began));
  const auto* word = "failed after ";
  if (exit == exit_code::done)
    word = "done after ";
  else if (exit == exit_code::detached)
    word = "cancelled after ";
  shown.end(exit == exit_code::done, word + elapsed_text(passed));
}

exit_code exit_of_job(const json& job) {
  const auto state = job.at("state").text();
  if (state == "DONE")
    return exit_code::done;
  return state == "CANCELLED" ? exit_code::detached : exit_code::failed;
}

/// Looks at one job again and again: bears restarts of the API and servers without long polls.
class watcher {
public:
  watcher(api& from, std::string id, progress& shown)
      : x_api(from), x_id(std::move(id)), x_shown(shown) {}

  /// One look; nothing when the API could not be reached this time. `left` bounds it.
  std::optional<json> look(std::chrono::milliseconds left) {
    const auto began = clock::now();
    try {
      const auto seconds = std::clamp<long long>(left.count() / 1000, 0, long_poll.count());
      parameters asked;
      if (x_long_poll && seconds > 0)
        asked.emplace_back("waitSeconds", std::to_string(seconds));
      x_api.set_silence(std::clamp(left, silence_min, silence_max));
      auto reply = x_api.get("/v1/jobs/" + url_encode(x_id), asked);
      x_away_since.reset();
      auto job = job_of(reply);
      const bool held_back = (reply.at("waitSeconds").type != json::kind::null ||
                              job.at("waitSeconds").type != json::kind::null) &&
                             clock::now() - began >= held_back_min;
      if (!held_back && !is_over(job))
        pause_for(std::min(left, retry_pause));
      return job;
    } catch (const failure& why) {
      bear(why);
    }
    pause_for(std::min(left, retry_pause));
    return std::nullopt;
  }

private:
  /// Throws again what waiting does not mend.
  void bear(const failure& why) {
    if (why.code == "invalid_argument" && x_long_poll) {
      x_long_poll = false; // an API without it
      return;
    }
    if (why.code != "unavailable" && why.code != "io_failed" && why.code != "timed_out")
      throw why;
    if (!x_away_since.has_value()) {
      x_away_since = clock::now();
      x_shown.note("the API does not answer, trying again");
    }
    if (clock::now() - *x_away_since > unreachable_max)
      throw failure(why.exit, why.code,
                    why.detail + "; the job may go on, re-attach: orrery job wait " + x_id);
  }

  api& x_api;
  std::string x_id;
  progress& x_shown;
  bool x_long_poll = true;
  std::optional<clock::time_point> x_away_since;
};

} // namespace

const json& job_of(const json& reply) {
  const auto& inner = reply.at("job");
  return inner.is_object() ? inner : reply;
}

bool is_over(const json& job) {
  const auto state = job.at("state").text();
  return state == "DONE" || state == "FAILED" || state == "CANCELLED";
}

waited wait_for(api& from, const json& job, std::chrono::milliseconds timeout, progress& shown) {
  const auto id = job.at("id").text();
  if (id.empty())
    throw failure(exit_code::failed, "internal",
                  "the reply names no job: is the server of another version?");
  const auto began = clock::now();
  shown.begin(what_of(job), id);
  watcher one(from, id, shown);
  waited made;
  made.job = job;
  std::size_t told = 0;
  for (;;) {
    tell_steps(made.job, told, began, shown);
    if (is_over(made.job)) {
      made.exit = exit_of_job(made.job);
      tell_end(made.job, made.exit, began, shown);
      return made;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(began + timeout - clock::now());
    if (left.count() <= 0) {
      made.exit = exit_code::timed_out;
      return made;
    }
    auto seen = one.look(left);
    if (seen.has_value())
      made.job = std::move(*seen);
  }
}

failure failure_of(const waited& end, std::chrono::milliseconds timeout) {
  const auto id = end.job.at("id").text();
  const auto what = what_of(end.job);
  if (end.exit == exit_code::timed_out)
    return {end.exit, "timed_out",
            what + ": the job still runs after " + elapsed_text(timeout) +
                "; re-attach: orrery job wait " + id};
  if (end.exit == exit_code::detached)
    return {end.exit, "cancelled", what + ": the job was cancelled"};
  const auto& why = end.job.at("error");
  auto code = why.at("code").text();
  const auto text = why.is_object() ? why.at("text").text() : why.text();
  return {end.exit, code.empty() ? "failed" : code,
          what + ": " +
              (text.empty() ? "the job failed and says no more: orrery job get " + id : text)};
}

} // namespace orrery::cli
