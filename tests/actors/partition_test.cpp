#include "actors/partition.hpp"
#include "events/log/history.hpp"
#include "tests/support/builders.hpp"
#include "tests/support/invariants.hpp"
#include "tests/support/random_history.hpp"
#include "tests/support/world.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <gtest/gtest.h>

#include <deque>
#include <map>

namespace orrery::actors {
namespace {

using support::dice;

/// A log in the test's own thread: what is appended becomes durable when the test says so.
class manual_log final : public log::log {
public:
  struct pending {
    std::string bytes;
    std::function<void(const orrery::log::append_outcome&)> done;
  };

  void append(partition_number, std::string bytes,
              std::function<void(const orrery::log::append_outcome&)> done) override {
    x_pending.push_back({std::move(bytes), std::move(done)});
  }

  [[nodiscard]] result<std::vector<orrery::log::record>>
  read(partition_number, orrery::log::offset, std::size_t, std::chrono::milliseconds) override {
    return std::vector<orrery::log::record>{};
  }

  [[nodiscard]] result<orrery::log::offset> end(partition_number) override {
    return static_cast<orrery::log::offset>(stored.size());
  }

  [[nodiscard]] bool has_pending() const { return !x_pending.empty(); }

  /// Stores the oldest append and reports it.
  void store_one() {
    auto one = std::move(x_pending.front());
    x_pending.pop_front();
    stored.push_back({stored.size(), one.bytes});
    orrery::log::append_outcome outcome;
    outcome.fate = orrery::log::append_fate::durable;
    outcome.at = stored.size() - 1;
    one.done(outcome);
  }

  void refuse_one(orrery::log::append_fate fate) {
    auto one = std::move(x_pending.front());
    x_pending.pop_front();
    orrery::log::append_outcome outcome;
    outcome.fate = fate;
    outcome.failure = {error_code::storage_full, "the disk is full", true};
    one.done(outcome);
  }

  std::vector<orrery::log::record> stored;

private:
  std::deque<pending> x_pending;
};

/// A partition on CAF's test coordinator: one thread, virtual time, and an order of everything that
/// a seed decides.
class stage {
public:
  explicit stage(std::uint64_t seed) : x_dice(seed) {
    x_config.set("scheduler.policy", caf::atom("testing"));
    x_config.set("logger.verbosity", caf::atom("quiet"));
    x_config.add_message_types<caf::id_block::orrery>();
    x_system = std::make_unique<caf::actor_system>(x_config);
    x_scheduler = &dynamic_cast<caf::scheduler::test_coordinator&>(x_system->scheduler());
    x_log = std::make_shared<manual_log>();
    x_identity.installation.value = support::installation();
    x_identity.log.value = support::command_number(999'999);
    spawn();
  }

  /// Every story ends with the invariants, and with the live state being the fold of the log.
  ~stage() {
    settle();
    check();
    stop();
    while (x_scheduler->has_job())
      x_scheduler->run_once();
    x_system.reset();
  }

  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;

  void spawn() {
    partition_birth birth;
    birth.log = x_log;
    birth.engine.identity = x_identity;
    birth.engine.policies = &support::default_policies();
    birth.engine.edition = v1::MULTI_CLUSTER;
    birth.engine.owner_name = "test";
    birth.engine.end_at_start = x_log->stored.size();
    birth.engine.queued = std::make_shared<std::atomic<std::size_t>>(0);
    birth.engine.wall_clock = [this] { return support::start_of_time() + x_elapsed; };
    birth.engine.steady_clock = [this] {
      return std::chrono::steady_clock::time_point(
          std::chrono::duration_cast<std::chrono::steady_clock::duration>(x_elapsed));
    };
    birth.engine.random = [this] { return x_dice.next(); };
    birth.engine.tell.fatal = [this](const error& why) { x_fatal.push_back(why.text); };
    x_partition = spawn_partition(*x_system, std::move(birth), false);
    x_delivered = 0;
    x_told_once = false;
  }

  void stop() {
    if (x_partition)
      caf::anon_send(*x_partition, stop_atom::value);
    x_partition.reset();
  }

  /// One thing that can happen next, chosen by the seed: a job of any actor, a stored record, a
  /// delivered one.
  bool step() {
    std::vector<int> possible;
    if (x_scheduler->has_job())
      possible.push_back(0);
    if (x_log->has_pending())
      possible.push_back(1);
    if (x_delivered < x_log->stored.size() || !x_told_once)
      possible.push_back(2);
    if (possible.empty())
      return false;
    switch (possible[x_dice.below(possible.size())]) {
    case 0:
      run_any_job();
      break;
    case 1:
      x_log->store_one();
      break;
    default:
      deliver();
      break;
    }
    return true;
  }

  void run_any_job() {
    auto& jobs = x_scheduler->jobs;
    std::swap(jobs.front(), jobs[x_dice.below(jobs.size())]);
    x_scheduler->run_once();
  }

  void deliver() {
    auto chunk = std::make_shared<std::vector<log::record>>();
    const auto count = x_told_once ? 1 + x_dice.below(3) : x_log->stored.size();
    for (std::uint64_t i = 0; i < count && x_delivered < x_log->stored.size(); ++i)
      chunk->push_back(x_log->stored[x_delivered++]);
    x_told_once = true;
    caf::anon_send(*x_partition, records_read{std::move(chunk), x_delivered});
  }

  /// Until nothing moves any more, time standing still.
  void settle() {
    while (step()) {
    }
  }

  void pass(std::chrono::microseconds time) {
    x_elapsed += time;
    x_scheduler->advance_time(time);
  }

  /// Sends a command; its reply will be in `replies` under the number that is returned.
  std::uint64_t send(v1::Command command, std::uint64_t origin_number = 0) {
    auto what = std::make_shared<submission>();
    const auto number = ++x_commands;
    what->command = std::move(command);
    domain::set(what->command.mutable_id(),
                support::command_number(static_cast<std::uint32_t>(number)));
    what->command.mutable_principal()->set_kind(v1::Principal::OPERATOR);
    what->command.mutable_origin()->set_nonce(7);
    what->command.mutable_origin()->set_number(origin_number == 0 ? number : origin_number);
    what->done = [this, number](const command_reply& reply) { replies[number].push_back(reply); };
    caf::anon_send(*x_partition, submit{std::move(what)});
    return number;
  }

  partition_status status(bool with_digest = false) {
    partition_status seen;
    caf::anon_send(*x_partition, status_request{with_digest, [&seen](const partition_status& told) {
                                                  seen = told;
                                                }});
    settle();
    return seen;
  }

  /// What any reader makes of the log.
  std::pair<support::commit_list, domain::partition_state> fold() const {
    std::pair<support::commit_list, domain::partition_state> made;
    log::history reader(x_identity, partition_number{0});
    for (const auto& record : x_log->stored) {
      const auto judged = reader.take(record.bytes);
      const auto* commit = std::get_if<log::accepted_commit>(&judged);
      if (commit == nullptr)
        continue;
      v1::CommitBody body;
      EXPECT_TRUE(body.ParseFromArray(commit->body.data(), static_cast<int>(commit->body.size())));
      made.second.fold(body, commit->header.seq);
      made.first.emplace_back(commit->header.seq, std::move(body));
    }
    return made;
  }

  void check() {
    const auto [commits, state] = fold();
    EXPECT_EQ(support::to_text(support::check_invariants(commits, state)), "");
    EXPECT_TRUE(x_fatal.empty()) << x_fatal.front();
    if (x_partition) {
      EXPECT_EQ(status(true).state_digest, log::to_text(log::sha256_of(state.to_bytes())));
    }
  }

  std::map<std::uint64_t, std::vector<command_reply>> replies;
  std::shared_ptr<manual_log> x_log;

  [[nodiscard]] dice& random() { return x_dice; }

  [[nodiscard]] const std::vector<std::string>& fatal() const { return x_fatal; }

private:
  dice x_dice;
  caf::actor_system_config x_config;
  std::unique_ptr<caf::actor_system> x_system;
  caf::scheduler::test_coordinator* x_scheduler = nullptr;
  log::log_identity x_identity;
  std::optional<partition_actor> x_partition;
  std::chrono::microseconds x_elapsed{0};
  std::size_t x_delivered = 0;
  bool x_told_once = false;
  std::uint64_t x_commands = 0;
  std::vector<std::string> x_fatal;
};

TEST(partition, founds_the_installation_once) {
  stage here(1);
  here.settle();
  const auto [commits, state] = here.fold();
  ASSERT_EQ(commits.size(), 1U);
  EXPECT_NE(state.find(support::installation()), nullptr);
}

TEST(partition, answers_only_after_the_record_was_stored_and_read_back) {
  stage here(2);
  here.settle();
  const auto number = here.send(support::add_cluster());
  while (!here.x_log->has_pending())
    ASSERT_TRUE(here.step());
  EXPECT_TRUE(here.replies[number].empty());
  here.settle();
  ASSERT_EQ(here.replies[number].size(), 1U);
  EXPECT_EQ(here.replies[number][0].reply.code(), 0U);
}

TEST(partition, a_refused_create_leaves_nothing_of_it) {
  stage here(3);
  here.settle();
  here.send(support::add_cluster());
  here.send(support::add_node());
  here.send(support::hello());
  here.send(support::add_network({.prefix = "10.99.0.0/30"}));
  here.send(support::place_vm());
  here.settle();
  const auto refused = here.send(support::place_vm({.number = 2, .name = "second"}));
  here.settle();
  ASSERT_EQ(here.replies[refused].size(), 1U);
  EXPECT_EQ(static_cast<error_code>(here.replies[refused][0].reply.code()),
            error_code::addresses_exhausted);
  const auto [commits, state] = here.fold();
  const auto cluster = state.find(support::cluster());
  EXPECT_EQ(std::get<domain::cluster_state>(*cluster).placements.size(), 1U);
}

TEST(partition, a_full_log_refuses_and_goes_on_when_there_is_room) {
  stage here(4);
  here.settle();
  const auto first = here.send(support::add_cluster());
  while (!here.x_log->has_pending())
    ASSERT_TRUE(here.step());
  here.x_log->refuse_one(log::append_fate::not_written);
  here.settle();
  ASSERT_EQ(here.replies[first].size(), 1U);
  EXPECT_EQ(static_cast<error_code>(here.replies[first][0].reply.code()), error_code::storage_full);
  here.pass(std::chrono::seconds(2));
  const auto second = here.send(support::add_cluster());
  here.settle();
  ASSERT_EQ(here.replies[second].size(), 1U);
  EXPECT_EQ(here.replies[second][0].reply.code(), 0U);
}

TEST(partition, an_append_of_unknown_fate_is_claimed_over_and_its_commands_take_effect_once) {
  stage here(5);
  here.settle();
  const auto number = here.send(support::add_cluster());
  while (!here.x_log->has_pending())
    ASSERT_TRUE(here.step());
  here.x_log->refuse_one(log::append_fate::unknown);
  here.settle();
  EXPECT_TRUE(here.replies[number].empty());
  here.pass(std::chrono::seconds(2));
  here.settle();
  ASSERT_EQ(here.replies[number].size(), 1U);
  EXPECT_EQ(here.replies[number][0].reply.code(), 0U);
  EXPECT_EQ(here.status().engine.standing, "owning");
}

TEST(partition, a_restarted_one_folds_the_same_state) {
  stage here(6);
  here.settle();
  here.send(support::add_cluster());
  here.send(support::add_node());
  here.settle();
  const auto before = here.status(true).state_digest;
  here.stop();
  here.settle();
  here.spawn();
  here.settle();
  EXPECT_EQ(here.status(true).state_digest, before);
  EXPECT_GT(here.status().engine.epoch, 1U) << "it claimed again";
}

// An entity is put to sleep while new messages for it are on their way: the old actor still hears
// what was accepted, the new one begins with the accepted state, and neither decides on a stale
// one. Every order that the seeds draw must give the history that the plain rules give.
TEST(partition, falling_asleep_races_with_new_messages_and_nothing_is_lost) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    stage here(seed);
    here.settle();
    here.send(support::add_cluster());
    here.send(support::add_node());
    here.send(support::hello());
    here.send(support::add_network());
    for (std::uint32_t vm = 1; vm <= 3; ++vm)
      here.send(support::place_vm({.number = vm, .name = "vm-" + std::to_string(vm)}));
    here.settle();
    ASSERT_GT(here.status().awake, 0U);
    std::uint64_t saying = 0;
    std::vector<std::uint64_t> sent;
    for (int round = 0; round < 12; ++round) {
      // Beyond the age at which idle entities sleep; the next commit sends them to rest.
      here.pass(awake_idle_max + std::chrono::seconds(5));
      const auto count = 1 + here.random().below(4);
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto vm = static_cast<std::uint32_t>(1 + here.random().below(3));
        const bool runs = here.random().chance(50);
        sent.push_back(here.send(support::observe(
            vm, {.state = runs ? v1::VmObserved::RUNNING : v1::VmObserved::STOPPED,
                 .cause = runs ? v1::VmObserved::CAUSE_UNSPECIFIED : v1::VmObserved::GUEST,
                 .number = ++saying})));
        for (std::uint64_t steps = here.random().below(12); steps > 0; --steps)
          static_cast<void>(here.step());
      }
    }
    here.settle();
    for (const auto number : sent)
      EXPECT_EQ(here.replies[number].size(), 1U) << "command " << number;
  }
}

TEST(partition, idle_entities_sleep_and_wake_with_their_state) {
  stage here(8);
  here.settle();
  here.send(support::add_cluster());
  here.send(support::add_cluster({.number = 2, .name = "c2"}));
  here.settle();
  const auto awake = here.status().awake;
  EXPECT_GE(awake, 3U);
  here.pass(awake_idle_max + std::chrono::seconds(6));
  here.send(support::trust_clock());
  here.settle();
  EXPECT_LT(here.status().awake, awake);
  const auto again = here.send(support::add_cluster());
  here.settle();
  EXPECT_EQ(static_cast<error_code>(here.replies[again].at(0).reply.code()),
            error_code::already_exists);
}

// The whole of it: any commands, any order of everything.
TEST(partition, random_histories_in_random_orders_keep_every_invariant) {
  for (std::uint64_t seed = 100; seed < 130; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    stage here(seed);
    support::random_commands story(seed);
    support::world imagined;
    here.settle();
    std::vector<std::uint64_t> sent;
    for (int round = 0; round < 30; ++round) {
      for (std::uint64_t i = here.random().below(6); i > 0; --i) {
        auto command = story.next(imagined);
        command.clear_key();
        sent.push_back(here.send(std::move(command)));
      }
      for (std::uint64_t steps = here.random().below(60); steps > 0; --steps)
        static_cast<void>(here.step());
      here.pass(std::chrono::milliseconds(here.random().below(4'000)));
    }
    here.settle();
    here.pass(std::chrono::seconds(2));
    here.settle();
    for (const auto number : sent)
      EXPECT_EQ(here.replies[number].size(), 1U) << "command " << number;
  }
}

} // namespace
} // namespace orrery::actors
