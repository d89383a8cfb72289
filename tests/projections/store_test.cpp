#include "projections/rows.hpp"
#include "projections/store.hpp"
#include "tests/projections/histories.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

namespace orrery::projections {
namespace {

/// The inventory, as the next version of it would be.
class next_inventory final : public projection {
public:
  [[nodiscard]] std::string_view name() const override { return inventory::family; }

  [[nodiscard]] std::uint32_t version() const override { return inventory().version() + 1; }

  void apply(commit_span commits, writer& rows) const override { inventory().apply(commits, rows); }
};

projection_list with_next_inventory() {
  projection_list made;
  made.push_back(std::make_unique<next_inventory>());
  made.push_back(std::make_unique<jobs>());
  made.push_back(std::make_unique<timeline>());
  return made;
}

std::array<std::uint8_t, 32> other_head() {
  std::array<std::uint8_t, 32> made{};
  made.fill(7);
  return made;
}

void mentions_the_way_out(const error& said) {
  EXPECT_NE(said.text.find("estore the log"), std::string::npos) << said.text;
}

TEST(store, a_record_with_another_hash_means_a_cut_log) {
  const filled_store filled(support::world_with_vm());
  const auto& last = *filled.commits.back();
  EXPECT_TRUE(filled.rows->check(partition_number{0}, last.seq, last.head));
  EXPECT_TRUE(filled.rows->check(partition_number{0}, last.seq - 1,
                                 other_head())); // not the one that it stands on
  EXPECT_TRUE(filled.rows->check(partition_number{0}, last.seq + 1, other_head()));
  const auto checked = filled.rows->check(partition_number{0}, last.seq, other_head());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, error_code::log_cut);
  mentions_the_way_out(checked.error());
}

TEST(store, a_commit_with_another_hash_is_not_taken_for_a_repetition) {
  const filled_store filled(support::world_with_vm());
  auto wrong = std::make_shared<folded_commit>(*filled.commits.back());
  wrong->head = other_head();
  const history commits{std::move(wrong)};
  const auto applied = filled.rows->apply(commits);
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, error_code::log_cut);
}

TEST(store, a_log_that_ends_before_a_projection_has_lost_records) {
  const filled_store filled(support::world_with_vm());
  const auto last = filled.commits.back()->seq;
  EXPECT_TRUE(filled.rows->check_log_end(partition_number{0}, last));
  EXPECT_TRUE(filled.rows->check_log_end(partition_number{0}, last + 1));
  for (const auto end : {last - 1, std::uint64_t{0}}) {
    const auto checked = filled.rows->check_log_end(partition_number{0}, end);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, error_code::log_cut);
    EXPECT_NE(checked.error().text.find("acknowledged records are lost"), std::string::npos);
    mentions_the_way_out(checked.error());
  }
}

TEST(store, an_empty_store_is_ahead_of_nothing) {
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  EXPECT_TRUE(rows->check_log_end(partition_number{0}, 0));
  EXPECT_TRUE(rows->check(partition_number{0}, 0, other_head()));
  EXPECT_EQ(rows->lowest_position(partition_number{0}), log_position{});
}

TEST(store, a_folder_that_another_one_has_open_is_locked) {
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  const auto second = store::open(folder.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, error_code::locked) << second.error().text;
}

TEST(store, a_path_that_is_a_file_is_refused) {
  const temporary_folder folder;
  std::ofstream(folder.path()) << "not a folder";
  const auto opened = store::open(folder.path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, error_code::io_failed) << opened.error().text;
}

TEST(store, damaged_files_are_told_with_the_way_out) {
  const temporary_folder folder;
  {
    const auto rows = open_store(folder.path());
    ASSERT_TRUE(rows->apply(random_history(1, 50)));
  }
  for (const auto& file : std::filesystem::directory_iterator(folder.path()))
    if (file.path().filename().string().starts_with("MANIFEST"))
      std::ofstream(file.path()) << "overwritten";
  const auto opened = store::open(folder.path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, error_code::damaged) << opened.error().text;
  EXPECT_NE(opened.error().text.find("delete that folder"), std::string::npos);
}

TEST(store, a_row_that_is_no_message_is_damage) {
  temporary_folder folder;
  const auto world = support::world_with_vm();
  {
    const auto rows = open_store(folder.path());
    ASSERT_TRUE(rows->apply(history_of(world.commits())));
  }
  damage_rows(folder.path(), inventory::family, "\x01\x04");
  const auto rows = open_store(folder.path());
  EXPECT_EQ(rows->find_vm("web").error().code, error_code::damaged);
  EXPECT_EQ(rows->list_vms({}, {}).error().code, error_code::damaged);
  EXPECT_TRUE(rows->find_node("n1"));
}

TEST(store, rows_of_another_version_are_dropped_and_filled_again) {
  const temporary_folder folder;
  const auto commits = random_history(11, 300);
  std::string digest;
  {
    const auto rows = open_store(folder.path());
    ASSERT_TRUE(rows->apply(commits));
    digest = *rows->digest();
  }
  auto opened = store::open(folder.path(), with_next_inventory());
  ASSERT_TRUE(opened) << opened.error().text;
  auto& rows = **opened;
  EXPECT_EQ(rows.positions(inventory::family), log_positions{});
  EXPECT_EQ(rows.positions(jobs::family)->at(partition_number{0}).seq, commits.back()->seq);
  EXPECT_EQ(rows.lowest_position(partition_number{0}), log_position{});
  for (const auto& one : rows.status())
    EXPECT_EQ(one.dropped, one.name == inventory::family) << one.name;
  EXPECT_TRUE(rows.list_vms({}, {})->items.empty());
  EXPECT_FALSE(rows.wait_for(partition_number{0}, 1, std::chrono::milliseconds(0)));
  ASSERT_TRUE(rows.apply(commits)); // the others pass over what they have
  EXPECT_EQ(rows.lowest_position(partition_number{0}).seq, commits.back()->seq);
  EXPECT_NE(*rows.digest(), digest); // the version stands in the rows too
  opened->reset();
  const auto again = open_store(folder.path());
  EXPECT_EQ(again->positions(inventory::family), log_positions{});
  ASSERT_TRUE(again->apply(commits));
  EXPECT_EQ(*again->digest(), digest);
}

TEST(store, rows_of_a_projection_that_is_no_more_are_dropped) {
  const temporary_folder folder;
  const auto commits = random_history(11, 50);
  {
    const auto rows = open_store(folder.path());
    ASSERT_TRUE(rows->apply(commits));
  }
  {
    projection_list only_jobs;
    only_jobs.push_back(std::make_unique<jobs>());
    auto opened = store::open(folder.path(), std::move(only_jobs));
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_EQ((*opened)->positions(jobs::family)->at(partition_number{0}).seq, commits.back()->seq);
    EXPECT_EQ((*opened)->positions(inventory::family), std::nullopt);
  }
  const auto again = open_store(folder.path());
  EXPECT_EQ(again->positions(inventory::family), log_positions{});
  EXPECT_EQ(again->positions(jobs::family)->at(partition_number{0}).seq, commits.back()->seq);
}

TEST(store, says_which_position_an_answer_is_right_for) {
  const auto commits = random_history(2, 100);
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  const auto half = std::span(commits).first(commits.size() / 2);
  ASSERT_TRUE(rows->apply(half));
  EXPECT_EQ(rows->list_vms({}, {})->at.at(partition_number{0}).seq, half.back()->seq);
  ASSERT_TRUE(rows->apply(commits));
  EXPECT_EQ(rows->list_vms({}, {})->at.at(partition_number{0}).seq, commits.back()->seq);
  EXPECT_EQ(rows->list_jobs({}, {})->at.at(partition_number{0}).head, commits.back()->head);
  EXPECT_EQ(rows->list_events({}, {})->at.at(partition_number{0}).seq, commits.back()->seq);
}

TEST(store, a_waiter_is_woken_by_the_commit_it_waits_for) {
  const auto world = support::world_with_vm();
  const auto commits = history_of(world.commits());
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  EXPECT_FALSE(
      rows->wait_for(partition_number{0}, commits.back()->seq, std::chrono::milliseconds(1)));
  std::atomic<bool> found = false;
  std::thread waiter([&] {
    found = rows->wait_for(partition_number{0}, commits.back()->seq, std::chrono::minutes(2)) &&
            rows->find_vm("web").has_value();
  });
  ASSERT_TRUE(rows->apply(commits));
  waiter.join();
  EXPECT_TRUE(found);
  EXPECT_TRUE(
      rows->wait_for(partition_number{0}, commits.front()->seq, std::chrono::milliseconds(0)));
}

/// Readers beside the writer: each answer is one moment, so a VM is in exactly one state list.
TEST(store, answers_beside_a_writer_are_of_one_moment) {
  const auto commits = random_history(4, 600);
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      std::uint64_t last = 0;
      while (!done) {
        const auto vms = rows->list_vms({}, {page_size_max, ""});
        const auto cluster = rows->find_cluster("c1");
        if (!vms || vms->at.at(partition_number{0}).seq < last)
          ++wrong;
        else
          last = vms->at.at(partition_number{0}).seq;
        for (const auto& vm : vms->items)
          if (vm.cluster().name().empty() || vm.node().name().empty())
            ++wrong;
        if (cluster && cluster->value.vms() > 1000)
          ++wrong;
      }
    });
  for (const auto& commit : commits)
    ASSERT_TRUE(rows->apply(std::span(&commit, 1)));
  done = true;
  for (auto& reader : readers)
    reader.join();
  EXPECT_EQ(wrong, 0);
}

TEST(store, answers_are_byte_equal_after_a_rebuild) {
  const auto commits = random_history(seed_of_this_run(), 800);
  const filled_store first(commits);
  const temporary_folder folder;
  const auto second = open_store(folder.path());
  for (const auto& commit : commits)
    ASSERT_TRUE(second->apply(std::span(&commit, 1)));
  const auto bytes = [](const auto& list) {
    std::string made;
    for (const auto& one : list->items)
      made += to_row(one);
    return made + list->next_token;
  };
  EXPECT_EQ(bytes(first.rows->list_vms({}, {})), bytes(second->list_vms({}, {})));
  EXPECT_EQ(bytes(first.rows->list_nodes({}, {})), bytes(second->list_nodes({}, {})));
  EXPECT_EQ(bytes(first.rows->list_networks({}, {})), bytes(second->list_networks({}, {})));
  EXPECT_EQ(bytes(first.rows->list_clusters({}, {})), bytes(second->list_clusters({}, {})));
  EXPECT_EQ(bytes(first.rows->list_jobs({}, {})), bytes(second->list_jobs({}, {})));
  EXPECT_EQ(bytes(first.rows->list_events({}, {})), bytes(second->list_events({}, {})));
}

} // namespace
} // namespace orrery::projections
