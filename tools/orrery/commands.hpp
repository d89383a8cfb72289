#pragma once

#include "tools/orrery/api.hpp"
#include "tools/orrery/context.hpp"
#include "tools/orrery/failure.hpp"
#include "tools/orrery/progress.hpp"
#include "tools/orrery/usage_view.hpp"
#include "tools/orrery/views.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::cli {

/// What the global flags say.
struct settings {
  context_flags where;
  output_format format = output_format::table;
  bool quiet = false;
  bool debug = false;
  bool wait = true;
  std::chrono::milliseconds timeout; ///< of waiting
};

// What commands have in common.

/// Where the API is, as the flags, the environment and the context file say. Throws `failure`.
[[nodiscard]] context context_of(const settings& how);

[[nodiscard]] printing printing_of(const settings& how);

/// Writes to stdout. A reader that has gone ends the process as it ends every other tool.
void print(std::string_view text);

/// Scripts that asked for JSON read stderr too, and want nothing but a problem there.
[[nodiscard]] progress_style style_of(const settings& how, const terminal& where);

// Each of these is one command: it asks the API, prints to stdout, and throws `failure` when it
// did not work. All block.

/// One page after another of a list, printed as one.
void list_things(const settings& how, const view& what, std::size_t limit, const parameters& asked);

/// What was used; `asked` has the times and filters.
void list_usage(const settings& how, usage_rows what, parameters asked);

/// One thing by name or id. With `as_of` (a time or a position) as it was then.
void get_thing(const settings& how, const view& what, const std::string& name,
               const std::string& as_of = {});

/// One thing that is already here; asks nobody.
void show_item(const settings& how, const view& what, const json& item);

/// A change that is answered with a job.
struct change {
  std::string method; ///< "POST" or "DELETE"
  std::string path;
  json body;         ///< null for none
  const view* what;  ///< what it changes
  bool gone = false; ///< there is nothing to show when it is done
};

/// Sends a change, and waits for its job unless told not to. Prints the job (JSON, YAML), the name
/// of the thing, or the thing as it is now.
/// `wanted` may ask the API first, for what the command line leaves open.
void make_change(const settings& how, const std::function<change(api&)>& wanted);

/// The name to use for a thing that the command line does not name: the only one there is (in
/// `cluster`, unless that is empty). Throws `failure` (usage) with the candidates when there are
/// none or several.
[[nodiscard]] std::string only_one(api& from, const view& what, const std::string& cluster);

/// Waits for a job that somebody started.
void wait_for_job(const settings& how, const std::string& id);

/// The last lines of a VM's serial console.
void show_console(const settings& how, const std::string& name, std::size_t lines);

/// Events as they come, behind `after` (empty: from now on); of one thing, unless `resource` is
/// empty. Does not return: Ctrl-C ends the process with 2, and says how to go on.
void follow_events(const settings& how, const std::string& resource, const std::string& after);

/// The one thing at a path ("/v1/status"), a line a member.
void show_members(const settings& how, const std::string& path);

/// The version of this program; asks nobody.
void show_version(const settings& how);

} // namespace orrery::cli
