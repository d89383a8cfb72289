#include "actors/refolder.hpp"
#include "actors/snapshot_keeper.hpp"
#include "tests/actors/written_log.hpp"
#include "tests/projections/histories.hpp"
#include "tests/support/wait.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <vector>

// Those who fold the log once more, on threads of their own.

namespace orrery::actors {
namespace {

constexpr auto here = written_log::where;

/// What is waited for comes at once, unless something is wrong.
constexpr std::chrono::seconds patience{20};

/// Gives a few records at a time, and tells from where on.
class told_log final : public orrery::log::log {
public:
  told_log(std::shared_ptr<orrery::log::log> from, std::function<void(orrery::log::offset)> tell)
      : x_log(std::move(from)), x_tell(std::move(tell)) {}

  void append(partition_number, std::string,
              std::function<void(const orrery::log::append_outcome&)>) override {}

  [[nodiscard]] result<std::vector<orrery::log::record>>
  read(partition_number where, orrery::log::offset from, std::size_t bytes_max,
       std::chrono::milliseconds wait) override {
    x_tell(from);
    constexpr std::size_t little = 1'024;
    return x_log->read(where, from, std::min(bytes_max, little), wait);
  }

  [[nodiscard]] result<orrery::log::offset> end(partition_number where) override {
    return x_log->end(where);
  }

private:
  const std::shared_ptr<orrery::log::log> x_log;
  const std::function<void(orrery::log::offset)> x_tell;
};

projections::history commits_of(const written_log& of) {
  log_fold fold(of.log, of.identity, here);
  projections::history all;
  for (auto some = fold.next(); some && !some->empty(); some = fold.next())
    all.insert(all.end(), some->begin(), some->end());
  return all;
}

TEST(refolder, reads_nothing_while_it_holds_the_live_rows_that_it_could_have_read_before) {
  const written_log of(1, 300);
  const auto commits = commits_of(of);
  const projections::temporary_folder folder;
  const std::shared_ptr<projections::store> store = projections::open_store(folder.path());
  ASSERT_TRUE(store->apply(projections::commit_span(commits).first(commits.size() / 10)));
  std::vector<std::future<void>> looks;
  bool was_held = false;
  refolder_birth birth;
  birth.log = std::make_shared<told_log>(of.log, [&](log::offset) {
    if (looks.empty() && !store->apply(commits)) // the live rows go on as it begins
      ADD_FAILURE();
    if (was_held)
      return;
    looks.push_back(std::async(std::launch::async, [&] { static_cast<void>(store->hold()); }));
    was_held = looks.back().wait_for(patience) != std::future_status::ready;
  });
  birth.identity = of.identity;
  birth.store = store;
  birth.wall_clock = [] { return utc_time{}; };
  std::optional<refold_report> report;
  {
    refolder made(std::move(birth));
    ASSERT_TRUE(made.begin("timeline", projections::refold_aim::replace));
    ASSERT_TRUE(testing_support::wait_until(3 * patience, [&] {
      report = made.report("timeline");
      return report->outcome != refold_outcome::running;
    }));
  }
  EXPECT_EQ(report->outcome, refold_outcome::done) << report->why;
  EXPECT_FALSE(was_held);
  EXPECT_GT(looks.size(), 10U);
}

TEST(snapshot_keeper, ends_at_once_while_it_waits_for_the_projections) {
  const written_log of(2, 20);
  const projections::temporary_folder folder;
  const auto end = *of.log->end(here);
  std::atomic<bool> has_read_all = false;
  snapshot_keeper_birth birth;
  birth.log = std::make_shared<told_log>(
      of.log, [&](log::offset from) { has_read_all = has_read_all || from == end; });
  birth.identity = of.identity;
  birth.store = projections::open_store(folder.path()); // nothing is folded into it
  birth.directory = folder.base() + "/snapshots";
  birth.acknowledged = [](partition_number) {
    return std::optional(std::map<partition_number, std::uint64_t>());
  };
  std::chrono::steady_clock::time_point began;
  {
    const snapshot_keeper made(std::move(birth), {0});
    int looks = 0; // a few more, in which it begins to wait
    ASSERT_TRUE(
        testing_support::wait_until(patience, [&] { return has_read_all && ++looks > 20; }));
    began = std::chrono::steady_clock::now();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, patience);
  EXPECT_FALSE(std::filesystem::exists(folder.base() + "/snapshots"));
}

} // namespace
} // namespace orrery::actors
