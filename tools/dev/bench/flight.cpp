#include "tools/dev/bench/flight.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace orrery::bench {

namespace {

using steady_clock = std::chrono::steady_clock;

/// Commands under way at once: the next record is always full when the one before it is done.
constexpr std::size_t window = 4'000;

/// Half the load comes in pieces this far apart.
constexpr std::chrono::milliseconds piece_interval{1};

/// Counts answers on the partition's thread; another thread waits for them.
class answers {
public:
  void note(std::uint32_t code, std::uint64_t seq) {
    if (code != 0 || seq == 0)
      give_up("a command was not recorded (code " + std::to_string(code) +
              "): the load is not what it says it is");
    bool is_told = false;
    {
      const std::lock_guard hold(x_guard);
      ++x_count;
      x_records += seq != x_last_seq ? 1 : 0;
      x_last_seq = seq;
      is_told = x_count >= x_awaited;
    }
    if (is_told)
      x_changed.notify_one();
  }

  void wait_for(std::size_t count) {
    std::unique_lock hold(x_guard);
    x_awaited = count;
    x_changed.wait(hold, [&] { return x_count >= count; });
  }

  [[nodiscard]] std::uint64_t last_seq() {
    const std::lock_guard hold(x_guard);
    return x_last_seq;
  }

  [[nodiscard]] std::size_t records() {
    const std::lock_guard hold(x_guard);
    return x_records;
  }

private:
  std::mutex x_guard;
  std::condition_variable x_changed;
  std::size_t x_count = 0;
  std::size_t x_awaited = 0;
  std::size_t x_records = 0;
  std::uint64_t x_last_seq = 0;
};

} // namespace

flown fly(actors::bench_partition& partition, std::vector<v1::Command> commands) {
  answers told;
  const auto count = commands.size();
  std::vector<std::shared_ptr<actors::submission>> ready;
  ready.reserve(count);
  for (auto& command : commands) {
    ready.push_back(actors::bench_partition::prepare(
        std::move(command),
        [&told](std::uint32_t code, std::uint64_t seq) { told.note(code, seq); }));
  }
  const stopwatch watch;
  for (std::size_t i = 0; i < count; ++i) {
    if (i >= window && i % (window / 4) == 0)
      told.wait_for(i - window + window / 4);
    partition.submit(std::move(ready[i]));
  }
  told.wait_for(count);
  const auto answered = watch.seconds();
  partition.wait_for_projections(told.last_seq());
  const auto all = static_cast<double>(count);
  return {all / watch.seconds(), all / answered, watch.cpu_seconds() / all * 1e6,
          all / static_cast<double>(told.records())};
}

samples latencies_idle(actors::bench_partition& partition, std::vector<v1::Command> commands) {
  samples found;
  for (auto& command : commands) {
    answers told;
    auto ready = actors::bench_partition::prepare(
        std::move(command),
        [&told](std::uint32_t code, std::uint64_t seq) { told.note(code, seq); });
    const stopwatch watch;
    partition.submit(std::move(ready));
    told.wait_for(1);
    found.add(watch.seconds() * 1e3);
  }
  return found;
}

samples latencies_at(actors::bench_partition& partition, std::vector<v1::Command> commands,
                     double rate) {
  answers told;
  std::vector<double> took(commands.size());
  std::vector<steady_clock::time_point> due(commands.size());
  std::vector<std::shared_ptr<actors::submission>> ready;
  const auto began = steady_clock::now() + piece_interval;
  const auto piece = std::max(1.0, rate * std::chrono::duration<double>(piece_interval).count());
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const auto pieces = static_cast<std::int64_t>(static_cast<double>(i) / piece);
    due[i] = began + pieces * piece_interval;
    ready.push_back(actors::bench_partition::prepare(
        std::move(commands[i]), [&told, &took, &due, i](std::uint32_t code, std::uint64_t seq) {
          took[i] = std::chrono::duration<double, std::milli>(steady_clock::now() - due[i]).count();
          told.note(code, seq);
        }));
  }
  const auto late = steady_clock::now() - began; // making them ready took a while
  for (auto& when : due)
    when += late;
  for (std::size_t i = 0; i < ready.size(); ++i) {
    std::this_thread::sleep_until(due[i]);
    partition.submit(std::move(ready[i]));
  }
  told.wait_for(ready.size());
  samples found;
  for (const auto one : took)
    found.add(one);
  return found;
}

row row_of(const std::string& id, const std::string& what, const std::string& unit, double value,
           double load) {
  row made;
  made.id = id;
  made.what = what;
  made.unit = unit;
  made.value = value;
  made.load = load;
  return made;
}

} // namespace orrery::bench
