#include "tools/orrery/views.hpp"

#include "tools/orrery/table.hpp"
#include "tools/orrery/units.hpp"

#include <charconv>
#include <optional>
#include <utility>

namespace orrery::cli {

namespace {

const json& first_of(const json& item, const std::vector<std::string_view>& paths) {
  static const json nothing;
  for (const auto path : paths) {
    const auto& found = item.at(path);
    // An empty object is a message that is not there, and FOO_UNSPECIFIED a value that is not.
    const bool empty = found.is_object() && found.items.empty();
    if (const auto text = found.text(); !empty && !text.empty() && !text.ends_with("_UNSPECIFIED"))
      return found;
  }
  return nothing;
}

std::string age_cell(const std::string& text, const printing& to) {
  const auto when = parse_time(text);
  return to.where.out && when ? age_text(to.now - *when) : text;
}

std::string clock_cell(const std::string& text, const printing& to) {
  const auto when = parse_time(text);
  if (!to.where.out || !when)
    return text;
  const auto full = to_text(*when); // 2026-11-22T09:14:02.113000Z
  const bool today = full.substr(0, 10) == to_text(to.now).substr(0, 10);
  return today ? full.substr(11, 12) : full.substr(0, 19) + "Z";
}

/// What `shown` makes of a number; other text as it came.
template <class Shown> std::string number_cell(const std::string& text, Shown shown) {
  std::uint64_t count = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  return whole ? shown(count) : text;
}

/// Of any length: sums have up to 39 digits.
std::string seconds_cell(std::string text) {
  constexpr std::size_t digits = 6;
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos)
    return text;
  if (text.size() <= digits)
    text.insert(0, digits + 1 - text.size(), '0');
  return text.insert(text.size() - digits, ".");
}

std::string activity_cell(const json& activity) {
  if (!activity.is_object())
    return activity.text();
  const auto kind = activity.at("kind").text();
  const auto step = activity.at("step").text();
  return kind + (kind.empty() || step.empty() ? "" : ": ") + step;
}

std::string list_cell(const json& list) {
  if (!list.is_list())
    return list.text();
  std::string made;
  for (const auto& item : list.items)
    made.append(made.empty() ? "" : ",").append(item.text());
  return made;
}

std::string labels_cell(const json& labels) {
  std::string made;
  for (std::size_t at = 0; labels.is_object() && at < labels.items.size(); ++at)
    made.append(made.empty() ? "" : ",")
        .append(labels.names[at])
        .append("=")
        .append(labels.items[at].text());
  return made;
}

std::string last_step_cell(const json& steps) {
  if (!steps.is_list() || steps.items.empty())
    return steps.is_list() ? std::string() : steps.text();
  const auto& last = steps.items.back();
  return last.is_object() ? last.at("name").text() : last.text();
}

std::string protocol_cell(const json& upstream) {
  for (const char* name : {"bgp", "ospf", "arp"})
    if (upstream.is_object() && upstream.at(name).is_object())
      return name;
  return upstream.is_object() ? std::string() : upstream.text();
}

std::string upstream_cell(const json& upstream) {
  if (!upstream.is_object())
    return upstream.text();
  const auto& bgp = upstream.at("bgp");
  const auto& ospf = upstream.at("ospf");
  std::string made = protocol_cell(upstream);
  made.append(" ").append(upstream.at("uplink").text());
  if (ospf.is_object())
    made.append(" area ").append(ospf.at("area").text());
  if (!bgp.is_object())
    return made;
  made.append(" as ").append(bgp.at("as").text());
  const char* before = ": ";
  for (const auto& router : bgp.at("routers").items)
    made.append(std::exchange(before, ",")).append(router.at("address").text());
  return made;
}

std::string routers_cell(const json& sessions) {
  std::string made;
  for (const auto& session : sessions.items)
    made.append(made.empty() ? "" : ",")
        .append(session.at("router").text())
        .append(session.at("established").text() == "true" ? " up" : " down");
  return made;
}

std::string cell(const column& shown, const json& item, const printing& to) {
  const auto& value = first_of(item, shown.paths);
  switch (shown.kind) {
  case cell_kind::text:
    return value.text();
  case cell_kind::age:
    return age_cell(value.text(), to);
  case cell_kind::clock:
    return clock_cell(value.text(), to);
  case cell_kind::memory:
    return number_cell(value.text(), [](std::uint64_t size) { return memory_text(mib{size}); });
  case cell_kind::rate:
    return number_cell(value.text(), rate_text);
  case cell_kind::activity:
    return activity_cell(value);
  case cell_kind::list:
    return list_cell(value);
  case cell_kind::labels:
    return labels_cell(value);
  case cell_kind::last_step:
    return last_step_cell(value);
  case cell_kind::microseconds:
    return seconds_cell(value.text());
  case cell_kind::protocol:
    return protocol_cell(value);
  case cell_kind::upstream:
    return upstream_cell(value);
  case cell_kind::routers:
    return routers_cell(value);
  }
  return {};
}

std::optional<std::size_t> width_limit(const printing& to) {
  return to.where.out ? std::optional(to.where.width) : std::nullopt;
}

bool is_shown(const column& one, const printing& to) {
  return to.format == output_format::wide || !one.wide_only;
}

std::vector<std::string> heads_of(const view& how, const printing& to) {
  std::vector<std::string> made;
  for (const auto& one : how.columns)
    if (is_shown(one, to))
      made.emplace_back(one.head);
  return made;
}

std::vector<std::string> row_of(const view& how, const json& item, const printing& to) {
  std::vector<std::string> made;
  for (const auto& one : how.columns)
    if (is_shown(one, to))
      made.push_back(cell(one, item, to));
  return made;
}

std::string table_text(const view& how, const std::vector<json>& items, const printing& to) {
  table made;
  made.heads = heads_of(how, to);
  for (const auto& item : items)
    made.rows.push_back(row_of(how, item, to));
  return render(made, width_limit(to));
}

std::string name_line(const view& how, const json& item) {
  auto name = item.at(how.name_path).text();
  if (name.empty())
    name = item.at("id").text();
  return clean(name) + "\n";
}

std::string steps_text(const json& job, const printing& to) {
  const auto& steps = job.at("steps");
  if (!steps.is_list() || steps.items.empty())
    return {};
  table made;
  made.heads = {"STEP", "AT"};
  for (const auto& step : steps.items)
    made.rows.push_back({step.is_object() ? step.at("name").text() : step.text(),
                         clock_cell(step.at("at").text(), to)});
  return "\n" + render(made, width_limit(to));
}

void add_members(table& made, const std::string& prefix, const json& value) {
  if (value.is_object() && !value.items.empty()) {
    for (std::size_t i = 0; i < value.items.size(); ++i)
      add_members(made, prefix.empty() ? value.names[i] : prefix + "." + value.names[i],
                  value.items[i]);
    return;
  }
  made.rows.push_back({prefix, value.text()});
}

} // namespace

const view& cluster_view() {
  static const view made{"cluster",
                         "clusters",
                         "name",
                         {{"NAME", {"name"}},
                          {"HYPERVISOR", {"hypervisor"}},
                          {"NODES", {"nodes"}},
                          {"VMS", {"vms"}},
                          {"VCPUS TAKEN", {"vcpusTaken"}},
                          {"OFFERED", {"vcpusOffered"}},
                          {"MEMORY TAKEN", {"memoryMibTaken"}, cell_kind::memory},
                          {"OFFERED", {"memoryMibOffered"}, cell_kind::memory},
                          {"UPSTREAM", {"upstream"}, cell_kind::protocol},
                          {"ROUTERS", {"upstream"}, cell_kind::upstream, true},
                          {"LABELS", {"labels"}, cell_kind::labels, true},
                          {"ID", {"id"}, cell_kind::text, true},
                          {"VERSION", {"version"}, cell_kind::text, true}}};
  return made;
}

const view& node_view() {
  static const view made{"node",
                         "nodes",
                         "name",
                         {{"NAME", {"name"}},
                          {"CLUSTER", {"cluster.name", "cluster"}},
                          {"STATE", {"state", "observed.state"}},
                          {"HYPERVISOR", {"hypervisor"}, cell_kind::text, true},
                          {"VCPUS", {"vcpus"}},
                          {"MEMORY", {"memoryMib"}, cell_kind::memory},
                          {"IMAGES", {"images"}, cell_kind::list},
                          {"LIBVIRT", {"endpoint.libvirtSocket"}, cell_kind::text, true},
                          {"NAMESPACE", {"endpoint.networkNamespace"}, cell_kind::text, true},
                          {"ROUTERS", {"upstream"}, cell_kind::routers, true},
                          {"UPSTREAM PROBLEM", {"upstreamProblem"}, cell_kind::text, true},
                          {"LABELS", {"labels"}, cell_kind::labels, true},
                          {"ID", {"id"}, cell_kind::text, true},
                          {"VERSION", {"version"}, cell_kind::text, true},
                          {"SEEN", {"seenUntil"}, cell_kind::age},
                          {"REASON", {"reason"}}}};
  return made;
}

const view& network_view() {
  static const view made{"network",
                         "networks",
                         "name",
                         {{"NAME", {"name"}},
                          {"CLUSTER", {"cluster.name", "cluster"}},
                          {"STATE", {"state"}},
                          {"MODE", {"mode"}},
                          {"PREFIX", {"subnets.0.prefix", "prefix"}},
                          {"GATEWAY", {"subnets.0.gateway", "gateway"}},
                          {"PREFIX6", {"subnets.0.prefix6"}, cell_kind::text, true},
                          {"FREE", {"subnets.0.addressesFree"}},
                          {"TAKEN", {"subnets.0.addressesTaken"}},
                          {"RESERVED", {"subnets.0.addressesReserved"}},
                          {"QUARANTINE", {"quarantineSeconds"}, cell_kind::text, true},
                          {"MTU", {"mtu"}, cell_kind::text, true},
                          {"NAME SERVERS", {"nameServers"}, cell_kind::list, true},
                          {"ACTIVITY", {"activity"}, cell_kind::activity, true},
                          {"LABELS", {"labels"}, cell_kind::labels, true},
                          {"ID", {"id"}, cell_kind::text, true},
                          {"VERSION", {"version"}, cell_kind::text, true}}};
  return made;
}

const view& vm_view() {
  static const view made{"vm",
                         "vms",
                         "name",
                         {{"NAME", {"name"}},
                          {"STATE", {"observed.state", "state"}},
                          {"WANTED", {"desired"}},
                          {"ACTIVITY", {"activity"}, cell_kind::activity},
                          {"NODE", {"node.name", "node.id", "node"}},
                          {"ADDRESS", {"address"}},
                          {"ADDRESS6", {"address6"}, cell_kind::text, true},
                          {"FURTHER", {"furtherAddresses"}, cell_kind::list, true},
                          {"RATE", {"bitsASecondMax"}, cell_kind::rate, true},
                          {"CLUSTER", {"cluster.name", "cluster"}, cell_kind::text, true},
                          {"NETWORK", {"network.name", "network"}, cell_kind::text, true},
                          {"IMAGE", {"image"}, cell_kind::text, true},
                          {"VCPUS", {"vcpus"}, cell_kind::text, true},
                          {"MEMORY", {"memoryMib"}, cell_kind::memory, true},
                          {"MAC", {"mac"}, cell_kind::text, true},
                          {"LINK", {"link"}, cell_kind::text, true},
                          {"CAUSE", {"observed.cause"}, cell_kind::text, true},
                          {"REASON", {"observed.reason"}, cell_kind::text, true},
                          {"SOURCE",
                           {"observed.source.name", "observed.source.id", "observed.source"},
                           cell_kind::text,
                           true},
                          {"LABELS", {"labels"}, cell_kind::labels, true},
                          {"ID", {"id"}, cell_kind::text, true},
                          {"VERSION", {"version"}, cell_kind::text, true},
                          {"SEEN", {"observed.at"}, cell_kind::age},
                          {"AGE", {"createdAt"}, cell_kind::age}}};
  return made;
}

const view& job_view() {
  static const view made{"job",
                         "jobs",
                         "id",
                         {{"ID", {"id"}},
                          {"KIND", {"kind"}},
                          {"RESOURCE", {"resourceName", "resource"}},
                          {"STATE", {"state"}},
                          {"STEP", {"steps"}, cell_kind::last_step},
                          {"RESOURCE ID", {"resource"}, cell_kind::text, true},
                          {"DEADLINE", {"deadline"}, cell_kind::clock, true},
                          {"ENDED", {"endedAt"}, cell_kind::age, true},
                          {"WHO", {"who"}, cell_kind::text, true},
                          {"ERROR", {"error.code", "lastAttempt.code", "error"}},
                          {"TEXT", {"error.text", "lastAttempt.text"}, cell_kind::text, true},
                          {"STARTED", {"startedAt"}, cell_kind::age}}};
  return made;
}

const view& event_view() {
  static const view made{"event",
                         "events",
                         "position",
                         {{"POSITION", {"position"}},
                          {"TIME", {"time"}, cell_kind::clock},
                          {"WHO", {"who"}},
                          {"TYPE", {"type"}},
                          {"RESOURCE", {"resource"}, cell_kind::text, true},
                          {"CAUSE", {"cause"}},
                          {"DETAIL", {"detail"}}}};
  return made;
}

const view& projection_view() {
  static const view made{"projection",
                         "projections",
                         "name",
                         {{"NAME", {"name"}},
                          {"VERSION", {"version"}},
                          {"POSITION", {"position"}},
                          {"WORK", {"work.verb"}},
                          {"STATE", {"work.state"}},
                          {"RECORDS", {"work.records"}},
                          {"OF", {"work.recordsAll"}},
                          {"ENDED", {"work.endedAt"}, cell_kind::age},
                          {"DIGEST", {"work.digest"}, cell_kind::text, true},
                          {"DETAIL", {"work.detail"}, cell_kind::text, true}}};
  return made;
}

std::string list_text(const view& how, const std::vector<json>& items, const printing& to) {
  switch (to.format) {
  case output_format::table:
  case output_format::wide:
    return table_text(how, items, to);
  case output_format::json:
  case output_format::yaml: {
    auto list = json::list();
    list.items = items;
    return to.format == output_format::json ? to_json(list, json_layout::indented) + "\n"
                                            : to_yaml(list);
  }
  case output_format::name:
  case output_format::csv:
    break;
  }
  std::string made;
  for (const auto& item : items)
    made += name_line(how, item);
  return made;
}

std::string item_text(const view& how, const json& item, const printing& to) {
  switch (to.format) {
  case output_format::table:
  case output_format::wide:
    return table_text(how, {item}, to) + (how.noun == "job" ? steps_text(item, to) : "");
  case output_format::json:
    return to_json(item, json_layout::indented) + "\n";
  case output_format::yaml:
    return to_yaml(item);
  case output_format::name:
  case output_format::csv:
    break;
  }
  return name_line(how, item);
}

growing_list::growing_list(const view& how, printing to)
    : x_view(how), x_to(std::move(to)), x_table(width_limit(x_to)) {}

std::string growing_list::head() {
  const bool has_heads = x_to.format == output_format::table || x_to.format == output_format::wide;
  return has_heads ? x_table.add(heads_of(x_view, x_to)) : std::string();
}

std::string growing_list::add(const json& item) {
  switch (x_to.format) {
  case output_format::table:
  case output_format::wide:
    return x_table.add(row_of(x_view, item, x_to));
  case output_format::json:
    return to_json(item, json_layout::compact) + "\n";
  case output_format::yaml:
    return "---\n" + to_yaml(item);
  case output_format::name:
  case output_format::csv: // of no list that grows
    break;
  }
  return name_line(x_view, item);
}

std::string members_text(const json& object, const printing& to) {
  switch (to.format) {
  case output_format::json:
    return to_json(object, json_layout::indented) + "\n";
  case output_format::yaml:
    return to_yaml(object);
  case output_format::table:
  case output_format::wide:
  case output_format::name:
  case output_format::csv:
    break;
  }
  table made;
  made.heads = {"WHAT", "VALUE"};
  add_members(made, "", object);
  return render(made, width_limit(to));
}

} // namespace orrery::cli
