#pragma once

#include "events/core/id.hpp"
#include "events/core/safety.hpp"
#include "events/log/record_header.hpp"
#include "events/log/sha256.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace orrery::log {

// The acceptance rule: one pure function that every reader applies, over any totally ordered log.
// All safety rests on it; who claims decides liveness only.
//
// Reader state `(E, n, h)` is the current epoch, the next sequence number, the head hash. It starts
// at `(0, 1, H0)` with `H0 = SHA256("orrery-log-1" || installation id || partition || log id)`, log
// id random, made with the log:
//
//   (a record with another log id is void{foreign}; the lines below assume ours)
//   claim  r  accepted iff r.after_epoch == E
//             then E := n; h := SHA256(h || bytes(r)); n := n+1
//   commit r  accepted iff E > 0 and r.epoch == E and r.seq == n and r.prev_hash == h
//             then h := SHA256(h || bytes(r)); n := n+1
//   right epoch and seq, wrong prev_hash: never happens with a correct owner on an uncut log:
//             stop and alarm
//   else      void: skipped by every reader, counted by reason, never folded
//
// A reader stops at an *accepted* claim of a format that it does not know, so that old and new
// readers never differ on what is void.

/// Which log this is; kept with it (`log.meta`, or the configuration of Kafka).
struct log_identity {
  installation_id installation;
  log_id log;

  friend bool operator==(const log_identity&, const log_identity&) = default;
};

/// The reader's state `(E, n, h)`. Snapshots and projections store it.
struct chain_head {
  std::uint64_t epoch = 0; ///< E: number of the claim in force, 0 when there was none yet
  std::uint64_t next = 1;  ///< n: number of the next accepted record
  digest hash{};           ///< h: over every accepted record so far

  friend bool operator==(const chain_head&, const chain_head&) = default;
};

/// The state before the first record: `(0, 1, H0)`.
[[nodiscard]] chain_head first_head(const log_identity& identity, partition_number where);

/// The format of bodies that this version writes. It reads 1 to this one.
inline constexpr std::uint32_t body_format = 1;

/// Why a record counts for nothing.
enum class void_reason : std::uint8_t {
  foreign,      ///< of another log
  malformed,    ///< not a record at all
  old_epoch,    ///< a commit of a deposed owner: the rule at work
  future_epoch, ///< a commit of an epoch that no accepted claim began: a bug, or a cut log
  same_epoch,   ///< right epoch, but a number that its owner cannot mean: a bug alarm
  duplicate,    ///< right epoch, a number that is taken: delivered twice
  claim_stale,  ///< a claim after an epoch that is not the current one: another claim won
  no_epoch,     ///< a commit before the first claim
};

inline constexpr std::size_t void_reason_count = 8;

/// The stable snake_case name of a reason, as metrics and `orrery log verify` print it.
[[nodiscard]] std::string_view name_of(void_reason reason);

/// Why a reader must not go on.
enum class stop_reason : std::uint8_t {
  hash_mismatch,  ///< right epoch and number on another head: the log was cut, or an owner is wrong
  unknown_format, ///< an accepted claim announces bodies that this version cannot read: upgrade
};

[[nodiscard]] std::string_view name_of(stop_reason reason);

struct accepted_claim {
  claim_header header;
  std::string_view body; ///< points into the judged bytes
  chain_head after;      ///< `after.epoch` is the claim's own number
};

struct accepted_commit {
  commit_header header;
  std::string_view body; ///< points into the judged bytes
  chain_head after;
};

struct voided {
  void_reason reason = void_reason::malformed;
};

struct stopped {
  stop_reason reason = stop_reason::hash_mismatch;
};

using verdict = std::variant<accepted_claim, accepted_commit, voided, stopped>;

/// The lines of the rule, each of which carries its own part of the safety: the exhaustive test
/// takes out one after the other and must find a broken history. All on in the product.
struct rule_lines {
  bool after_epoch = safety::holds(safety::line::after_epoch); ///< claim: r.after_epoch == E
  bool claimed = safety::holds(safety::line::claimed);         ///< commit: E > 0
  bool epoch = safety::holds(safety::line::epoch);             ///< commit: r.epoch == E
  bool seq = safety::holds(safety::line::seq);                 ///< commit: r.seq == n
  bool prev_hash = safety::holds(safety::line::prev_hash);     ///< commit: r.prev_hash == h
};

/// Judges the next record of the log that `ours` belongs to. Pure and total: any bytes in.
[[nodiscard]] verdict judge(const log_id& ours, const chain_head& head, std::string_view record,
                            const rule_lines& lines = {});

/// A reader of one partition: folds the rule over its records and counts the void ones.
class history {
public:
  /// From the start of the log.
  history(const log_identity& identity, partition_number where);

  /// From a stored head (snapshot, projection).
  history(const log_id& ours, const chain_head& from);

  /// Judges the next record and moves on. After `stopped` the answer stays the same for ever.
  verdict take(std::string_view record);

  [[nodiscard]] const chain_head& head() const { return x_head; }

  [[nodiscard]] std::uint64_t void_count(void_reason reason) const {
    return x_voids[static_cast<std::size_t>(reason)];
  }

private:
  log_id x_ours;
  chain_head x_head;
  std::array<std::uint64_t, void_reason_count> x_voids{};
  std::optional<stopped> x_stopped;
};

} // namespace orrery::log
