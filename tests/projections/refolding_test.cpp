#include "projections/refolding.hpp"
#include "tests/projections/histories.hpp"
#include "tests/support/random_history.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <span>
#include <thread>

namespace orrery::projections {
namespace {

constexpr std::size_t small_files = 4 * 1024;

result<std::unique_ptr<refolding>> refold(store& rows, std::string_view name, refold_aim aim,
                                          commit_span commits,
                                          std::size_t gathered = gathered_bytes_max) {
  auto made = rows.begin_refolding(name, aim, gathered);
  if (!made)
    return made;
  if (const auto applied = (*made)->apply(commits); !applied)
    return applied.error();
  return made;
}

TEST(refolding, new_rows_take_over_with_what_the_old_ones_said) {
  const filled_store filled(random_history(seed_of_this_run(), 300));
  const auto before = *filled.rows->digest();
  for (int round = 0; round < 3; ++round)
    for (const auto& one : filled.rows->status()) {
      const auto made =
          refold(*filled.rows, one.name, refold_aim::replace, filled.commits, small_files);
      ASSERT_TRUE(made) << made.error().text;
      const auto held = filled.rows->hold();
      ASSERT_TRUE(filled.rows->replace(held, **made));
    }
  EXPECT_EQ(*filled.rows->digest(), before);
  EXPECT_EQ(files_in_bulk(filled.folder.path()), 0U);
}

TEST(refolding, what_took_over_is_there_after_a_restart_and_folds_on) {
  const auto commits = random_history(seed_of_this_run(), 300);
  const filled_store whole(commits);
  const temporary_folder folder;
  const auto half = commit_span(commits).first(commits.size() / 2);
  {
    const auto rows = open_store(folder.path());
    ASSERT_TRUE(rows->apply(half));
    const auto made = refold(*rows, inventory::family, refold_aim::replace, half);
    ASSERT_TRUE(made);
    const auto held = rows->hold();
    ASSERT_TRUE(rows->replace(held, **made));
  }
  const auto rows = open_store(folder.path());
  EXPECT_EQ(rows->lowest_position(partition_number{0}).seq, half.back()->seq);
  ASSERT_TRUE(rows->apply(commits));
  EXPECT_EQ(*rows->digest(), *whole.rows->digest());
}

TEST(refolding, damaged_rows_are_found_and_mended) {
  const temporary_folder folder;
  const auto world = support::world_with_vm();
  const auto commits = history_of(world.commits());
  std::string good;
  {
    const auto rows = open_store(folder.path());
    ASSERT_TRUE(rows->apply(commits));
    good = *rows->digest();
    const auto same = refold(*rows, inventory::family, refold_aim::compare, commits);
    ASSERT_TRUE(same);
    EXPECT_TRUE((*same)->is_reached());
    EXPECT_EQ(*(*same)->digest(), *(*same)->old_digest());
  }
  damage_rows(folder.path(), inventory::family, "\x01\x04");
  const auto rows = open_store(folder.path());
  {
    const auto other = refold(*rows, inventory::family, refold_aim::compare, commits);
    ASSERT_TRUE(other);
    EXPECT_NE(*(*other)->digest(), *(*other)->old_digest());
  }
  const auto made = refold(*rows, inventory::family, refold_aim::replace, commits);
  ASSERT_TRUE(made);
  const auto held = rows->hold();
  ASSERT_TRUE(rows->replace(held, **made));
  EXPECT_EQ(*rows->digest(), good);
  EXPECT_TRUE(rows->find_vm("web"));
}

TEST(refolding, a_comparison_is_about_the_rows_as_they_were_when_it_began) {
  const auto commits = random_history(seed_of_this_run(), 200);
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  const auto half = commit_span(commits).first(commits.size() / 2);
  ASSERT_TRUE(rows->apply(half));
  const auto made = rows->begin_refolding(timeline::family, refold_aim::compare);
  ASSERT_TRUE(made);
  ASSERT_TRUE(rows->apply(commits));
  EXPECT_FALSE((*made)->is_reached());
  ASSERT_TRUE((*made)->apply(commits)); // what the old rows do not know is passed over
  EXPECT_TRUE((*made)->is_reached());
  EXPECT_EQ((*made)->at().at(partition_number{0}).seq, half.back()->seq);
  EXPECT_EQ(*(*made)->digest(), *(*made)->old_digest());
}

TEST(refolding, rows_of_another_log_are_told) {
  const filled_store filled(random_history(3, 60));
  auto wrong = std::make_shared<folded_commit>(*filled.commits.back());
  wrong->head.fill(7);
  history commits(filled.commits.begin(), filled.commits.end() - 1);
  commits.push_back(std::move(wrong));
  const auto made = refold(*filled.rows, jobs::family, refold_aim::compare, commits);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, error_code::log_cut);
}

TEST(refolding, what_is_given_up_leaves_nothing) {
  const filled_store filled(random_history(5, 200));
  const auto before = *filled.rows->digest();
  ASSERT_TRUE(refold(*filled.rows, inventory::family, refold_aim::replace,
                     commit_span(filled.commits).first(40), small_files));
  EXPECT_EQ(*filled.rows->digest(), before);
  // Its name is free again.
  ASSERT_TRUE(refold(*filled.rows, inventory::family, refold_aim::replace, filled.commits));
}

TEST(refolding, an_unknown_projection_is_told) {
  const filled_store filled(random_history(5, 20));
  const auto made = filled.rows->begin_refolding("inventary", refold_aim::replace);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, error_code::not_found);
  EXPECT_NE(made.error().text.find("inventary"), std::string::npos);
}

TEST(refolding, folding_and_questions_go_on_meanwhile) {
  const auto commits = random_history(seed_of_this_run(), 600);
  const filled_store whole(commits);
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  std::atomic<bool> is_done = false;
  std::atomic<std::uint64_t> asked = 0;
  std::thread folder_of_new([&] {
    for (const auto& commit : commits)
      EXPECT_TRUE(rows->apply(std::span(&commit, 1)));
  });
  std::thread asker([&] {
    while (!is_done) {
      const auto vms = rows->list_vms({}, {});
      EXPECT_TRUE(vms);
      // Whatever is listed is found, in the rows of one moment or of a later one.
      EXPECT_TRUE(rows->list_jobs({}, {}));
      ++asked;
    }
  });
  for (int round = 0; round < 4; ++round)
    for (const auto& one : rows->status()) {
      auto made = rows->begin_refolding(one.name, refold_aim::replace, small_files);
      ASSERT_TRUE(made);
      std::size_t next = 0;
      const auto fold_to = [&](const log_positions& goal) {
        for (; !(*made)->is_at_least(goal); ++next)
          ASSERT_TRUE((*made)->apply(commit_span(commits).subspan(next, 1)));
      };
      fold_to(*rows->positions(one.name));
      const auto held = rows->hold();
      fold_to(*rows->positions(one.name));
      ASSERT_TRUE(rows->replace(held, **made));
    }
  folder_of_new.join();
  is_done = true;
  asker.join();
  EXPECT_GT(asked, 0U);
  EXPECT_EQ(*rows->digest(), *whole.rows->digest());
}

} // namespace
} // namespace orrery::projections
