#pragma once

#include "actors/engine/log_fold.hpp"
#include "projections/store.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace orrery::actors {

struct snapshot_keeper_birth {
  std::shared_ptr<log::log> log;
  log::log_identity identity;
  std::size_t partitions = 1;
  std::shared_ptr<projections::store> store;
  std::string directory;
  std::uint64_t interval = 1; ///< records from one to the next, at least 1
  /// Messages of a partition that others are known to have decided; nothing when it does not
  /// answer. May block for a moment.
  std::function<std::optional<std::map<partition_number, std::uint64_t>>(partition_number)>
      acknowledged;
};

/// Makes snapshots, on a thread of its own and with a fold of its own: it starts from the last one
/// and reads what came since, so no partition stands still for it. One partition at a time, since
/// each takes as much memory as that partition's state.
class snapshot_keeper {
public:
  /// `last`: the first records behind the snapshots that there are, by partition.
  snapshot_keeper(snapshot_keeper_birth birth, std::vector<log::offset> last);
  snapshot_keeper(const snapshot_keeper&) = delete;
  snapshot_keeper& operator=(const snapshot_keeper&) = delete;

  /// Gives up what is under way, and ends the thread.
  ~snapshot_keeper();

private:
  void run();
  void look_at(partition_number where);
  [[nodiscard]] result<void> make(partition_number where);
  [[nodiscard]] bool is_projected(partition_number where, std::uint64_t seq);

  const snapshot_keeper_birth x_birth;
  std::vector<log::offset> x_last;
  std::mutex x_guard;
  std::condition_variable x_changed;
  std::atomic<bool> x_is_stopping = false;
  std::thread x_thread;
};

} // namespace orrery::actors
