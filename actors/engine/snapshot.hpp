#pragma once

#include "events/domain/partition_state.hpp"
#include "events/log/history.hpp"
#include "events/log/log.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::actors {

/// What the log of one partition says up to an accepted commit: a start goes on from there.
struct partition_snapshot {
  partition_number where{};
  log::chain_head head;            ///< after that commit
  log::offset next = 0;            ///< of the first record behind it
  log::digest before{};            ///< the chain's hash before that commit
  std::uint64_t owner_process = 0; ///< of the claim in force, as the claim says it
  domain::partition_state state;
  std::vector<v1::Command> unacknowledged; ///< messages that others have not decided, in order

  /// The number of the commit; 0 for the beginning of the log.
  [[nodiscard]] std::uint64_t seq() const { return head.next - 1; }
};

/// Magic, fold version, installation, log, the members, and SHA-256 over all that.
[[nodiscard]] std::string encode_snapshot(const log::log_identity& identity,
                                          const partition_snapshot& snapshot);

/// Errors: `damaged` (cut, or another hash), `unknown_record` (another version of this program made
/// it), `log_cut` (of another log).
[[nodiscard]] result<partition_snapshot> decode_snapshot(std::string_view bytes,
                                                         const log::log_identity& identity);

} // namespace orrery::actors
