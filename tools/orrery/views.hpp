#pragma once

#include "events/core/time.hpp"
#include "tools/orrery/json.hpp"
#include "tools/orrery/table.hpp"
#include "tools/orrery/terminal.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orrery::cli {

enum class output_format { table, wide, json, yaml, name, csv };

/// How the value of a column is shown.
enum class cell_kind {
  text,
  age,          ///< how long ago on a terminal, else the time as it came
  clock,        ///< time of day on a terminal, else the time as it came
  memory,       ///< a number of MiB
  rate,         ///< a number of bits a second
  activity,     ///< the job that holds a VM: kind and step
  list,         ///< of words
  labels,       ///< an object of texts, as key=value
  last_step,    ///< of a job
  protocol,     ///< of a cluster's upstream
  upstream,     ///< of a cluster: protocol, link and routers
  routers,      ///< of a node: each, and whether it speaks with it
  microseconds, ///< a whole number of them, as seconds with all six digits behind the point
};

struct column {
  std::string_view head;
  std::vector<std::string_view> paths; ///< the first that holds something
  cell_kind kind = cell_kind::text;
  bool wide_only = false;
};

/// How one kind of thing is listed.
struct view {
  std::string_view noun;       ///< "vm"
  std::string_view collection; ///< "vms": in the path and in the reply
  std::string_view name_path;  ///< what `-o name` prints
  std::vector<column> columns;
};

[[nodiscard]] const view& cluster_view();
[[nodiscard]] const view& node_view();
[[nodiscard]] const view& network_view();
[[nodiscard]] const view& vm_view();
[[nodiscard]] const view& job_view();
[[nodiscard]] const view& event_view();
[[nodiscard]] const view& projection_view();

/// Where and when something is printed.
struct printing {
  output_format format = output_format::table;
  terminal where;
  utc_time now;
};

/// A list as it is printed to stdout (not as CSV, which is the usage's alone), whatever is in it:
/// missing members are "-", odd ones are shown as they are. An empty list is `[]` in JSON and YAML
/// and only the heads in a table.
[[nodiscard]] std::string list_text(const view& how, const std::vector<json>& items,
                                    const printing& to);

/// One thing. For a job the steps follow in a table of their own.
[[nodiscard]] std::string item_text(const view& how, const json& item, const printing& to);

/// A list that grows, a piece for each item: the rows of a table under its heads, JSON with an
/// object on each line, or documents in YAML.
class growing_list {
public:
  growing_list(const view& how, printing to);

  /// What stands before the first item.
  [[nodiscard]] std::string head();

  [[nodiscard]] std::string add(const json& item);

private:
  const view& x_view;
  printing x_to;
  growing_table x_table;
};

/// An object that has no view: a line a member, those of inner objects with their path.
[[nodiscard]] std::string members_text(const json& object, const printing& to);

} // namespace orrery::cli
