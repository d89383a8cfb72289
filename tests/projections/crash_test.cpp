#include "tests/projections/histories.hpp"
#include "tests/support/random_history.hpp"

#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <string>
#include <vector>

namespace orrery::projections {
namespace {

constexpr std::size_t commands = 200;

/// Runs the child to its end; its wait status.
int run_child(std::vector<std::string> words) {
  words.insert(words.begin(), ORRERY_DOOMED_CHILD);
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  EXPECT_EQ(::posix_spawn(&child, words[0].c_str(), nullptr, nullptr, arguments.data(), environ),
            0);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

/// Killed again and again in one folder, then folded to the end: as if nothing had been.
void survives_kills_at(const std::string& point) {
  const auto seed = seed_of_this_run();
  support::dice dice(seed);
  const auto commits = random_history(seed, commands);
  const filled_store whole(commits);
  const temporary_folder folder;
  for (int kill = 0; kill < 4; ++kill) {
    const auto position = [&] {
      const auto rows = open_store(folder.path());
      return rows->lowest_position(partition_number{0});
    };
    const auto before = position();
    const auto count = 1 + dice.below(commits.size() / 5);
    const auto status = run_child({"crash", folder.path(), std::to_string(seed),
                                   std::to_string(commands), point, std::to_string(count)});
    ASSERT_TRUE(WIFSIGNALED(status)) << "status " << status;
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
    // Each write of the child was one commit: all before the fatal one are there, and that one if
    // it was killed after the write.
    const auto kept = count - (point == "projection.write.before" ? 1 : 0);
    std::size_t index = 0;
    while (index < commits.size() && commits[index]->seq <= before.seq)
      ++index;
    const auto expected = index + kept == 0 ? log_position{}
                                            : log_position{commits[index + kept - 1]->seq,
                                                           commits[index + kept - 1]->head};
    EXPECT_EQ(position(), expected) << "kill " << kill << " after " << count << " writes";
  }
  const auto rows = open_store(folder.path());
  ASSERT_TRUE(rows->apply(commits));
  EXPECT_EQ(*rows->digest(), *whole.rows->digest()) << "seed " << seed;
}

TEST(projection_crash, before_a_write_loses_only_that_batch) {
  survives_kills_at("projection.write.before");
}

TEST(projection_crash, after_a_write_loses_nothing) { survives_kills_at("projection.write.after"); }

/// Killed somewhere while a projection is made anew, or takes over: the rows are the old ones or
/// the new ones, which are the same, and nothing else is left.
void survives_kills_while_rebuilding(const std::string& point) {
  const auto seed = seed_of_this_run();
  support::dice dice(seed);
  const auto commits = random_history(seed, commands);
  const filled_store whole(commits);
  const temporary_folder folder;
  {
    const auto rows = open_store(folder.path());
    ASSERT_TRUE(rows->apply(commits));
  }
  int kills = 0;
  for (int round = 0; round < 12; ++round) {
    const auto status = run_child({"refold", folder.path(), std::to_string(seed),
                                   std::to_string(commands), point, std::to_string(1 + round)});
    kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 1 : 0;
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "status " << status;
    const auto rows = open_store(folder.path());
    EXPECT_EQ(files_in_bulk(folder.path()), 0U) << "round " << round;
    EXPECT_EQ(*rows->digest(), *whole.rows->digest()) << "seed " << seed << " round " << round;
    EXPECT_EQ(rows->lowest_position(partition_number{0}),
              whole.rows->lowest_position(partition_number{0}));
  }
  EXPECT_GE(kills, 6);
}

TEST(projection_crash, before_files_and_names_of_a_rebuild_change_nothing_is_lost) {
  survives_kills_while_rebuilding("projection.write.before");
}

TEST(projection_crash, after_files_and_names_of_a_rebuild_changed_nothing_is_lost) {
  survives_kills_while_rebuilding("projection.write.after");
}

TEST(projection_crash, a_full_disk_refuses_commits_until_there_is_room) {
  const temporary_folder folder;
  const auto status = run_child({"full_disk", folder.base()});
  ASSERT_TRUE(WIFEXITED(status)) << "status " << status;
  EXPECT_EQ(WEXITSTATUS(status), 0)
      << "10: no tmpfs could be mounted (needs root or user namespaces); else a step of the story";
}

TEST(projection_crash, a_full_disk_refuses_a_rebuild_until_there_is_room) {
  const temporary_folder folder;
  const auto status = run_child({"full_disk_refold", folder.base()});
  ASSERT_TRUE(WIFEXITED(status)) << "status " << status;
  EXPECT_EQ(WEXITSTATUS(status), 0)
      << "10: no tmpfs could be mounted (needs root or user namespaces); else a step of the story";
}

} // namespace
} // namespace orrery::projections
