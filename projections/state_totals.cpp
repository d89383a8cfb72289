#include "projections/state_totals.hpp"

namespace orrery::projections {

namespace {

constexpr std::uint64_t one_more = 1;
constexpr std::uint64_t one_less = ~std::uint64_t{0}; // -1: sums of unsigned numbers wrap round

} // namespace

state_gauges& state_gauges::operator+=(const state_gauges& other) {
  for (std::size_t seen = 0; seen < observed_states; ++seen)
    for (std::size_t wanted = 0; wanted < desired_states; ++wanted)
      vms[seen][wanted] += other.vms[seen][wanted];
  nodes_registered += other.nodes_registered;
  nodes_connected += other.nodes_connected;
  nodes_unreachable += other.nodes_unreachable;
  vcpus_offered += other.vcpus_offered;
  vcpus_taken += other.vcpus_taken;
  memory_mib_offered += other.memory_mib_offered;
  memory_mib_taken += other.memory_mib_taken;
  jobs_running += other.jobs_running;
  return *this;
}

void state_totals::count(const domain::entity_state& state, std::uint64_t sign) {
  if (domain::job_of(state) != nullptr)
    x_gauges.jobs_running += sign;
  if (const auto* vm = std::get_if<domain::vm_state>(&state)) {
    const auto observed = static_cast<std::size_t>(vm->observed.state);
    if (observed < state_gauges::observed_states)
      x_gauges.vms[observed][static_cast<std::size_t>(vm->desired)] += sign;
  } else if (const auto* node = std::get_if<domain::node_state>(&state)) {
    if (node->connected)
      x_gauges.nodes_connected += sign;
    else
      (node->ever_connected ? x_gauges.nodes_unreachable : x_gauges.nodes_registered) += sign;
  } else if (const auto* cluster = std::get_if<domain::cluster_state>(&state)) {
    cluster->nodes.for_each([&](const uuid&, const domain::cluster_node& each) {
      if (each.connected) {
        x_gauges.vcpus_offered += sign * each.vcpus.count;
        x_gauges.memory_mib_offered += sign * each.memory.count;
      }
      x_gauges.vcpus_taken += sign * each.vcpus_taken.count;
      x_gauges.memory_mib_taken += sign * each.memory_taken.count;
    });
  }
}

void state_totals::add(const domain::entity_state& state) { count(state, one_more); }

void state_totals::apply(std::span<const domain::touched> changed) {
  for (const auto& one : changed) {
    if (one.before != nullptr)
      count(*one.before, one_less);
    if (one.after != nullptr)
      count(*one.after, one_more);
  }
}

} // namespace orrery::projections
