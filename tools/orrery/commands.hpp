#pragma once

#include "tools/orrery/api.hpp"
#include "tools/orrery/context.hpp"
#include "tools/orrery/failure.hpp"
#include "tools/orrery/views.hpp"

#include <chrono>
#include <optional>
#include <string>

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

// Each of these is one command: it asks the API, prints to stdout, and throws `failure` when it
// did not work. All block.

/// One page after another of a list, printed as one.
void list_things(const settings& how, const view& what, std::size_t limit, const parameters& asked);

/// One thing by name or id.
void get_thing(const settings& how, const view& what, const std::string& name);

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
void make_change(const settings& how, const change& wanted);

/// Waits for a job that somebody started.
void wait_for_job(const settings& how, const std::string& id);

/// The last lines of a VM's serial console.
void show_console(const settings& how, const std::string& name, std::size_t lines);

/// How the installation is.
void show_status(const settings& how);

/// The version of this program; asks nobody.
void show_version(const settings& how);

} // namespace orrery::cli
