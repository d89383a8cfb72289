#pragma once

#include "projections/state_totals.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace orrery::projections {

/// Series of one metric, at most: labels come from tables of ours, so this is met only by a bug
/// (say, a path where its template should stand). What comes later is counted under "other".
inline constexpr std::size_t series_per_metric_max = 500;

/// A request that was answered.
struct http_request {
  std::string_view route;  ///< the template: "/v1/vms/{id}"; empty when none fitted
  std::string_view method; ///< "GET"; unknown ones count as "other"
  int status = 0;          ///< 100 to 599
  std::chrono::nanoseconds duration{0};
};

/// An operation on a hypervisor that ended.
struct hypervisor_effect {
  std::string_view hypervisor; ///< "kvm"
  std::string_view verb;       ///< "start"
  std::string_view outcome;    ///< "done", or the name of an error code
  std::chrono::nanoseconds duration{0};
};

/// How a partition stands to this process, as its engine tells.
struct partition_report {
  std::string_view standing; ///< "owning", "following", …
  std::uint64_t queued = 0;  ///< commands that wait to be decided
  bool is_blocked = false;   ///< it is ours to decide, and takes no change now
};

/// A partition that has not told how it stands for so long is shown as silent. Engines tell four
/// times a second; a busy machine may keep one waiting.
inline constexpr std::chrono::seconds silent_after{5};

/// What metrics need to know at their start.
struct metrics_birth {
  std::string version;        ///< of the program
  std::string data_directory; ///< the room of its file system is shown; empty: not
  std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;
};

/// The metrics of this process, one object for all its parts. Any thread may count at any time; no
/// call blocks for long. The number of series does not depend on the number of VMs.
class metrics {
public:
  explicit metrics(metrics_birth birth = {});
  ~metrics();
  metrics(const metrics&) = delete;
  metrics& operator=(const metrics&) = delete;

  void count(const http_request& request);
  void count(const hypervisor_effect& effect);

  /// A command that was decided: its noun, and "done" or the name of an error code.
  void count_command(std::string_view noun, std::string_view outcome);

  /// A commit of ours that was accepted, with the jobs that it ended, and the time from its first
  /// command to its acceptance.
  void count_commit(const folded_commit& commit, std::chrono::nanoseconds duration);

  /// A record that counts for nothing, by the name of the reason.
  void count_void_record(std::string_view reason);

  /// Somebody watches the timeline, or no longer does.
  void add_watcher();
  void remove_watcher();

  /// One of those who no longer do took nothing for too long.
  void count_slow_watcher();

  /// Entries that were given to watchers; once for each of them.
  void count_watch_messages(std::uint64_t count);

  /// Of the log, whoever owns them.
  void set_partitions(std::size_t count);

  void set_standing(partition_number where, const partition_report& report);

  /// How many records were folded into a projection: the last numbers of all partitions added.
  void set_projection(std::string_view name, std::uint64_t records);

  /// Number of the last accepted commit of a partition; their sum is shown.
  void set_log_end(partition_number where, std::uint64_t seq);

  /// What a partition holds; the sum of all is shown. Only from the partition's owner, or sums over
  /// processes are wrong.
  void set_state(partition_number where, const state_gauges& state);

  /// To be called when a partition is no longer owned: its state is shown no more.
  void clear_state(partition_number where);

  /// Everything in Prometheus' text format.
  [[nodiscard]] std::string expose() const;

private:
  struct implementation;

  std::unique_ptr<implementation> x_implementation;
};

} // namespace orrery::projections
