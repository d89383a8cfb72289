#include "tests/actors/bench_engine.hpp"

#include <gtest/gtest.h>

#include <array>

// Commands that end whoever decides them, and the lives of a process that meets them.

namespace orrery::actors {

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

v1::Command numbered(v1::Command made, std::uint32_t number) {
  made = support::with_origin(std::move(made), 99, number);
  domain::set(made.mutable_id(), support::command_number(number));
  return made;
}

v1::Command deadly(std::uint32_t number) {
  auto made = numbered(support::trust_clock(), number);
  domain::set(made.mutable_entity(), support::installation());
  return made;
}

v1::Command harmless(std::uint32_t number) {
  auto made = numbered(support::add_cluster(), number);
  domain::set(made.mutable_entity(), support::command_number(number));
  return made;
}

/// A process that dies of `deadly`, life after life, each on a log of its own.
class mortal {
public:
  bench_engine& live_again() {
    x_life =
        std::make_unique<bench_engine>(std::make_shared<last_moment>(std::span(x_memory), "1.0"));
    x_life->is_deadly = is_trust_command;
    own(*x_life);
    return *x_life;
  }

  /// Lives that end with a command; the next one then.
  bench_engine& die_of(std::uint32_t times) {
    for (std::uint32_t life = 1; life <= times; ++life) {
      auto& now = live_again();
      now.core().on_carried(harmless(2 * life));
      now.core().on_carried(deadly(2 * life + 1));
      now.settle();
      EXPECT_TRUE(now.is_dead()) << "life " << life;
    }
    return live_again();
  }

private:
  alignas(std::uint64_t) std::array<std::byte, last_moment::size> x_memory{};
  std::unique_ptr<bench_engine> x_life;
};

void bring(bench_engine& to, v1::Command command) {
  to.core().on_carried(std::move(command));
  to.settle();
}

} // namespace

TEST(engine_caution, what_ended_three_lives_is_refused_and_all_else_goes_on) {
  mortal process;
  auto& now = process.die_of(3);
  bring(now, deadly(101));
  bring(now, harmless(102));
  EXPECT_FALSE(now.is_dead());
  ASSERT_EQ(now.decided().size(), 3u) << "the founding, and both";
  const auto& refused = now.decided()[1];
  EXPECT_EQ(refused.reply().code(), static_cast<std::uint32_t>(error_code::internal));
  EXPECT_NE(refused.reply().text().find("installation.trust_clock"), std::string::npos)
      << refused.reply().text();
  EXPECT_EQ(refused.command().origin().number(), 101u);
  EXPECT_EQ(now.decided()[2].command().origin().number(), 102u);
}

TEST(engine_caution, a_refused_one_that_comes_again_has_its_answer) {
  mortal process;
  auto& now = process.die_of(3);
  bring(now, deadly(101));
  const auto end = now.end();
  bring(now, deadly(101));
  EXPECT_EQ(now.end(), end);
}

TEST(engine_caution, less_than_three_deaths_are_tried_again) {
  mortal process;
  auto& now = process.die_of(2);
  bring(now, deadly(101));
  EXPECT_TRUE(now.is_dead());
}

TEST(engine_caution, after_ten_minutes_it_is_tried_once_more) {
  mortal process;
  auto& now = process.die_of(3);
  bring(now, deadly(101));
  EXPECT_FALSE(now.is_dead());
  now.pass(minutes(9));
  bring(now, deadly(102));
  EXPECT_FALSE(now.is_dead());
  now.pass(minutes(2));
  bring(now, deadly(103));
  EXPECT_TRUE(now.is_dead());
  auto& next = process.live_again();
  bring(next, deadly(104));
  EXPECT_FALSE(next.is_dead()) << "one more death was enough";
}

TEST(engine_caution, what_lives_after_all_is_as_good_as_any) {
  mortal process;
  auto& now = process.die_of(2);
  now.is_deadly = nullptr; // whatever it was has passed
  bring(now, deadly(101));
  EXPECT_EQ(now.decided().back().reply().code(), 0u);
  auto& next = process.die_of(1);
  bring(next, deadly(102));
  EXPECT_TRUE(next.is_dead()) << "it is not refused for deaths of long ago";
}

TEST(engine_caution, after_a_death_commands_are_decided_one_by_one_for_a_minute) {
  mortal process;
  auto& now = process.die_of(1);
  const auto before = now.end();
  for (std::uint32_t number = 1; number <= 3; ++number)
    now.core().on_carried(harmless(100 + number));
  now.settle();
  EXPECT_EQ(now.end(), before + 3) << "a record for each";
  now.pass(seconds(61));
  const auto after = now.end();
  for (std::uint32_t number = 4; number <= 6; ++number)
    now.core().on_carried(harmless(100 + number));
  now.settle();
  EXPECT_EQ(now.end(), after + 2) << "one was there first, two waited meanwhile";
}

TEST(engine_caution, a_process_that_is_told_to_stop_is_no_death) {
  mortal process;
  auto& now = process.live_again();
  now.core().on_carried(deadly(1)); // never answered: as good as under way
  now.settle();
  now.core().stop();
  auto& next = process.live_again();
  const auto before = next.end();
  for (std::uint32_t number = 1; number <= 3; ++number)
    next.core().on_carried(harmless(number));
  next.settle();
  EXPECT_EQ(next.end(), before + 2);
}

} // namespace orrery::actors
