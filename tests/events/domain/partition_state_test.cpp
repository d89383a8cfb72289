#include "events/domain/partition_state.hpp"
#include "events/log/sha256.hpp"
#include "tests/support/expect.hpp"
#include "tests/support/random_history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace orrery::support {
namespace {

using domain::origin_window;
using domain::partition_state;
using testing::ElementsAre;
using testing::IsEmpty;

// The window of an origin
// ------------------------------------------------------------------------------------------------

TEST(origin_window, holds_nothing_at_first) {
  const origin_window window;
  EXPECT_FALSE(window.contains(0));
  EXPECT_FALSE(window.contains(1));
  EXPECT_EQ(window.highest(), 0U);
}

TEST(origin_window, tells_apart_what_came_and_what_was_skipped) {
  origin_window window;
  window.add(5);
  window.add(3);
  for (const std::uint64_t number : {1, 2, 4, 6})
    EXPECT_FALSE(window.contains(number)) << number;
  EXPECT_TRUE(window.contains(3));
  EXPECT_TRUE(window.contains(5));
  EXPECT_EQ(window.highest(), 5U);
}

TEST(origin_window, takes_what_is_older_than_itself_for_decided) {
  origin_window window;
  window.add(1);
  window.add(origin_window::size);
  EXPECT_TRUE(window.contains(1)) << "the oldest place";
  EXPECT_FALSE(window.contains(2));
  window.add(origin_window::size + 2);
  EXPECT_TRUE(window.contains(1)) << "outside";
  EXPECT_TRUE(window.contains(2)) << "outside, though it never came";
  EXPECT_FALSE(window.contains(3)) << "the oldest place again";
  window.add(2);
  EXPECT_EQ(window.highest(), origin_window::size + 2) << "too old to be noted";
}

TEST(origin_window, forgets_its_ring_after_a_leap) {
  origin_window window;
  for (std::uint64_t number = 1; number <= 10; ++number)
    window.add(number);
  const auto leap = 10 * origin_window::size + 3;
  window.add(leap);
  EXPECT_TRUE(window.contains(leap));
  for (std::uint64_t back = 1; back < origin_window::size; ++back)
    ASSERT_FALSE(window.contains(leap - back)) << back;
  EXPECT_TRUE(window.contains(leap - origin_window::size));
}

TEST(origin_window, equals_a_set_of_numbers_for_random_arrivals) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    dice rolls(seed);
    origin_window window;
    std::set<std::uint64_t> came;
    std::uint64_t highest = 0;
    for (int i = 0; i < 2'000; ++i) {
      const auto ahead = rolls.chance(1) ? rolls.below(origin_window::size * 2) : rolls.below(20);
      const auto back = rolls.below(30);
      const auto number =
          std::max<std::uint64_t>(1, highest + ahead > back ? highest + ahead - back : 1);
      const bool is_old = highest >= number && highest - number >= origin_window::size;
      ASSERT_EQ(window.contains(number), is_old || came.contains(number))
          << "seed " << seed << ", number " << number << ", highest " << highest;
      window.add(number);
      came.insert(number);
      highest = std::max(highest, number);
    }
  }
}

// Repetitions
// ------------------------------------------------------------------------------------------------

TEST(repetition, of_an_origin_number_is_not_decided_again) {
  auto at = ready_world();
  EXPECT_EQ(refusal_of(at.tell(with_origin(place_vm(), 7, 1))), std::nullopt);
  const auto records = at.commits().size();
  EXPECT_THAT(types_of(at.tell(with_origin(place_vm(), 7, 1))), IsEmpty());
  EXPECT_EQ(at.commits().size(), records);
  EXPECT_EQ(refusal_of(at.tell(with_origin(place_vm({.number = 2, .name = "b"}), 8, 1))),
            std::nullopt)
      << "another origin counts for itself";
}

TEST(repetition, of_a_refused_command_is_known_too) {
  auto at = ready_world();
  EXPECT_EQ(refusal_of(at.tell(with_origin(start_vm(), 7, 1))), error_code::not_found);
  v1::Origin origin;
  origin.set_nonce(7);
  origin.set_number(1);
  EXPECT_TRUE(at.state().was_decided(origin));
  origin.set_number(2);
  EXPECT_FALSE(at.state().was_decided(origin));
}

TEST(repetition, means_nothing_for_the_partitions_own_timers) {
  auto at = world_with_vm();
  auto command = pass_deadline(1, 1);
  command.mutable_origin();
  at.pass(std::chrono::minutes(3));
  EXPECT_THAT(types_of(at.tell(command)), ElementsAre("vm.job_ended"));
  EXPECT_FALSE(at.state().was_decided(v1::Origin()));
}

TEST(repetition, forgets_the_origin_that_was_silent_longest) {
  world at;
  at.must(with_origin(found(), 1, 1));
  at.must(with_origin(trust_clock(), 2, 1));
  at.must(with_origin(trust_clock(), 1, 2));
  for (std::uint64_t nonce = 3; nonce <= partition_state::origins_max + 1; ++nonce)
    at.must(with_origin(trust_clock(), nonce, 1));
  const auto knows = [&at](std::uint64_t nonce) {
    v1::Origin origin;
    origin.set_nonce(nonce);
    origin.set_number(1);
    return at.state().was_decided(origin);
  };
  EXPECT_TRUE(knows(1)) << "it spoke after the second";
  EXPECT_FALSE(knows(2));
  EXPECT_TRUE(knows(3));
}

// Client keys
// ------------------------------------------------------------------------------------------------

TEST(client_key, gives_the_first_reply_again) {
  auto at = ready_world();
  const auto first = at.tell(with_key(place_vm(), 5, 50));
  const auto again = at.tell(with_key(place_vm({.number = 2}), 5, 50));
  EXPECT_EQ(again.reply().SerializeAsString(), first.reply().SerializeAsString());
  EXPECT_EQ(again.steps_size(), 0);
  EXPECT_EQ(at.find_vm(2), nullptr);
}

TEST(client_key, gives_a_refusal_again_even_when_it_would_succeed_now) {
  auto at = founded_world();
  EXPECT_EQ(refusal_of(at.tell(with_key(place_vm(), 5, 50))), error_code::not_found);
  at.must(add_node());
  at.must(hello());
  at.must(add_network());
  EXPECT_EQ(refusal_of(at.tell(with_key(place_vm(), 5, 50))), error_code::not_found);
}

TEST(client_key, refuses_another_body) {
  auto at = ready_world();
  at.must(with_key(place_vm(), 5, 50));
  EXPECT_TRUE(is_refused(at.tell(with_key(place_vm({.number = 2, .name = "b"}), 5, 51)),
                         error_code::key_reused, {"another body"}));
}

TEST(client_key, is_remembered_with_its_command_and_record) {
  auto at = ready_world();
  const auto first = at.tell(with_key(place_vm(), 5, 50));
  const auto* keyed = at.state().find_key(5);
  ASSERT_NE(keyed, nullptr);
  EXPECT_EQ(keyed->body_hash, 50U);
  EXPECT_EQ(keyed->command, domain::from_proto(first.command().id()));
  EXPECT_EQ(keyed->seq, at.commits().back().first);
  EXPECT_EQ(keyed->decided_at, at.now());
  EXPECT_EQ(at.state().find_key(6), nullptr);
}

TEST(client_key, is_remembered_for_seven_days_of_log_time) {
  auto at = ready_world();
  at.must(with_key(place_vm(), 5, 50));
  at.pass(partition_state::key_age_max - std::chrono::microseconds(1));
  at.must(trust_clock());
  EXPECT_NE(at.state().find_key(5), nullptr);
  at.pass(std::chrono::microseconds(1));
  at.must(trust_clock());
  EXPECT_EQ(at.state().find_key(5), nullptr);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(client_key, takes_effect_again_after_its_age) {
  auto at = ready_world();
  at.must(with_key(trust_clock(), 5, 50));
  at.pass(partition_state::key_age_max);
  EXPECT_THAT(types_of(at.tell(with_key(trust_clock(), 5, 50))),
              ElementsAre("installation.clock_trusted"));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(client_key, window_says_when_it_is_full) {
  partition_state state;
  v1::CommitBody body;
  constexpr int keys_a_record = 10'000;
  for (int i = 0; i < keys_a_record; ++i)
    body.add_decisions()->mutable_command()->mutable_key();
  std::uint64_t key = 0;
  for (std::uint64_t seq = 1; key < partition_state::keys_max; ++seq) {
    EXPECT_FALSE(state.keys_are_full());
    body.set_decided_at(seq * keys_a_record);
    for (auto& decision : *body.mutable_decisions())
      decision.mutable_command()->mutable_key()->set_key_hash(++key);
    state.fold(body, seq);
  }
  EXPECT_TRUE(state.keys_are_full());
  EXPECT_NE(state.find_key(1), nullptr) << "it never forgets early";
}

// The fold
// ------------------------------------------------------------------------------------------------

TEST(fold, gives_what_it_changed_each_entity_once) {
  auto at = ready_world();
  at.must(place_vm());
  partition_state again;
  std::vector<domain::touched> changed;
  for (const auto& [seq, body] : at.commits())
    changed = again.fold(body, seq);
  ASSERT_EQ(changed.size(), 3U);
  EXPECT_EQ(changed[0].entity, cluster());
  EXPECT_NE(changed[0].before, nullptr);
  EXPECT_EQ(changed[1].entity, vm());
  EXPECT_EQ(changed[1].before, nullptr);
  EXPECT_EQ(changed[1].after, again.find(vm()));
  EXPECT_EQ(changed[2].entity, network());
}

TEST(fold, says_of_an_entity_that_ended) {
  auto at = world_with_running_vm();
  at.must(remove_vm());
  at.see(1, v1::VmObserved::ABSENT);
  partition_state again;
  std::vector<domain::touched> changed;
  for (const auto& [seq, body] : at.commits())
    changed = again.fold(body, seq);
  ASSERT_FALSE(changed.empty());
  EXPECT_EQ(changed[0].entity, vm());
  EXPECT_NE(changed[0].before, nullptr);
  EXPECT_EQ(changed[0].after, nullptr);
  EXPECT_EQ(again.find(vm()), nullptr);
}

TEST(fold, knows_the_time_of_its_head) {
  world at;
  EXPECT_EQ(at.state().head_time(), utc_time());
  at.must(found());
  at.must(add_cluster()); // two steps
  EXPECT_EQ(at.state().head_time(), at.now() + std::chrono::microseconds(1));
}

TEST(fold, visits_entities_by_ascending_id) {
  const auto at = world_with_vm();
  std::vector<uuid> ids;
  at.state().for_each([&ids](const uuid& entity, const domain::entity_ptr& state) {
    EXPECT_NE(state, nullptr);
    ids.push_back(entity);
  });
  EXPECT_EQ(ids.size(), at.state().size());
  EXPECT_TRUE(std::ranges::is_sorted(ids));
  EXPECT_EQ(ids.size(), 5U);
}

TEST(fold, gives_other_bytes_after_every_record) {
  const auto at = random_world(3, 200);
  partition_state again;
  std::set<std::string> seen{again.to_bytes()};
  for (const auto& [seq, body] : at.commits()) {
    again.fold(body, seq);
    EXPECT_TRUE(seen.insert(again.to_bytes()).second) << "record " << seq;
  }
  EXPECT_EQ(again.to_bytes(), at.state().to_bytes());
}

TEST(fold, is_the_same_from_parsed_bytes) {
  const auto at = random_world(4, 200);
  partition_state again;
  for (const auto& [seq, body] : at.commits()) {
    v1::CommitBody parsed;
    ASSERT_TRUE(parsed.ParseFromString(body.SerializeAsString()));
    again.fold(parsed, seq);
  }
  EXPECT_EQ(again.to_bytes(), at.state().to_bytes());
}

TEST(state_bytes, give_the_state_again_and_it_folds_on_as_before) {
  const auto at = random_world(6, 500);
  partition_state whole;
  std::optional<partition_state> read;
  for (const auto& [seq, body] : at.commits()) {
    whole.fold(body, seq);
    if (seq % 37 != 0)
      continue;
    const auto bytes = whole.to_bytes();
    read = partition_state::from_bytes(bytes);
    ASSERT_TRUE(read) << "record " << seq;
    ASSERT_EQ(read->to_bytes(), bytes);
    // What a state makes of its members itself is there too: each decides as before.
    whole.for_each([&](const uuid& id, const domain::entity_ptr& state) {
      const auto* cluster = std::get_if<domain::cluster_state>(state.get());
      if (cluster == nullptr)
        return;
      const auto again = read->find(id);
      const auto& other = std::get<domain::cluster_state>(*again);
      EXPECT_EQ(other.vm_names.size(), cluster->vm_names.size());
      cluster->vm_names.for_each([&](const std::string& name, const uuid& vm) {
        ASSERT_NE(other.vm_names.find(name), nullptr) << name;
        EXPECT_EQ(*other.vm_names.find(name), vm);
      });
      EXPECT_EQ(other.node_names.size(), cluster->node_names.size());
      EXPECT_EQ(other.network_names.size(), cluster->network_names.size());
    });
  }
  ASSERT_TRUE(read);
  // From the middle on.
  partition_state first;
  const auto middle = at.commits().size() / 2;
  std::size_t done = 0;
  for (const auto& [seq, body] : at.commits())
    if (done++ < middle)
      first.fold(body, seq);
  auto resumed = partition_state::from_bytes(first.to_bytes());
  ASSERT_TRUE(resumed);
  done = 0;
  for (const auto& [seq, body] : at.commits())
    if (done++ >= middle)
      resumed->fold(body, seq);
  EXPECT_EQ(resumed->to_bytes(), at.state().to_bytes());
}

/// A snapshot of an older version must never be taken for what this one would have folded.
TEST(state_bytes, change_with_the_fold_version_only) {
  const auto at = random_world(7, 300);
  const auto digest = log::to_text(log::sha256_of(at.state().to_bytes()));
  EXPECT_EQ(partition_state::fold_version, 7U);
  EXPECT_EQ(digest, "fc4f547a5bf831c1ad309cbd4039d1d56c2cc12cad9fb11c1f2fee491b65f310")
      << "when the same records give another state than before, or its bytes look different: raise "
         "fold_version, and write both here. When only decisions have changed, write the digest";
}

TEST(state_bytes, keep_the_answers_to_keyed_commands) {
  world at;
  at.must(found());
  at.must(with_key(add_cluster(), 7, 70));
  const auto read = partition_state::from_bytes(at.state().to_bytes());
  ASSERT_TRUE(read);
  const auto* kept = at.state().find_key(7);
  const auto* again = read->find_key(7);
  ASSERT_NE(kept, nullptr);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->reply->SerializeAsString(), kept->reply->SerializeAsString());
  EXPECT_EQ(again->command, kept->command);
  EXPECT_EQ(again->decided_at, kept->decided_at);
}

TEST(state_bytes, that_were_cut_or_have_more_behind_them_are_refused) {
  const auto at = random_world(8, 60);
  const auto bytes = at.state().to_bytes();
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 50)
    EXPECT_FALSE(partition_state::from_bytes(std::string_view(bytes).substr(0, size))) << size;
  EXPECT_FALSE(partition_state::from_bytes(bytes + '\0'));
  EXPECT_TRUE(partition_state::from_bytes(bytes));
}

TEST(state_bytes, with_any_byte_changed_harm_nothing) {
  const auto at = random_world(9, 40);
  const auto bytes = at.state().to_bytes();
  for (std::size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 4'000)
    for (const auto mask : {0x01, 0x80, 0xff}) {
      auto changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ mask);
      // Nothing, or another state that is whole.
      const auto read = partition_state::from_bytes(changed);
      EXPECT_TRUE(!read || partition_state::from_bytes(read->to_bytes())) << "byte " << i;
    }
}

TEST(fold, is_the_same_alone) {
  const auto at = random_world(5, 400);
  partition_state told;
  partition_state alone;
  std::vector<domain::entity_ptr> held; // states that others hold are not changed under them
  std::vector<std::string> bytes;
  const auto bytes_of = [](const domain::entity_ptr& state) {
    domain::state_bytes out;
    write(out, *state);
    return out.bytes();
  };
  for (const auto& [seq, body] : at.commits()) {
    told.fold(body, seq);
    alone.fold_alone(body, seq);
    ASSERT_EQ(alone.to_bytes(), told.to_bytes()) << "record " << seq;
    if (seq % 20 == 0)
      alone.for_each([&](const uuid&, const domain::entity_ptr& state) {
        held.push_back(state);
        bytes.push_back(bytes_of(state));
      });
  }
  for (std::size_t i = 0; i < held.size(); ++i)
    ASSERT_EQ(bytes_of(held[i]), bytes[i]);
}

// Words of a replaced connection
// ------------------------------------------------------------------------------------------------

TEST(outdated, is_the_word_of_a_replaced_connection_and_nothing_else) {
  auto at = world_with_vm();
  EXPECT_FALSE(at.state().is_outdated(observe(1, {.epoch = 1})));
  at.must(hello({.nonce = 2}));
  EXPECT_TRUE(at.state().is_outdated(observe(1, {.epoch = 1})));
  EXPECT_FALSE(at.state().is_outdated(observe(1, {.epoch = 2})));
  EXPECT_FALSE(at.state().is_outdated(observe(1, {.epoch = 1, .node = 5}))) << "no such node";
  EXPECT_FALSE(at.state().is_outdated(start_vm()));
  EXPECT_FALSE(at.state().is_outdated(hello()));
}

} // namespace
} // namespace orrery::support
