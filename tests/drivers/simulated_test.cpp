#include "drivers/simulated/simulated_hypervisor.hpp"
#include "tests/support/wait.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

namespace orrery::drivers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing_support::wait_until;

constexpr fencing_token token{.incarnation = 1, .epoch = 1};
constexpr fencing_token newer{.incarnation = 1, .epoch = 2};
constexpr seconds limit(20);

guest_spec make_spec(std::uint64_t number, std::string image = "tiny") {
  guest_spec spec;
  spec.installation = {.a = 0x7000, .b = 1};
  spec.vm = vm_id{{.a = 0x7000, .b = number}};
  spec.name = "vm-" + std::to_string(number);
  spec.vcpus.count = 1;
  spec.memory.count = 64;
  spec.image = std::move(image);
  spec.port.link = "tap" + std::to_string(number);
  spec.port.address = ipv4{0x0a000001};
  return spec;
}

std::shared_ptr<simulated_world> open_world(milliseconds verb_time,
                                            const std::filesystem::path& directory = {}) {
  simulated_world::options settings;
  settings.verb_time = verb_time;
  settings.directory = directory;
  auto opened = simulated_world::open(settings);
  EXPECT_TRUE(opened.has_value());
  return opened ? *opened : nullptr;
}

std::unique_ptr<simulated_hypervisor> connected(const std::shared_ptr<simulated_world>& world) {
  auto driver = std::make_unique<simulated_hypervisor>(world);
  EXPECT_TRUE(driver->connect().has_value());
  return driver;
}

class scratch_directory {
public:
  scratch_directory()
      : x_path(std::filesystem::temp_directory_path() /
               ("orrery-simulated-test-" + std::to_string(getpid()) + "-" +
                std::to_string(std::random_device{}()))) {}

  ~scratch_directory() { std::filesystem::remove_all(x_path); }

  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return x_path; }

private:
  std::filesystem::path x_path;
};

// --- faults --------------------------------------------------------------------------------------

TEST(simulated_faults, the_nth_call_of_a_verb_on_a_vm_fails_and_does_nothing) {
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  const auto first = make_spec(1);
  const auto second = make_spec(2);
  simulated_fault fault;
  fault.verb = simulated_verb::define;
  fault.vm = second.vm;
  fault.nth = 2;
  world->plan(fault);
  EXPECT_TRUE(driver->define(first, {1}, token).has_value());
  EXPECT_TRUE(driver->define(first, {1}, token).has_value());
  EXPECT_TRUE(driver->define(second, {1}, token).has_value());
  const auto failed = driver->define(second, {2}, token);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, error_code::driver_failed);
  EXPECT_EQ(world->guest(second.vm)->generation.count, 1u);
  EXPECT_TRUE(driver->define(second, {2}, token).has_value());
  EXPECT_EQ(world->verb_count(simulated_verb::define), 5u);
}

TEST(simulated_faults, an_answer_lost_on_its_way_has_done_its_work) {
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  const auto spec = make_spec(1);
  ASSERT_TRUE(driver->define(spec, {1}, token).has_value());
  simulated_fault fault;
  fault.what = simulated_failure::fail_after;
  fault.verb = simulated_verb::start;
  fault.failure = {.code = error_code::unavailable, .text = "lost", .retryable = true};
  world->plan(fault);
  const auto failed = driver->start(spec.vm, {2}, token);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, error_code::unavailable);
  EXPECT_EQ(world->guest(spec.vm)->condition, guest_condition::running);
  EXPECT_TRUE(driver->start(spec.vm, {2}, token).has_value());
  EXPECT_EQ(world->guest(spec.vm)->boot_count, 1u);
}

TEST(simulated_faults, forgotten_faults_do_not_strike) {
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  world->plan({});
  world->forget_faults();
  EXPECT_TRUE(driver->define(make_spec(1), {1}, token).has_value());
}

TEST(simulated_faults, a_slow_verb_takes_its_time_and_succeeds) {
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  simulated_fault fault;
  fault.what = simulated_failure::slow;
  fault.delay = milliseconds(50);
  world->plan(fault);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(driver->define(make_spec(1), {1}, token).has_value());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(50));
}

TEST(simulated_faults, a_late_start_is_unavailable_and_a_fence_waits_for_it) {
  const auto world = open_world(milliseconds(0));
  auto driver = connected(world);
  const auto spec = make_spec(1);
  ASSERT_TRUE(driver->define(spec, {1}, token).has_value());
  simulated_fault fault;
  fault.what = simulated_failure::late;
  fault.verb = simulated_verb::start;
  fault.delay = milliseconds(200);
  fault.patience = milliseconds(10);
  world->plan(fault);
  const auto late = driver->start(spec.vm, {2}, token);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, error_code::unavailable);
  EXPECT_EQ(world->guest(spec.vm)->condition, guest_condition::stopped);
  // The caller dies; its successor must not see the world before the start has ended.
  driver.reset();
  const auto successor = connected(world);
  const auto fenced = successor->fence(spec.vm, newer);
  ASSERT_TRUE(fenced.has_value());
  EXPECT_EQ(fenced->condition, guest_condition::running);
  EXPECT_EQ(fenced->generation.count, 2u);
}

TEST(simulated_faults, a_fence_of_a_guest_busy_for_too_long_is_unavailable) {
  simulated_world::options settings;
  settings.verb_time = milliseconds(0);
  settings.patience = milliseconds(20);
  const auto world = *simulated_world::open(settings);
  const auto driver = connected(world);
  simulated_fault fault;
  fault.what = simulated_failure::late;
  fault.delay = seconds(60);
  world->plan(fault);
  const auto spec = make_spec(1);
  EXPECT_FALSE(driver->define(spec, {1}, token).has_value());
  const auto fenced = driver->fence(spec.vm, newer);
  ASSERT_FALSE(fenced.has_value());
  EXPECT_EQ(fenced.error().code, error_code::unavailable);
  EXPECT_TRUE(fenced.error().retryable);
  EXPECT_EQ(driver->inspect(spec.vm)->condition, guest_condition::absent);
}

TEST(simulated_faults, a_connection_lost_under_a_verb_is_told_once) {
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  int told = 0;
  driver->listen([&told](vm_id vm) { told += vm.is_none() ? 1 : 0; });
  simulated_fault fault;
  fault.what = simulated_failure::lose_connection;
  world->plan(fault);
  const auto spec = make_spec(1);
  EXPECT_EQ(driver->define(spec, {1}, token).error().code, error_code::unavailable);
  EXPECT_EQ(driver->inspect(spec.vm).error().code, error_code::unavailable);
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(driver->connect().has_value());
  EXPECT_TRUE(driver->define(spec, {1}, token).has_value());
}

// --- the guest's life ----------------------------------------------------------------------------

TEST(simulated_guest_life, a_running_guest_answers_unless_it_was_told_not_to) {
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  const auto spec = make_spec(1);
  const auto silent = make_spec(2, "tiny-silent");
  for (const auto& each : {spec, silent}) {
    ASSERT_TRUE(driver->define(each, {1}, token).has_value());
    EXPECT_FALSE(world->answers(each.vm));
    ASSERT_TRUE(driver->start(each.vm, {1}, token).has_value());
  }
  EXPECT_FALSE(world->answers(silent.vm));
  EXPECT_TRUE(world->answers(spec.vm));
  world->set_silent(spec.vm, true);
  EXPECT_FALSE(world->answers(spec.vm));
  world->set_silent(spec.vm, false);
  EXPECT_TRUE(world->answers(spec.vm));
  ASSERT_TRUE(driver->kill(spec.vm, token).has_value());
  EXPECT_FALSE(world->answers(spec.vm));
}

TEST(simulated_guest_life, a_deaf_guest_ignores_a_graceful_shutdown_but_not_the_plug) {
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  const auto by_image = make_spec(1, "tiny-deaf");
  const auto by_word = make_spec(2);
  world->set_deaf(by_word.vm, true);
  for (const auto& spec : {by_image, by_word}) {
    ASSERT_TRUE(driver->define(spec, {1}, token).has_value());
    ASSERT_TRUE(driver->start(spec.vm, {1}, token).has_value());
    ASSERT_TRUE(driver->shutdown(spec.vm, token).has_value());
    EXPECT_EQ(world->guest(spec.vm)->condition, guest_condition::running);
    ASSERT_TRUE(driver->kill(spec.vm, token).has_value());
    EXPECT_EQ(world->guest(spec.vm)->cause, stop_cause::host);
  }
}

TEST(simulated_guest_life, a_crashing_image_dies_after_its_start_and_is_told) {
  for (const auto verb_time : {milliseconds(0), milliseconds(5)}) {
    const auto world = open_world(verb_time);
    const auto driver = connected(world);
    std::atomic<int> told = 0;
    driver->listen([&told](vm_id) { ++told; });
    const auto spec = make_spec(1, "tiny-crash");
    ASSERT_TRUE(driver->define(spec, {1}, token).has_value());
    ASSERT_TRUE(driver->start(spec.vm, {1}, token).has_value());
    ASSERT_TRUE(wait_until(
        limit, [&] { return world->guest(spec.vm)->condition == guest_condition::stopped; }));
    EXPECT_EQ(world->guest(spec.vm)->cause, stop_cause::crashed);
    driver->listen({});
    EXPECT_GE(told, 1);
  }
}

TEST(simulated_guest_life, a_kill_during_a_graceful_shutdown_is_the_hosts_deed) {
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  const auto spec = make_spec(1);
  const auto slow = open_world(milliseconds(30));
  const auto slow_driver = connected(slow);
  ASSERT_TRUE(slow_driver->define(spec, {1}, token).has_value());
  ASSERT_TRUE(slow_driver->start(spec.vm, {1}, token).has_value());
  ASSERT_TRUE(slow_driver->shutdown(spec.vm, token).has_value());
  slow->destroy_guest(spec.vm);
  ASSERT_TRUE(slow_driver->start(spec.vm, {2}, token).has_value());
  EXPECT_EQ(slow->guest(spec.vm)->boot_count, 2u);
  // The first life's shutdown must not reach into the second one.
  ASSERT_TRUE(slow_driver->inspect(spec.vm).has_value());
  ASSERT_TRUE(slow_driver->inspect(spec.vm).has_value());
  EXPECT_EQ(slow->guest(spec.vm)->condition, guest_condition::running);
}

// --- the durable world ---------------------------------------------------------------------------

TEST(simulated_store, a_damaged_file_is_refused_by_name) {
  const scratch_directory scratch;
  {
    const auto world = open_world(milliseconds(0), scratch.path());
    const auto driver = connected(world);
    ASSERT_TRUE(driver->define(make_spec(1), {1}, token).has_value());
  }
  const auto file = std::filesystem::directory_iterator(scratch.path())->path();
  std::ifstream in(file, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  // Every cut but the whole, and every line left out.
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_simulated_guest(good.substr(0, size)).has_value()) << size;
  for (std::size_t begin = 0; begin < good.size();) {
    const auto end = good.find('\n', begin) + 1;
    EXPECT_FALSE(parse_simulated_guest(good.substr(0, begin) + good.substr(end)).has_value());
    begin = end;
  }
  EXPECT_TRUE(parse_simulated_guest(good).has_value());
  std::ofstream(file, std::ios::trunc) << good.substr(0, good.size() / 2);
  simulated_world::options settings;
  settings.directory = scratch.path();
  const auto opened = simulated_world::open(settings);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, error_code::damaged);
  EXPECT_NE(opened.error().text.find(file.string()), std::string::npos);
}

TEST(simulated_store, a_world_that_cannot_be_written_refuses_the_verb) {
  const scratch_directory scratch;
  const auto world = open_world(milliseconds(0), scratch.path());
  const auto driver = connected(world);
  std::filesystem::remove_all(scratch.path());
  const auto failed = driver->define(make_spec(1), {1}, token);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code, error_code::io_failed);
  EXPECT_EQ(world->guest_count(), 0u);
}

/// Runs `life` in a process of its own that is killed with -9 once `life` returned.
template <class Life> void in_killed_process(Life life) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const auto child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const char verdict = life() ? 'y' : 'n';
    const auto written = write(ready[1], &verdict, 1);
    static_cast<void>(written);
    pause();
    _exit(0);
  }
  char verdict = 0;
  EXPECT_EQ(read(ready[0], &verdict, 1), 1);
  EXPECT_EQ(verdict, 'y');
  EXPECT_EQ(kill(child, SIGKILL), 0);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  close(ready[0]);
  close(ready[1]);
}

TEST(simulated_store, the_world_outlives_a_killed_process) {
  const scratch_directory scratch;
  const auto spec = make_spec(1);
  in_killed_process([&] {
    const auto world = open_world(milliseconds(1), scratch.path());
    const auto driver = connected(world);
    return driver->define(spec, {3}, token) && driver->start(spec.vm, {4}, token);
  });
  const auto world = open_world(milliseconds(1), scratch.path());
  const auto driver = connected(world);
  const auto listed = driver->list(spec.installation);
  ASSERT_TRUE(listed.has_value());
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().condition, guest_condition::running);
  EXPECT_EQ(listed->front().generation.count, 4u);
  EXPECT_EQ(listed->front().token, token);
  EXPECT_TRUE(world->answers(spec.vm));
  EXPECT_EQ(world->guest(spec.vm)->spec.port.link, spec.port.link);
}

TEST(simulated_store, processes_see_each_other_and_a_deposed_one_makes_nothing_again) {
  const scratch_directory scratch;
  const auto spec = make_spec(1);
  const auto old_world = open_world(milliseconds(1), scratch.path());
  const auto new_world = open_world(milliseconds(1), scratch.path());
  const auto deposed = connected(old_world);
  const auto owner = connected(new_world);
  ASSERT_TRUE(deposed->define(spec, {1}, token).has_value());
  ASSERT_TRUE(deposed->start(spec.vm, {1}, token).has_value());
  EXPECT_EQ(owner->inspect(spec.vm)->condition, guest_condition::running);
  EXPECT_TRUE(new_world->answers_on(spec.port.link));
  ASSERT_TRUE(owner->kill(spec.vm, newer).has_value());
  ASSERT_TRUE(owner->undefine(spec.vm, newer).has_value());
  EXPECT_TRUE(deposed->list(spec.installation)->empty());
  EXPECT_FALSE(old_world->answers_on(spec.port.link));
  const auto again = deposed->define(spec, {1}, token);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, error_code::conflict);
  EXPECT_EQ(old_world->guest_count(), 0u);
  EXPECT_TRUE(owner->define(spec, {2}, newer).has_value());
}

TEST(simulated_store, what_is_gone_for_long_is_forgotten) {
  const scratch_directory scratch;
  const auto spec = make_spec(1);
  ASSERT_TRUE(connected(open_world(milliseconds(1), scratch.path()))->fence(spec.vm, token));
  const auto file = scratch.path() / (to_text(spec.vm.value) + ".guest");
  ASSERT_TRUE(std::filesystem::exists(file));
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() -
                                             drivers::simulated_store::gone_kept -
                                             std::chrono::minutes(1));
  ASSERT_TRUE(open_world(milliseconds(1), scratch.path()));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(simulated_store, what_a_killed_process_had_under_way_goes_on_and_a_fence_waits_for_it) {
  const scratch_directory scratch;
  const auto spec = make_spec(1);
  const auto run_late = [&](simulated_verb verb, const auto& call) {
    in_killed_process([&] {
      const auto world = open_world(milliseconds(1), scratch.path());
      const auto driver = connected(world);
      simulated_fault fault;
      fault.what = simulated_failure::late;
      fault.verb = verb;
      fault.delay = milliseconds(300);
      world->plan(fault);
      const auto late = call(*driver);
      return !late && late.error().code == error_code::unavailable;
    });
  };
  run_late(simulated_verb::define,
           [&](hypervisor& driver) { return driver.define(spec, {1}, token); });
  {
    const auto world = open_world(milliseconds(1), scratch.path());
    const auto fenced = connected(world)->fence(spec.vm, token);
    ASSERT_TRUE(fenced.has_value());
    EXPECT_EQ(fenced->condition, guest_condition::stopped);
  }
  run_late(simulated_verb::start,
           [&](hypervisor& driver) { return driver.start(spec.vm, {2}, token); });
  const auto world = open_world(milliseconds(1), scratch.path());
  const auto fenced = connected(world)->fence(spec.vm, newer);
  ASSERT_TRUE(fenced.has_value());
  EXPECT_EQ(fenced->condition, guest_condition::running);
  EXPECT_EQ(fenced->generation.count, 2u);
  EXPECT_EQ(world->guest_count(), 1u);
  EXPECT_EQ(world->guest(spec.vm)->boot_count, 1u);
}

// --- many ----------------------------------------------------------------------------------------

TEST(simulated_world, many_guests_on_many_threads_do_not_meet) {
  constexpr std::uint64_t guest_count = 20'000;
  constexpr std::uint64_t thread_count = 4;
  const auto world = open_world(milliseconds(0));
  const auto driver = connected(world);
  std::atomic<std::uint64_t> done = 0;
  std::atomic<std::uint64_t> told = 0;
  driver->listen([&told](vm_id) { ++told; });
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < thread_count; ++t)
    threads.emplace_back([&, t] {
      for (auto i = t; i < guest_count; i += thread_count) {
        const auto spec = make_spec(i + 1);
        if (driver->define(spec, {1}, token) && driver->start(spec.vm, {2}, token))
          ++done;
      }
    });
  for (auto& thread : threads)
    thread.join();
  driver->listen({});
  EXPECT_EQ(done, guest_count);
  EXPECT_EQ(told, 2 * guest_count);
  EXPECT_EQ(world->guest_count(), guest_count);
  EXPECT_EQ(driver->list(make_spec(1).installation)->size(), guest_count);
}

} // namespace
} // namespace orrery::drivers
