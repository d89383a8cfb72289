#pragma once

#include "drivers/hypervisor.hpp"
#include "tests/drivers/driver_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

/// The suite that every driver passes, unmodified. A driver's test file brings one `driver_bench`
/// and instantiates `driver_contract` with a function that returns it.
namespace orrery::contract {

using testing_support::ear;
using testing_support::fresh_uuid;
using testing_support::wait_until;

using drivers::fencing_token;
using drivers::guest_condition;
using drivers::guest_seen;
using drivers::guest_spec;
using drivers::hypervisor;
using drivers::stop_cause;

/// One hypervisor under test, and hands that do to it what a driver never would.
class driver_bench {
public:
  driver_bench() = default;
  driver_bench(const driver_bench&) = delete;
  driver_bench& operator=(const driver_bench&) = delete;
  virtual ~driver_bench() = default;

  /// A new driver, not yet connected, of the same hypervisor.
  [[nodiscard]] virtual std::unique_ptr<hypervisor> make_driver() = 0;

  /// An image that boots, answers and obeys a graceful shutdown.
  [[nodiscard]] virtual std::string image() const = 0;

  /// A port whose link exists; another one at each call.
  [[nodiscard]] virtual drivers::guest_port make_port() = 0;

  virtual void crash_guest(vm_id vm) = 0;   ///< its process dies
  virtual void destroy_guest(vm_id vm) = 0; ///< an operator pulls the plug
  virtual void forget_guest(vm_id vm) = 0;  ///< an operator undefines it (it is stopped)
  virtual void break_connections() = 0;     ///< `connect` succeeds again, maybe after a while
  [[nodiscard]] virtual std::string ready_text() const = 0; ///< on the console of a booted guest

  /// How long anything may take on a loaded machine.
  [[nodiscard]] virtual std::chrono::seconds limit() const = 0;
};

class driver_contract : public testing::TestWithParam<driver_bench& (*)()> {
protected:
  static constexpr fencing_token token{.incarnation = 1, .epoch = 5};
  static constexpr fencing_token older{.incarnation = 1, .epoch = 4};
  static constexpr fencing_token newer{.incarnation = 1, .epoch = 6};

  void SetUp() override {
    x_driver = bench().make_driver();
    x_driver->listen(x_ear.listener());
    ORRERY_ASSERT_OK(x_driver->connect());
  }

  void TearDown() override {
    // A fresh driver, since a test may have broken the first one's connection.
    const fencing_token last{.incarnation = 1000, .epoch = 0};
    auto cleaner = bench().make_driver();
    ORRERY_EXPECT_OK(cleaner->connect());
    for (const auto vm : x_made) {
      ORRERY_EXPECT_OK(cleaner->kill(vm, last));
      ORRERY_EXPECT_OK(cleaner->undefine(vm, last));
    }
    x_driver->listen({});
  }

  [[nodiscard]] static driver_bench& bench() { return GetParam()(); }

  [[nodiscard]] hypervisor& driver() { return *x_driver; }

  [[nodiscard]] ear& heard() { return x_ear; }

  [[nodiscard]] const uuid& installation() const { return x_installation; }

  /// A small guest that does not exist yet.
  [[nodiscard]] guest_spec make_spec() {
    guest_spec spec;
    spec.installation = x_installation;
    spec.vm = vm_id{fresh_uuid()};
    spec.name = "guest-" + std::to_string(x_made.size());
    spec.vcpus.count = 1;
    spec.memory.count = 128;
    spec.image = bench().image();
    spec.port = bench().make_port();
    x_made.push_back(spec.vm);
    return spec;
  }

  [[nodiscard]] guest_spec make_defined() {
    auto spec = make_spec();
    ORRERY_EXPECT_OK(driver().define(spec, {1}, token));
    return spec;
  }

  [[nodiscard]] guest_spec make_running() {
    auto spec = make_defined();
    ORRERY_EXPECT_OK(driver().start(spec.vm, {2}, token));
    return spec;
  }

  [[nodiscard]] guest_seen seen(vm_id vm) {
    const auto answer = driver().inspect(vm);
    ORRERY_EXPECT_OK(answer);
    return answer ? *answer : guest_seen{};
  }

  [[nodiscard]] bool becomes(vm_id vm, guest_condition condition) {
    return wait_until(bench().limit(), [&] { return seen(vm).condition == condition; });
  }

  [[nodiscard]] bool boots(vm_id vm) {
    constexpr std::size_t enough = 65536;
    return wait_until(bench().limit(), [&] {
      const auto text = driver().console(vm, enough);
      return text && text->find(bench().ready_text()) != std::string::npos;
    });
  }

private:
  ear x_ear; // before the driver, which speaks to it
  std::unique_ptr<hypervisor> x_driver;
  uuid x_installation = fresh_uuid();
  std::vector<vm_id> x_made;
};

// --- refusals ------------------------------------------------------------------------------------

TEST_P(driver_contract, without_a_connection_every_verb_is_unavailable) {
  auto unconnected = bench().make_driver();
  const auto spec = make_spec();
  ORRERY_EXPECT_CODE(unconnected->list(installation()), error_code::unavailable);
  ORRERY_EXPECT_CODE(unconnected->inspect(spec.vm), error_code::unavailable);
  ORRERY_EXPECT_CODE(unconnected->fence(spec.vm, token), error_code::unavailable);
  ORRERY_EXPECT_CODE(unconnected->define(spec, {1}, token), error_code::unavailable);
  ORRERY_EXPECT_CODE(unconnected->start(spec.vm, {1}, token), error_code::unavailable);
  ORRERY_EXPECT_CODE(unconnected->shutdown(spec.vm, token), error_code::unavailable);
  ORRERY_EXPECT_CODE(unconnected->kill(spec.vm, token), error_code::unavailable);
  ORRERY_EXPECT_CODE(unconnected->undefine(spec.vm, token), error_code::unavailable);
}

TEST_P(driver_contract, a_bad_spec_is_refused_and_leaves_nothing) {
  const auto good = make_spec();
  auto bad = good;
  bad.image = "../etc";
  ORRERY_EXPECT_CODE(driver().define(bad, {1}, token), error_code::invalid_argument);
  bad = good;
  bad.vcpus.count = 0;
  ORRERY_EXPECT_CODE(driver().define(bad, {1}, token), error_code::invalid_argument);
  bad = good;
  bad.memory.count = 15;
  ORRERY_EXPECT_CODE(driver().define(bad, {1}, token), error_code::invalid_argument);
  bad = good;
  bad.port.link = "a-link-name-of-19-b";
  ORRERY_EXPECT_CODE(driver().define(bad, {1}, token), error_code::invalid_argument);
  bad = good;
  bad.name = "<name/>";
  ORRERY_EXPECT_CODE(driver().define(bad, {1}, token), error_code::invalid_argument);
  bad = good;
  bad.image = "no-such-image";
  ORRERY_EXPECT_CODE(driver().define(bad, {1}, token), error_code::image_unknown);
  EXPECT_EQ(seen(good.vm).condition, guest_condition::absent);
}

TEST_P(driver_contract, an_unknown_guest_is_absent_and_cannot_be_started) {
  const auto vm = make_spec().vm;
  EXPECT_EQ(seen(vm).condition, guest_condition::absent);
  ORRERY_EXPECT_CODE(driver().start(vm, {1}, token), error_code::not_found);
  const auto fenced = driver().fence(vm, token);
  ORRERY_ASSERT_OK(fenced);
  EXPECT_EQ(fenced->condition, guest_condition::absent);
  ORRERY_EXPECT_OK(driver().shutdown(vm, token));
  ORRERY_EXPECT_OK(driver().kill(vm, token));
  ORRERY_EXPECT_OK(driver().undefine(vm, token));
  const auto console = driver().console(vm, 100);
  ORRERY_ASSERT_OK(console);
  EXPECT_EQ(*console, "");
  EXPECT_EQ(seen(vm).condition, guest_condition::absent);
}

TEST_P(driver_contract, an_older_token_is_refused_by_every_verb_and_changes_nothing) {
  const auto spec = make_running();
  ORRERY_EXPECT_CODE(driver().fence(spec.vm, older), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().define(spec, {9}, older), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().start(spec.vm, {9}, older), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().shutdown(spec.vm, older), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().kill(spec.vm, older), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().undefine(spec.vm, older), error_code::conflict);
  const auto now = seen(spec.vm);
  EXPECT_EQ(now.condition, guest_condition::running);
  EXPECT_EQ(now.generation.count, 2u);
  EXPECT_EQ(now.token, token);
}

TEST_P(driver_contract, undefine_of_a_running_guest_is_refused) {
  const auto spec = make_running();
  ORRERY_EXPECT_CODE(driver().undefine(spec.vm, token), error_code::conflict);
  EXPECT_EQ(seen(spec.vm).condition, guest_condition::running);
}

TEST_P(driver_contract, another_spec_replaces_a_stopped_guest_and_is_refused_on_a_running_one) {
  auto spec = make_defined();
  spec.memory.count = 160;
  ORRERY_EXPECT_OK(driver().define(spec, {2}, token));
  EXPECT_EQ(seen(spec.vm).generation.count, 2u);
  ORRERY_ASSERT_OK(driver().start(spec.vm, {3}, token));
  ORRERY_EXPECT_OK(driver().define(spec, {3}, token));
  spec.memory.count = 192;
  ORRERY_EXPECT_CODE(driver().define(spec, {4}, token), error_code::conflict);
}

// --- the ordinary life ---------------------------------------------------------------------------

TEST_P(driver_contract, connect_says_what_is_there_and_may_be_repeated) {
  for (int i = 0; i < 2; ++i) {
    const auto facts = driver().connect();
    ORRERY_ASSERT_OK(facts);
    EXPECT_NE(facts->hypervisor, "");
    EXPECT_GE(facts->vcpus.count, 1u);
    EXPECT_GE(facts->memory.count, 256u);
    EXPECT_TRUE(std::ranges::is_sorted(facts->images));
    EXPECT_TRUE(std::ranges::binary_search(facts->images, bench().image()));
  }
}

TEST_P(driver_contract, a_defined_guest_is_stopped_and_remembers_who_made_it) {
  const auto spec = make_spec();
  for (int i = 0; i < 2; ++i) {
    ORRERY_ASSERT_OK(driver().define(spec, {7}, token));
    const auto now = seen(spec.vm);
    EXPECT_EQ(now.vm, spec.vm);
    EXPECT_EQ(now.condition, guest_condition::stopped);
    EXPECT_EQ(now.cause, stop_cause::none);
    EXPECT_EQ(now.generation.count, 7u);
    EXPECT_EQ(now.token, token);
  }
}

TEST_P(driver_contract, list_holds_the_guests_of_one_installation_only) {
  const auto first = make_defined();
  const auto second = make_running();
  auto foreign = make_spec();
  foreign.installation = fresh_uuid();
  ORRERY_ASSERT_OK(driver().define(foreign, {1}, token));
  const auto listed = driver().list(installation());
  ORRERY_ASSERT_OK(listed);
  std::map<vm_id, guest_condition> found;
  for (const auto& guest : *listed)
    found.emplace(guest.vm, guest.condition);
  const std::map<vm_id, guest_condition> wanted{{first.vm, guest_condition::stopped},
                                                {second.vm, guest_condition::running}};
  EXPECT_EQ(found, wanted);
  auto stolen = foreign;
  stolen.installation = installation();
  ORRERY_EXPECT_CODE(driver().define(stolen, {1}, newer), error_code::conflict);
}

TEST_P(driver_contract, a_started_guest_runs_keeps_its_generation_and_boots_once) {
  const auto spec = make_defined();
  const auto before = heard().count(spec.vm);
  for (int i = 0; i < 2; ++i) {
    ORRERY_ASSERT_OK(driver().start(spec.vm, {8}, token));
    const auto now = seen(spec.vm);
    EXPECT_EQ(now.condition, guest_condition::running);
    EXPECT_EQ(now.cause, stop_cause::none);
    EXPECT_EQ(now.generation.count, 8u);
  }
  EXPECT_TRUE(heard().heard_more(spec.vm, before, bench().limit()));
}

TEST_P(driver_contract, the_console_gives_the_last_bytes_asked_for) {
  const auto spec = make_running();
  ASSERT_TRUE(boots(spec.vm));
  const auto all = driver().console(spec.vm, 1'000'000);
  const auto end = driver().console(spec.vm, 10);
  ORRERY_ASSERT_OK(all);
  ORRERY_ASSERT_OK(end);
  EXPECT_EQ(end->size(), 10u);
  EXPECT_NE(all->find(bench().ready_text()), std::string::npos);
  const auto none = driver().console(spec.vm, 0);
  ORRERY_ASSERT_OK(none);
  EXPECT_EQ(*none, "");
}

TEST_P(driver_contract, a_graceful_shutdown_is_seen_as_the_guests_own) {
  const auto spec = make_running();
  ASSERT_TRUE(boots(spec.vm));
  const auto before = heard().count(spec.vm);
  ORRERY_ASSERT_OK(driver().shutdown(spec.vm, token));
  ASSERT_TRUE(becomes(spec.vm, guest_condition::stopped));
  EXPECT_EQ(seen(spec.vm).cause, stop_cause::guest);
  EXPECT_TRUE(heard().heard_more(spec.vm, before, bench().limit()));
  ORRERY_EXPECT_OK(driver().shutdown(spec.vm, token));
}

TEST_P(driver_contract, kill_is_done_on_return_and_may_be_repeated) {
  const auto spec = make_running();
  const auto before = heard().count(spec.vm);
  for (int i = 0; i < 2; ++i) {
    ORRERY_ASSERT_OK(driver().kill(spec.vm, token));
    const auto now = seen(spec.vm);
    EXPECT_EQ(now.condition, guest_condition::stopped);
    EXPECT_EQ(now.cause, stop_cause::host);
    EXPECT_EQ(now.generation.count, 2u);
  }
  EXPECT_TRUE(heard().heard_more(spec.vm, before, bench().limit()));
  ORRERY_ASSERT_OK(driver().start(spec.vm, {3}, token));
  EXPECT_EQ(seen(spec.vm).condition, guest_condition::running);
}

TEST_P(driver_contract, undefine_leaves_no_guest_and_no_console) {
  const auto spec = make_running();
  ASSERT_TRUE(boots(spec.vm));
  ORRERY_ASSERT_OK(driver().kill(spec.vm, token));
  for (int i = 0; i < 2; ++i) {
    ORRERY_ASSERT_OK(driver().undefine(spec.vm, token));
    EXPECT_EQ(seen(spec.vm).condition, guest_condition::absent);
    const auto console = driver().console(spec.vm, 100);
    ORRERY_ASSERT_OK(console);
    EXPECT_EQ(*console, "");
  }
}

TEST_P(driver_contract, a_fence_raises_the_token_and_says_how_the_guest_is) {
  const auto spec = make_running();
  const auto fenced = driver().fence(spec.vm, newer);
  ORRERY_ASSERT_OK(fenced);
  EXPECT_EQ(fenced->condition, guest_condition::running);
  EXPECT_EQ(fenced->generation.count, 2u);
  EXPECT_EQ(fenced->token, newer);
  ORRERY_EXPECT_CODE(driver().kill(spec.vm, token), error_code::conflict);
  ORRERY_EXPECT_OK(driver().fence(spec.vm, newer));
  // A restore from backup may begin at a lower epoch.
  const fencing_token restored{.incarnation = 2, .epoch = 1};
  ORRERY_EXPECT_OK(driver().fence(spec.vm, restored));
  ORRERY_EXPECT_CODE(driver().kill(spec.vm, newer), error_code::conflict);
  EXPECT_EQ(seen(spec.vm).token, restored);
}

TEST_P(driver_contract, several_guests_are_driven_at_once) {
  constexpr std::size_t guest_count = 3;
  std::vector<guest_spec> specs;
  for (std::size_t i = 0; i < guest_count; ++i)
    specs.push_back(make_spec());
  std::atomic<std::size_t> done = 0;
  std::vector<std::thread> hands;
  for (const auto& spec : specs)
    hands.emplace_back([this, &spec, &done] {
      if (driver().define(spec, {1}, token) && driver().start(spec.vm, {2}, token) &&
          driver().kill(spec.vm, token) && driver().undefine(spec.vm, token))
        ++done;
    });
  for (auto& hand : hands)
    hand.join();
  EXPECT_EQ(done, guest_count);
}

// --- what happens behind our back ----------------------------------------------------------------

TEST_P(driver_contract, a_crash_is_seen_with_its_cause_and_told) {
  const auto spec = make_running();
  const auto before = heard().count(spec.vm);
  bench().crash_guest(spec.vm);
  ASSERT_TRUE(becomes(spec.vm, guest_condition::stopped));
  EXPECT_EQ(seen(spec.vm).cause, stop_cause::crashed);
  EXPECT_EQ(seen(spec.vm).generation.count, 2u);
  EXPECT_TRUE(heard().heard_more(spec.vm, before, bench().limit()));
}

TEST_P(driver_contract, a_plug_pulled_by_somebody_else_is_seen_and_told) {
  const auto spec = make_running();
  const auto before = heard().count(spec.vm);
  bench().destroy_guest(spec.vm);
  ASSERT_TRUE(becomes(spec.vm, guest_condition::stopped));
  EXPECT_EQ(seen(spec.vm).cause, stop_cause::host);
  EXPECT_TRUE(heard().heard_more(spec.vm, before, bench().limit()));
}

TEST_P(driver_contract, a_guest_undefined_by_somebody_else_is_absent_and_can_be_made_again) {
  const auto spec = make_defined();
  const auto before = heard().count(spec.vm);
  bench().forget_guest(spec.vm);
  ASSERT_TRUE(becomes(spec.vm, guest_condition::absent));
  EXPECT_TRUE(heard().heard_more(spec.vm, before, bench().limit()));
  ORRERY_EXPECT_CODE(driver().start(spec.vm, {3}, token), error_code::not_found);
  ORRERY_EXPECT_OK(driver().define(spec, {4}, token));
  EXPECT_EQ(seen(spec.vm).generation.count, 4u);
}

TEST_P(driver_contract, a_lost_connection_is_told_and_the_guest_is_found_again) {
  const auto spec = make_running();
  const auto before = heard().count(vm_id{});
  bench().break_connections();
  ASSERT_TRUE(heard().heard_more(vm_id{}, before, bench().limit()));
  ORRERY_EXPECT_CODE(driver().inspect(spec.vm), error_code::unavailable);
  ORRERY_EXPECT_CODE(driver().kill(spec.vm, token), error_code::unavailable);
  ASSERT_TRUE(wait_until(bench().limit(), [&] { return driver().connect().has_value(); }));
  const auto now = seen(spec.vm);
  EXPECT_EQ(now.condition, guest_condition::running);
  EXPECT_EQ(now.generation.count, 2u);
  EXPECT_EQ(now.token, token);
  // The new connection hears again, once the hypervisor has its guest back: a fence waits for it.
  ORRERY_EXPECT_OK(driver().fence(spec.vm, token));
  const auto before_end = heard().count(spec.vm);
  bench().crash_guest(spec.vm);
  EXPECT_TRUE(heard().heard_more(spec.vm, before_end, bench().limit()));
}

TEST_P(driver_contract, a_new_driver_finds_what_its_predecessor_made) {
  const auto spec = make_running();
  auto successor = bench().make_driver();
  ORRERY_ASSERT_OK(successor->connect());
  const auto fenced = successor->fence(spec.vm, newer);
  ORRERY_ASSERT_OK(fenced);
  EXPECT_EQ(fenced->condition, guest_condition::running);
  EXPECT_EQ(fenced->generation.count, 2u);
  ORRERY_EXPECT_OK(successor->start(spec.vm, {3}, newer));
  ORRERY_EXPECT_CODE(driver().kill(spec.vm, token), error_code::conflict);
  const auto listed = successor->list(installation());
  ORRERY_ASSERT_OK(listed);
  EXPECT_EQ(listed->size(), 1u);
}

TEST_P(driver_contract, a_replaced_listener_is_not_called_any_more) {
  const auto spec = make_running();
  ear second;
  driver().listen(second.listener());
  const auto first_count = heard().count(spec.vm);
  bench().crash_guest(spec.vm);
  EXPECT_TRUE(second.heard_more(spec.vm, 0, bench().limit()));
  EXPECT_EQ(heard().count(spec.vm), first_count);
  driver().listen({});
}

} // namespace orrery::contract
