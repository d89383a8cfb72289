#include "actors/engine/batch.hpp"
#include "events/log/log.hpp"
#include "tests/support/builders.hpp"
#include "tests/support/random_history.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace orrery::actors {
namespace {

using support::default_policies;

domain::context context_at(utc_time now) { return {now, {}, &default_policies()}; }

std::shared_ptr<submission> submit_of(v1::Command command, std::uint64_t number) {
  auto made = std::make_shared<submission>();
  made->command = std::move(command);
  domain::clean_texts(made->command);
  domain::set(made->command.mutable_id(),
              support::command_number(static_cast<std::uint32_t>(number)));
  made->command.mutable_origin()->set_nonce(1);
  made->command.mutable_origin()->set_number(number);
  return made;
}

/// What an entity's actor answers, without the actor.
decide_answer answer(const uuid& entity, const decide_request& asked,
                     const domain::partition_state& accepted) {
  decide_answer made;
  made.batch = asked.batch;
  made.entity = entity;
  auto state = asked.has_state ? asked.state : accepted.find(entity);
  for (const auto& [index, command] : asked.commands) {
    auto with = asked.with;
    with.command = domain::from_proto(command->id());
    auto said =
        std::make_shared<domain::outcome>(domain::decide(state.get(), entity, *command, with));
    if (*said)
      state = domain::evolve(state, {said->value().events.begin(), said->value().events.end()},
                             with.now);
    made.decided.push_back({index, std::move(said), state});
  }
  return made;
}

/// Decides a batch, answering requests in an order drawn by `shuffle`.
v1::CommitBody decide_all(batch& asked, const domain::partition_state& accepted,
                          support::dice& shuffle) {
  while (!asked.is_decided()) {
    auto requests = asked.ask();
    while (!requests.empty()) {
      const auto pick = shuffle.below(requests.size());
      const auto [entity, request] = requests[pick];
      requests.erase(requests.begin() + static_cast<std::ptrdiff_t>(pick));
      asked.on_answer(answer(entity, request, accepted));
    }
  }
  return asked.build(log::record_size_max, accepted, outbox{}).body;
}

// The actors' way and the plain loop must come to the same decisions, whatever order answers come
// in.
TEST(batch, decides_as_the_plain_loop_does) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    support::dice shuffle(seed);
    support::world world;
    support::random_commands story(seed);
    domain::partition_state accepted;
    std::uint64_t number = 0;
    auto now = support::start_of_time();
    for (std::uint64_t round = 1; round <= 40; ++round) {
      std::vector<std::shared_ptr<submission>> commands;
      if (round == 1)
        for (auto& command : {support::found(), support::add_cluster(), support::add_node(),
                              support::hello(), support::add_network(), support::place_vm()})
          commands.push_back(submit_of(command, ++number));
      for (int i = 0; i < 12; ++i)
        commands.push_back(submit_of(story.next(world), ++number));
      now = std::max(now, accepted.head_time() + std::chrono::microseconds(1)) + story.next_pause();
      domain::overlay tentative;
      v1::CommitBody plain;
      plain.set_decided_at(to_micros(now));
      for (const auto& one : commands) {
        auto decision = domain::decide_now(
            one->command, [&accepted](const uuid& id) { return accepted.find(id); }, tentative,
            default_policies(), now);
        bool changes = decision.reply().code() != 0;
        for (const auto& step : decision.steps())
          changes = changes || step.events_size() > 0;
        if (changes)
          *plain.add_decisions() = std::move(decision);
      }
      batch asked(round, commands, context_at(now));
      const auto body = decide_all(asked, accepted, shuffle);
      ASSERT_EQ(body.SerializeAsString(), plain.SerializeAsString());
      accepted.fold(body, round);
    }
    EXPECT_GE(accepted.size(), 4U);
  }
}

TEST(batch, what_does_not_fit_is_left_for_the_next_record) {
  domain::partition_state accepted;
  support::dice shuffle(1);
  v1::CommitBody founding;
  founding.set_decided_at(to_micros(support::start_of_time()));
  std::vector<std::shared_ptr<submission>> commands{submit_of(support::found(), 1)};
  for (std::uint64_t i = 0; i < 50; ++i)
    commands.push_back(submit_of(
        support::add_cluster({static_cast<std::uint32_t>(i + 1), "c" + std::to_string(i)}), i + 2));
  batch asked(1, commands, context_at(support::start_of_time()));
  while (!asked.is_decided())
    for (const auto& [entity, request] : asked.ask())
      asked.on_answer(answer(entity, request, accepted));
  constexpr std::size_t size_max = 2'000;
  const auto built = asked.build(size_max, accepted, outbox{});
  EXPECT_LE(built.body.ByteSizeLong(), size_max + 64);
  EXPECT_GT(built.recorded.size(), 1U);
  EXPECT_EQ(built.recorded.size() + built.left.size(), commands.size());
  EXPECT_EQ(built.left.front(), commands[built.recorded.size()]);
}

} // namespace
} // namespace orrery::actors
