#include "actors/api/call.hpp"
#include "events/core/text.hpp"

#include <nlohmann/json.hpp>

// The projections themselves, and folding them again.

namespace orrery::actors {

namespace {

const char* word_of(projections::refold_aim aim) {
  return aim == projections::refold_aim::replace ? "REBUILD" : "VERIFY";
}

const char* word_of(refold_outcome outcome) {
  switch (outcome) {
  case refold_outcome::running:
    return "RUNNING";
  case refold_outcome::done:
    return "DONE";
  case refold_outcome::differs:
    return "DIFFERS";
  case refold_outcome::failed:
    break;
  }
  return "FAILED";
}

nlohmann::ordered_json body_of(const projections::projection_status& one,
                               const std::optional<refold_report>& report) {
  nlohmann::ordered_json row;
  row["name"] = one.name;
  row["version"] = one.version;
  row["position"] = position_text(one.at);
  if (!report)
    return row;
  auto& work = row["work"];
  work["verb"] = word_of(report->aim);
  work["state"] = word_of(report->outcome);
  work["startedAt"] = to_text(report->began);
  if (report->ended)
    work["endedAt"] = to_text(*report->ended);
  work["records"] = report->records;
  work["recordsAll"] = report->records_all;
  if (!report->digest.empty()) {
    work["digest"] = report->old_digest;
    work["digestOfLog"] = report->digest;
  }
  if (!report->why.empty())
    work["detail"] = report->why;
  return row;
}

} // namespace

void api::get_projections(call& made) {
  if (const auto page = made.page(); !page)
    return made.fail(page.error());
  nlohmann::ordered_json body;
  body["projections"] = nlohmann::ordered_json::array();
  for (const auto& one : x_services.store->status())
    body["projections"].push_back(body_of(one, x_services.refolds->report(one.name)));
  made.send(json_response(200, body));
}

void api::send_projection(const call& made, int status) {
  for (const auto& one : x_services.store->status())
    if (one.name == made.name)
      return made.send(json_response(status, body_of(one, x_services.refolds->report(one.name))));
  made.fail(projections::no_projection(made.name));
}

void api::get_projection(call& made) { send_projection(made, 200); }

void api::act_on_projection(call& made) {
  constexpr int accepted = 202;
  if (made.verb != "rebuild" && made.verb != "verify")
    return made.fail({error_code::not_found,
                      "'" + printable(made.verb, 40) +
                          "' cannot be done to a projection: want "
                          "rebuild or verify",
                      false});
  if (!says_nothing(made))
    return;
  const auto begun = x_services.refolds->begin(made.name, made.verb == "rebuild"
                                                              ? projections::refold_aim::replace
                                                              : projections::refold_aim::compare);
  if (!begun)
    return made.fail(begun.error());
  send_projection(made, accepted);
}

} // namespace orrery::actors
