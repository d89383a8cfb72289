#include "drivers/capabilities.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace orrery::drivers {
namespace {

// Written down a second time from the hypervisor matrices, in their own words and order, so that a
// slip in either place is seen.
constexpr const char* matrix = R"(
row                        KVM     Xen     VMware  Hyper-V containers
linux_guest                yes     yes     yes     yes     yes
windows_guest              yes     yes     yes     yes     no
direct_kernel_boot         yes     yes     no      no      no
graceful_shutdown          yes     yes     config  config  unknown
serial_console             yes     yes     config  unknown yes
network_pvip               yes     yes     no      no      yes
network_vlan               yes     yes     yes     yes     yes
upstream_static            yes     yes     yes     yes     yes
upstream_bgp               config  config  config  config  config
upstream_ospf              config  config  config  config  config
storage_nfs4               yes     yes     yes     no      yes
storage_san_driven         yes     yes     yes     no      config
storage_san_shared         yes     yes     no      no      config
storage_local              yes     yes     no      no      yes
storage_ceph               config  config  no      no      config
storage_distributed_other  config  config  no      no      no
storage_smb                config  config  unknown yes     no
storage_san_other          config  config  yes     no      config
storage_vsphere_other      no      no      config  no      no
)";

std::map<std::string, std::vector<std::string>> transcription() {
  std::istringstream lines(matrix);
  std::map<std::string, std::vector<std::string>> rows;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    if (!(words >> name) || name == "row")
      continue;
    for (std::string cell; words >> cell;)
      rows[name].push_back(cell);
  }
  return rows;
}

TEST(capabilities, an_unknown_kind_is_refused_and_the_known_ones_are_listed) {
  const auto parsed = parse_kind("esx");
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().code, error_code::invalid_argument);
  for (const auto kind : all_kinds())
    EXPECT_NE(parsed.error().text.find(name_of(kind)), std::string::npos) << name_of(kind);
}

TEST(capabilities, every_cell_is_as_in_the_matrix) {
  const auto rows = transcription();
  const std::vector columns{hypervisor_kind::kvm, hypervisor_kind::xen, hypervisor_kind::vmware,
                            hypervisor_kind::hyperv, hypervisor_kind::container};
  EXPECT_EQ(rows.size(), all_capabilities().size());
  for (const auto what : all_capabilities()) {
    const auto found = rows.find(std::string(name_of(what)));
    ASSERT_NE(found, rows.end()) << name_of(what);
    ASSERT_EQ(found->second.size(), columns.size()) << name_of(what);
    for (std::size_t i = 0; i < columns.size(); ++i)
      EXPECT_EQ(name_of(supports(columns[i], what)), found->second[i])
          << name_of(what) << " on " << name_of(columns[i]);
  }
}

TEST(capabilities, simulated_admits_what_kvm_admits) {
  for (const auto what : all_capabilities())
    EXPECT_EQ(supports(hypervisor_kind::simulated, what), supports(hypervisor_kind::kvm, what))
        << name_of(what);
}

TEST(capabilities, a_kind_of_a_later_version_can_do_nothing) {
  EXPECT_EQ(supports(static_cast<hypervisor_kind>(200), capability::linux_guest), support::no);
}

TEST(capabilities, every_kind_has_a_name_of_its_own_that_parses_back) {
  std::set<std::string_view> names;
  for (const auto kind : all_kinds()) {
    names.insert(name_of(kind));
    const auto parsed = parse_kind(name_of(kind));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(*parsed, kind);
  }
  EXPECT_EQ(names.size(), 6u);
}

TEST(capabilities, limits_grow_with_the_slowness_of_the_kind) {
  const auto& kvm = limits_of(hypervisor_kind::kvm);
  EXPECT_EQ(kvm.create_deadline, std::chrono::seconds(120));
  EXPECT_EQ(kvm.start_deadline, std::chrono::seconds(120));
  for (const auto slow : {hypervisor_kind::vmware, hypervisor_kind::hyperv}) {
    const auto& limits = limits_of(slow);
    EXPECT_GT(limits.create_deadline, kvm.create_deadline) << name_of(slow);
    EXPECT_GT(limits.start_deadline, kvm.start_deadline) << name_of(slow);
    EXPECT_GT(limits.shutdown_deadline, kvm.shutdown_deadline) << name_of(slow);
    EXPECT_GT(limits.stop_deadline, kvm.stop_deadline) << name_of(slow);
    EXPECT_GT(limits.delete_deadline, kvm.delete_deadline) << name_of(slow);
  }
  for (const auto kind : all_kinds())
    EXPECT_GE(limits_of(kind).operations_max, 1u) << name_of(kind);
}

} // namespace
} // namespace orrery::drivers
