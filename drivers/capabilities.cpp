#include "drivers/capabilities.hpp"

#include "events/core/check.hpp"

#include <array>
#include <string>

namespace orrery::drivers {

namespace {

constexpr std::array kinds{hypervisor_kind::simulated, hypervisor_kind::kvm,
                           hypervisor_kind::xen,       hypervisor_kind::vmware,
                           hypervisor_kind::hyperv,    hypervisor_kind::container};

constexpr std::array capabilities{
    capability::linux_guest,           capability::windows_guest,
    capability::direct_kernel_boot,    capability::graceful_shutdown,
    capability::serial_console,        capability::network_pvip,
    capability::network_vlan,          capability::upstream_static,
    capability::upstream_bgp,          capability::upstream_ospf,
    capability::storage_nfs4,          capability::storage_san_driven,
    capability::storage_san_shared,    capability::storage_local,
    capability::storage_ceph,          capability::storage_distributed_other,
    capability::storage_smb,           capability::storage_san_other,
    capability::storage_vsphere_other,
};

struct row {
  capability what;
  support kvm;
  support xen;
  support vmware;
  support hyperv;
  support container;
};

constexpr support yes = support::yes;
constexpr support config = support::config;
constexpr support no = support::no;
constexpr support unknown = support::unknown;

// The hypervisor matrices, one row a capability. A "no" may become a "yes" when we build it, never
// the other way round. `simulated` reads the column of KVM, so that a demo admits what KVM admits.
// Rows that the matrices do not have: direct_kernel_boot, graceful_shutdown (VMware needs its tools
// in the guest, Hyper-V its integration services; a container's init must obey a signal, which
// nobody has tried) and serial_console (vSphere needs a serial port backed by a file or a
// connection; Hyper-V has only a named pipe inside the host, which WS-Management does not carry).
// clang-format off
constexpr std::array<row, capabilities.size()> table{{
    //                                       KVM     Xen     VMware   Hyper-V  containers
    {capability::linux_guest,               yes,    yes,    yes,     yes,     yes},
    {capability::windows_guest,             yes,    yes,    yes,     yes,     no},
    {capability::direct_kernel_boot,        yes,    yes,    no,      no,      no},
    {capability::graceful_shutdown,         yes,    yes,    config,  config,  unknown},
    {capability::serial_console,            yes,    yes,    config,  unknown, yes},
    {capability::network_pvip,              yes,    yes,    no,      no,      yes},
    {capability::network_vlan,              yes,    yes,    yes,     yes,     yes},
    {capability::upstream_static,           yes,    yes,    yes,     yes,     yes},
    {capability::upstream_bgp,              config, config, config,  config,  config},
    {capability::upstream_ospf,             config, config, config,  config,  config},
    {capability::storage_nfs4,              yes,    yes,    yes,     no,      yes},
    {capability::storage_san_driven,        yes,    yes,    yes,     no,      config},
    {capability::storage_san_shared,        yes,    yes,    no,      no,      config},
    {capability::storage_local,             yes,    yes,    no,      no,      yes},
    {capability::storage_ceph,              config, config, no,      no,      config},
    {capability::storage_distributed_other, config, config, no,      no,      no},
    {capability::storage_smb,               config, config, unknown, yes,     no},
    {capability::storage_san_other,         config, config, yes,     no,      config},
    {capability::storage_vsphere_other,     no,     no,     config,  no,      no},
}};

// clang-format on

constexpr bool in_enum_order() {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (static_cast<std::size_t>(table[i].what) != i || capabilities[i] != table[i].what)
      return false;
  return true;
}

static_assert(in_enum_order(), "the table is read by index");

using std::chrono::seconds;

// KVM: a boot under full emulation took up to 21 s on a loaded machine, so 120 s is six times the
// worst seen; libvirtd serves five calls of one client at once (max_client_requests), so four
// verbs leave one for questions.
constexpr kind_limits kvm_limits{.create_deadline = seconds(120),
                                 .start_deadline = seconds(120),
                                 .shutdown_deadline = seconds(120),
                                 .stop_deadline = seconds(60),
                                 .delete_deadline = seconds(120),
                                 .operations_max = 4};

// Nothing is waited for in a memory but a thread that sleeps 5 ms.
constexpr kind_limits simulated_limits{.create_deadline = seconds(120),
                                       .start_deadline = seconds(120),
                                       .shutdown_deadline = seconds(120),
                                       .stop_deadline = seconds(60),
                                       .delete_deadline = seconds(120),
                                       .operations_max = 64};

// Xen: the toolstack of one host works on one guest at a time for most of a start (11 to 21 s
// seen).
constexpr kind_limits xen_limits{.create_deadline = seconds(180),
                                 .start_deadline = seconds(180),
                                 .shutdown_deadline = seconds(180),
                                 .stop_deadline = seconds(90),
                                 .delete_deadline = seconds(180),
                                 .operations_max = 2};

// VMware: orchestration through vCenter is slower than on the node; it queues tasks by host itself.
constexpr kind_limits vmware_limits{.create_deadline = seconds(600),
                                    .start_deadline = seconds(600),
                                    .shutdown_deadline = seconds(300),
                                    .stop_deadline = seconds(300),
                                    .delete_deadline = seconds(600),
                                    .operations_max = 4};

// Hyper-V: many actions take ten to a hundred times as long as on KVM.
constexpr kind_limits hyperv_limits{.create_deadline = seconds(1800),
                                    .start_deadline = seconds(1200),
                                    .shutdown_deadline = seconds(900),
                                    .stop_deadline = seconds(600),
                                    .delete_deadline = seconds(1200),
                                    .operations_max = 2};

// Containers: a start was 0.44 s, there is no kernel to boot.
constexpr kind_limits container_limits{.create_deadline = seconds(60),
                                       .start_deadline = seconds(60),
                                       .shutdown_deadline = seconds(60),
                                       .stop_deadline = seconds(30),
                                       .delete_deadline = seconds(60),
                                       .operations_max = 4};

} // namespace

std::string_view name_of(hypervisor_kind kind) {
  switch (kind) {
  case hypervisor_kind::simulated:
    return "simulated";
  case hypervisor_kind::kvm:
    return "kvm";
  case hypervisor_kind::xen:
    return "xen";
  case hypervisor_kind::vmware:
    return "vmware";
  case hypervisor_kind::hyperv:
    return "hyperv";
  case hypervisor_kind::container:
    return "container";
  }
  return "unknown_kind";
}

std::string_view name_of(capability what) {
  switch (what) {
  case capability::linux_guest:
    return "linux_guest";
  case capability::windows_guest:
    return "windows_guest";
  case capability::direct_kernel_boot:
    return "direct_kernel_boot";
  case capability::graceful_shutdown:
    return "graceful_shutdown";
  case capability::serial_console:
    return "serial_console";
  case capability::network_pvip:
    return "network_pvip";
  case capability::network_vlan:
    return "network_vlan";
  case capability::upstream_static:
    return "upstream_static";
  case capability::upstream_bgp:
    return "upstream_bgp";
  case capability::upstream_ospf:
    return "upstream_ospf";
  case capability::storage_nfs4:
    return "storage_nfs4";
  case capability::storage_san_driven:
    return "storage_san_driven";
  case capability::storage_san_shared:
    return "storage_san_shared";
  case capability::storage_local:
    return "storage_local";
  case capability::storage_ceph:
    return "storage_ceph";
  case capability::storage_distributed_other:
    return "storage_distributed_other";
  case capability::storage_smb:
    return "storage_smb";
  case capability::storage_san_other:
    return "storage_san_other";
  case capability::storage_vsphere_other:
    return "storage_vsphere_other";
  }
  return "unknown_capability";
}

std::string_view name_of(support level) {
  switch (level) {
  case support::yes:
    return "yes";
  case support::config:
    return "config";
  case support::no:
    return "no";
  case support::unknown:
    return "unknown";
  }
  return "unknown";
}

result<hypervisor_kind> parse_kind(std::string_view text) {
  std::string names;
  for (const auto kind : kinds) {
    if (text == name_of(kind))
      return kind;
    names += names.empty() ? "" : ", ";
    names += name_of(kind);
  }
  return error{.code = error_code::invalid_argument,
               .text = "unknown kind of hypervisor; known are " + names,
               .retryable = false};
}

std::span<const hypervisor_kind> all_kinds() { return kinds; }

std::span<const capability> all_capabilities() { return capabilities; }

support supports(hypervisor_kind kind, capability what) {
  const auto index = static_cast<std::size_t>(what);
  ORRERY_CHECK(index < table.size());
  const row& cells = table[index];
  switch (kind) {
  case hypervisor_kind::simulated:
  case hypervisor_kind::kvm:
    return cells.kvm;
  case hypervisor_kind::xen:
    return cells.xen;
  case hypervisor_kind::vmware:
    return cells.vmware;
  case hypervisor_kind::hyperv:
    return cells.hyperv;
  case hypervisor_kind::container:
    return cells.container;
  }
  // A number from a record of a later version: refuse everything rather than guess.
  return support::no;
}

const kind_limits& limits_of(hypervisor_kind kind) {
  switch (kind) {
  case hypervisor_kind::simulated:
    return simulated_limits;
  case hypervisor_kind::kvm:
    return kvm_limits;
  case hypervisor_kind::xen:
    return xen_limits;
  case hypervisor_kind::vmware:
    return vmware_limits;
  case hypervisor_kind::hyperv:
    return hyperv_limits;
  case hypervisor_kind::container:
    return container_limits;
  }
  return kvm_limits;
}

} // namespace orrery::drivers
