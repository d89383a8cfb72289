#pragma once

#include "actors/hypervisors/driving.hpp"
#include "tests/sim/timeline.hpp"

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace orrery::sim {

class partition_run;

/// One cluster that a process drives: what the product's hypervisor actor is around its driving,
/// and its threads.
class driven_cluster final : public actors::driving_hands,
                             public std::enable_shared_from_this<driven_cluster> {
public:
  driven_cluster(partition_run& of, const uuid& cluster) : x_of(of), x_cluster(cluster) {}

  void begin();
  void on_world(std::vector<std::pair<uuid, domain::entity_ptr>> entities, std::uint64_t epoch);
  void on_changed(const uuid& entity, const domain::entity_ptr& state);
  void on_tick();
  void stop();

  [[nodiscard]] bool is_stopped() const { return x_is_stopped; }

  [[nodiscard]] std::unique_ptr<actors::bench> make_bench(std::size_t threads) override;
  [[nodiscard]] std::function<void(std::function<void()>)> poster() override;
  void send(v1::Command command) override;

private:
  /// Its turn, in order of asking.
  void then(std::function<void(actors::cluster_driving&)> act);

  partition_run& x_of;
  const uuid x_cluster;
  std::optional<actors::cluster_driving> x_core;
  micros x_stalled_until{0}; ///< its thread gets no time
  bool x_is_stopped = false;
};

} // namespace orrery::sim
