#include "tools/dev/bench/measure.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace orrery::bench {

namespace {

/// Between two looks at the CPU time of the process, and how much of it may pass by the looking.
constexpr std::chrono::milliseconds look_interval{50};
constexpr double look_cpu_seconds = 0.002;
constexpr std::size_t looks_max = 1'200;

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double process_cpu() {
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) != 0)
    give_up("getrusage failed");
  return seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
}

} // namespace

stopwatch::stopwatch() : x_began(std::chrono::steady_clock::now()), x_cpu_began(process_cpu()) {}

double stopwatch::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - x_began).count();
}

double stopwatch::cpu_seconds() const { return process_cpu() - x_cpu_began; }

void settle() {
  for (std::size_t looks = 0; looks < looks_max; ++looks) {
    const stopwatch watch;
    std::this_thread::sleep_for(look_interval);
    if (watch.cpu_seconds() < look_cpu_seconds)
      return;
  }
  give_up("the bench's own threads do not come to rest");
}

double samples::quantile(double part) const {
  auto sorted = x_values;
  std::ranges::sort(sorted);
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(part * last))];
}

void comparison::add(double rate_now, double yardstick_now, double cpu_now) {
  rate.add(rate_now);
  yardstick.add(yardstick_now);
  ratio.add(rate_now / yardstick_now);
  cpu_seconds_per_million.add(cpu_now);
}

void comparison::fill(row& made) const {
  made.value = rate.median();
  made.yardstick = yardstick.median();
  made.ratio = ratio.median();
  made.cpu_seconds_per_million = cpu_seconds_per_million.median();
}

double load_average() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

void give_up(const std::string& why) {
  std::fprintf(stderr, "orrery-bench: %s\n", why.c_str());
  std::_Exit(EXIT_FAILURE);
}

} // namespace orrery::bench
