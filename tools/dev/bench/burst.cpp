#include "actors/bench_support.hpp"
#include "tools/dev/bench/lines.hpp"

#include <algorithm>

namespace orrery::bench {

namespace {

struct shape {
  std::string id;
  std::string what;
  std::size_t messages = 0;
  std::size_t bursts = 0; ///< enough for a tenth of a second and more
  bool is_detached = true;
};

/// With `stealing` the cost of a message grows with the burst: a thief walks its victim's queue.
/// The first one is what that looks like; the second is what a partition does for a full record.
const std::vector<shape>& shapes() {
  static const std::vector<shape> all{
      {"burst", "20,000 lazy actors asked at once by one on the scheduler, policy sharing", 20'000,
       2, false},
      {"burst.record", "1,000 lazy actors asked at once by a partition, policy sharing", 1'000, 20,
       true},
  };
  return all;
}

double rate(const shape& of, const std::string& policy) {
  actors::burst_shape wanted;
  wanted.policy = policy;
  wanted.messages = of.messages;
  wanted.bursts = of.bursts;
  wanted.is_detached = of.is_detached;
  const auto spent = std::chrono::duration<double>(actors::run_burst(wanted)).count();
  return static_cast<double>(of.messages * of.bursts) / spent;
}

row compare(const settings& wanted, const shape& of) {
  row made;
  made.id = of.id;
  made.what = of.what;
  made.unit = "messages/s";
  made.yardstick_what = "the same with CAF's default policy, stealing";
  made.load = load_average();
  comparison compared;
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    const stopwatch watch;
    const auto sharing = rate(of, "sharing");
    const auto cpu = watch.cpu_seconds() / static_cast<double>(of.messages * of.bursts) * 1e6;
    compared.add(sharing, rate(of, "stealing"), cpu);
  }
  compared.fill(made);
  return made;
}

} // namespace

std::vector<row> burst(const settings& wanted) {
  std::vector<row> rows;
  for (const auto& of : shapes())
    rows.push_back(compare(wanted, of));
  return rows;
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
