#include "projections/metrics.hpp"

#include "events/core/error.hpp"
#include "events/log/history.hpp"
#include "projections/jobs.hpp"
#include "projections/machine.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <mutex>
#include <vector>

namespace orrery::projections {

namespace {

using labels = std::map<std::string, std::string>;

/// Bounds of durations in seconds. Requests and commits take milliseconds; an operation on a
/// hypervisor takes up to minutes (its deadline).
const std::vector<double> fast_bounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                      0.1,   0.25,   0.5,   1,    2.5,   5};
const std::vector<double> slow_bounds{0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300};

constexpr std::uint64_t bytes_per_mib = std::uint64_t{1024} * 1024;

double to_seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

/// The series of one family that were made so far; bounded.
template <class Metric> class series {
public:
  template <class... Options> Metric& at(const labels& wanted, const Options&... options) {
    const std::lock_guard lock(x_mutex);
    if (const auto known = x_known.find(wanted); known != x_known.end())
      return *known->second;
    auto kept = wanted;
    if (x_known.size() >= series_per_metric_max)
      for (auto& [name, value] : kept)
        value = "other";
    auto& made = x_family.Add(kept, options...); // gives the one that is there already
    x_known.emplace(kept, &made);
    return made;
  }

  explicit series(prometheus::Family<Metric>& family) : x_family(family) {}

private:
  prometheus::Family<Metric>& x_family;
  std::mutex x_mutex;
  std::map<labels, Metric*> x_known;
};

prometheus::Family<prometheus::Counter>&
counters(prometheus::Registry& registry, const std::string& name, const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Gauge>& gauges(prometheus::Registry& registry,
                                              const std::string& name, const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>&
histograms(prometheus::Registry& registry, const std::string& name, const std::string& help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

std::string method_label(std::string_view method) {
  constexpr std::array<std::string_view, 7> known{"GET",    "POST", "PUT",    "PATCH",
                                                  "DELETE", "HEAD", "OPTIONS"};
  return std::string(std::ranges::find(known, method) != known.end() ? method : "other");
}

std::string status_label(int status) {
  return status >= 100 && status < 600 ? std::to_string(status / 100) + "xx" : "other";
}

void set(prometheus::Family<prometheus::Gauge>& family, const labels& which, std::uint64_t value) {
  family.Add(which).Set(static_cast<double>(value));
}

labels job_labels(v1::JobKind kind, v1::Job::State state) {
  const char* name = "other"; // a job that ended is in none of the other states
  if (state == v1::Job::DONE)
    name = "done";
  else if (state == v1::Job::FAILED)
    name = "failed";
  else if (state == v1::Job::CANCELLED)
    name = "cancelled";
  return {{"kind", std::string(domain::name_of(kind))}, {"state", name}};
}

/// All standings of an engine, and that of one which does not tell.
constexpr std::array<const char*, 7> standings_shown{"replaying", "following", "claiming", "owning",
                                                     "in_doubt",  "halted",    "silent"};

void add_state(prometheus::Registry& to, const state_gauges& state) {
  constexpr std::array<const char*, state_gauges::observed_states> observed{
      "unspecified", "absent", "stopped", "running", "reachable", "unknown"};
  constexpr std::array<const char*, state_gauges::desired_states> desired{"running", "stopped",
                                                                          "deleted"};
  auto& vms = gauges(to, "orrery_vms",
                     "Virtual machines by what was seen of them last and what is wanted.");
  for (std::size_t seen = 1; seen < observed.size(); ++seen) // 0 is no state
    for (std::size_t wanted = 0; wanted < desired.size(); ++wanted)
      set(vms, {{"observed", observed[seen]}, {"desired", desired[wanted]}},
          state.vms[seen][wanted]);
  auto& nodes = gauges(to, "orrery_nodes", "Nodes by state.");
  set(nodes, {{"state", "registered"}}, state.nodes_registered);
  set(nodes, {{"state", "connected"}}, state.nodes_connected);
  set(nodes, {{"state", "unreachable"}}, state.nodes_unreachable);
  auto& vcpus = gauges(to, "orrery_capacity_vcpus",
                       "Virtual processors offered by nodes in sight, and taken by VMs.");
  set(vcpus, {{"share", "offered"}}, state.vcpus_offered);
  set(vcpus, {{"share", "taken"}}, state.vcpus_taken);
  auto& memory = gauges(to, "orrery_capacity_memory_bytes",
                        "Memory offered by nodes in sight, and taken by VMs.");
  set(memory, {{"share", "offered"}}, state.memory_mib_offered * bytes_per_mib);
  set(memory, {{"share", "taken"}}, state.memory_mib_taken * bytes_per_mib);
  set(gauges(to, "orrery_jobs_running", "Jobs in progress."), {}, state.jobs_running);
}

/// The usual ones, by the names that every Prometheus client gives them.
void add_process(prometheus::Registry& to) {
  const auto told = figures_of_this_process();
  if (!told)
    return;
  counters(to, "process_cpu_seconds_total", "CPU time of this process, user and system.")
      .Add({})
      .Increment(told->cpu_seconds);
  set(gauges(to, "process_resident_memory_bytes", "Memory that this process holds."), {},
      told->resident_bytes);
  set(gauges(to, "process_virtual_memory_bytes", "Address space of this process."), {},
      told->virtual_bytes);
  set(gauges(to, "process_open_fds", "Files and connections that this process has open."), {},
      told->open_files);
  set(gauges(to, "process_max_fds", "Files and connections that it may have open."), {},
      told->open_files_max);
  gauges(to, "process_start_time_seconds", "When this process began, in seconds since 1970.")
      .Add({})
      .Set(told->started_at);
}

void add_room(prometheus::Registry& to, const std::string& directory) {
  const auto room = room_of(directory);
  if (!room)
    return;
  set(gauges(to, "orrery_data_filesystem_size_bytes",
             "Size of the file system that holds the data directory."),
      {}, room->size);
  set(gauges(to, "orrery_data_filesystem_free_bytes",
             "Room that is left on the file system that holds the data directory."),
      {}, room->free);
}

} // namespace

struct metrics::implementation {
  prometheus::Registry registry;
  series<prometheus::Counter> http_requests{
      counters(registry, "orrery_http_requests_total",
               "HTTP requests answered, by route, method and class of status.")};
  series<prometheus::Histogram> http_durations{
      histograms(registry, "orrery_http_request_duration_seconds",
                 "Time from an HTTP request to its answer, by route and method.")};
  prometheus::Gauge& watchers{
      gauges(registry, "orrery_watchers", "Clients that watch the timeline.").Add({})};
  prometheus::Counter& slow_watchers{
      counters(registry, "orrery_watchers_slow_total",
               "Watchers whose connection was closed because they took nothing for too long.")
          .Add({})};
  prometheus::Counter& watch_messages{
      counters(registry, "orrery_watch_messages_total",
               "Entries of the timeline given to watchers; once for each of them.")
          .Add({})};
  series<prometheus::Counter> commands{
      counters(registry, "orrery_commands_total",
               "Commands decided, by noun and outcome (done, or why it was refused).")};
  prometheus::Counter& commits{
      counters(registry, "orrery_commits_total", "Commits of this process that were accepted.")
          .Add({})};
  prometheus::Counter& commit_bytes{
      counters(registry, "orrery_commit_bytes_total",
               "Bytes of the bodies of commits of this process that were accepted.")
          .Add({})};
  series<prometheus::Counter> jobs_ended{
      counters(registry, "orrery_jobs_ended_total",
               "Jobs that ended by a commit of this process, by kind and state.")};
  prometheus::Histogram& commit_durations{
      histograms(registry, "orrery_commit_duration_seconds",
                 "Time from the first command of a commit to its acceptance.")
          .Add({}, fast_bounds)};
  series<prometheus::Counter> void_records{
      counters(registry, "orrery_void_records_total",
               "Records of the log that count for nothing, by reason.")};
  series<prometheus::Counter> effects{
      counters(registry, "orrery_hypervisor_effects_total",
               "Operations on hypervisors that ended, by kind, verb and outcome.")};
  series<prometheus::Histogram> effect_durations{
      histograms(registry, "orrery_hypervisor_effect_duration_seconds",
                 "Time that operations on hypervisors took, by kind and verb.")};
  series<prometheus::Gauge> projections{
      gauges(registry, "orrery_projection_position",
             "Last record that was folded into a projection; all partitions added.")};
  series<prometheus::Gauge> lags{
      gauges(registry, "orrery_projection_lag_records",
             "Records of the log that a projection has not folded yet.")};
  series<prometheus::Gauge> log_end{
      gauges(registry, "orrery_log_end", "Last accepted commit of the log; all partitions added.")};
  prometheus::Gauge& partitions{
      gauges(registry, "orrery_log_partitions", "Partitions of the log, whoever owns them.")
          .Add({})};

  using steady_time = std::chrono::steady_clock::time_point;

  /// Where a projection stands, and a mark: at `mark_at` the log ended at `mark`, and all before is
  /// folded as soon as the position has reached it.
  struct projection {
    std::uint64_t position = 0;
    std::uint64_t mark = 0;
    steady_time mark_at;
  };

  struct told_standing {
    std::string standing;
    std::uint64_t queued = 0;
    bool is_blocked = false;
    steady_time at;
  };

  metrics_birth birth;
  mutable std::mutex mutex;
  std::map<partition_number, std::uint64_t> last_seqs;
  std::uint64_t end = 0; ///< of all partitions added
  std::map<std::string, projection> positions;
  std::map<partition_number, told_standing> standings;
  std::map<partition_number, state_gauges> states; ///< of the partitions that are ours

  explicit implementation(metrics_birth made) : birth(std::move(made)) {
    gauges(registry, "orrery_build_info", "Always 1; the version of this orreryd.")
        .Add({{"version", birth.version}})
        .Set(1);
    show_zeros();
  }

  /// What alerts ask the increase of is there from the start: the first step of a series that
  /// appears with it is invisible.
  void show_zeros() {
    for (std::size_t i = 0; i < log::void_reason_count; ++i)
      void_records.at({{"reason", std::string(log::name_of(static_cast<log::void_reason>(i)))}});
    for (int kind = v1::JobKind_MIN + 1; kind <= v1::JobKind_MAX; ++kind) // 0 is no kind
      for (const auto state : {v1::Job::DONE, v1::Job::FAILED, v1::Job::CANCELLED})
        jobs_ended.at(job_labels(static_cast<v1::JobKind>(kind), state));
    for (const auto* noun : {"installation", "cluster", "node", "network", "vm"})
      commands.at({{"noun", noun}, {"outcome", std::string(name_of(error_code::internal))}});
  }

  /// Under the mutex: the lag is the difference of two numbers that come from different threads.
  void show_lags() {
    log_end.at({}).Set(static_cast<double>(end));
    for (const auto& [name, one] : positions) {
      const auto lag = end > one.position ? end - one.position : 0;
      lags.at({{"projection", name}}).Set(static_cast<double>(lag));
    }
  }

  void add_lag_seconds(prometheus::Registry& to) const;
  void add_standings(prometheus::Registry& to) const;
};

void metrics::implementation::add_lag_seconds(prometheus::Registry& to) const {
  auto& family = gauges(to, "orrery_projection_behind_seconds",
                        "For how long at most a record of the log has waited to be folded into a "
                        "projection; 0 when none does.");
  const auto now = birth.clock();
  for (const auto& [name, one] : positions)
    family.Add({{"projection", name}}).Set(one.position >= end ? 0 : to_seconds(now - one.mark_at));
}

void metrics::implementation::add_standings(prometheus::Registry& to) const {
  std::map<std::string, std::uint64_t> counts;
  for (const auto* one : standings_shown)
    counts[one] = 0;
  std::uint64_t blocked = 0;
  std::uint64_t queued = 0;
  const auto now = birth.clock();
  for (const auto& [where, told] : standings) {
    ++counts[now - told.at > silent_after ? "silent" : told.standing];
    blocked += told.is_blocked ? 1 : 0;
    queued += told.queued;
  }
  auto& family =
      gauges(to, "orrery_partitions",
             "Partitions in this process by how it stands to them; silent: does not say.");
  for (const auto& [standing, count] : counts)
    set(family, {{"standing", standing}}, count);
  set(gauges(to, "orrery_partitions_blocked",
             "Partitions that this process should decide and that take no change now."),
      {}, blocked);
  set(gauges(to, "orrery_commands_waiting", "Commands that wait to be decided."), {}, queued);
}

metrics::metrics(metrics_birth birth)
    : x_implementation(std::make_unique<implementation>(std::move(birth))) {}

metrics::~metrics() = default;

void metrics::count(const http_request& request) {
  const std::string route(request.route.empty() ? "none" : request.route);
  const auto method = method_label(request.method);
  x_implementation->http_requests
      .at({{"route", route}, {"method", method}, {"status", status_label(request.status)}})
      .Increment();
  x_implementation->http_durations.at({{"route", route}, {"method", method}}, fast_bounds)
      .Observe(to_seconds(request.duration));
}

void metrics::count(const hypervisor_effect& effect) {
  const std::string hypervisor(effect.hypervisor);
  const std::string verb(effect.verb);
  x_implementation->effects
      .at({{"hypervisor", hypervisor}, {"verb", verb}, {"outcome", std::string(effect.outcome)}})
      .Increment();
  x_implementation->effect_durations.at({{"hypervisor", hypervisor}, {"verb", verb}}, slow_bounds)
      .Observe(to_seconds(effect.duration));
}

void metrics::count_command(std::string_view noun, std::string_view outcome) {
  x_implementation->commands.at({{"noun", std::string(noun)}, {"outcome", std::string(outcome)}})
      .Increment();
}

void metrics::count_commit(const folded_commit& commit, std::chrono::nanoseconds duration) {
  x_implementation->commits.Increment();
  x_implementation->commit_bytes.Increment(static_cast<double>(commit.bytes));
  x_implementation->commit_durations.Observe(to_seconds(duration));
  for (const auto& ended : jobs_ended_by(commit))
    x_implementation->jobs_ended.at(job_labels(ended.kind, ended.state)).Increment();
}

void metrics::count_void_record(std::string_view reason) {
  x_implementation->void_records.at({{"reason", std::string(reason)}}).Increment();
}

void metrics::add_watcher() { x_implementation->watchers.Increment(); }

void metrics::remove_watcher() { x_implementation->watchers.Decrement(); }

void metrics::count_slow_watcher() { x_implementation->slow_watchers.Increment(); }

void metrics::count_watch_messages(std::uint64_t count) {
  x_implementation->watch_messages.Increment(static_cast<double>(count));
}

void metrics::set_partitions(std::size_t count) {
  x_implementation->partitions.Set(static_cast<double>(count));
}

void metrics::set_standing(partition_number where, const partition_report& report) {
  const std::lock_guard lock(x_implementation->mutex);
  x_implementation->standings[where] = {std::string(report.standing), report.queued,
                                        report.is_blocked, x_implementation->birth.clock()};
}

void metrics::set_projection(std::string_view name, std::uint64_t records) {
  const std::lock_guard lock(x_implementation->mutex);
  auto& one = x_implementation->positions[std::string(name)];
  one.position = records;
  if (records >= one.mark) {
    one.mark = x_implementation->end;
    one.mark_at = x_implementation->birth.clock();
  }
  x_implementation->projections.at({{"projection", std::string(name)}})
      .Set(static_cast<double>(records));
  x_implementation->show_lags();
}

void metrics::set_log_end(partition_number where, std::uint64_t seq) {
  const std::lock_guard lock(x_implementation->mutex);
  const auto before = x_implementation->end;
  auto& last = x_implementation->last_seqs[where];
  x_implementation->end += seq - last;
  last = seq;
  for (auto& [name, one] : x_implementation->positions)
    if (one.position >= before) { // nothing has waited so far
      one.mark = x_implementation->end;
      one.mark_at = x_implementation->birth.clock();
    }
  x_implementation->show_lags();
}

void metrics::set_state(partition_number where, const state_gauges& state) {
  const std::lock_guard lock(x_implementation->mutex);
  x_implementation->states[where] = state;
}

void metrics::clear_state(partition_number where) {
  const std::lock_guard lock(x_implementation->mutex);
  x_implementation->states.erase(where);
}

std::string metrics::expose() const {
  auto families = x_implementation->registry.Collect();
  prometheus::Registry now;
  add_process(now);
  add_room(now, x_implementation->birth.data_directory);
  {
    const std::lock_guard lock(x_implementation->mutex);
    x_implementation->add_lag_seconds(now);
    x_implementation->add_standings(now);
    state_gauges sum;
    for (const auto& [where, state] : x_implementation->states)
      sum += state;
    if (!x_implementation->states.empty())
      add_state(now, sum);
  }
  std::ranges::move(now.Collect(), std::back_inserter(families));
  return prometheus::TextSerializer().Serialize(families);
}

} // namespace orrery::projections
