#include "projections/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
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

std::unique_ptr<prometheus::Registry> to_registry(const state_gauges& state) {
  constexpr std::array<const char*, state_gauges::observed_states> observed{
      "unspecified", "absent", "stopped", "running", "reachable", "unknown"};
  constexpr std::array<const char*, state_gauges::desired_states> desired{"running", "stopped",
                                                                          "deleted"};
  auto made = std::make_unique<prometheus::Registry>();
  auto& vms = gauges(*made, "orrery_vms",
                     "Virtual machines by what was seen of them last and what is wanted.");
  for (std::size_t seen = 1; seen < observed.size(); ++seen) // 0 is no state
    for (std::size_t wanted = 0; wanted < desired.size(); ++wanted)
      set(vms, {{"observed", observed[seen]}, {"desired", desired[wanted]}},
          state.vms[seen][wanted]);
  auto& nodes = gauges(*made, "orrery_nodes", "Nodes by state.");
  set(nodes, {{"state", "registered"}}, state.nodes_registered);
  set(nodes, {{"state", "connected"}}, state.nodes_connected);
  set(nodes, {{"state", "unreachable"}}, state.nodes_unreachable);
  auto& vcpus = gauges(*made, "orrery_capacity_vcpus",
                       "Virtual processors offered by nodes in sight, and taken by VMs.");
  set(vcpus, {{"share", "offered"}}, state.vcpus_offered);
  set(vcpus, {{"share", "taken"}}, state.vcpus_taken);
  auto& memory = gauges(*made, "orrery_capacity_memory_bytes",
                        "Memory offered by nodes in sight, and taken by VMs.");
  set(memory, {{"share", "offered"}}, state.memory_mib_offered * bytes_per_mib);
  set(memory, {{"share", "taken"}}, state.memory_mib_taken * bytes_per_mib);
  set(gauges(*made, "orrery_jobs_running", "Jobs in progress."), {}, state.jobs_running);
  return made;
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
  series<prometheus::Counter> commands{
      counters(registry, "orrery_commands_total",
               "Commands decided, by noun and outcome (done, or why it was refused).")};
  prometheus::Counter& commits{
      counters(registry, "orrery_commits_total", "Commits of this process that were accepted.")
          .Add({})};
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

  mutable std::mutex mutex;
  std::map<partition_number, std::uint64_t> last_seqs;
  std::map<std::string, std::uint64_t> positions;
  std::map<partition_number, state_gauges> states; ///< of the partitions that are ours

  /// Under the mutex: the lag is the difference of two numbers that come from different threads.
  void show_lags() {
    std::uint64_t end = 0;
    for (const auto& [where, seq] : last_seqs)
      end += seq;
    log_end.at({}).Set(static_cast<double>(end));
    for (const auto& [name, records] : positions) {
      const auto lag = end > records ? end - records : 0;
      lags.at({{"projection", name}}).Set(static_cast<double>(lag));
    }
  }
};

metrics::metrics() : x_implementation(std::make_unique<implementation>()) {}

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

void metrics::count_commit(std::chrono::nanoseconds duration) {
  x_implementation->commits.Increment();
  x_implementation->commit_durations.Observe(to_seconds(duration));
}

void metrics::count_void_record(std::string_view reason) {
  x_implementation->void_records.at({{"reason", std::string(reason)}}).Increment();
}

void metrics::set_projection(std::string_view name, std::uint64_t records) {
  const std::lock_guard lock(x_implementation->mutex);
  x_implementation->positions[std::string(name)] = records;
  x_implementation->projections.at({{"projection", std::string(name)}})
      .Set(static_cast<double>(records));
  x_implementation->show_lags();
}

void metrics::set_log_end(partition_number where, std::uint64_t seq) {
  const std::lock_guard lock(x_implementation->mutex);
  x_implementation->last_seqs[where] = seq;
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
  {
    const std::lock_guard lock(x_implementation->mutex);
    state_gauges sum;
    for (const auto& [where, state] : x_implementation->states)
      sum += state;
    if (!x_implementation->states.empty()) {
      auto state = to_registry(sum)->Collect();
      std::ranges::move(state, std::back_inserter(families));
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

} // namespace orrery::projections
