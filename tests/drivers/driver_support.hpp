#pragma once

#include "drivers/hypervisor.hpp"
#include "tests/support/wait.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>

/// What the tests of drivers share: an ear, patience, and readable failures.
namespace orrery::testing_support {

/// Hears a driver and remembers whom it spoke of.
class ear {
public:
  [[nodiscard]] drivers::guest_listener listener() {
    return [this](vm_id vm) {
      const std::lock_guard lock(x_guard);
      ++x_heard[vm];
      x_changed.notify_all();
    };
  }

  [[nodiscard]] std::size_t count(vm_id vm) {
    const std::lock_guard lock(x_guard);
    return x_heard[vm];
  }

  /// Waits until `vm` was spoken of more than `count` times.
  [[nodiscard]] bool heard_more(vm_id vm, std::size_t count, std::chrono::seconds limit) {
    std::unique_lock lock(x_guard);
    return x_changed.wait_for(lock, limit, [&] { return x_heard[vm] > count; });
  }

private:
  std::mutex x_guard;
  std::condition_variable x_changed;
  std::map<vm_id, std::size_t> x_heard;
};

inline uuid fresh_uuid() {
  static std::random_device source;
  const auto random = (std::uint64_t{source()} << 32) | source();
  const auto now =
      std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  return make_uuid(now, partition_number{0}, random);
}

#define ORRERY_EXPECT_OK(expression)                                                               \
  do {                                                                                             \
    const auto& done_ = (expression);                                                              \
    EXPECT_TRUE(done_.has_value()) << #expression << ": " << done_.error().text;                   \
  } while (false)

#define ORRERY_ASSERT_OK(expression)                                                               \
  do {                                                                                             \
    const auto& done_ = (expression);                                                              \
    ASSERT_TRUE(done_.has_value()) << #expression << ": " << done_.error().text;                   \
  } while (false)

#define ORRERY_EXPECT_CODE(expression, wanted)                                                     \
  do {                                                                                             \
    const auto& done_ = (expression);                                                              \
    EXPECT_FALSE(done_.has_value()) << #expression << " succeeded";                                \
    if (!done_.has_value()) {                                                                      \
      EXPECT_EQ(name_of(done_.error().code), name_of(wanted)) << done_.error().text;               \
    }                                                                                              \
  } while (false)

} // namespace orrery::testing_support
