#pragma once

#include "drivers/hypervisor.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace orrery::drivers {

/// The changing verbs of the simulated hypervisor, as data, so that one under way survives its
/// caller. The numbers are stored in the files of a durable world: append only.
enum class simulated_change : std::uint8_t {
  none = 0,
  define = 1,
  start = 2,
  shutdown = 3,
  kill = 4,
  undefine = 5,
  fence = 6,
};

/// What a guest will do by itself. The numbers are stored like those above.
enum class simulated_fate : std::uint8_t {
  none = 0,
  power_off = 1, ///< it obeys a graceful shutdown
  crash = 2,     ///< its image crashes
};

/// A change under way: it happens at `due`, whatever becomes of the process that asked for it.
struct simulated_operation {
  simulated_change what = simulated_change::none;
  generation_number generation{};
  fencing_token token{};
  guest_spec spec{}; ///< of `define`
  std::chrono::system_clock::time_point due{};
};

/// One guest of a simulated world.
struct simulated_guest {
  /// False while its first `define` is under way; and when it is gone from a durable world, where
  /// its token stays, so that nobody who was deposed makes it again.
  bool defined = false;
  guest_condition condition = guest_condition::absent;
  stop_cause cause = stop_cause::none;
  simulated_fate fate = simulated_fate::none; ///< of a running guest; blocks nobody
  guest_spec spec{};
  generation_number generation{};
  fencing_token token{};
  std::uint64_t boot_count = 0; ///< how often it was really started
  /// A job of the hypervisor, behind which other changes wait; null for none, as mostly.
  std::shared_ptr<const simulated_operation> pending{};
  std::chrono::system_clock::time_point fate_due{};
};

/// One guest as text, one field a line: what a durable world keeps in one file.
[[nodiscard]] std::string to_text(vm_id vm, const simulated_guest& guest);

/// Parses what `to_text` wrote. Errors: `damaged`, naming the field.
[[nodiscard]] result<std::pair<vm_id, simulated_guest>>
parse_simulated_guest(std::string_view text);

/// The folder of a durable world. Each file is written beside its place and renamed, so a process
/// killed at any moment leaves the old or the new one; it is not synced, since a simulated node
/// need not survive a power cut. Blocks for the disk.
class simulated_store {
public:
  /// How long the token of a guest that is gone is kept: longer than anybody who was deposed may
  /// stand still and then go on.
  static constexpr std::chrono::hours gone_kept{1};

  explicit simulated_store(std::filesystem::path directory);
  simulated_store(const simulated_store&) = delete;
  simulated_store& operator=(const simulated_store&) = delete;
  ~simulated_store();

  /// Waits until no other process has its turn; how often the folder was changed so far. It must
  /// have been loaded once.
  [[nodiscard]] std::uint64_t begin_turn();

  /// To be told, with a higher number, before the folder is changed. Errors: `io_failed`.
  [[nodiscard]] result<void> note(std::uint64_t changes) const;

  void end_turn();

  /// Makes the folder, reads every guest, forgets those that are gone for `gone_kept`. Errors:
  /// `damaged` (naming the file), `io_failed`.
  [[nodiscard]] result<std::vector<std::pair<vm_id, simulated_guest>>> load();

  /// Errors: `io_failed`.
  [[nodiscard]] result<void> write(vm_id vm, const simulated_guest& guest) const;

  /// Nothing there: done. Errors: `io_failed`.
  [[nodiscard]] result<void> remove(vm_id vm) const;

private:
  std::filesystem::path x_directory;
  int x_turns = -1; ///< the file whose lock is the turn
};

} // namespace orrery::drivers
