#pragma once

#include "events/core/error.hpp"
#include "events/domain/partition_state.hpp"
#include "events/log/history.hpp"
#include "events/log/log.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

/// What the bench needs of the actors, without their headers. Not part of orreryd.
namespace orrery::actors {

struct submission;

/// The scheduler policy that orreryd really runs with: "sharing" or "stealing".
[[nodiscard]] std::string scheduler_policy();

/// An actor that asks many entities at once, again and again.
struct burst_shape {
  std::string policy;       ///< "sharing" or "stealing"
  std::size_t messages = 0; ///< a burst, each to an actor of its own that was not started before
  std::size_t bursts = 0;   ///< each when all of the last one were answered
  bool is_detached = true; ///< who asks has a thread of its own, as a partition; else a scheduler's
};

/// Runs it on a scheduler of at least two threads; gives the time from the first message to the
/// last answer, without the making of the actors. Blocks.
[[nodiscard]] std::chrono::nanoseconds run_burst(const burst_shape& shape);

/// One partition as orreryd runs it, without the API: log, reader, partition, entities, the
/// simulated hypervisor at 0 ms a verb, and the projections unless they are left out.
class bench_partition {
public:
  struct options {
    std::string directory; ///< holds `log`; `projections` is made in it
    bool with_projections = true;
    /// What the log says: its running VMs are the guests that the hypervisor finds.
    const domain::partition_state* folded = nullptr;
    /// Instead of the one in the directory, with its identity.
    std::shared_ptr<log::log> log = {};
    log::log_identity identity = {};
  };

  /// Opens, replays, claims, and waits until the hypervisor has asked after every guest. Blocks.
  /// Errors: those of the log and of the store.
  [[nodiscard]] static result<std::unique_ptr<bench_partition>> start(const options& wanted);

  /// Ends everything; what was submitted is answered or forgotten.
  ~bench_partition();
  bench_partition(const bench_partition&) = delete;
  bench_partition& operator=(const bench_partition&) = delete;

  /// Makes a command ready to be submitted, so that the making is not timed. `done` is called on
  /// the partition's thread with the reply's code (0: done) and the number of its record (0: none).
  [[nodiscard]] static std::shared_ptr<submission>
  prepare(v1::Command command, std::function<void(std::uint32_t code, std::uint64_t seq)> done);

  /// Sends it with the next number of this process, as the API does.
  void submit(std::shared_ptr<submission> what);

  /// Waits until the projections have folded the commit with that number; at once without them.
  void wait_for_projections(std::uint64_t seq);

  /// The epoch of the node's connection: observations must carry it.
  [[nodiscard]] std::uint64_t node_epoch() const;

private:
  struct parts;

  explicit bench_partition(std::unique_ptr<parts> made);

  std::unique_ptr<parts> x_parts;
};

} // namespace orrery::actors
