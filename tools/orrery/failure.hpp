#pragma once

#include "events/core/error.hpp"
#include "tools/orrery/json.hpp"

#include <exception>
#include <string>
#include <string_view>

namespace orrery::cli {

/// What scripts can trust. Documented in `orrery --help`; numbers are never reused.
enum class exit_code : int {
  done = 0,
  failed = 1,
  detached = 2, ///< Ctrl-C, or the job was cancelled
  check_failed = 3,
  login_needed = 4,
  not_found = 5,
  conflict = 6,  ///< busy, duplicate, changed meanwhile
  refused = 7,   ///< by policy, quota or permission
  timed_out = 8, ///< the job still runs
  usage = 64,    ///< EX_USAGE of sysexits.h
};

/// Ends a command. Thrown within this folder only, caught in `run_cli`.
struct failure : std::exception {
  exit_code exit = exit_code::failed;
  std::string code;   ///< "not_found", as the API names it; "usage" for the command line
  std::string detail; ///< what failed and the way out
  json problem;       ///< the API's own object, when it sent one

  failure(exit_code how, std::string_view name, std::string text);
  explicit failure(const error& why);

  [[nodiscard]] const char* what() const noexcept override { return detail.c_str(); }
};

/// The exit code for an error of the API: by its stable code, and by the HTTP status (0 for none)
/// where the code is of a newer version.
[[nodiscard]] exit_code exit_of(std::string_view code, int status);

/// What stands on stderr, with a newline: `error: <detail> (<code>)`, or for `-o json` the problem
/// object in one line.
[[nodiscard]] std::string failure_text(const failure& why, bool as_json, bool coloured);

} // namespace orrery::cli
