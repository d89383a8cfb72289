#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"
#include "events/log/history.hpp"
#include "events/log/log.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace orrery::log {

// Who may write to a partition, as a state machine without I/O: it makes records, is told what
// became of them, and reads every record of the log in order. The acceptance rule alone decides
// what counts; this class only keeps an owner honest.
//
//              make_claim            own claim accepted           make_commit
//   following ------------> claiming -----------------> owning  ------------->  owning, one in
//   flight
//       ^                      |  ^                      |  ^                      |          |
//       |  foreign claim       |  |                      |  +--- accepted and -----+          |
//       +----------------------+  |                      |       delivered                    |
//       +------------------------ | --- foreign claim ---+                                    |
//                                 +------------- in_doubt <---- fate unknown, or void --------+
//
// In doubt it writes nothing more in that epoch: it claims again, and reads what became of the
// record.

enum class standing : std::uint8_t {
  following, ///< reads only
  claiming,  ///< a claim is under way
  owning,    ///< may commit, one at a time
  in_doubt,  ///< must claim again before it writes
  halted,    ///< the log contradicts itself: never goes on
};

/// What a record read from the log means.
struct reading {
  enum class kind : std::uint8_t { claim, commit, nothing, halt };

  kind what = kind::nothing;
  bool ours = false;                 ///< claim: by this owner; commit: the one in flight
  std::string_view body;             ///< claim, commit: points into the record
  chain_head after;                  ///< claim, commit: the head after it
  std::optional<void_reason> reason; ///< nothing: why the record is void
  std::optional<error> alarm;        ///< halt: what a human must know
};

/// What a claim says besides what the rule reads.
struct claim_terms {
  std::string owner_name;    ///< display only
  std::string address;       ///< display only
  std::uint64_t process = 0; ///< as in heartbeats; 0 when nobody shares the log
  std::uint64_t nonce = 0;   ///< random, new for each claim: it is known by it, never by a name
  utc_time now;              ///< display only
};

/// The process that a claim's body names, as in its heartbeats; 0 when it names none.
[[nodiscard]] std::uint64_t claiming_process(std::string_view claim_body);

class owner {
public:
  owner(log_identity identity, partition_number where);

  /// Goes on behind the records that led to `from`.
  owner(log_identity identity, const chain_head& from);

  [[nodiscard]] standing stands() const { return x_standing; }

  [[nodiscard]] const chain_head& head() const { return x_history.head(); }

  /// True when a commit can be made now.
  [[nodiscard]] bool is_idle() const { return x_standing == standing::owning && !x_in_flight; }

  /// Accepted claims since the last accepted commit: 1 after a normal takeover; more mean that
  /// owners die on a command.
  [[nodiscard]] std::uint32_t claims_in_a_row() const { return x_claims_in_a_row; }

  [[nodiscard]] std::uint64_t void_count(void_reason reason) const {
    return x_history.void_count(reason);
  }

  /// A claim record to append. Allowed while following or in doubt.
  [[nodiscard]] std::string make_claim(claim_terms terms);

  /// A commit record with this body to append. Only when `is_idle`.
  [[nodiscard]] std::string make_commit(std::string_view body);

  /// What became of the record appended last (claim or commit).
  void on_appended(const append_outcome& outcome);

  /// The next record of the log, own ones too.
  [[nodiscard]] reading on_record(std::string_view bytes);

  /// True once the commit in flight was read back, accepted, and reported as delivered; then
  /// `release` it.
  [[nodiscard]] bool is_committed() const {
    return x_in_flight && x_in_flight->read_back && x_in_flight->delivered;
  }

  /// Forgets the committed record: the next one may be made.
  void release();

private:
  struct flight {
    std::uint64_t seq = 0;
    std::string bytes; ///< compared with what is read back: cheaper than hashing them again
    bool read_back = false;
    bool delivered = false;
  };

  reading on_claim(const accepted_claim& claim);
  reading on_commit(const accepted_commit& commit, std::string_view bytes);
  reading on_void(void_reason reason, std::string_view bytes);
  reading halt(error alarm);

  log_identity x_identity;
  history x_history;
  standing x_standing = standing::following;
  std::set<std::uint64_t> x_claim_nonces; ///< of claims whose fate is open
  std::optional<flight> x_in_flight;
  std::uint32_t x_claims_in_a_row = 0;
};

} // namespace orrery::log
