#include "projections/bench_support.hpp"
#include "tests/projections/histories.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace orrery::projections {

namespace {

using kept_rows = std::map<std::string, std::string>;

void keep(std::vector<kept_rows>& all, const row_changes& changes) {
  all.resize(std::max(all.size(), changes.size()));
  for (std::size_t i = 0; i < changes.size(); ++i)
    for (const auto& [key, value] : changes[i])
      if (value)
        all[i].insert_or_assign(key, *value);
      else
        all[i].erase(key);
}

} // namespace

// A yardstick that wrote less than the product would flatter it, one that wrote more, too.
TEST(row_recorder, tells_every_row_that_a_store_writes) {
  const temporary_folder folder;
  const auto commits = random_history(seed_of_this_run(), 300);
  row_recorder recorder;
  std::vector<kept_rows> told;
  {
    auto rows = store::open(folder.path(), recorder.projections());
    ASSERT_TRUE(rows);
    for (const auto& commit : commits) {
      ASSERT_TRUE((*rows)->apply({&commit, 1}));
      keep(told, recorder.take());
    }
  }
  const auto stored = read_all_rows(folder.path());
  ASSERT_TRUE(stored);
  ASSERT_EQ(told.size(), stored->size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    // The version of its rows is written once, when the family is made.
    ASSERT_EQ(told[i].size() + 1, (*stored)[i].size());
    for (const auto& [key, value] : told[i])
      EXPECT_TRUE(std::ranges::count((*stored)[i], std::pair(key, std::optional(value))) == 1);
  }
}

TEST(plain_database, takes_changes_and_sorted_files) {
  const temporary_folder folder;
  auto made = plain_database::make(folder.path());
  ASSERT_TRUE(made);
  row_changes rows(all_projections().size());
  rows.front() = {{"a", "1"}, {"b", "2"}};
  EXPECT_TRUE((*made)->ingest(rows));
  rows.front() = {{"a", std::nullopt}, {"c", "3"}};
  EXPECT_TRUE((*made)->write(rows));
  rows.front() = {{"b", "2"}, {"a", "1"}};
  EXPECT_FALSE((*made)->ingest(rows)) << "not in the order of the keys";
}

} // namespace orrery::projections
