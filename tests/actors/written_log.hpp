#pragma once

#include "actors/engine/log_fold.hpp"
#include "events/log/memory_log.hpp"
#include "events/log/new_identity.hpp"
#include "tests/support/random_history.hpp"

#include <gtest/gtest.h>

#include <future>

namespace orrery::actors {

/// A log with a history in it.
struct written_log {
  static constexpr partition_number where{0};

  log::log_identity identity = log::new_identity();
  std::shared_ptr<log::log> log = std::make_shared<log::memory_log>();
  log::owner owner{identity, where};

  explicit written_log(std::uint64_t seed, std::size_t records = 60) {
    append(owner.make_claim({"test", "", 77, 1, utc_time{}}));
    write(seed, records);
  }

  void write(std::uint64_t seed, std::size_t records) {
    support::random_commands any(seed);
    support::world world;
    for (std::size_t i = 0; i < records; ++i)
      world.tell(any.next(world));
    for (const auto& [seq, body] : world.commits())
      append(owner.make_commit(body.SerializeAsString()));
  }

  void append(const std::string& bytes) {
    std::promise<log::append_outcome> done;
    log->append(where, bytes,
                [&done](const log::append_outcome& outcome) { done.set_value(outcome); });
    owner.on_appended(done.get_future().get());
    static_cast<void>(owner.on_record(bytes));
    if (owner.is_committed())
      owner.release();
  }

  [[nodiscard]] partition_snapshot folded() const {
    log_fold fold(log, identity, where);
    auto moved = fold.advance();
    while (moved && *moved)
      moved = fold.advance();
    EXPECT_TRUE(moved);
    return std::move(fold.at());
  }
};

} // namespace orrery::actors
