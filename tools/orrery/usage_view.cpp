#include "tools/orrery/usage_view.hpp"

#include "events/core/wide.hpp"
#include "tools/orrery/csv.hpp"
#include "tools/orrery/failure.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace orrery::cli {

namespace {

/// Rows about one VM each; `how_long` is the column that says it.
view rows_of_vms(const column& how_long) {
  return {"usage",
          "usage",
          "resource.name",
          {{"VM", {"resource.name", "resource.id"}},
           {"METER", {"meter"}},
           {"STATE", {"state"}},
           {"AMOUNT", {"amount"}},
           {"UNIT", {"unit"}},
           how_long,
           {"START", {"start"}},
           {"END", {"end"}},
           {"OPEN", {"open"}},
           {"CLUSTER", {"cluster.name", "cluster.id"}, cell_kind::text, true},
           {"VM ID", {"resource.id"}, cell_kind::text, true}}};
}

const view& view_of(usage_rows what) {
  static const column unit_seconds{
      "UNIT-SECONDS", {"unitMicroseconds"}, cell_kind::microseconds, false};
  static const view sums = rows_of_vms(unit_seconds);
  static const view totals{"usage",
                           "usage",
                           "meter",
                           {{"METER", {"meter"}},
                            {"STATE", {"state"}},
                            {"UNIT", {"unit"}},
                            unit_seconds,
                            {"UNTIL", {"until"}},
                            {"OPEN", {"open"}}}};
  static const view intervals =
      rows_of_vms({"SECONDS", {"microseconds"}, cell_kind::microseconds, false});
  switch (what) {
  case usage_rows::sums_of_vms:
    break;
  case usage_rows::totals:
    return totals;
  case usage_rows::intervals:
    return intervals;
  }
  return sums;
}

/// Name and path of each column. Names are for programs: never changed, new ones come last.
using csv_columns = std::vector<std::pair<std::string, std::string_view>>;

const csv_columns& csv_of(usage_rows what) {
  static const csv_columns totals{{"meter", "meter"}, {"state", "state"},
                                  {"unit", "unit"},   {"unit_microseconds", "unitMicroseconds"},
                                  {"until", "until"}, {"open", "open"}};
  static const auto of_vms = [](std::string name, std::string_view path) {
    return csv_columns{
        {"vm_id", "resource.id"},    {"vm", "resource.name"}, {"cluster_id", "cluster.id"},
        {"cluster", "cluster.name"}, {"meter", "meter"},      {"state", "state"},
        {"amount", "amount"},        {"unit", "unit"},        {std::move(name), path},
        {"start", "start"},          {"end", "end"},          {"open", "open"}};
  };
  static const auto sums = of_vms("unit_microseconds", "unitMicroseconds");
  static const auto intervals = of_vms("microseconds", "microseconds");
  if (what == usage_rows::totals)
    return totals;
  return what == usage_rows::intervals ? intervals : sums;
}

std::string csv_text(usage_rows what, const std::vector<json>& rows) {
  std::vector<std::string> cells;
  for (const auto& [name, path] : csv_of(what))
    cells.push_back(name);
  auto made = csv_line(cells);
  for (const auto& row : rows) {
    cells.clear();
    for (const auto& [name, path] : csv_of(what)) {
      auto text = row.at(path).text();
      cells.push_back(text.ends_with("_UNSPECIFIED") ? std::string() : std::move(text));
    }
    made += csv_line(cells);
  }
  return made;
}

/// A row for each sum of a VM, with what is said of the VM.
std::vector<json> flattened(const std::vector<json>& items) {
  std::vector<json> rows;
  for (const auto& item : items)
    for (const auto& sum : item.at("sums").items) {
      auto& row = rows.emplace_back(sum.is_object() ? sum : json::object());
      for (const auto* name : {"resource", "cluster", "start", "end", "open"})
        row.set(name, item.at(name));
    }
  return rows;
}

uint128 number_of(const json& item) {
  const auto text = item.at("unitMicroseconds").text();
  const auto number = parse_uint128(text);
  if (!number)
    throw failure(exit_code::failed, "bad_reply", "the API gave '" + text + "' as a sum");
  return *number;
}

json added(const json& left, const json& right) {
  const auto sum = sum_of(number_of(left), number_of(right));
  if (!sum)
    throw failure(exit_code::failed, "too_large", "the sum has more than 128 bits");
  auto made = json::object();
  for (const auto* name : {"meter", "state", "unit"})
    made.set(name, left.at(name));
  made.set("unitMicroseconds", json::of(to_text(*sum)));
  const bool is_open = left.at("open").text() == "true" || right.at("open").text() == "true";
  made.set("open", json::of(is_open));
  const auto& first = left.at("until").text() < right.at("until").text() ? left : right;
  made.set("until", first.at("until"));
  return made;
}

/// The totals of all pages as one, by meter and state, in the order in which they came first.
std::vector<json> sums_of_pages(const std::vector<json>& items) {
  std::vector<json> rows;
  std::map<std::pair<std::string, std::string>, std::size_t> places;
  for (const auto& item : items) {
    const auto [at, is_new] =
        places.try_emplace({item.at("meter").text(), item.at("state").text()}, rows.size());
    if (is_new)
      rows.push_back(item);
    else
      rows[at->second] = added(rows[at->second], item);
  }
  return rows;
}

} // namespace

std::string usage_text(usage_rows what, std::vector<json> items, const printing& to) {
  if (what == usage_rows::totals)
    items = sums_of_pages(items);
  const bool is_flat = to.format == output_format::table || to.format == output_format::wide ||
                       to.format == output_format::csv;
  if (what == usage_rows::sums_of_vms && is_flat)
    items = flattened(items);
  return to.format == output_format::csv ? csv_text(what, items)
                                         : list_text(view_of(what), items, to);
}

std::string moment_text(std::string_view flag, const std::string& text) {
  constexpr std::size_t date_size = 10;
  const auto read = parse_time(text.size() == date_size ? text + "T00:00:00Z" : text);
  if (!read)
    throw failure(exit_code::usage, "usage",
                  std::string(flag) + ": '" + clean(text) +
                      "' is not a time: want a date like 2026-11-01, or UTC like "
                      "2026-11-01T08:30:00Z");
  return to_text(*read);
}

} // namespace orrery::cli
