#pragma once

#include "projections/usage_query.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <compare>
#include <iterator>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

// Usage as its tests compare it: what is listed, and what events tell by hand.

namespace orrery::projections {

inline constexpr auto absent = v1::UsageInterval::ABSENT;
inline constexpr auto stopped = v1::UsageInterval::STOPPED;
inline constexpr auto running = v1::UsageInterval::RUNNING;
inline constexpr auto unknown = v1::UsageInterval::UNKNOWN;
inline constexpr auto no_state = v1::UsageInterval::STATE_UNSPECIFIED;

inline const utc_time long_ago = support::start_of_time() - std::chrono::hours(24);
inline const utc_time far_ahead = support::start_of_time() + std::chrono::hours(24) * 3'000;

/// One interval, without what is the same for all of its VM.
struct piece {
  std::string vm;
  std::string meter;
  v1::UsageInterval::State state = no_state;
  std::uint64_t amount = 0;
  utc_time start;
  utc_time end;

  friend auto operator<=>(const piece&, const piece&) = default;

  friend void PrintTo(const piece& shown, std::ostream* out) {
    *out << shown.vm << " " << shown.meter << " " << shown.state << " " << shown.amount << " ["
         << to_text(shown.start) << ", " << to_text(shown.end) << ")";
  }
};

using pieces = std::vector<piece>;

/// All rows of a list, page after page.
template <class Row, class Question>
std::vector<Row> all_of(const Question& ask, std::uint32_t size = page_size_max) {
  std::vector<Row> found;
  page wanted{size, ""};
  do {
    auto listed = ask(wanted);
    EXPECT_TRUE(listed) << (listed ? "" : listed.error().text);
    if (!listed)
      return found;
    EXPECT_LE(listed->items.size(), size);
    std::ranges::move(listed->items, std::back_inserter(found));
    wanted.token = listed->next_token;
  } while (!wanted.token.empty());
  return found;
}

/// All that is listed.
[[nodiscard]] pieces pieces_of(const reader& rows, const usage_terms& terms,
                               std::uint32_t size = page_size_max);

/// The list of two lists: what touches and is equal becomes one. Associative.
[[nodiscard]] pieces merged(pieces left, const pieces& right);

[[nodiscard]] pieces sorted(pieces all);

/// What a VM's events say, told by hand: which state begins when, the last word on a moment counts.
struct told_vm {
  utc_time created;
  std::optional<utc_time> end = {};
  std::map<utc_time, std::uint64_t> addresses = {}; ///< how many from when on
  std::uint64_t vcpus = 0;
  std::uint64_t memory = 0;
  std::map<utc_time, v1::UsageInterval::State> states = {};
};

/// Told from the commits' bodies alone, by VM.
[[nodiscard]] std::map<std::string, std::vector<told_vm>> tell(const support::commit_list& commits);

/// The intervals that these tell, up to the end of the log.
[[nodiscard]] pieces told_pieces(const support::commit_list& commits);

/// The states of the one VM of a world, with the seconds from `from` to the end of each, whole.
struct stretch {
  v1::UsageInterval::State state;
  std::int64_t milliseconds;

  friend bool operator==(const stretch&, const stretch&) = default;

  friend void PrintTo(const stretch& shown, std::ostream* out) {
    *out << shown.state << " for " << shown.milliseconds << " ms";
  }
};

[[nodiscard]] std::vector<stretch> stretches_of(const support::world& at, std::uint32_t number = 1);

} // namespace orrery::projections
