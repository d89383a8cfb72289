#include "actors/engine/last_moment.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>

namespace orrery::actors {

namespace {

/// The memory that stays, and the lives that follow each other.
class lives {
public:
  last_moment& next(std::string_view version = "1.0") {
    x_life.emplace(x_memory, version);
    return *x_life;
  }

  std::array<std::byte, last_moment::size>& memory() { return x_memory; }

private:
  alignas(std::uint64_t) std::array<std::byte, last_moment::size> x_memory{};
  std::optional<last_moment> x_life;
};

constexpr command_kind create{{}, 1};
constexpr command_kind stop_it{{1, 2}, 2};
constexpr command_kind stop_other{{1, 3}, 2};

} // namespace

TEST(last_moment, the_first_life_knows_of_none) {
  lives of;
  const auto& first = of.next();
  EXPECT_FALSE(first.died_deciding());
  EXPECT_FALSE(first.has_suspects());
}

TEST(last_moment, a_life_that_ended_between_decisions_is_no_sign) {
  lives of;
  auto& first = of.next();
  first.begin_many();
  first.end();
  first.begin_one(create);
  first.end();
  EXPECT_FALSE(of.next().died_deciding());
}

TEST(last_moment, a_death_among_many_accuses_nobody_by_name) {
  lives of;
  of.next().begin_many();
  const auto& second = of.next();
  EXPECT_TRUE(second.died_deciding());
  EXPECT_FALSE(second.has_suspects());
  EXPECT_FALSE(of.next().died_deciding()) << "it was told once";
}

TEST(last_moment, deaths_of_one_sort_are_counted_by_entity) {
  lives of;
  of.next().begin_one(stop_it);
  of.next().begin_one(stop_it);
  const auto& third = of.next();
  EXPECT_TRUE(third.died_deciding());
  EXPECT_EQ(third.deaths(stop_it), 2u);
  EXPECT_EQ(third.deaths(stop_other), 0u);
  EXPECT_EQ(third.deaths(create), 0u);
}

TEST(last_moment, what_is_decided_in_the_end_is_innocent) {
  lives of;
  of.next().begin_one(create);
  auto& second = of.next();
  EXPECT_TRUE(second.has_suspects());
  second.begin_one(create);
  second.end();
  EXPECT_EQ(second.deaths(create), 0u);
  EXPECT_FALSE(second.has_suspects());
  EXPECT_EQ(of.next().deaths(create), 0u);
}

TEST(last_moment, what_is_let_go_is_neither_guilty_nor_innocent) {
  lives of;
  of.next().begin_one(create);
  auto& second = of.next();
  second.begin_one(create);
  second.let_go();
  const auto& third = of.next();
  EXPECT_FALSE(third.died_deciding());
  EXPECT_EQ(third.deaths(create), 1u);
}

TEST(last_moment, forgiving_takes_back_one_death) {
  lives of;
  of.next().begin_one(create);
  of.next().begin_one(create);
  auto& third = of.next();
  third.forgive(create);
  EXPECT_EQ(third.deaths(create), 1u);
  third.forgive(create);
  third.forgive(create);
  EXPECT_EQ(third.deaths(create), 0u);
  EXPECT_FALSE(third.has_suspects());
}

TEST(last_moment, another_version_begins_anew) {
  lives of;
  of.next().begin_one(create);
  const auto& second = of.next("1.1");
  EXPECT_FALSE(second.died_deciding());
  EXPECT_EQ(second.deaths(create), 0u);
}

TEST(last_moment, bytes_that_it_did_not_write_count_as_nothing) {
  lives of;
  of.next().begin_one(create);
  of.memory().fill(std::byte{0x5a});
  const auto& second = of.next();
  EXPECT_FALSE(second.died_deciding());
  EXPECT_FALSE(second.has_suspects());
}

TEST(last_moment, who_killed_often_is_not_pushed_out_by_many_innocents) {
  lives of;
  of.next().begin_one(create);
  of.next().begin_one(create);
  for (std::uint64_t number = 0; number < 200; ++number)
    of.next().begin_one({{7, number}, 3});
  EXPECT_EQ(of.next().deaths(create), 2u);
}

} // namespace orrery::actors
