#pragma once

#include "actors/flow.hpp"
#include "actors/interfaces.hpp"
#include "events/log/log.hpp"

#include <atomic>
#include <memory>
#include <thread>

namespace orrery::actors {

/// The thread that reads one partition of the log from a record on and hands every record to the
/// partition's actor, in order: replay, tailing and read-back are the same thing.
class log_reader {
public:
  /// `handed` bounds the chunks that the partition has not folded yet, `projected` those that the
  /// projections have not.
  log_reader(std::shared_ptr<log::log> from, partition_number where, log::offset first,
             partition_actor to, std::shared_ptr<flow> handed, std::shared_ptr<flow> projected);
  log_reader(const log_reader&) = delete;
  log_reader& operator=(const log_reader&) = delete;

  /// Ends the thread.
  ~log_reader();

  /// Tells the thread to end and does not wait for it: who ends several readers tells all first.
  void stop();

private:
  void run();

  std::shared_ptr<log::log> x_log;
  partition_number x_where;
  log::offset x_next;
  partition_actor x_to;
  std::shared_ptr<flow> x_handed;
  std::shared_ptr<flow> x_projected;
  std::atomic<bool> x_stopping = false;
  std::thread x_thread;
};

} // namespace orrery::actors
