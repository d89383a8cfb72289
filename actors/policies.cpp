#include "actors/policies.hpp"

#include "drivers/capabilities.hpp"

namespace orrery::actors {

domain::kind_policies make_policies() {
  using drivers::capability;
  domain::kind_policies made{};
  for (const auto kind : drivers::all_kinds()) {
    const auto has = [kind](capability what) {
      return drivers::supports(kind, what) == drivers::support::yes;
    };
    const auto can_have = [kind](capability what) {
      return drivers::supports(kind, what) != drivers::support::no;
    };
    const auto& limits = drivers::limits_of(kind);
    auto& policy = made[static_cast<std::size_t>(kind)];
    policy.name = drivers::name_of(kind);
    // What this version can drive; the other kinds come with their drivers.
    policy.driver_present =
        kind == drivers::hypervisor_kind::kvm || kind == drivers::hypervisor_kind::simulated;
    policy.network_pvip = has(capability::network_pvip);
    policy.upstream_arp = can_have(capability::upstream_static);
    policy.upstream_bgp = can_have(capability::upstream_bgp);
    policy.upstream_ospf = can_have(capability::upstream_ospf);
    policy.direct_kernel_boot = has(capability::direct_kernel_boot);
    policy.linux_guest = has(capability::linux_guest);
    policy.graceful_shutdown = has(capability::graceful_shutdown);
    policy.create_deadline = limits.create_deadline;
    policy.start_deadline = limits.start_deadline;
    policy.shutdown_deadline = limits.shutdown_deadline;
    policy.stop_deadline = limits.stop_deadline;
    policy.delete_deadline = limits.delete_deadline;
  }
  return made;
}

} // namespace orrery::actors
