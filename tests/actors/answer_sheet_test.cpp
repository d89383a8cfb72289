#include "actors/answer_sheet.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace orrery::actors {
namespace {

decide_answer answer_of(std::uint64_t number) {
  decide_answer made;
  made.entity = uuid{1, number};
  return made;
}

TEST(answer_sheet, tells_with_the_last_answer_only) {
  answer_sheet sheet(3);
  EXPECT_FALSE(sheet.add(answer_of(1)));
  EXPECT_FALSE(sheet.add(answer_of(2)));
  EXPECT_TRUE(sheet.add(answer_of(3)));
}

TEST(answer_sheet, keeps_every_answer_of_many_threads_and_tells_one_of_them) {
  constexpr std::uint64_t threads = 4;
  constexpr std::uint64_t each = 500;
  answer_sheet sheet(threads * each);
  std::atomic<int> told{0};
  std::vector<std::thread> running;
  for (std::uint64_t thread = 0; thread < threads; ++thread)
    running.emplace_back([&sheet, &told, thread] {
      for (std::uint64_t number = 0; number < each; ++number)
        told += sheet.add(answer_of(thread * each + number)) ? 1 : 0;
    });
  for (auto& one : running)
    one.join();
  EXPECT_EQ(told, 1);
  std::set<uuid> entities;
  for (const auto& one : sheet.answers())
    entities.insert(one.entity);
  EXPECT_EQ(entities.size(), threads * each);
}

} // namespace
} // namespace orrery::actors
