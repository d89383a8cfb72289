#include "events/core/crash_point.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>

namespace orrery {

namespace {

constexpr std::array names = std::to_array<std::string_view>({
    "log.append.before",
    "log.write.after",
    "log.sync.after",
    "log.read.after",
    "partition.decide.before",
    "partition.append.before",
    "partition.append.after",
    "partition.read_back.before",
    "partition.read_back.after",
    "partition.stream.before",
    "partition.stream.after",
    "partition.reply.before",
    "partition.reply.after",
    "projection.write.before",
    "projection.write.after",
    "driver.fence.before",
    "driver.fence.after",
    "port.announce.before",
    "port.announce.after",
    "port.ensure.before",
    "port.ensure.after",
    "driver.define.before",
    "driver.define.after",
    "driver.start.before",
    "driver.start.after",
    "driver.shutdown.before",
    "driver.shutdown.after",
    "driver.kill.before",
    "driver.kill.after",
    "driver.undefine.before",
    "driver.undefine.after",
    "port.remove.before",
    "port.remove.after",
});

constexpr int nothing_armed = -1;

std::atomic<int> armed{nothing_armed};
std::atomic<std::uint64_t> passes_left{0};

void end_process() { ::kill(::getpid(), SIGKILL); }

std::atomic<void (*)()> crash{end_process};

} // namespace

std::span<const std::string_view> all_crash_points() { return names; }

result<void> arm_crash_point(std::string_view name, std::uint64_t count) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end())
    return error{error_code::invalid_argument,
                 "there is no crash point '" + std::string(name) +
                     "': the known ones are in events/core/crash_point.cpp",
                 false};
  if (count == 0)
    return error{error_code::invalid_argument,
                 "a crash point needs a count of at least 1: 1 is the next pass", false};
  passes_left.store(count);
  armed.store(static_cast<int>(found - names.begin()));
  return {};
}

void disarm_crash_points() { armed.store(nothing_armed); }

void set_crash(void (*act)()) { crash.store(act); }

void crash_point(std::string_view name) {
  const int index = armed.load(std::memory_order_relaxed);
  if (index == nothing_armed || names[static_cast<std::size_t>(index)] != name)
    return;
  if (passes_left.fetch_sub(1) == 1)
    crash.load()();
}

} // namespace orrery
