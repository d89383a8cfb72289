#include "actors/api/call.hpp"
#include "drivers/capabilities.hpp"
#include "events/core/text.hpp"
#include "events/log/sha256.hpp"
#include "projections/views.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

namespace orrery::actors {

namespace {

/// The most console lines and bytes in one answer.
constexpr std::uint64_t console_lines_max = 1'000;
constexpr std::size_t console_bytes_max = std::size_t{64} * 1024;

} // namespace

void api::get_vms(call& made) {
  auto page = made.page();
  if (!page)
    return made.fail(page.error());
  projections::vm_filter filter;
  filter.cluster = made.parameter("cluster");
  filter.node = made.parameter("node");
  filter.name = made.parameter("name");
  const auto observed = made.parameter("observed");
  if (!observed.empty() && !v1::VmObserved::State_Parse(observed, &filter.observed))
    return made.fail(
        invalid("'" + printable(observed, 40) +
                "' is not a state: want ABSENT, STOPPED, RUNNING, REACHABLE or UNKNOWN"));
  auto labels = projections::parse_labels(made.parameter("label"));
  if (!labels)
    return made.fail(labels.error());
  filter.labels = std::move(*labels);
  made.send("vms", x_services.store->list_vms(filter, *page));
}

void api::get_vm(call& made) {
  const auto when = made.as_of();
  if (!when)
    return made.fail(when.error());
  made.send(x_services.store->find_vm(made.name, *when));
}

void api::get_clusters(call& made) {
  const auto page = made.page();
  if (!page)
    return made.fail(page.error());
  const auto filter = made.inventory_filter();
  if (!filter)
    return made.fail(filter.error());
  made.send("clusters", x_services.store->list_clusters(*filter, *page));
}

void api::get_cluster(call& made) {
  const auto when = made.as_of();
  if (!when)
    return made.fail(when.error());
  made.send(x_services.store->find_cluster(made.name, *when));
}

void api::get_nodes(call& made) {
  const auto page = made.page();
  if (!page)
    return made.fail(page.error());
  const auto filter = made.inventory_filter();
  if (!filter)
    return made.fail(filter.error());
  made.send("nodes", x_services.store->list_nodes(*filter, *page));
}

void api::get_node(call& made) {
  const auto when = made.as_of();
  if (!when)
    return made.fail(when.error());
  made.send(x_services.store->find_node(made.name, *when));
}

void api::get_networks(call& made) {
  const auto page = made.page();
  if (!page)
    return made.fail(page.error());
  const auto filter = made.inventory_filter();
  if (!filter)
    return made.fail(filter.error());
  made.send("networks", x_services.store->list_networks(*filter, *page));
}

void api::get_network(call& made) {
  const auto when = made.as_of();
  if (!when)
    return made.fail(when.error());
  made.send(x_services.store->find_network(made.name, *when));
}

void api::get_installation(call& made) {
  made.send(x_services.store->find_installation(x_services.installation));
}

void api::get_jobs(call& made) {
  auto page = made.page();
  if (!page)
    return made.fail(page.error());
  projections::job_filter filter;
  filter.resource = made.parameter("resource");
  const auto state = made.parameter("state");
  if (!state.empty() && !v1::Job::State_Parse(state, &filter.state))
    return made.fail(invalid("'" + printable(state, 40) +
                             "' is not a state: want RUNNING, DONE, FAILED or CANCELLED"));
  made.send("jobs", x_services.store->list_jobs(filter, *page));
}

void api::get_job(call& made) { made.send(x_services.store->find_job(made.name)); }

void api::get_events(call& made) {
  auto page = made.page();
  if (!page)
    return made.fail(page.error());
  projections::event_filter filter;
  filter.resource = made.parameter("resource");
  made.send("events", x_services.store->list_events(filter, *page));
}

namespace {

/// What entries of the timeline are about.
constexpr std::array<std::string_view, 5> nouns{"installation", "cluster", "node", "network", "vm"};

/// Whether a place lies behind what the projections hold.
bool is_ahead(const projections::entry_places& places, const projections::log_positions& held) {
  return std::ranges::any_of(
      places, [&held](const auto& one) { return one.second.seq > held.at(one.first).seq; });
}

projections::entry_places places_at(const projections::log_positions& held) {
  projections::entry_places made;
  for (const auto& [where, at] : held.all())
    made[where] = {at.seq, std::nullopt};
  return made;
}

/// A required moment among the parameters.
result<utc_time> moment(const std::string& text, const char* which) {
  if (text.empty())
    return invalid(std::string("'") + which +
                   "' is missing: a time in UTC like 2026-11-01T00:00:00Z");
  auto read = parse_time(text);
  if (!read)
    return invalid(std::string("'") + which + "': " + read.error().text);
  return read;
}

} // namespace

/// From where somebody watches: a client that comes again says what it had last, though it asks as
/// it did at first.
result<projections::entry_places> api::watched_from(const call& made) const {
  const auto held = x_services.store->lowest_positions();
  const auto* said = made.request.header("last-event-id");
  if (said == nullptr || said->empty())
    said = made.request.parameter("after");
  if (said == nullptr)
    return places_at(held);
  auto from = parse_entry_places(*said, x_services.partitions);
  if (from && is_ahead(*from, held))
    return error{error_code::unavailable,
                 "position " + position_text(*from) +
                     " is ahead of what this process has folded (" + position_text(held) +
                     "): try again; if that stays so, records of the log are lost, and what is "
                     "left of it can be watched without a position",
                 true};
  return from;
}

void api::get_watch(call& made) {
  watch_terms terms;
  terms.noun = made.parameter("noun");
  if (!terms.noun.empty() && std::ranges::find(nouns, terms.noun) == nouns.end())
    return made.fail(invalid("'" + printable(terms.noun, 40) +
                             "' is not a noun: want installation, cluster, node, network or vm"));
  if (const auto resource = made.parameter("resource"); !resource.empty()) {
    const auto found = x_services.store->id_of_resource(resource);
    if (!found)
      return made.fail(found.error());
    terms.resource = *found;
  }
  auto from = watched_from(made);
  if (!from)
    return made.fail(from.error());
  http::response reply;
  reply.content_type = "text/event-stream";
  reply.headers.push_back({"Cache-Control", "no-store"});
  reply.open_stream = [watched = x_services.watched, terms = std::move(terms),
                       from = std::move(*from)](std::shared_ptr<http::stream> out) {
    return watched->join(terms, from, std::move(out));
  };
  made.send(std::move(reply));
}

void api::get_usage(call& made) {
  const auto page = made.page();
  if (!page)
    return made.fail(page.error());
  const auto from = moment(made.parameter("from"), "from");
  if (!from)
    return made.fail(from.error());
  const auto to = moment(made.parameter("to"), "to");
  if (!to)
    return made.fail(to.error());
  projections::usage_filter filter{
      *from, *to, made.parameter("resource"), made.parameter("cluster"), {}};
  if (const auto meter = made.parameter("meter"); !meter.empty()) {
    filter.what = projections::parse_meter(meter);
    if (!filter.what)
      return made.fail(
          invalid("'" + printable(meter, text_shown_max) +
                  "' is not a meter: want nic.address, vm.memory, vm.state or vm.vcpu"));
  }
  const auto by = made.parameter("by");
  if (by.empty())
    return made.send("usage", x_services.store->list_usage(filter, *page));
  if (by == "vm")
    return made.send("usage", x_services.store->list_vm_usage(filter, *page));
  if (by == "total")
    return made.send("usage", x_services.store->list_total_usage(filter, *page));
  made.fail(invalid("by '" + printable(by, text_shown_max) +
                    "': want vm or total, or nothing for the intervals"));
}

void api::get_hypervisors(call& made) {
  nlohmann::ordered_json body;
  body["hypervisors"] = nlohmann::ordered_json::array();
  for (const auto kind : drivers::all_kinds()) {
    nlohmann::ordered_json row;
    row["kind"] = drivers::name_of(kind);
    for (const auto what : drivers::all_capabilities())
      row["capabilities"][std::string(drivers::name_of(what))] =
          drivers::name_of(drivers::supports(kind, what));
    body["hypervisors"].push_back(std::move(row));
  }
  made.send(json_response(200, body));
}

namespace {

/// How long a partition may take to say how it stands. One that decides a large batch, or folds a
/// long log, answers between two records. A digest goes over its whole state.
constexpr std::chrono::seconds status_patience{2};
constexpr std::chrono::seconds digest_patience{60};

/// What the partitions say of themselves.
struct gathered_status {
  std::mutex guard;
  std::condition_variable changed;
  std::map<partition_number, partition_status> told;
};

/// Of a partition that does not answer.
partition_status silent() {
  partition_status made;
  made.engine.standing = "silent";
  made.engine.alarm = "it does not say how it stands: restart orreryd if that stays so";
  return made;
}

/// One word for all partitions: what they have in common, else that they differ.
std::string_view standing_of(const std::map<partition_number, partition_status>& told) {
  const auto first = told.begin()->second.engine.standing;
  const bool is_same = std::ranges::all_of(
      told, [first](const auto& one) { return one.second.engine.standing == first; });
  return is_same ? first : std::string_view("sharing");
}

nlohmann::ordered_json status_body(const std::map<partition_number, partition_status>& told,
                                   const projections::log_positions& projected) {
  nlohmann::ordered_json body;
  std::map<partition_number, std::string> digests;
  projections::log_positions positions;
  std::uint64_t entities = 0;
  std::uint64_t awake = 0;
  std::uint64_t queued = 0;
  std::string alarm;
  auto rows = nlohmann::ordered_json::array();
  for (const auto& [where, one] : told) {
    positions.set(where, {one.engine.seq, {}});
    entities += one.engine.entities;
    awake += one.awake;
    queued += one.engine.queued;
    if (alarm.empty())
      alarm = one.engine.alarm;
    if (!one.state_digest.empty())
      digests[where] = one.state_digest;
    rows.push_back({{"partition", static_cast<unsigned>(where)},
                    {"standing", one.engine.standing},
                    {"position", position_text({where, one.engine.seq})},
                    {"projected", position_text({where, projected.at(where).seq})},
                    {"epoch", one.engine.epoch},
                    {"entities", one.engine.entities},
                    {"queued", one.engine.queued},
                    {"alarm", one.engine.alarm}});
  }
  body["standing"] = standing_of(told);
  body["position"] = position_text(positions);
  body["projected"] = position_text(projected);
  body["entities"] = entities;
  body["awake"] = awake;
  body["queued"] = queued;
  body["alarm"] = alarm;
  if (!digests.empty())
    body["stateDigest"] = log::combine(digests);
  body["partitions"] = std::move(rows);
  return body;
}

} // namespace

void api::get_status(call& made) {
  const auto gathered = std::make_shared<gathered_status>();
  const auto projected = x_services.store->lowest_positions();
  const bool with_digest = made.parameter("digest") == "true";
  for (std::size_t i = 0; i < x_services.partitions; ++i) {
    const auto where = static_cast<partition_number>(i);
    status_request asked;
    asked.with_digest = with_digest;
    asked.done = [gathered, where](const partition_status& status) {
      {
        const std::lock_guard lock(gathered->guard);
        gathered->told[where] = status;
      }
      gathered->changed.notify_one();
    };
    x_services.status(where, std::move(asked));
  }
  std::unique_lock lock(gathered->guard);
  const bool is_whole =
      gathered->changed.wait_for(lock, with_digest ? digest_patience : status_patience,
                                 [&] { return gathered->told.size() == x_services.partitions; });
  for (std::size_t i = 0; i < x_services.partitions; ++i)
    gathered->told.try_emplace(static_cast<partition_number>(i), silent());
  auto body = status_body(gathered->told, projected);
  if (const auto stalled = x_services.store->stalled(); stalled && body["alarm"] == "")
    body["alarm"] = stalled->text;
  if (!is_whole)
    body.erase("stateDigest"); // it would be that of another state
  body["readOnly"] = x_services.is_read_only;
  made.send(json_response(200, body));
}

void api::get_console(call& made) {
  const auto vm = x_services.store->find_vm(made.name);
  if (!vm)
    return made.fail(vm.error());
  std::uint64_t lines = 20;
  const auto wanted = made.parameter("lines");
  if (!wanted.empty()) {
    const auto [end, failed] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), lines);
    if (failed != std::errc() || end != wanted.data() + wanted.size() || lines == 0 ||
        lines > console_lines_max)
      return made.fail(
          invalid("lines is not a number from 1 to " + std::to_string(console_lines_max)));
  }
  const auto id = parse_id<vm_tag>(vm->value.id());
  ORRERY_CHECK(id.has_value());
  console_request asked;
  asked.vm = id->value;
  asked.bytes_max = console_bytes_max;
  asked.done = [respond = made.respond, path = made.request.path,
                lines](const result<std::string>& text) {
    if (!text)
      return respond(http::problem_response(text.error(), path));
    std::deque<std::string> last;
    std::string_view rest = *text;
    while (!rest.empty()) {
      const auto end = std::min(rest.find('\n'), rest.size());
      auto line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (line.ends_with('\r'))
        line.remove_suffix(1);
      last.push_back(printable(line, console_bytes_max));
      if (last.size() > lines)
        last.pop_front();
    }
    nlohmann::ordered_json body;
    body["lines"] = nlohmann::ordered_json::array();
    for (auto& line : last)
      body["lines"].push_back(std::move(line));
    respond(json_response(200, body));
  };
  x_services.console(std::move(asked));
}

void api::get_metrics(call& made) {
  http::response reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = x_services.metrics->expose();
  made.send(std::move(reply));
}

void api::get_health(call& made) {
  http::response reply;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = "ok\n";
  made.send(std::move(reply));
}

} // namespace orrery::actors
