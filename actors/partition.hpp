#pragma once

#include "actors/flow.hpp"
#include "actors/interfaces.hpp"
#include "events/log/history.hpp"
#include "events/log/log.hpp"

#include <caf/fwd.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace orrery::actors {

/// What the partition tells the rest of the process as it goes; all of it on its own thread, so
/// nothing may block.
struct partition_observer {
  /// A record was folded; the store checks its position against the log. An error stops the
  /// process.
  std::function<result<void>(std::uint64_t seq, const log::digest& head)> check_projections;
  /// Every entity that is there when everything that was in the log at start is folded.
  std::function<void(const domain::entity_state&)> present;
  /// Then, once: up to this record, this commit. An error stops the process.
  std::function<result<void>(std::uint64_t last_seq, std::uint64_t last_commit_seq)> replayed;
  /// This process may write from now on.
  std::function<void(std::uint64_t epoch)> owning;
  /// Something that only a restart or a human can mend.
  std::function<void(const error&)> fatal;
  /// `outcome`: "done", or the name of an error code.
  std::function<void(std::string_view noun, std::string_view outcome)> command_decided;
  std::function<void(std::size_t commands, std::chrono::microseconds took)> committed;
  std::function<void(std::string_view reason)> record_void;
  std::function<void(const projections::folded_commit&)> folded; ///< every commit after that
  std::function<void()> still_owning;                            ///< about once a second
};

/// Everything that a partition's actor needs from outside: the seams that tests replace.
struct partition_birth {
  partition_number where{};
  std::shared_ptr<log::log> log;
  log::log_identity identity;
  const domain::kind_policies* policies = nullptr;
  v1::Edition edition = v1::HOSTING; ///< of an installation that this process founds
  bool is_read_only = false;         ///< never claims
  std::string owner_name;            ///< display only
  std::string address;               ///< display only
  log::offset end_at_start = 0;      ///< what the log held when it was opened
  std::uint64_t projected_seq = 0;   ///< commits up to here need not be projected again
  std::optional<projector_actor> projector;
  std::shared_ptr<flow> handed;    ///< left once for each chunk of records
  std::shared_ptr<flow> projected; ///< a unit added for each message to the projector
  std::shared_ptr<std::atomic<std::size_t>> queued; ///< commands waiting, for the door
  /// Makes the actor of a cluster's hypervisor; nothing for a kind without a driver.
  std::function<std::optional<hypervisor_actor>(v1::HypervisorKind, const uuid& cluster,
                                                const partition_actor&)>
      make_hypervisor;
  std::function<utc_time()> wall_clock;
  std::function<std::chrono::steady_clock::time_point()> steady_clock;
  std::function<std::uint64_t()> random;
  partition_observer tell;
};

/// Commands that may wait: more than a second's work. The door answers 429 above it.
inline constexpr std::size_t queue_size_max = 10'000;

/// Commands in one record: beyond that only the latency grows.
inline constexpr std::size_t batch_size_max = 1'000;

/// An entity sleeps after this long without anything to do.
inline constexpr std::chrono::seconds awake_idle_max{60};

/// Awake entities at once: 30 MB of actors. Above it the idle ones sleep at the next commit,
/// whatever their age.
inline constexpr std::size_t awake_max = 16'384;

/// Spawns it: on a thread of its own in the product (it folds and serialises, which would hold up a
/// scheduler thread), on the scheduler in tests.
[[nodiscard]] partition_actor spawn_partition(caf::actor_system& system, partition_birth birth,
                                              bool is_detached = true);

} // namespace orrery::actors
