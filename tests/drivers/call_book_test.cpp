#include "drivers/libvirt/call_book.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace orrery::drivers::libvirt {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds long_time(20'000);
constexpr milliseconds short_time(20);
const vm_id first{{.a = 0x7000, .b = 1}};
const vm_id second{{.a = 0x7000, .b = 2}};

/// A gate that a body waits at, as libvirt's calls wait for libvirtd.
class gate {
public:
  void open() {
    const std::lock_guard lock(x_guard);
    x_is_open = true;
    x_changed.notify_all();
  }

  void pass() {
    std::unique_lock lock(x_guard);
    x_changed.wait(lock, [this] { return x_is_open; });
  }

private:
  std::mutex x_guard;
  std::condition_variable x_changed;
  bool x_is_open = false;
};

std::function<result<int>(const call_book::call&)> quick(int value) {
  return [value](const call_book::call&) -> result<int> { return value; };
}

TEST(call_book, a_call_that_hangs_is_unavailable_and_learns_that_its_caller_has_gone) {
  const auto book = call_book::of("hangs");
  auto door = std::make_shared<gate>();
  auto saw = std::make_shared<std::atomic<bool>>(false);
  const auto hung =
      book->change<int>(first, short_time, [door, saw](const call_book::call& call) -> result<int> {
        door->pass();
        *saw = call.is_abandoned();
        return 1;
      });
  ASSERT_FALSE(hung.has_value());
  EXPECT_EQ(hung.error().code, error_code::unavailable);
  EXPECT_TRUE(hung.error().retryable);
  // Another change of that guest waits for it, one of another guest does not.
  EXPECT_FALSE(book->change<int>(first, short_time, quick(2)).has_value());
  EXPECT_TRUE(book->change<int>(second, long_time, quick(3)).has_value());
  EXPECT_TRUE(book->ask<int>(long_time, quick(4)).has_value());
  // A new driver of the same libvirtd has the same book.
  EXPECT_FALSE(call_book::of("hangs")->change<int>(first, short_time, quick(5)).has_value());
  EXPECT_TRUE(call_book::of("other")->change<int>(first, long_time, quick(6)).has_value());
  door->open();
  const auto after = book->change<int>(first, long_time, quick(7));
  ASSERT_TRUE(after.has_value());
  EXPECT_EQ(*after, 7);
  EXPECT_TRUE(*saw);
}

TEST(call_book, errors_of_the_body_come_back) {
  const auto failed =
      call_book::of("errors")->ask<int>(long_time, [](const call_book::call&) -> result<int> {
        return error{.code = error_code::driver_failed, .text = "x", .retryable = false};
      });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, error_code::driver_failed);
}

TEST(call_book, four_hanging_changes_leave_room_for_a_question_and_none_for_a_fifth_change) {
  const auto book = call_book::of("full");
  auto door = std::make_shared<gate>();
  for (std::uint64_t i = 0; i < 4; ++i) {
    const vm_id vm{{.a = 0x7000, .b = 10 + i}};
    EXPECT_FALSE(book->change<int>(vm, short_time,
                                   [door](const call_book::call&) -> result<int> {
                                     door->pass();
                                     return 0;
                                   })
                     .has_value());
  }
  EXPECT_FALSE(book->change<int>(first, short_time, quick(1)).has_value());
  EXPECT_TRUE(book->ask<int>(long_time, quick(2)).has_value());
  door->open();
  EXPECT_TRUE(book->change<int>(first, long_time, quick(3)).has_value());
}

TEST(call_book, changes_of_one_guest_never_meet) {
  const auto book = call_book::of("one-guest");
  std::atomic<int> inside = 0;
  std::atomic<int> met = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i)
    callers.emplace_back([&] {
      for (int j = 0; j < 50; ++j)
        EXPECT_TRUE(book->change<int>(first, long_time,
                                      [&](const call_book::call&) -> result<int> {
                                        met += inside++ != 0 ? 1 : 0;
                                        std::this_thread::yield();
                                        --inside;
                                        return 0;
                                      })
                        .has_value());
    });
  for (auto& caller : callers)
    caller.join();
  EXPECT_EQ(met, 0);
}

} // namespace
} // namespace orrery::drivers::libvirt
