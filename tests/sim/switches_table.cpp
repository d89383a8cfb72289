#include "events/core/safety.hpp"
#include "tests/events/log/history_search.hpp"
#include "tests/sim/simulation.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

// orrery-sim-switches: takes out one line of safety after the other and looks for what breaks. A
// line without which nothing is found broken is a hole in the tests, and fails.

namespace {

using namespace orrery;

/// Seeds that are tried for a line: what is found takes one to some hundreds.
constexpr std::uint64_t seeds_max = 1000;

/// Seeds that must be clean while all lines hold.
constexpr std::uint64_t seeds_whole = 20;

using big = unsigned long long;

/// What came of looking.
struct finding {
  std::string by;    ///< "seed 3", "exhaustive"; empty: nothing was found
  std::string what;  ///< the promise that broke
  std::string after; ///< how much it took
};

/// Runs seeds until one breaks a promise, and tells each as a line of text to `to`.
void run_seeds(int to) {
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
    dprintf(to, "%llu\n", big{seed});
    const auto got = sim::simulation(sim::with_all_faults(seed)).run();
    if (!got.broken)
      continue;
    dprintf(to, "%llu %llu %s\n", big{seed}, big{got.broken->step}, got.broken->check.c_str());
    return;
  }
  dprintf(to, "none\n");
}

/// The last line that a child wrote, and whether it ended well. A process of its own, since an
/// ORRERY_CHECK that finds the breach ends it.
std::pair<std::string, bool> told_by_child() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0)
    return {};
  const auto child = ::fork();
  if (child == 0) {
    run_seeds(ends[1]);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string all;
  std::array<char, 4096> piece{};
  for (ssize_t got = 0; (got = ::read(ends[0], piece.data(), piece.size())) > 0;)
    all.append(piece.data(), static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!all.empty())
    all.pop_back();
  return {all.substr(all.rfind('\n') + 1), WIFEXITED(status) && WEXITSTATUS(status) == 0};
}

finding look_in_simulation() {
  const auto [last, has_ended_well] = told_by_child();
  if (last == "none")
    return {};
  if (!has_ended_well)
    return {"seed " + last, "an ORRERY_CHECK", "process ended"};
  big seed = 0;
  big step = 0;
  std::array<char, 64> check{};
  if (std::sscanf(last.c_str(), "%llu %llu %63s", &seed, &step, check.data()) != 3)
    return {};
  return {"seed " + std::to_string(seed), check.data(), std::to_string(step) + " steps"};
}

finding look_in_histories(std::size_t rule) {
  const auto& line = log::exploration::needed_lines()[rule];
  const auto found = log::exploration::search_histories(line.without, line.against);
  if (found.violation.empty())
    return {};
  return {"exhaustive", found.violation.substr(0, found.violation.find_first_of(":(;\n")),
          std::to_string(found.deliveries) + " records"};
}

/// With every line in force nothing may be found.
bool is_whole() {
  for (std::uint64_t seed = 1; seed <= seeds_whole; ++seed)
    if (const auto got = sim::simulation(sim::with_all_faults(seed)).run(); got.broken) {
      std::printf("seed %llu breaks %s with every line in force\n", big{seed},
                  got.broken->check.c_str());
      return false;
    }
  return true;
}

bool print_row(safety::line line) {
  const auto at = static_cast<std::size_t>(line);
  const bool is_rule = at < log::exploration::needed_lines().size();
  safety::take_out(line);
  auto found = look_in_simulation();
  safety::take_out(std::nullopt);
  if (found.by.empty() && is_rule)
    found = look_in_histories(at);
  std::printf("%-18s %-56s %-11s %-16s %s\n", std::string(safety::name_of(line)).c_str(),
              std::string(safety::text_of(line)).c_str(),
              found.by.empty() ? "NOT FOUND" : found.by.c_str(), found.after.c_str(),
              found.what.c_str());
  std::fflush(stdout);
  return !found.by.empty();
}

} // namespace

int main(int count, char** words) {
  if (std::freopen("/dev/null", "w", stderr) == nullptr)
    return 2;
  const std::string only = count > 1 ? words[1] : "";
  if (only == "--help") {
    std::puts("orrery-sim-switches [LINE]: takes out each line of safety, or one, and prints what "
              "finds it missing. Exit status 1: something that nothing finds.");
    return 0;
  }
  int passed = 0;
  int failed = is_whole() ? 0 : 1;
  std::printf("%-18s %-56s %-11s %-16s %s\n", "line", "what it says", "found by", "after",
              "broken");
  for (std::size_t at = 0; at < safety::line_count; ++at) {
    const auto line = static_cast<safety::line>(at);
    if (!only.empty() && only != safety::name_of(line))
      continue;
    ++(print_row(line) ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
