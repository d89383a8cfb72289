#include "actors/hypervisors/workbench.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>

namespace orrery::actors {
namespace {

TEST(workbench, work_of_one_key_is_done_in_order_and_never_twice_at_once) {
  constexpr int keys = 7;
  constexpr int rounds = 500;
  std::vector<std::vector<int>> seen(keys);
  std::vector<std::atomic<int>> running(keys);
  std::atomic<bool> overlapped = false;
  std::atomic<int> left = keys * rounds;
  std::promise<void> done;
  {
    workbench bench(4);
    for (int round = 0; round < rounds; ++round)
      for (int key = 0; key < keys; ++key)
        bench.add(uuid{1, static_cast<std::uint64_t>(key)}, [&, key, round] {
          if (running[static_cast<std::size_t>(key)]++ != 0)
            overlapped = true;
          seen[static_cast<std::size_t>(key)].push_back(round);
          --running[static_cast<std::size_t>(key)];
          if (--left == 0)
            done.set_value();
        });
    done.get_future().wait();
  }
  EXPECT_FALSE(overlapped);
  for (const auto& one : seen) {
    ASSERT_EQ(one.size(), static_cast<std::size_t>(rounds));
    for (int round = 0; round < rounds; ++round)
      EXPECT_EQ(one[static_cast<std::size_t>(round)], round);
  }
}

TEST(workbench, a_slow_key_holds_up_no_other) {
  std::promise<void> slow_may_end;
  std::promise<void> fast_ended;
  workbench bench(2);
  bench.add(uuid{1, 1}, [&] { slow_may_end.get_future().wait(); });
  bench.add(uuid{1, 2}, [&] { fast_ended.set_value(); });
  fast_ended.get_future().wait();
  EXPECT_TRUE(bench.busy().contains(uuid{1, 1}));
  EXPECT_FALSE(bench.busy().contains(uuid{1, 3}));
  slow_may_end.set_value();
}

TEST(workbench, its_end_drops_what_has_not_begun_and_waits_for_what_has) {
  std::atomic<bool> second_ran = false;
  std::atomic<bool> first_ended = false;
  std::promise<void> first_began;
  std::promise<void> first_may_end;
  auto bench = std::make_unique<workbench>(1);
  bench->add(uuid{1, 1}, [&] {
    first_began.set_value();
    first_may_end.get_future().wait();
    first_ended = true;
  });
  bench->add(uuid{1, 1}, [&] { second_ran = true; });
  first_began.get_future().wait();
  auto ending = std::async(std::launch::async, [&] { bench.reset(); });
  first_may_end.set_value();
  ending.wait();
  EXPECT_TRUE(first_ended);
  EXPECT_FALSE(second_ran && !first_ended);
}

} // namespace
} // namespace orrery::actors
