// Folds a random history one commit at a time and dies at a crash point: what a test kills.
//   projections_crash_child FOLDER SEED COMMANDS POINT COUNT

#include "events/core/crash_point.hpp"
#include "tests/projections/histories.hpp"

#include <cstdio>
#include <cstdlib>
#include <span>

int main(int count, char** arguments) {
  constexpr int argument_count = 6;
  if (count != argument_count)
    return 2;
  const auto commits = orrery::projections::random_history(
      std::strtoull(arguments[2], nullptr, 10), std::strtoull(arguments[3], nullptr, 10));
  const auto armed =
      orrery::arm_crash_point(arguments[4], std::strtoull(arguments[5], nullptr, 10));
  if (!armed) {
    std::fprintf(stderr, "%s\n", armed.error().text.c_str());
    return 2;
  }
  const auto rows = orrery::projections::open_store(arguments[1]);
  for (const auto& commit : commits)
    if (!rows->apply(std::span(&commit, 1)))
      return 2;
  return 0;
}
