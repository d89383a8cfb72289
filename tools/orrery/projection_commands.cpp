#include "tools/orrery/projection_commands.hpp"

#include "tools/orrery/drawn_line.hpp"
#include "tools/orrery/http_client.hpp"

namespace orrery::cli {

namespace {

std::string line_of(const json& work) {
  return work.at("verb").text() + ": " + work.at("records").text() + " of " +
         work.at("recordsAll").text() + " records";
}

/// Asks until the work has ended. A job of hours must not end because one answer was lost, so
/// `api::get` asks again by itself.
json wait_for_end(const settings& how, api& from, const std::string& path) {
  drawn_line line(how);
  const auto deadline = std::chrono::steady_clock::now() + how.timeout;
  while (true) {
    auto seen = from.get(path);
    const auto& work = seen.at("work");
    if (!work.is_object())
      throw failure(exit_code::failed, "failed",
                    "orreryd was started again meanwhile, and forgot about it: ask again");
    if (work.at("state").text() != "RUNNING")
      return seen;
    if (std::chrono::steady_clock::now() >= deadline)
      throw failure(exit_code::timed_out, "timed_out",
                    "it goes on without this command: orrery projection list");
    line.show(line_of(work));
    pause_for(retry_pause);
  }
}

} // namespace

void refold_projection(const settings& how, const std::string& verb, const std::string& name) {
  if (name.empty())
    throw failure(exit_code::usage, "usage", "the name is empty");
  api from(context_of(how), how.debug);
  const auto path = "/v1/projections/" + url_encode(name);
  auto seen = from.change("POST", path + ":" + verb, json());
  if (how.wait)
    seen = wait_for_end(how, from, path);
  show_item(how, projection_view(), seen);
  const auto state = seen.at("work.state").text();
  if (state == "DIFFERS")
    throw failure(
        exit_code::check_failed, "differs",
        "the rows of " + name +
            " are not what the log says: make them anew with `orrery projection rebuild " + name +
            "`");
  if (state == "FAILED")
    throw failure(exit_code::failed, "failed", seen.at("work.detail").text());
}

} // namespace orrery::cli
