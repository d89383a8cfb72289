#include "actors/membership.hpp"

#include <caf/send.hpp>

#include <algorithm>
#include <utility>

namespace orrery::actors {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// How long one look for commands waits: also how long stopping takes at most.
constexpr milliseconds commands_patience{50};

/// After an error of the transport, before it is asked again.
constexpr milliseconds error_pause{200};

/// A beat that comes so much too late means that this process stood still: what it did not hear
/// meanwhile says nothing about the others.
constexpr milliseconds pause_noticed{500};

} // namespace

membership::membership(membership_birth birth)
    : x_birth(std::move(birth)), x_liveness(x_birth.self), x_breaks(x_birth.heartbeats->breaks()),
      x_seats(x_birth.partitions) {
  x_board_thread = std::thread([this] { run_board(); });
  x_commands_thread = std::thread([this] { run_commands(); });
}

membership::~membership() {
  x_is_stopping = true;
  x_changed.notify_all();
  x_board_thread.join();
  x_commands_thread.join();
}

void membership::serve(std::vector<partition_actor> partitions) {
  const std::lock_guard lock(x_guard);
  for (std::size_t i = 0; i < x_seats.size(); ++i)
    x_seats[i].actor =
        i < partitions.size() ? std::optional(std::move(partitions[i])) : std::nullopt;
}

void membership::on_current(partition_number where, bool is_current) {
  const std::lock_guard lock(x_guard);
  at(where).is_current = is_current;
}

void membership::on_owning(partition_number where, bool is_owning) {
  {
    const std::lock_guard lock(x_guard);
    at(where).is_owning = is_owning;
  }
  x_changed.notify_all();
}

void membership::on_claimed(partition_number where, std::uint64_t process) {
  const std::lock_guard lock(x_guard);
  at(where).claims.push_back(process);
}

void membership::on_accepted(partition_number where, std::uint64_t seq) {
  const std::lock_guard lock(x_guard);
  at(where).seq = seq;
}

void membership::on_waiting(partition_number where, std::uint64_t owner) {
  const std::lock_guard lock(x_guard);
  at(where).waits_for = owner;
}

void membership::carry(const v1::Command& command) {
  // What is not sent now is repeated by who asks.
  static_cast<void>(
      x_birth.commands->send(domain::target_of(command), command.SerializeAsString()));
}

void membership::leave(milliseconds patience) {
  x_is_leaving = true;
  std::unique_lock lock(x_guard);
  x_changed.wait_for(lock, patience, [this] { return !owns_any() || !x_has_heir; });
}

/// Needs the lock.
bool membership::owns_any() const { return std::ranges::any_of(x_seats, &seat::is_owning); }

partition_number membership::number_of(const seat& one) const {
  return static_cast<partition_number>(&one - x_seats.data());
}

// Heartbeats --------------------------------------------------------------------------------------

void membership::post(std::uint64_t number) {
  log::heartbeat said;
  said.process = x_birth.self;
  said.number = number;
  said.address = x_birth.address;
  said.leaving = x_is_leaving;
  {
    const std::lock_guard lock(x_guard);
    said.ready = std::ranges::all_of(x_seats, &seat::is_current);
    for (const auto& one : x_seats) {
      if (one.is_owning)
        said.owned.push_back({number_of(one), one.seq});
      if (one.waits_for != 0)
        x_liveness.work_waits(number_of(one), log::process_id{one.waits_for});
    }
  }
  static_cast<void>(x_birth.heartbeats->post(log::encode(said))); // the next one comes soon
}

void membership::read_board(milliseconds patience) {
  const auto read = x_birth.heartbeats->read(patience);
  if (const auto breaks = x_birth.heartbeats->breaks(); breaks != x_breaks) {
    x_breaks = breaks;
    x_liveness.on_break();
  }
  if (!read) {
    std::this_thread::sleep_for(patience);
    return;
  }
  for (const auto& bytes : *read)
    if (const auto said = log::parse_heartbeat(bytes))
      x_liveness.on_heartbeat(*said);
}

void membership::look_around() {
  x_has_heir = is_anyone_else_ready();
  const std::lock_guard lock(x_guard);
  for (auto& one : x_seats) {
    const auto where = number_of(one);
    for (const auto process : std::exchange(one.claims, {}))
      x_liveness.on_claim(where,
                          process == 0 ? std::nullopt : std::optional(log::process_id{process}));
    const bool is_wanted = x_liveness.should_own(where) && !x_is_leaving;
    if (one.actor && std::exchange(one.is_wanted, is_wanted) != is_wanted)
      caf::anon_send(*one.actor, wanted{is_wanted});
  }
}

bool membership::is_anyone_else_ready() const {
  const auto others = x_liveness.others();
  return std::ranges::any_of(others, [](const auto& other) {
    return other.is_live() && other.last.ready && !other.last.leaving;
  });
}

void membership::run_board() {
  std::uint64_t number = 0;
  auto next = steady_clock::now();
  while (!x_is_stopping) {
    const auto now = steady_clock::now();
    if (now >= next) {
      if (now - next > pause_noticed)
        x_liveness.restart_count();
      post(++number);
      next = now + log::heartbeat_period;
    }
    read_board(std::chrono::ceil<milliseconds>(next - now));
    look_around();
  }
}

// Commands ----------------------------------------------------------------------------------------

void membership::bring(const std::vector<log::carried>& came) {
  std::vector<std::shared_ptr<std::vector<v1::Command>>> for_seat(x_seats.size());
  for (const auto& one : came) {
    auto& commands = for_seat.at(static_cast<std::size_t>(one.where));
    v1::Command command;
    if (!command.ParseFromArray(one.bytes.data(), static_cast<int>(one.bytes.size())))
      continue;
    if (commands == nullptr)
      commands = std::make_shared<std::vector<v1::Command>>();
    commands->push_back(std::move(command));
  }
  const std::lock_guard lock(x_guard);
  for (std::size_t i = 0; i < for_seat.size(); ++i)
    if (for_seat[i] != nullptr && x_seats[i].actor)
      caf::anon_send(*x_seats[i].actor, carried{std::move(for_seat[i])});
}

/// Listens to the partitions that this process owns or should own. Not under the lock: it blocks.
void membership::listen_as_wanted() {
  std::vector<bool> may_decide;
  {
    const std::lock_guard lock(x_guard);
    for (const auto& one : x_seats)
      may_decide.push_back(one.is_owning || one.is_wanted);
  }
  for (std::size_t i = 0; i < x_seats.size(); ++i) {
    auto& is_listening = x_seats[i].is_listening;
    const auto where = static_cast<partition_number>(i);
    if (may_decide[i] && !is_listening)
      is_listening = static_cast<bool>(x_birth.commands->listen(where));
    if (!may_decide[i] && is_listening) {
      x_birth.commands->ignore(where);
      is_listening = false;
    }
  }
}

void membership::run_commands() {
  while (!x_is_stopping) {
    listen_as_wanted();
    const auto came = x_birth.commands->receive(commands_patience);
    if (came)
      bring(*came);
    else
      std::this_thread::sleep_for(error_pause);
  }
}

} // namespace orrery::actors
