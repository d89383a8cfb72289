#include "projections/paging.hpp"
#include "tests/projections/histories.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

namespace orrery::projections {
namespace {

support::world world_with_vms(std::uint32_t count) {
  auto world = support::ready_world();
  for (std::uint32_t number = 1; number <= count; ++number)
    world.must(support::place_vm(
        {.number = number, .name = "vm-" + std::to_string(number), .memory_mib = 64}));
  return world;
}

TEST(paging, a_page_size_of_0_or_above_the_limit_is_refused) {
  const filled_store filled(support::world_with_vm());
  for (const auto size : {0U, page_size_max + 1})
    EXPECT_EQ(filled.rows->list_vms({}, {size, ""}).error().code, error_code::invalid_argument);
}

TEST(paging, garbage_is_no_token) {
  const filled_store filled(world_with_vms(5));
  const auto token = filled.rows->list_vms({}, {2, ""})->next_token;
  ASSERT_FALSE(token.empty());
  std::vector<std::string> garbage{"x",
                                   "00",
                                   "zz",
                                   token + "0",
                                   token + "00",
                                   token.substr(2),
                                   token.substr(0, token.size() - 2),
                                   std::string(4000, 'a'),
                                   std::string("\0\xff", 2),
                                   "0x" + token.substr(2)};
  for (std::size_t at = 0; at < token.size(); ++at) {
    auto flipped = token;
    flipped[at] = flipped[at] == '0' ? '1' : '0';
    garbage.push_back(std::move(flipped));
  }
  for (const auto& one : garbage) {
    const auto found = filled.rows->list_vms({}, {2, one});
    ASSERT_FALSE(found) << one;
    EXPECT_EQ(found.error().code, error_code::invalid_argument) << one;
  }
}

TEST(paging, a_token_fits_its_own_list_and_filters_only) {
  const filled_store filled(world_with_vms(5));
  const auto token = filled.rows->list_vms({}, {2, ""})->next_token;
  ASSERT_TRUE(filled.rows->list_vms({}, {3, token})); // another size is fine
  EXPECT_EQ(filled.rows->list_vms({.cluster = "c1"}, {2, token}).error().code,
            error_code::invalid_argument);
  EXPECT_EQ(filled.rows->list_jobs({}, {2, token}).error().code, error_code::invalid_argument);
  EXPECT_EQ(filled.rows->list_events({}, {2, token}).error().code, error_code::invalid_argument);
  EXPECT_EQ(filled.rows->list_nodes({}, {2, token}).error().code, error_code::invalid_argument);
}

TEST(paging, a_token_of_newer_rows_than_these_is_refused_for_now) {
  const filled_store filled(world_with_vms(5));
  const auto token = filled.rows->list_vms({}, {2, ""})->next_token;
  const temporary_folder folder;
  const auto behind = open_store(folder.path());
  const auto found = behind->list_vms({}, {2, token});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, error_code::unavailable);
  EXPECT_TRUE(found.error().retryable);
}

TEST(paging, the_last_page_has_no_token_even_when_it_is_full) {
  const filled_store filled(world_with_vms(4));
  const auto first = filled.rows->list_vms({}, {2, ""});
  ASSERT_FALSE(first->next_token.empty());
  const auto second = filled.rows->list_vms({}, {2, first->next_token});
  EXPECT_EQ(second->items.size(), 2U);
  EXPECT_TRUE(second->next_token.empty());
}

TEST(paging, a_filtered_list_ends_though_nothing_fits) {
  const filled_store filled(world_with_vms(5));
  const auto found =
      filled.rows->list_vms({.cluster = "c1", .observed = v1::VmObserved::REACHABLE}, {2, ""});
  EXPECT_TRUE(found->items.empty());
  EXPECT_TRUE(found->next_token.empty());
}

TEST(paging, rows_that_stay_appear_once_while_others_come_and_go) {
  auto world = world_with_vms(30);
  const auto before = history_of(world.commits());
  world.must(support::remove_vm(3));
  world.see(3, v1::VmObserved::ABSENT);
  world.must(support::remove_vm(17));
  world.see(17, v1::VmObserved::ABSENT);
  world.must(support::place_vm({.number = 31, .name = "late", .memory_mib = 64}));
  const auto after = history_of(world.commits());
  for (std::uint32_t size = 1; size <= 31; ++size) {
    const filled_store filled(before);
    std::multiset<std::string> seen;
    page wanted{size, ""};
    bool changed = false;
    do {
      const auto found = filled.rows->list_vms({.cluster = "c1"}, wanted);
      ASSERT_TRUE(found) << found.error().text;
      for (const auto& vm : found->items)
        seen.insert(vm.id());
      wanted.token = found->next_token;
      if (!std::exchange(changed, true)) {
        ASSERT_TRUE(filled.rows->apply(after));
      }
    } while (!wanted.token.empty());
    for (std::uint32_t number = 1; number <= 30; ++number) {
      const bool stays = number != 3 && number != 17;
      EXPECT_TRUE(!stays || seen.count(to_text(vm_id{support::vm(number)})) == 1)
          << number << " by " << size;
    }
  }
}

TEST(paging, pages_of_any_size_make_the_same_list_of_jobs) {
  const filled_store filled(random_history(3, 1500));
  const auto whole = filled.rows->list_jobs({}, {page_size_max, ""});
  ASSERT_TRUE(whole);
  ASSERT_GT(whole->items.size(), 20U);
  for (const auto size : {1U, 2U, 7U, 19U}) {
    std::vector<std::string> ids;
    page wanted{size, ""};
    do {
      const auto found = filled.rows->list_jobs({}, wanted);
      ASSERT_TRUE(found);
      EXPECT_LE(found->items.size(), size);
      for (const auto& job : found->items)
        ids.push_back(job.id());
      wanted.token = found->next_token;
    } while (!wanted.token.empty());
    ASSERT_EQ(ids.size(), whole->items.size());
    for (std::size_t i = 0; i < ids.size(); ++i)
      EXPECT_EQ(ids[i], whole->items[i].id());
  }
}

} // namespace
} // namespace orrery::projections
