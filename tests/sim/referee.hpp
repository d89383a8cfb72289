#pragma once

#include "actors/engine/deciding.hpp"
#include "drivers/hypervisor.hpp"
#include "events/domain/partition_state.hpp"
#include "events/log/history.hpp"
#include "events/log/log.hpp"
#include "tests/sim/trace.hpp"
#include "tests/support/invariants.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace orrery::sim {

/// What a hypervisor was asked to do to a guest.
enum class deed : std::uint8_t { fence, define, start, shutdown, kill, undefine };

[[nodiscard]] std::string_view name_of(deed what);

/// A promise that was broken, and when.
struct broken_promise {
  std::string check;
  std::string text;
  std::uint64_t step = 0;
  micros at{0};
};

/// Reads every record of one partition as it is stored, and holds everything that anybody says or
/// does against it. Knows what really happened; nobody in the simulation asks it.
class referee {
public:
  referee(const log::log_identity& identity, partition_number where, const timeline& time);

  /// Whether a guest of this VM runs anywhere, to be asked when the VM was seen gone.
  void watch_guests(std::function<bool(const uuid& vm)> runs) { x_runs = std::move(runs); }

  /// Whether it changed a network or what networks hold.
  bool on_stored(const log::record& record);

  // What readers say.

  /// A process folded the commit `seq`, and then had this head.
  void on_folded(std::uint32_t process, std::uint64_t seq, const log::digest& head);
  void on_void(std::uint32_t process, std::string_view reason);
  void on_fatal(std::uint32_t process, const error& why);

  /// A process that has read up to `seq` has this state.
  void compare(std::uint32_t process, std::uint64_t seq, const domain::partition_state& state);

  /// A client was told this, by a process that has read up to `seq`.
  void on_answer(const v1::Command& asked, const actors::command_reply& said, std::uint64_t seq);

  /// A process has a hypervisor do something to a guest.
  void on_deed(std::uint32_t process, const uuid& node, deed what, const uuid& vm,
               generation_number generation, const drivers::fencing_token& token);

  /// A guest was started; perhaps long after it was asked for.
  void on_started(const uuid& vm, generation_number generation);

  /// Everything over the whole history; slow.
  void check_all();

  /// A promise is broken; only the first counts.
  void fail(std::string_view check, const std::string& text);

  [[nodiscard]] const std::optional<broken_promise>& broken() const { return x_broken; }

  [[nodiscard]] const domain::partition_state& state() const { return x_state; }

  [[nodiscard]] const log::chain_head& head() const { return x_history.head(); }

  [[nodiscard]] const support::commit_list& history() const { return x_commits; }

  [[nodiscard]] std::uint64_t checks() const { return x_checks; }

  [[nodiscard]] std::uint64_t commits() const { return x_commits.size(); }

  [[nodiscard]] std::uint64_t claims() const { return x_claims; }

  [[nodiscard]] std::uint64_t voids() const { return x_voids; }

  [[nodiscard]] std::uint64_t decisions() const { return x_commands.size(); }

private:
  /// What was wished for a VM so far, by accepted records.
  struct wishes {
    std::uint64_t start = 0; ///< the newest generation of each
    std::uint64_t shutdown = 0;
    std::uint64_t off = 0; ///< stop or removal
    bool removal = false;
    std::uint64_t stopped = 0; ///< the newest generation for which a job was told done
  };

  struct accepted {
    log::digest hash{};
    std::uint64_t epoch = 0;
    std::shared_ptr<const v1::CommitBody> body; ///< null: a claim
  };

  template <class Text> void check(bool holds, std::string_view check, Text text) {
    ++x_checks;
    if (!holds)
      fail(check, text());
  }

  void accept(std::string_view bytes, const log::chain_head& after,
              std::shared_ptr<const v1::CommitBody> body);
  void take_decision(const v1::Decision& decision, std::uint64_t seq);
  void check_repetition(const v1::Command& command, std::uint64_t seq);
  void take_event(const uuid& entity, const v1::Event& event);
  void check_connection(const uuid& entity, const v1::VmEvent& event);
  void check_time(const v1::CommitBody& body);

  const timeline& x_time;
  log::history x_history;
  domain::partition_state x_state;
  std::vector<accepted> x_accepted; ///< by number, from 1
  support::commit_list x_commits;
  std::unordered_set<std::size_t> x_bytes;  ///< hashes of accepted records
  std::map<uuid, std::uint64_t> x_commands; ///< and the record that has it
  std::set<std::pair<std::uint64_t, std::uint64_t>> x_origins;
  std::map<std::uint64_t, uuid> x_keys; ///< which command took effect under a client's key
  std::map<std::uint32_t, std::uint64_t> x_streams; ///< the last number taken, by source
  std::map<uuid, wishes> x_wishes;
  std::map<uuid, std::uint64_t> x_stops; ///< generation of a job that stops a guest, by job
  std::set<std::pair<uuid, std::uint64_t>> x_hellos; ///< node, epoch
  std::function<bool(const uuid&)> x_runs;
  utc_time x_last_time;
  bool x_has_changed_space = false; ///< by the record being taken
  std::uint64_t x_claims = 0;
  std::uint64_t x_voids = 0;
  std::uint64_t x_checks = 0;
  std::optional<broken_promise> x_broken;
};

/// The wall clock of a process whose clock is right.
[[nodiscard]] utc_time wall_clock(const timeline& time);

} // namespace orrery::sim
