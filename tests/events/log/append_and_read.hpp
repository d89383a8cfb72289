#pragma once

#include "events/log/log.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace orrery::log::contract {

/// How long a test waits for what must happen anyway; generous, since machines are shared.
inline constexpr std::chrono::milliseconds patience{20'000};
inline constexpr std::chrono::milliseconds at_once{0};
inline constexpr partition_number zero{0};
inline constexpr partition_number seven{7};

/// Collects outcomes of appends and waits for them.
class outcomes {
public:
  std::function<void(const append_outcome&)> done() {
    return [this](const append_outcome& outcome) {
      const std::lock_guard hold(x_lock);
      x_seen.push_back(outcome);
      x_changed.notify_all();
    };
  }

  /// The first `count` outcomes in the order in which they came.
  std::vector<append_outcome> wait(std::size_t count) {
    std::unique_lock hold(x_lock);
    EXPECT_TRUE(x_changed.wait_for(hold, patience, [&] { return x_seen.size() >= count; }))
        << "only " << x_seen.size() << " of " << count << " appends were answered";
    return x_seen;
  }

  std::size_t count() {
    const std::lock_guard hold(x_lock);
    return x_seen.size();
  }

private:
  std::mutex x_lock;
  std::condition_variable x_changed;
  std::vector<append_outcome> x_seen;
};

inline append_outcome append_and_wait(log& to, partition_number where, std::string bytes) {
  outcomes seen;
  to.append(where, std::move(bytes), seen.done());
  const auto all = seen.wait(1);
  return all.empty() ? append_outcome{} : all.front();
}

/// Everything of a partition from `from` on, read in pieces of `bytes_max`.
inline std::vector<record> read_all(log& from_log, partition_number where, offset from = 0,
                                    std::size_t bytes_max = 1'000'000) {
  std::vector<record> all;
  while (true) {
    auto piece = from_log.read(where, from + all.size(), bytes_max, at_once);
    EXPECT_TRUE(piece) << (piece ? "" : piece.error().text);
    if (!piece || piece->empty())
      return all;
    for (auto& one : *piece)
      all.push_back(std::move(one));
  }
}

} // namespace orrery::log::contract
