#pragma once

#include "actors/config.hpp"
#include "events/core/error.hpp"
#include "events/log/history.hpp"
#include "events/log/log.hpp"
#include "events/log/transport.hpp"

#include <cstdint>
#include <memory>

namespace orrery::actors {

/// The log of this process, whichever engine it is on.
struct opened_log {
  std::shared_ptr<log::log> log;
  log::log_identity identity;
  std::uint64_t incarnation = 1;            ///< rises with a restore from a backup; Kafka has none
  std::size_t partitions = 1;               ///< 0 is the installation's, clusters share the others
  std::shared_ptr<log::transport> commands; ///< null for the embedded log, which nobody shares
  std::shared_ptr<log::board> heartbeats;   ///< the same
};

/// Partitions of an embedded log: the installation's, and as many as one machine folds side by
/// side.
inline constexpr std::size_t embedded_partitions = 5;

/// Opens the log that the configuration names. The embedded one is made when it is missing; one on
/// Kafka is made by `orrery log init`. Blocks up to a minute. Errors: those of the engine's `open`.
[[nodiscard]] result<opened_log> open_log(const config& settings);

} // namespace orrery::actors
