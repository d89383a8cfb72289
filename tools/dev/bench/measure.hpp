#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace orrery::bench {

/// How large and how often.
struct settings {
  std::size_t runs = 5;
  std::size_t vms = 100'000;
  std::size_t commands = 50'000; ///< in one run
  std::string scratch;           ///< an existing directory on the disk that is to be measured
  std::string kafka;             ///< its servers, for the lines that need one
  std::string prefix = "bench";  ///< of its topics
};

/// One line of the answer. Values are medians over the runs; a ratio is the median of the ratios of
/// runs that were made right after each other.
struct row {
  std::string id;
  std::string what;
  double value = 0;
  std::string unit;
  std::optional<double> yardstick;
  std::string yardstick_what;
  std::optional<double> ratio; ///< of value to yardstick
  std::optional<double> cpu_seconds_per_million;
  double load = 0; ///< load average of one minute, when the line began
};

/// Time and CPU time of the whole process since it was made.
class stopwatch {
public:
  stopwatch();

  [[nodiscard]] double seconds() const;
  [[nodiscard]] double cpu_seconds() const;

private:
  std::chrono::steady_clock::time_point x_began;
  double x_cpu_began;
};

/// Waits until the process does nothing in the background any more, so that what one piece of work
/// has left to other threads is counted with it, and not with the next one. Ends the program when
/// that takes more than a minute.
void settle();

/// CPU seconds of the whole process that some work costs, with what it leaves to other threads.
template <class Work> double cpu_seconds_of(const Work& work) {
  settle();
  const stopwatch watch;
  work();
  settle();
  return watch.cpu_seconds();
}

/// What was measured in each run, of one thing.
class samples {
public:
  void add(double value) { x_values.push_back(value); }

  [[nodiscard]] bool is_empty() const { return x_values.empty(); }

  /// Value below which `part` (0 to 1) of the samples lie. Not empty.
  [[nodiscard]] double quantile(double part) const;

  [[nodiscard]] double median() const { return quantile(0.5); }

private:
  std::vector<double> x_values;
};

/// A rate, its yardstick's, and what the first one cost.
struct comparison {
  samples rate;
  samples yardstick;
  samples ratio;
  samples cpu_seconds_per_million;

  void add(double rate_now, double yardstick_now, double cpu_now);

  /// Fills value, yardstick, ratio and CPU of a row.
  void fill(row& made) const;
};

[[nodiscard]] double load_average();

/// Prints why the bench cannot go on, and ends the program with status 1.
[[noreturn]] void give_up(const std::string& why);

/// Ends the program when a call failed; else gives its value.
template <class Result> auto must(Result done) {
  if (!done)
    give_up(done.error().text);
  return std::move(*done);
}

/// The same where there is no value.
template <class Result> void must_succeed(const Result& done) {
  if (!done)
    give_up(done.error().text);
}

} // namespace orrery::bench
