#pragma once

#include "tools/orrery/api.hpp"
#include "tools/orrery/failure.hpp"
#include "tools/orrery/json.hpp"
#include "tools/orrery/progress.hpp"

#include <chrono>
#include <string>

namespace orrery::cli {

/// Waiting for a job, unless --timeout says otherwise. Jobs have deadlines of their own, all
/// shorter: this is for a daemon that went away.
inline constexpr std::chrono::milliseconds wait_max = std::chrono::minutes(10);
/// Asked of the server for one look at a running job.
inline constexpr std::chrono::seconds long_poll = std::chrono::seconds(2);
/// How long a waiting command bears that the API cannot be reached (a restart takes seconds).
inline constexpr std::chrono::milliseconds unreachable_max = std::chrono::seconds(30);

/// How waiting ended.
struct waited {
  exit_code exit = exit_code::done; ///< done, failed, detached (cancelled), timed_out
  json job;                         ///< as it was last seen
};

/// The job in a reply: the object itself, or its member "job".
[[nodiscard]] const json& job_of(const json& reply);

/// True when the job runs no more.
[[nodiscard]] bool is_over(const json& job);

/// Follows a job until it is over or `timeout` has passed, and tells its steps. Throws `failure`
/// when it is not found or the API stays away.
[[nodiscard]] waited wait_for(api& from, const json& job, std::chrono::milliseconds timeout,
                              progress& shown);

/// Why waiting ended so, for stderr. Not for `exit_code::done`.
[[nodiscard]] failure failure_of(const waited& end, std::chrono::milliseconds timeout);

} // namespace orrery::cli
