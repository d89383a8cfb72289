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
  std::string address; ///< where the API is reached; display only
  partition_number where{};
};

/// This process among those that share a log: it posts heartbeats and reads everybody's, tells the
/// partition whether it should own the log's partition, and brings it the commands while it may.
/// Two threads: heartbeats must not wait for commands.
class membership {
public:
  /// Begins to beat. Not ready yet: nobody counts on this process.
  explicit membership(membership_birth birth);
  membership(const membership&) = delete;
  membership& operator=(const membership&) = delete;

  /// Ends the threads. Others see it by the silence, or by `leave` before.
  ~membership();

  /// Whom to tell from now on; nobody: the actors are about to end.
  void serve(std::optional<partition_actor> partition);

  // Told by the partition, on its thread; none of it blocks.

  void on_replayed() { x_is_ready = true; }

  void on_owning(bool is_owning);
  void on_claimed(std::uint64_t process);

  void on_accepted(std::uint64_t seq) { x_seq = seq; }

  /// Sends a command to whoever owns the partition; it may get lost.
  void carry(const v1::Command& command);

  /// Says that this process is about to end, and waits until another one owns the partition: at
  /// most `patience`, not at all while nobody else is ready.
  void leave(std::chrono::milliseconds patience);

private:
  void run_board();
  void run_commands();
  void post(std::uint64_t number);
  void read_board(std::chrono::milliseconds patience);
  void look_around();
  void bring(const std::vector<log::carried>& came);
  [[nodiscard]] bool is_anyone_else_ready() const;

  membership_birth x_birth;
  log::liveness x_liveness; ///< the board's thread only
  std::uint64_t x_breaks = 0;

  std::mutex x_guard;
  std::condition_variable x_changed;
  std::optional<partition_actor> x_partition;
  std::vector<std::uint64_t> x_claims; ///< accepted since the board's thread last looked
  bool x_is_owning = false;

  std::atomic<bool> x_is_ready = false;
  std::atomic<bool> x_is_leaving = false;
  std::atomic<bool> x_is_wanted = false;
  std::atomic<bool> x_has_heir = false; ///< another one is live and ready
  std::atomic<bool> x_is_stopping = false;
  std::atomic<std::uint64_t> x_seq = 0;
  std::thread x_board_thread;
  std::thread x_commands_thread;
};

} // namespace orrery::actors
