#include "tests/actors/driving_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// Guests that a driving looks after, and nodes that it gives up.

namespace orrery::actors {
namespace {

TEST_F(driving_at_rest, a_guest_that_is_as_it_was_seen_is_not_asked) {
  const auto asked = x_world->verb_count(drivers::simulated_verb::inspect);
  EXPECT_TRUE(said_by_a_sweep().empty());
  EXPECT_EQ(x_world->verb_count(drivers::simulated_verb::inspect), asked);
  EXPECT_GT(x_world->verb_count(drivers::simulated_verb::list), 1U);
}

TEST_F(driving_at_rest, the_network_is_looked_at_with_each_sweep_and_not_before) {
  x_driving->on_tick();
  x_hands.run_all();
  EXPECT_EQ(x_asked.looks, 0);
  EXPECT_TRUE(said_by_a_sweep().empty());
  EXPECT_EQ(x_asked.looks, 1);
}

TEST_F(driving_at_rest, a_guest_whose_end_nobody_told_is_found) {
  const auto said = said_of([this] { x_world->crash_guest(vm_id{the_vm}); });
  EXPECT_EQ(said.state(), v1::VmObserved::STOPPED);
  EXPECT_EQ(said.cause(), v1::VmObserved::CRASHED);
}

TEST_F(driving_at_rest, a_guest_that_vanished_is_found) {
  const auto said = said_of([this] { x_world->lose_guest(vm_id{the_vm}); });
  EXPECT_EQ(said.state(), v1::VmObserved::ABSENT);
}

TEST_F(driving_at_rest, a_guest_of_an_older_wish_is_asked) {
  auto state = std::get<domain::vm_state>(*vm_at_rest());
  state.generation = generation_number{2};
  state.observed.generation = 2;
  state.version = 1;
  x_driving->on_changed(the_vm, std::make_shared<const domain::entity_state>(std::move(state)));
  const auto said = said_by_a_sweep();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said.front().generation(), 1U);
}

/// The facts of a start come through the log one by one.
TEST_F(driving_at_rest, what_was_done_is_not_done_again_on_its_first_fact) {
  drivers::simulated_hypervisor behind_our_back(x_world);
  ASSERT_TRUE(behind_our_back.connect());
  ASSERT_TRUE(behind_our_back.kill(vm_id{the_vm}, {1, log_epoch}));
  x_hands.run_all();
  auto state = std::get<domain::vm_state>(*vm_at_rest());
  const auto tell = [&] {
    ++state.version;
    x_driving->on_changed(the_vm, std::make_shared<const domain::entity_state>(state));
    x_hands.run_all();
    return x_world->verb_count(drivers::simulated_verb::start);
  };
  state.observed.state = v1::VmObserved::STOPPED;
  const auto before = tell();
  state.generation = generation_number{2};
  state.job.emplace();
  state.job->kind = v1::VM_START;
  state.job->generation = 2;
  EXPECT_EQ(tell(), before + 1) << "wanted";
  state.observed.generation = 2; // it is defined, so far
  EXPECT_EQ(tell(), before + 1) << "done";
  x_now += std::chrono::seconds(6);
  x_driving->on_tick();
  x_hands.run_all();
  EXPECT_EQ(x_world->verb_count(drivers::simulated_verb::start), before + 2)
      << "looked at again when its facts do not show";
  state.generation = generation_number{3};
  state.job->generation = 3;
  EXPECT_EQ(tell(), before + 3) << "another wish does not wait";
}

/// Of the node, when it was given up.
class driving_behind : public driving_at_rest {
protected:
  void touch_with(drivers::fencing_token token) {
    drivers::simulated_hypervisor other(x_world);
    ASSERT_TRUE(other.connect());
    ASSERT_TRUE(other.fence(vm_id{the_vm}, token));
  }

  void expect_left_alone_after(drivers::fencing_token newer) {
    touch_with(newer);
    const auto looks = x_asked.looks;
    x_asked.told.clear();
    (void)said_by_a_sweep();
    EXPECT_THAT(why_lost(), testing::HasSubstr("a newer owner (incarnation " +
                                               std::to_string(newer.incarnation)));
    EXPECT_EQ(x_asked.looks, looks);
    EXPECT_TRUE(x_asked.told.empty());
  }

  [[nodiscard]] std::string why_lost() const {
    for (const auto& command : x_hands.sent)
      if (command.node().has_lose())
        return command.node().lose().reason();
    return {};
  }
};

TEST_F(driving_behind, a_process_that_took_over_leaves_the_ports_alone) {
  expect_left_alone_after({1, log_epoch + 1});
}

TEST_F(driving_behind, a_log_that_was_restored_leaves_the_ports_alone) {
  expect_left_alone_after({2, 1});
}

TEST_F(driving_behind, an_older_owner_goes_on) {
  touch_with({1, log_epoch});
  const auto looks = x_asked.looks;
  (void)said_by_a_sweep();
  EXPECT_EQ(why_lost(), "");
  EXPECT_EQ(x_asked.looks, looks + 1);
}

TEST_F(driving_behind, a_newer_owner_from_the_beginning_makes_no_port) {
  touch_with({2, 1});
  x_hands.sent.clear();
  x_asked.told.clear();
  make_driving();
  x_driving->on_world({{the_node, node(0)}, {the_vm, vm_at_rest()}}, log_epoch);
  x_hands.run_all();
  x_driving->on_changed(the_node, node(x_hands.sent.front().node().hello().nonce()));
  x_hands.run_all();
  EXPECT_TRUE(x_asked.told.empty());
  EXPECT_THAT(why_lost(), testing::HasSubstr("a newer owner (incarnation 2"));
}

} // namespace
} // namespace orrery::actors
