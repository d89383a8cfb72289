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
    : x_birth(std::move(birth)), x_liveness(x_birth.self), x_breaks(x_birth.heartbeats->breaks()) {
  x_board_thread = std::thread([this] { run_board(); });
  x_commands_thread = std::thread([this] { run_commands(); });
}

membership::~membership() {
  x_is_stopping = true;
  x_changed.notify_all();
  x_board_thread.join();
  x_commands_thread.join();
}

void membership::serve(std::optional<partition_actor> partition) {
  const std::lock_guard lock(x_guard);
  x_partition = std::move(partition);
}

void membership::on_owning(bool is_owning) {
  {
    const std::lock_guard lock(x_guard);
    x_is_owning = is_owning;
  }
  x_changed.notify_all();
}

void membership::on_claimed(std::uint64_t process) {
  const std::lock_guard lock(x_guard);
  x_claims.push_back(process);
}

void membership::carry(const v1::Command& command) {
  // What is not sent now is repeated by who asks.
  static_cast<void>(x_birth.commands->send(x_birth.where, command.SerializeAsString()));
}

void membership::leave(milliseconds patience) {
  x_is_leaving = true;
  std::unique_lock lock(x_guard);
  x_changed.wait_for(lock, patience, [this] { return !x_is_owning || !x_has_heir; });
}

// Heartbeats --------------------------------------------------------------------------------------

void membership::post(std::uint64_t number) {
  log::heartbeat said;
  said.process = x_birth.self;
  said.number = number;
  said.address = x_birth.address;
  said.ready = x_is_ready;
  said.leaving = x_is_leaving;
  {
    const std::lock_guard lock(x_guard);
    if (x_is_owning)
      said.owned.push_back({x_birth.where, x_seq});
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
  std::vector<std::uint64_t> claims;
  std::optional<partition_actor> to;
  {
    const std::lock_guard lock(x_guard);
    claims.swap(x_claims);
    to = x_partition;
  }
  for (const auto process : claims)
    x_liveness.on_claim(x_birth.where,
                        process == 0 ? std::nullopt : std::optional(log::process_id{process}));
  x_has_heir = is_anyone_else_ready();
  const bool is_wanted = x_liveness.should_own(x_birth.where) && !x_is_leaving;
  if (to && x_is_wanted.exchange(is_wanted) != is_wanted)
    caf::anon_send(*to, wanted{is_wanted});
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
  auto commands = std::make_shared<std::vector<v1::Command>>();
  for (const auto& one : came) {
    v1::Command command;
    if (command.ParseFromArray(one.bytes.data(), static_cast<int>(one.bytes.size())))
      commands->push_back(std::move(command));
  }
  std::optional<partition_actor> to;
  {
    const std::lock_guard lock(x_guard);
    to = x_partition;
  }
  if (to && !commands->empty())
    caf::anon_send(*to, carried{std::move(commands)});
}

void membership::run_commands() {
  bool is_listening = false;
  while (!x_is_stopping) {
    bool is_owning = false;
    {
      const std::lock_guard lock(x_guard);
      is_owning = x_is_owning;
    }
    const bool may_decide = is_owning || x_is_wanted;
    if (may_decide && !is_listening)
      is_listening = static_cast<bool>(x_birth.commands->listen(x_birth.where));
    if (!may_decide && is_listening) {
      x_birth.commands->ignore(x_birth.where);
      is_listening = false;
    }
    const auto came = x_birth.commands->receive(commands_patience);
    if (came)
      bring(*came);
    else
      std::this_thread::sleep_for(error_pause);
  }
}

} // namespace orrery::actors
