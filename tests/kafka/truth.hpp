#pragma once

#include "events/log/log.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orrery::log {

/// What appends were told, compared with what the log holds in the end: an outcome may say less
/// than the truth (`unknown`), never something else. Every record must have bytes of its own.
class truth {
public:
  /// Appends and remembers; `then` is called after the outcome was remembered. Any thread.
  void append(
      log& to, partition_number where, std::string bytes, std::function<void()> then = [] {}) {
    ++x_sent;
    to.append(where, bytes, [this, where, bytes, then](const append_outcome& outcome) {
      {
        const std::lock_guard hold(x_lock);
        x_told[where].push_back({bytes, outcome});
        ++x_answered;
      }
      then();
    });
  }

  [[nodiscard]] std::size_t sent() const { return x_sent; }

  [[nodiscard]] std::size_t answered() const { return x_answered; }

  [[nodiscard]] std::size_t count(append_fate fate) const {
    const std::lock_guard hold(x_lock);
    std::size_t found = 0;
    for (const auto& [where, all] : x_told)
      for (const auto& one : all)
        if (one.outcome.fate == fate)
          ++found;
    return found;
  }

  /// `stored`: all records of the partition, from 0 on.
  void check(partition_number where, const std::vector<record>& stored) const {
    std::set<std::string> there;
    for (std::size_t at = 0; at < stored.size(); ++at) {
      EXPECT_EQ(stored[at].at, at);
      EXPECT_TRUE(there.insert(stored[at].bytes).second) << "twice: " << stored[at].bytes;
    }
    const std::lock_guard hold(x_lock);
    const auto told = x_told.find(where);
    if (told == x_told.end())
      return;
    for (const auto& one : told->second) {
      if (one.outcome.fate == append_fate::durable) {
        ASSERT_LT(one.outcome.at, stored.size()) << "lost: " << one.bytes;
        EXPECT_EQ(stored[one.outcome.at].bytes, one.bytes);
      } else if (one.outcome.fate == append_fate::not_written) {
        EXPECT_EQ(there.count(one.bytes), 0u) << "said not to be written: " << one.bytes;
      }
    }
  }

private:
  struct told_one {
    std::string bytes;
    append_outcome outcome;
  };

  std::atomic<std::size_t> x_sent = 0;
  std::atomic<std::size_t> x_answered = 0;
  mutable std::mutex x_lock;
  std::map<partition_number, std::vector<told_one>> x_told;
};

} // namespace orrery::log
