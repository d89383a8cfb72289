#pragma once

#include "events/log/transport.hpp"

#include <cstdint>
#include <memory>

namespace orrery::log {

/// What several `memory_bus` share.
class memory_bus_store;

/// Where one of them reads on.
struct memory_bus_place;

/// `partitions`: from 0 on, 1 to 4,096.
[[nodiscard]] std::shared_ptr<memory_bus_store> make_memory_bus_store(std::uint16_t partitions);

/// Transport and board in memory: one participant of several in one process, for tests and
/// simulations. It loses nothing and repeats only what `listen` does. Without a thread of its own;
/// used by one thread with a patience of 0 it does the same each time. Commands that nobody will
/// ask for any more are forgotten.
class memory_bus final : public transport, public board {
public:
  /// The board is read from its end at this time on.
  explicit memory_bus(std::shared_ptr<memory_bus_store> shared);
  ~memory_bus() override;

  [[nodiscard]] result<void> send(partition_number where, std::string bytes) override;
  [[nodiscard]] result<void> listen(partition_number where) override;
  void ignore(partition_number where) override;
  [[nodiscard]] result<std::vector<carried>> receive(std::chrono::milliseconds patience) override;
  [[nodiscard]] result<void> post(std::string bytes) override;
  [[nodiscard]] result<std::vector<std::string>> read(std::chrono::milliseconds patience) override;
  [[nodiscard]] std::uint64_t breaks() const override;

  /// Cuts this participant off, or joins it again, as a network does: meanwhile what it sends is
  /// lost, and it receives nothing until it is joined. Each cut is one of `breaks`.
  void cut(bool is_cut);

private:
  std::shared_ptr<memory_bus_store> x_store;
  std::unique_ptr<memory_bus_place> x_place;
};

} // namespace orrery::log
