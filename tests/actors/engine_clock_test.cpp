#include "actors/engine/engine.hpp"
#include "tests/support/builders.hpp"

#include <gtest/gtest.h>

#include <deque>

// An engine and a clock that jumps, without actors, on a log that never goes wrong.

namespace orrery::actors {

namespace {

using std::chrono::hours;
using std::chrono::seconds;

/// Does at once what the engine asks for, in order.
class bench_engine final : public engine_hands {
public:
  bench_engine() {
    engine_birth birth;
    birth.identity = {installation_id{support::installation()}, log::log_id{uuid{1, 2}}};
    birth.policies = &support::default_policies();
    birth.is_shared = true;
    birth.process = 7;
    birth.queued = std::make_shared<std::atomic<std::size_t>>(0);
    birth.wall_clock = [this] { return support::start_of_time() + x_passed + x_wrong; };
    birth.steady_clock = [this] { return std::chrono::steady_clock::time_point(x_passed); };
    birth.random = [this] { return ++x_random; };
    x_engine.emplace(std::move(birth), *this);
    x_engine->on_records({}, 0);
  }

  void append(std::uint64_t ticket, std::string record) override {
    x_todo.push_back([this, ticket, bytes = std::move(record)] {
      const auto at = x_end++;
      x_engine->on_appended(ticket, {log::append_fate::durable, at, {}});
      x_engine->on_records({{at, bytes}}, x_end);
    });
  }

  void decide(const uuid& entity, decide_request request) override {
    x_todo.push_back([this, entity, asked = std::move(request)] {
      x_engine->on_decided(decide_all(entity, x_engine->state().find(entity), asked));
    });
  }

  void accepted(const projections::folded_commit& /*commit*/) override {}

  void project(std::shared_ptr<const projections::folded_commit> /*commit*/) override {}

  void owning(std::uint64_t /*epoch*/) override {}

  void owning_ended() override {}

  void carry(const v1::Command& /*command*/) override {}

  void settle() {
    for (; !x_todo.empty(); x_todo.pop_front())
      x_todo.front()();
  }

  void pass(seconds time) {
    x_passed += time;
    x_engine->on_tick();
    settle();
  }

  void jump(seconds by) { x_wrong += by; }

  engine& core() { return *x_engine; }

  /// Records in the log.
  [[nodiscard]] std::uint64_t end() const { return x_end; }

private:
  std::optional<engine> x_engine;
  std::deque<std::function<void()>> x_todo;
  std::chrono::microseconds x_passed{1'000'000};
  std::chrono::microseconds x_wrong{0};
  std::uint64_t x_random = 0;
  log::offset x_end = 0;
};

void own(bench_engine& one) {
  one.core().set_wanted(true);
  one.settle();
  ASSERT_TRUE(one.core().is_owning());
}

v1::Command trusting() {
  auto made = support::with_origin(support::trust_clock(), 99, 1);
  domain::set(made.mutable_id(), support::command_number(1));
  domain::set(made.mutable_entity(), support::installation());
  return made;
}

} // namespace

TEST(engine_clock, an_owner_whose_clock_is_right_decides) {
  bench_engine one;
  own(one);
  EXPECT_EQ(one.end(), 2u) << "the claim, and the founding of the installation";
  EXPECT_EQ(one.core().status().alarm, "");
}

TEST(engine_clock, a_clock_that_jumped_before_the_first_claim_decides_nothing) {
  bench_engine one;
  one.jump(hours(1));
  own(one);
  EXPECT_EQ(one.end(), 1u) << "the claim only";
  EXPECT_NE(one.core().status().alarm.find("clock"), std::string::npos);
}

TEST(engine_clock, an_operators_word_lets_it_decide) {
  bench_engine one;
  own(one);
  one.jump(hours(1));
  one.pass(seconds(1));
  EXPECT_NE(one.core().status().alarm.find("clock"), std::string::npos) << "seen by a tick";
  one.core().on_carried(trusting());
  one.settle();
  EXPECT_EQ(one.end(), 3u);
  EXPECT_EQ(one.core().status().alarm, "");
}

TEST(engine_clock, his_word_brought_again_trusts_no_other_jump) {
  bench_engine one;
  own(one);
  one.core().on_carried(trusting());
  one.settle();
  const auto end = one.end();
  one.jump(hours(1));
  one.core().on_carried(trusting());
  one.settle();
  EXPECT_EQ(one.end(), end);
  EXPECT_NE(one.core().status().alarm.find("clock"), std::string::npos);
}

} // namespace orrery::actors
