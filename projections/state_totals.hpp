#pragma once

#include "projections/folded_commit.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace orrery::projections {

/// How many of what there are in one partition; plain numbers for gauges.
struct state_gauges {
  static constexpr std::size_t observed_states = 6; ///< of `v1::VmObserved::State`
  static constexpr std::size_t desired_states = 3;  ///< of `domain::desired_state`

  /// VMs by what was seen last and what is wanted.
  std::array<std::array<std::uint64_t, desired_states>, observed_states> vms{};
  std::uint64_t nodes_registered = 0; ///< never reached so far
  std::uint64_t nodes_connected = 0;
  std::uint64_t nodes_unreachable = 0;
  std::uint64_t vcpus_offered = 0; ///< by nodes in sight
  std::uint64_t vcpus_taken = 0;
  std::uint64_t memory_mib_offered = 0; ///< by nodes in sight
  std::uint64_t memory_mib_taken = 0;
  std::uint64_t jobs_running = 0;

  state_gauges& operator+=(const state_gauges& other);

  friend bool operator==(const state_gauges&, const state_gauges&) = default;
};

/// Keeps the gauges of a partition up to date commit by commit, so that reading them costs nothing
/// however many VMs there are. Pure.
class state_totals {
public:
  /// Counts what a commit changed.
  void apply(std::span<const domain::touched> changed);

  /// Counts an entity that is there already (a state that was loaded, not folded).
  void add(const domain::entity_state& state);

  [[nodiscard]] const state_gauges& gauges() const { return x_gauges; }

private:
  void count(const domain::entity_state& state, std::uint64_t sign);

  state_gauges x_gauges;
};

} // namespace orrery::projections
