#pragma once

#include "events/core/error.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

namespace orrery::drivers {

/// The kinds of hypervisor. Numbers are stored in the log: append only.
enum class hypervisor_kind : std::uint8_t {
  simulated = 1,
  kvm = 2,
  xen = 3,
  vmware = 4,
  hyperv = 5,
  container = 6,
};

/// One cell of the table: works, works once configured, is refused, or nobody knows.
enum class support : std::uint8_t { yes, config, no, unknown };

/// What a hypervisor may be asked for; a row of the table.
enum class capability : std::uint8_t {
  linux_guest,
  windows_guest,
  direct_kernel_boot,
  graceful_shutdown,
  serial_console,
  network_pvip,
  network_vlan,
  upstream_static,
  upstream_bgp,
  upstream_ospf,
  storage_nfs4,
  storage_san_driven,
  storage_san_shared,
  storage_local,
  storage_ceph,
  storage_distributed_other,
  storage_smb,
  storage_san_other,
  storage_vsphere_other,
};

/// Limits that belong to a kind, never to the system: a slow kind must not slow another one down.
struct kind_limits {
  std::chrono::seconds create_deadline;   ///< from request to reachable
  std::chrono::seconds start_deadline;    ///< from request to reachable
  std::chrono::seconds shutdown_deadline; ///< graceful
  std::chrono::seconds stop_deadline;     ///< pull the plug
  std::chrono::seconds delete_deadline;   ///< until the job gives up; cleaning goes on after it
  std::uint32_t operations_max;           ///< verbs under way at once on one node
};

[[nodiscard]] std::string_view name_of(hypervisor_kind kind);
[[nodiscard]] std::string_view name_of(capability what);
[[nodiscard]] std::string_view name_of(support level);

/// Errors: `invalid_argument`, listing the kinds.
[[nodiscard]] result<hypervisor_kind> parse_kind(std::string_view text);

[[nodiscard]] std::span<const hypervisor_kind> all_kinds();
[[nodiscard]] std::span<const capability> all_capabilities();

/// The cell of the table: the one place that knows what a hypervisor can do.
[[nodiscard]] support supports(hypervisor_kind kind, capability what);

[[nodiscard]] const kind_limits& limits_of(hypervisor_kind kind);

} // namespace orrery::drivers
