#include "tests/sim/bus.hpp"

#include "tests/sim/process.hpp"

namespace orrery::sim {

namespace {

constexpr micros board_latency{3'000};
constexpr micros transport_latency_min{2'000};
constexpr micros transport_latency_max{10'000};
constexpr micros transport_delay_max{4'000'000};

/// Commands that a new listener hears again.
constexpr std::size_t last_max = 100;

// Odds in a thousand.
constexpr std::uint32_t heartbeat_lost = 20;
constexpr std::uint32_t heartbeat_doubled = 10;
constexpr std::uint32_t command_lost = 50;
constexpr std::uint32_t command_doubled = 100;
constexpr std::uint32_t command_delayed = 50;

} // namespace

void bus::post(const process& from, std::string bytes) {
  const bool is_lost = x_around.strikes(fault::board, heartbeat_lost);
  const bool is_doubled = x_around.strikes(fault::board, heartbeat_doubled);
  if (is_lost || from.is_cut())
    return;
  x_around.time.in(board_latency, [this, is_doubled, bytes = std::move(bytes)] {
    std::erase_if(x_members, [](const auto& one) { return one.expired(); });
    for (int times = is_doubled ? 2 : 1; times > 0; --times)
      for (const auto& one : x_members)
        if (const auto to = one.lock(); to && !to->is_cut())
          to->on_board(bytes);
  });
}

void bus::send(const process& from, partition_number where, std::string bytes) {
  const bool is_lost = x_around.strikes(fault::transport, command_lost);
  const bool is_doubled = x_around.strikes(fault::transport, command_doubled);
  if (is_lost || from.is_cut())
    return;
  auto& last = x_last[where];
  last.push_back(bytes);
  if (last.size() > last_max)
    last.pop_front();
  for (int times = is_doubled ? 2 : 1; times > 0; --times)
    deliver(where, bytes);
}

void bus::deliver(partition_number where, const std::string& bytes) {
  auto delay = x_around.between(transport_latency_min, transport_latency_max);
  if (x_around.strikes(fault::transport, command_delayed))
    delay += x_around.between(micros(0), transport_delay_max);
  x_around.time.in(delay, [this, where, bytes] {
    for (const auto& one : x_members)
      if (const auto to = one.lock(); to && !to->is_cut() && to->listens(where))
        to->on_command(where, bytes);
  });
}

void bus::repeat(const std::shared_ptr<process>& to, partition_number where) {
  for (const auto& bytes : x_last[where])
    to->later(x_around.between(transport_latency_min, transport_latency_max),
              [to = to.get(), where, bytes] { to->on_command(where, bytes); });
}

} // namespace orrery::sim
