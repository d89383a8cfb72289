#pragma once

#include "events/log/log.hpp"

#include <memory>

namespace orrery::log {

/// What a memory log holds; outlives the log object, so that a test can "restart" on it.
class memory_store;

[[nodiscard]] std::shared_ptr<memory_store> make_memory_store();

/// A log in memory, for tests and simulations: the same contract, nothing survives the process.
class memory_log final : public log {
public:
  /// On a fresh store, or on what another memory log (already destroyed) left.
  explicit memory_log(std::shared_ptr<memory_store> store = make_memory_store());
  ~memory_log() override;

  void append(partition_number where, std::string bytes,
              std::function<void(const append_outcome&)> done) override;
  [[nodiscard]] result<std::vector<record>> read(partition_number where, offset from,
                                                 std::size_t bytes_max,
                                                 std::chrono::milliseconds patience) override;
  [[nodiscard]] result<offset> end(partition_number where) override;

private:
  class writer;

  std::shared_ptr<memory_store> x_store;
  std::unique_ptr<writer> x_writer;
};

} // namespace orrery::log
