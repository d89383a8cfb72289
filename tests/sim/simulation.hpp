#pragma once

#include "tests/sim/clients.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::sim {

/// What came out of a run.
struct outcome {
  std::optional<broken_promise> broken;
  std::uint64_t hash = 0; ///< of everything that happened
  micros simulated{0};
  micros settled_after{0}; ///< since the faults ended
  std::uint64_t steps = 0;
  std::uint64_t checks = 0;
  std::uint64_t lives = 0; ///< processes started
  std::uint64_t claims = 0;
  std::uint64_t commits = 0;
  std::uint64_t decisions = 0;
  std::uint64_t voids = 0;
  std::uint64_t answered = 0;
  std::uint64_t refused = 0;
  std::uint64_t unheard = 0;
  fault_counts counts{};
  log::log_fault_counts log_counts;

  /// Takes over the numbers of another run.
  void add(const outcome& other);
};

/// Some orreryd, their log, hosts and clients in one thread and in virtual time.
class simulation {
public:
  explicit simulation(const settings& wanted);
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;
  ~simulation();

  /// Each line of what happens goes to `to`.
  void show(std::function<void(const std::string&)> to) { x_around.seen.show(std::move(to)); }

  /// Faults for the time that was asked for, then none until everything has settled; or up to the
  /// first broken promise.
  [[nodiscard]] outcome run();

private:
  using happening = void (simulation::*)();

  void every(micros mean, happening what);
  void start_process();
  void replace_dead();
  void lose_process();
  void arm_crash();
  void pause_process();
  void cut_process();
  void jump_clock();
  void break_board();
  void let_leave();
  void lose_host();
  void disturb_guest();
  void look_after_clocks();
  void run_until(micros end);
  void calm();
  [[nodiscard]] std::string unsettled();
  [[nodiscard]] std::string unsettled_vms(partition_number where);
  [[nodiscard]] bool is_port_right(const domain::partition_state& state,
                                   const domain::vm_state& vm) const;
  void check_end();
  [[nodiscard]] std::shared_ptr<process> any_process();
  [[nodiscard]] outcome told() const;

  surroundings x_around;
  hosts x_hosts;
  bus x_bus;
  std::vector<std::shared_ptr<process>> x_processes; ///< those that live
  clients x_clients;
  log::log_faults x_log_faults;
  std::uint32_t x_process_count = 1;
  bool x_is_shared = true;
  std::uint32_t x_lives = 0;
  micros x_calm_at{0};
  micros x_trusted_at{-1'000'000'000};
};

} // namespace orrery::sim
