#pragma once

#include "actors/engine/engine.hpp"
#include "tests/support/builders.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace orrery::actors {

/// Does at once what the engine asks for, in order.
class bench_engine final : public engine_hands {
public:
  /// `moment`: what the process remembers of its last life.
  explicit bench_engine(std::shared_ptr<last_moment> moment = nullptr) {
    engine_birth birth;
    birth.moment = std::move(moment);
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
      const auto at = x_log.size();
      x_log.push_back(bytes);
      if (!reports_late)
        x_engine->on_appended(ticket, {log::append_fate::durable, at, {}});
      if (on_way)
        on_way();
      log::record stored{at, bytes};
      if (log_error)
        stored.appended_at = support::start_of_time() + x_passed + *log_error;
      x_engine->on_records({stored}, end());
      x_last_ticket = ticket;
    });
  }

  /// What becomes of the last record, when it was not reported by itself.
  void report(log::append_fate fate) {
    x_engine->on_appended(x_last_ticket, {fate, x_log.size() - 1, {}});
  }

  /// A record of another process.
  void bring(const std::string& bytes) {
    x_log.push_back(bytes);
    x_engine->on_records({{x_log.size() - 1, bytes}}, end());
  }

  void decide(std::vector<std::pair<uuid, decide_request>> asked) override {
    for (auto& one : asked) {
      if (is_deadly && is_deadly(*one.second.commands.front().second)) {
        x_is_dead = true;
        continue;
      }
      x_todo.push_back([this, one = std::move(one)] {
        const auto& [entity, request] = one;
        x_engine->on_decided(decide_all(entity, x_engine->state().find(entity), request));
      });
    }
  }

  void accepted(const projections::folded_commit& commit) override {
    for (const auto& one : commit.body->decisions())
      x_decided.push_back(one);
  }

  void project(std::shared_ptr<const projections::folded_commit> /*commit*/) override {}

  void owning(std::uint64_t /*epoch*/) override {}

  void owning_ended() override {}

  void carry(const v1::Command& /*command*/) override {}

  void settle() {
    for (; !x_todo.empty(); x_todo.pop_front())
      x_todo.front()();
  }

  void pass(std::chrono::seconds time) {
    x_passed += time;
    x_engine->on_tick();
    settle();
  }

  /// Time passes while the process stands still.
  void stand_still(std::chrono::seconds time) { x_passed += time; }

  void jump(std::chrono::seconds by) { x_wrong += by; }

  /// Between the append of a record and its way back.
  std::function<void()> on_way;

  /// The log brings a record back before it reports it, and reports it when it is told to.
  bool reports_late = false;

  /// How far the log's own clock is off; none: it has none.
  std::optional<std::chrono::microseconds> log_error;

  /// What the process does not survive to decide.
  std::function<bool(const v1::Command&)> is_deadly;

  [[nodiscard]] bool is_dead() const { return x_is_dead; }

  engine& core() { return *x_engine; }

  /// All accepted decisions, in order.
  [[nodiscard]] const std::vector<v1::Decision>& decided() const { return x_decided; }

  /// Records in the log.
  [[nodiscard]] std::uint64_t end() const { return x_log.size(); }

  [[nodiscard]] const std::vector<std::string>& log() const { return x_log; }

private:
  std::optional<engine> x_engine;
  std::deque<std::function<void()>> x_todo;
  std::chrono::microseconds x_passed{1'000'000};
  std::chrono::microseconds x_wrong{0};
  std::uint64_t x_random = 0;
  std::vector<v1::Decision> x_decided;
  bool x_is_dead = false;
  std::vector<std::string> x_log;
  std::uint64_t x_last_ticket = 0;
};

inline void own(bench_engine& one) {
  one.core().set_wanted(true);
  one.settle();
  ASSERT_TRUE(one.core().is_owning());
}

} // namespace orrery::actors
