#pragma once

#include "events/log/liveness.hpp"
#include "tests/sim/bus.hpp"
#include "tests/sim/hosts.hpp"
#include "tests/sim/log_way.hpp"
#include "tests/sim/partition_run.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace orrery::sim {

/// Thrown where a process dies in the middle of something.
struct sudden_death {};

/// What a process needs to know at its start.
struct process_birth {
  std::uint32_t number = 0; ///< of this life, from 1
  bool is_shared = true;
  log::log_faults faults;
};

/// One orreryd in one of its lives: an engine for each partition, its hypervisors, its liveness.
/// What the product does in threads and actors, it does in turns.
class process : public std::enable_shared_from_this<process> {
public:
  process(surroundings& around, bus& others, hosts& machines, const process_birth& birth);

  void begin();

  // Its turns.

  /// `act` on this process's turn: never after it died, and not while it stands still.
  void later(micros delay, std::function<void()> act);

  // What happens to it.

  void die();
  void stand_still(micros duration);
  void cut_off(micros duration);
  void jump_clock(std::chrono::microseconds by);

  void set_clock_right() { x_clock_error = {}; }

  void break_board();
  /// Ends in good order: hands over, and is gone.
  void leave();
  void calm();

  [[nodiscard]] bool is_alive() const { return x_is_alive; }

  [[nodiscard]] bool is_leaving() const { return x_is_leaving; }

  [[nodiscard]] bool is_cut() const { return x_around.time.now() < x_cut_until; }

  [[nodiscard]] bool is_standing_still() const { return x_around.time.now() < x_still_until; }

  [[nodiscard]] std::uint32_t number() const { return x_birth.number; }

  // What others bring.

  void on_board(const std::string& bytes);
  void on_command(partition_number where, const std::string& bytes);
  [[nodiscard]] bool listens(partition_number where) const;
  void on_stored(partition_number where);

  // For its parts.

  [[nodiscard]] surroundings& around() { return x_around; }

  [[nodiscard]] hosts& machines() { return x_machines; }

  [[nodiscard]] log_way& way() { return *x_way; }

  [[nodiscard]] std::uint64_t nonce() const { return x_nonce; }

  [[nodiscard]] utc_time wall() const { return wall_clock(x_around.time) + x_clock_error; }

  [[nodiscard]] std::chrono::steady_clock::time_point steady() const;

  [[nodiscard]] std::uint64_t random() { return x_random.next(); }

  /// A command's origin is this process.
  void stamp(v1::Command& command);
  void carry(const v1::Command& command);
  void on_claimed(partition_number where, std::uint64_t by);
  void on_stream_taken(partition_number source, partition_number target, std::uint64_t number);
  void on_clock_trusted();

  [[nodiscard]] partition_run& part(partition_number where) { return *x_parts.at(where); }

private:
  void run(std::function<void()> act);
  void beat();
  void tick();
  void look_around();
  [[nodiscard]] bool has_heir() const;

  surroundings& x_around;
  bus& x_others;
  hosts& x_machines;
  const process_birth x_birth;
  support::dice x_random;
  std::uint64_t x_nonce;
  std::uint64_t x_origin_number = 0;
  std::shared_ptr<log_way> x_way;
  log::liveness x_liveness;
  std::map<partition_number, std::unique_ptr<partition_run>> x_parts;
  std::map<partition_number, bool> x_wanted;
  std::map<partition_number, bool> x_listens;
  std::vector<std::pair<partition_number, std::uint64_t>> x_claims;
  std::vector<std::function<void()>> x_held; ///< turns while it stands still
  std::chrono::microseconds x_clock_error{0};
  std::uint64_t x_beats = 0;
  micros x_next_beat{0};
  micros x_still_until{0};
  micros x_cut_until{0};
  bool x_is_alive = true;
  bool x_is_leaving = false;
};

} // namespace orrery::sim
