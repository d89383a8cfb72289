#include "actors/bench_support.hpp"
#include "tools/dev/bench/lines.hpp"

#include <algorithm>

namespace orrery::bench {

namespace {

constexpr std::size_t messages = 1'000;

/// Enough for a tenth of a second and more.
constexpr std::size_t bursts = 20;

double rate(const std::string& policy) {
  actors::burst_shape shape;
  shape.policy = policy;
  shape.messages = messages;
  shape.bursts = bursts;
  const auto spent = actors::run_burst(shape);
  return static_cast<double>(messages * bursts) / std::chrono::duration<double>(spent).count();
}

} // namespace

std::vector<row> burst(const settings& wanted) {
  row made;
  made.id = "burst";
  made.what = "1,000 messages at once to lazy actors, each answered; policy sharing";
  made.unit = "messages/s";
  made.yardstick_what = "the same with CAF's default policy, stealing";
  made.load = load_average();
  comparison compared;
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    const stopwatch watch;
    const auto sharing = rate("sharing");
    const auto cpu = watch.cpu_seconds() / static_cast<double>(messages * bursts) * 1e6;
    compared.add(sharing, rate("stealing"), cpu);
  }
  compared.fill(made);
  return {made};
}

std::string objection_to(const row& made) {
  if (made.id != "burst")
    return {};
  if (const auto policy = actors::scheduler_policy(); policy != "sharing")
    return "orreryd runs with scheduler.policy " + policy +
           " (actors/system_config.cpp): set it to sharing";
  if (*made.ratio < 1)
    return "scheduler.policy sharing is slower than stealing now: measure again on an idle machine,"
           " then choose the faster one in actors/system_config.cpp";
  return {};
}

} // namespace orrery::bench
