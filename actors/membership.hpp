#pragma once

#include "actors/interfaces.hpp"
#include "events/log/liveness.hpp"
#include "events/log/transport.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace orrery::actors {

struct membership_birth {
  std::shared_ptr<log::transport> commands;
  std::shared_ptr<log::board> heartbeats;
  log::process_id self{0};
  std::string address;        ///< where the API is reached; display only
  std::size_t partitions = 1; ///< of the log
};

/// This process among those that share a log: it posts heartbeats and reads everybody's, tells each
/// partition whether this process should own it, and brings it the commands while it may. Two
/// threads: heartbeats must not wait for commands.
class membership {
public:
  /// Begins to beat. Not ready yet: nobody counts on this process.
  explicit membership(membership_birth birth);
  membership(const membership&) = delete;
  membership& operator=(const membership&) = delete;

  /// Ends the threads. Others see it by the silence, or by `leave` before.
  ~membership();

  /// Whom to tell from now on, by number of the partition; nobody: the actors are about to end.
  void serve(std::vector<partition_actor> partitions);

  // Told by a partition, on its thread; none of it blocks.

  /// Whether it is read less than a second behind. Ready is who is so in all partitions.
  void on_current(partition_number where, bool is_current);
  void on_owning(partition_number where, bool is_owning);
  void on_claimed(partition_number where, std::uint64_t process);
  void on_accepted(partition_number where, std::uint64_t seq);

  /// Commands wait for `owner` to decide them; 0: none do.
  void on_waiting(partition_number where, std::uint64_t owner);

  /// Sends a command to whoever owns the partition that it is for; it may get lost.
  void carry(const v1::Command& command);

  /// Says that this process is about to end, and waits until others own its partitions: at most
  /// `patience`, not at all while nobody else is ready.
  void leave(std::chrono::milliseconds patience);

private:
  /// One partition, as this process stands to it. Guarded.
  struct seat {
    std::optional<partition_actor> actor;
    std::vector<std::uint64_t> claims; ///< accepted since the board's thread last looked
    bool is_current = false;
    bool is_owning = false;
    bool is_wanted = false;
    bool is_listening = false; ///< the commands' thread only
    std::uint64_t seq = 0;
    std::uint64_t waits_for = 0; ///< a process
  };

  void run_board();
  void run_commands();
  void post(std::uint64_t number);
  void read_board(std::chrono::milliseconds patience);
  void look_around();
  void listen_as_wanted();
  void bring(const std::vector<log::carried>& came);
  [[nodiscard]] bool is_anyone_else_ready() const;
  [[nodiscard]] bool owns_any() const;
  [[nodiscard]] partition_number number_of(const seat& one) const;

  seat& at(partition_number where) { return x_seats.at(static_cast<std::size_t>(where)); }

  membership_birth x_birth;
  log::liveness x_liveness; ///< the board's thread only
  std::uint64_t x_breaks = 0;

  std::mutex x_guard;
  std::condition_variable x_changed;
  std::vector<seat> x_seats;

  std::atomic<bool> x_is_leaving = false;
  std::atomic<bool> x_has_heir = false; ///< another one is live and ready
  std::atomic<bool> x_is_stopping = false;
  std::thread x_board_thread;
  std::thread x_commands_thread;
};

} // namespace orrery::actors
