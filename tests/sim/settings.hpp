#pragma once

#include "events/core/error.hpp"
#include "events/log/faulty_log.hpp"
#include "tests/sim/timeline.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace orrery::sim {

/// What may go wrong, each on its own switch of `--faults`.
enum class fault : std::uint8_t {
  log,       ///< an append is refused, dropped, late, doubled, overtaken, its reply lost or late;
             ///< a read lags
  crash,     ///< a process dies, anywhere or between two steps of a write, and a new one starts
  pause,     ///< a process stands still, longer than it takes to be suspected
  cut,       ///< a process reaches neither log nor board nor transport
  clock,     ///< a process's wall clock jumps
  board,     ///< heartbeats are lost and doubled, the connection breaks
  transport, ///< commands are lost, doubled, delayed
  leave,     ///< a process ends in good order
  verb,      ///< a hypervisor's verb fails, takes long, is done though it failed or after it failed
  host,      ///< a host vanishes, with its guests or without, and returns
  guest,     ///< a guest ends by itself, by its host or by nobody's hand; a hint is lost
};

inline constexpr std::size_t fault_count = 11;

[[nodiscard]] std::string_view name_of(fault what);

/// How often each was seen to happen.
using fault_counts = std::array<std::uint64_t, fault_count>;

/// One simulation; the same settings give the same run.
struct settings {
  std::uint64_t seed = 1;
  std::uint64_t seconds = 120;  ///< simulated, with faults; then it must settle
  std::uint32_t vms = 20;       ///< about so many at a time
  std::uint32_t processes = 0;  ///< 0: 1 to 4, by the seed
  std::uint32_t partitions = 0; ///< 0: 1 to 3, by the seed
  /// Hosts refuse whoever has an older token than somebody before him, as node agents will. The
  /// drivers of today know that for each guest only, so that one who stood still can make a guest
  /// whose VM is gone (docs/plan.md).
  bool has_barrier = true;
  std::array<bool, fault_count> on{}; ///< by `fault`

  [[nodiscard]] bool has(fault what) const { return on[static_cast<std::size_t>(what)]; }
};

/// All faults on.
[[nodiscard]] settings with_all_faults(std::uint64_t seed);

/// "all", "none", or names with commas between. Errors: `invalid_argument`, which names them.
[[nodiscard]] result<void> set_faults(settings& of, std::string_view names);

/// The command line that runs it again.
[[nodiscard]] std::string command_line(const settings& of);

} // namespace orrery::sim
