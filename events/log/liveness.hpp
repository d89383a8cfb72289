#pragma once

#include "events/core/id.hpp"

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace orrery::log {

// Who lives and who should own which partition, as a pure state machine: the product and the
// simulation run the same one. It decides liveness only. Whoever errs here claims too early or too
// late; what counts is decided by the acceptance rule (`history.hpp`).
//
// Each process posts a heartbeat every `heartbeat_period` to a board that all read
// (`transport.hpp`). The silence of another is counted in *own heartbeats that came back* without
// one of his between them, never in time: a board that stands still makes nobody suspect, and no
// clocks are compared.
//
//                  his heartbeat                        his heartbeat
//                ┌───────────────┐             ┌──────────────────────────────┐
//                ▼               │             ▼                              │
//   unknown ──> live, silence 0 ─┴─ … ─ live, silence 3 ──own came back──> suspect ──> forgotten

/// A process in one of its lives: a random number made at its start, never 0. The same machine
/// after a restart is another process.
enum class process_id : std::uint64_t {};

/// How often each process posts a heartbeat. Measured: 50 ms and four missed find a dead owner in
/// about 200 ms; 20 ms and three missed suspected a living one.
inline constexpr std::chrono::milliseconds heartbeat_period{50};

/// So many own heartbeats that came back without one of his make a process suspect.
inline constexpr std::uint32_t suspect_at = 4;

/// So many more after the connection to the board broke: 2 s. When a broker comes back, processes
/// find it again at different times (up to 0.4 s apart, by the client's back-off), and whoever
/// is first must not take the others for dead.
inline constexpr std::uint32_t reconnect_grace = 40;

/// So many make it forgotten: a minute. Longer than any pause after which it is of use to show it.
inline constexpr std::uint32_t forget_at = 1200;

/// So many own heartbeats without progress of an owner, while work waits for it, bar it from the
/// partition: 2 s, more than a commit takes on a busy machine.
inline constexpr std::uint32_t stuck_at = 40;

/// So many own heartbeats it stays barred: 30 s. Longer than it takes the next one to claim and
/// catch up, short enough that a machine that was only slow comes back into use.
inline constexpr std::uint32_t barred_for = 600;

/// How many processes are remembered. More than ever run; a board full of nonsense fills no memory.
inline constexpr std::size_t processes_max = 1024;

/// How far an owner has come: the sequence number of the last record of it that was accepted.
struct owned_partition {
  partition_number where{0};
  std::uint64_t seq = 0;

  friend bool operator==(const owned_partition&, const owned_partition&) = default;
};

/// What a process says of itself.
struct heartbeat {
  process_id process{0};
  std::uint64_t number = 0;           ///< dense from 1 in the life of the process
  std::string address;                ///< where its API is reached, `HOST:PORT`
  bool ready = false;                 ///< folds every partition, less than 1 s behind
  bool leaving = false;               ///< is about to end: others shall take over
  std::vector<owned_partition> owned; ///< ascending by partition

  friend bool operator==(const heartbeat&, const heartbeat&) = default;
};

/// When a partition's engine may claim: at most once a second, at growing distance while its epochs
/// stay short (two processes that take a partition from each other must not go on at full speed).
/// Pure: times are monotonic, from any beginning; randomness is passed in. One for each partition
/// and process.
class claim_pacer {
public:
  /// The least distance of two claims of one process for one partition.
  static constexpr std::chrono::milliseconds pause_min{1000};

  /// The largest, jitter aside: a partition whose owners do not last is looked at by a human.
  static constexpr std::chrono::milliseconds pause_max{8000};

  /// An epoch that ended sooner was short. Above `pause_max` and its jitter, so that two processes
  /// that alternate at the slowest pace do not speed up again.
  static constexpr std::chrono::milliseconds short_epoch{15'000};

  /// Whether a claim may go out now.
  [[nodiscard]] bool may_claim(std::chrono::milliseconds now) const { return now >= x_next; }

  /// When the next one may.
  [[nodiscard]] std::chrono::milliseconds next() const { return x_next; }

  /// A claim was sent. `random`: 64 random bits, of which the jitter is made (up to half a pause).
  void on_sent(std::chrono::milliseconds now, std::uint64_t random);

  /// The own claim was accepted: an own epoch began.
  void on_accepted(std::chrono::milliseconds now) { x_began = now; }

  /// The own epoch ended by the accepted claim of another. Should this process still be the one to
  /// own the partition, it claims after a pause.
  void on_deposed(std::chrono::milliseconds now, std::uint64_t random);

  /// The same, and this process agrees that the other one should own the partition: nobody is
  /// fought, so the next claim need not wait for it.
  void on_yielded() { x_began.reset(); }

  /// The own epoch ended by the owner's own will: the fate of a record is in doubt. It may claim at
  /// once, but for the distance to its last claim.
  void on_doubt(std::chrono::milliseconds now, std::uint64_t random);

private:
  void end_epoch(std::chrono::milliseconds now);
  [[nodiscard]] std::chrono::milliseconds after(std::chrono::milliseconds now,
                                                std::uint64_t random) const;

  std::chrono::milliseconds x_next = std::chrono::milliseconds::min();
  std::chrono::milliseconds x_pause = pause_min;
  std::chrono::milliseconds x_sent = std::chrono::milliseconds::min();
  std::optional<std::chrono::milliseconds> x_began;
};

/// What is known of a process.
struct known_process {
  heartbeat last;            ///< the newest of its heartbeats
  std::uint32_t silence = 0; ///< own heartbeats that came back since, beyond any grace
  std::uint32_t grace = 0;   ///< own heartbeats that will not be counted

  [[nodiscard]] bool is_live() const { return silence < suspect_at; }
};

/// The view of one process. Not for several threads at once.
class liveness {
public:
  /// `self`: the own process, not 0.
  explicit liveness(process_id self);

  /// A heartbeat was read from the board, own or another's. Those that were seen already, or are
  /// older than the newest one of the same process, change nothing.
  void on_heartbeat(const heartbeat& read);

  /// All silences to 0: after a pause of the own process.
  void restart_count();

  /// The connection to the board broke (`board::breaks` changed), told before what was read since
  /// then. All silences to 0, and `reconnect_grace` for everybody until his next heartbeat.
  void on_break();

  /// A claim of `where` by `by` was accepted, while following the log (not while old records are
  /// folded). Nobody shall take a partition from its new owner because of silences that were
  /// counted before: those below suspicion begin anew, and who claimed lives. One that is suspect
  /// stays so, or each accepted claim would delay the claims of the dead owner's other partitions.
  void on_claim(partition_number where, std::optional<process_id> by);

  /// Commands wait for `where`, whose owner by the log is `owner`. To be told again with each own
  /// heartbeat as long as they do. When the owner's `seq` did not grow for `stuck_at` own
  /// heartbeats that came back, it is barred: not chosen for this partition for `barred_for`, or
  /// until it has claimed again.
  void work_waits(partition_number where, process_id owner);

  /// Whether enough own heartbeats came back since the start (`suspect_at`) to know who lives.
  [[nodiscard]] bool is_settled() const { return x_own_came_back >= suspect_at; }

  /// Whether it is known and not suspect. The own process lives once a heartbeat of it came back.
  [[nodiscard]] bool is_live(process_id process) const;

  /// The newest thing known of a process, also of the own one; nullptr: unknown or forgotten.
  [[nodiscard]] const known_process* find(process_id process) const;

  /// All known processes but the own one, ascending.
  [[nodiscard]] std::vector<known_process> others() const;

  /// Who should own `where`, by rendezvous hashing over the processes that are live, ready and not
  /// leaving: nobody has to agree, and when one comes or goes only its share of the partitions
  /// moves. When one is barred for `where`, the own process takes its place: the work that waits is
  /// here, and the others may see no fault in it. Nothing: there is nobody.
  [[nodiscard]] std::optional<process_id> chosen(partition_number where) const;

  /// Whether that is the own process. False until `is_settled`.
  [[nodiscard]] bool should_own(partition_number where) const;

  /// What the engine of a partition asks in each of its steps while it is not the owner (or was
  /// and must claim again): shall I claim now?
  [[nodiscard]] bool shall_claim(partition_number where, const claim_pacer& pacer,
                                 std::chrono::milliseconds now) const {
    return should_own(where) && pacer.may_claim(now);
  }

private:
  /// Work that waits for an owner.
  struct wait {
    process_id owner{0};
    std::optional<std::uint64_t> seq; ///< the last one that it told
    std::uint32_t stood = 0;          ///< own heartbeats that came back since it grew
    std::uint32_t untold = 0;         ///< the same, since the wait was told again
  };

  struct bar {
    process_id process{0};
    std::uint32_t left = barred_for; ///< own heartbeats
  };

  [[nodiscard]] std::optional<process_id> best_of(partition_number where,
                                                  std::optional<process_id> but) const;
  [[nodiscard]] static bool may_own(const known_process& known);
  void count_own();
  void count_waits();
  [[nodiscard]] bool make_room();
  [[nodiscard]] std::optional<std::uint64_t> told_seq(process_id owner,
                                                      partition_number where) const;

  const process_id x_self;
  std::uint32_t x_own_came_back = 0; ///< up to `suspect_at`
  std::map<process_id, known_process> x_known;
  std::map<partition_number, wait> x_waits;
  std::map<partition_number, bar> x_barred;
};

/// The weight of a process for a partition in rendezvous hashing: the largest one is chosen. The
/// same for every process and version, for ever (mixed versions must agree).
[[nodiscard]] std::uint64_t rendezvous_weight(process_id process, partition_number where);

} // namespace orrery::log
