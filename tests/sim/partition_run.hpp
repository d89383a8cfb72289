#pragma once

#include "actors/engine/engine.hpp"
#include "tests/sim/driven_cluster.hpp"

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace orrery::sim {

class process;

/// One partition in one process: what the product's partition actor is around its engine.
class partition_run final : public actors::engine_hands {
public:
  partition_run(process& in, partition_number where, bool is_shared);

  void begin();
  void on_stored(); ///< there is more to read
  void on_tick();
  void stop();

  /// A client's command, on this process's turn. `done` is called with the answer; or never, if
  /// the process dies.
  void submit(v1::Command command, std::function<void(const actors::command_reply&)> done);

  /// The number of the last record that was read and accepted.
  [[nodiscard]] std::uint64_t folded() const { return x_engine->status().seq; }

  [[nodiscard]] actors::engine& core() { return *x_engine; }

  [[nodiscard]] bool is_current() const { return x_is_current; }

  /// Whose decision somebody here waits for; 0: nobody's.
  [[nodiscard]] std::uint64_t waits_for() const { return x_waits_for; }

  [[nodiscard]] partition_number where() const { return x_where; }

  [[nodiscard]] process& in() { return x_in; }

  void append(std::uint64_t ticket, std::string record) override;
  void decide(std::vector<std::pair<uuid, actors::decide_request>> asked) override;
  void accepted(const projections::folded_commit& commit) override;
  void project(std::shared_ptr<const projections::folded_commit> commit) override;
  void owning(std::uint64_t epoch) override;
  void owning_ended() override;
  void carry(const v1::Command& command) override;

private:
  [[nodiscard]] actors::engine_birth birth(bool is_shared);
  [[nodiscard]] std::shared_ptr<actors::partition_snapshot> snapshot();
  void read();
  void start_cluster(const uuid& cluster, std::uint64_t epoch, bool with_world);

  process& x_in;
  const partition_number x_where;
  std::optional<actors::engine> x_engine;
  std::map<uuid, std::shared_ptr<driven_cluster>> x_clusters;
  std::vector<std::shared_ptr<driven_cluster>> x_ending; ///< until their turn to stop has come
  log::offset x_next = 0;
  bool x_is_reading = false;
  bool x_is_first = true;
  bool x_is_current = false;
  std::uint64_t x_waits_for = 0;
};

} // namespace orrery::sim
