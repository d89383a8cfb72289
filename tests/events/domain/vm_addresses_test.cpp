#include "events/domain/network.hpp"
#include "events/domain/nic.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// Addresses beside a NIC's first, and networks for what is behind its guest.

namespace orrery::support {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

world world_with_dual_vm(std::uint32_t quarantine_seconds = 0) {
  auto at = founded_world();
  at.must(add_node());
  at.must(hello());
  at.must(add_network({.quarantine_seconds = quarantine_seconds, .prefix6 = "fd00:99::/64"}));
  at.must(place_vm());
  at.see(1, v1::VmObserved::RUNNING);
  return at;
}

/// "10.99.0.3 = fd00:99::3", "10.99.0.64/28 = fd00:99::40/124 leaving", in the order of their
/// gift.
std::vector<std::string> further_of(world& at, std::uint32_t number = 1) {
  std::vector<std::string> texts;
  for (const auto& one : at.find_vm(number)->nic.further)
    texts.push_back(domain::text_of(one.prefix) +
                    (one.has_prefix6() ? " = " + to_text(one.prefix6) : "") +
                    (one.is_leaving ? " leaving" : ""));
  return texts;
}

TEST(further_addresses, are_any_one_by_name_or_a_network_and_have_the_same_numbers_of_ipv6) {
  auto at = world_with_dual_vm();
  EXPECT_THAT(types_of(at.tell(add_addresses(1))),
              ElementsAre("network.address_assigned", "vm.addresses_added"));
  at.must(add_addresses(2, "10.99.0.20"));
  at.must(add_addresses(3, "10.99.0.64/28"));
  EXPECT_THAT(further_of(at),
              ElementsAre("10.99.0.3 = fd00:99::3/128", "10.99.0.20 = fd00:99::14/128",
                          "10.99.0.64/28 = fd00:99::40/124"));
  EXPECT_EQ(at.find_network()->subnets.front().taken.size(), 1U + 1 + 1 + 16);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(further_addresses, are_nobody_elses) {
  auto at = world_with_dual_vm();
  at.must(place_vm({.number = 2, .name = "b", .address = "10.99.0.70"}));
  at.must(add_addresses(1, "10.99.0.20"));
  at.must(add_addresses(2, "10.99.0.80/29"));
  expect_refused(at, add_addresses(3, "10.99.0.20"), error_code::conflict, "held by a VM");
  expect_refused(at, add_addresses(3, "10.99.0.2", 2), error_code::conflict, "held by a VM");
  expect_refused(at, add_addresses(3, "10.99.0.64/28"), error_code::conflict, "10.99.0.70");
  expect_refused(at, add_addresses(3, "10.99.0.84", 2), error_code::conflict, "held by a VM");
  expect_refused(at, place_vm({.number = 3, .name = "c", .address = "10.99.0.87"}),
                 error_code::conflict, "held by a VM");
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(further_addresses, are_within_the_network_and_no_guest_has_its_ends_or_its_gateway) {
  auto at = world_with_dual_vm();
  for (const std::string text : {"10.98.0.7", "10.98.0.16/28", "0.0.0.0", "0.0.0.0/28"})
    expect_refused(at, add_addresses(1, text), error_code::invalid_argument, "10.99.0.0/24");
  for (const std::string text :
       {"10.99.0.0", "10.99.0.1", "10.99.0.255", "10.99.0.0/28", "10.99.0.240/28"})
    expect_refused(at, add_addresses(1, text), error_code::invalid_argument, "not the first");
  for (const std::string text :
       {"10.99.0.64/33", "10.99.0.64/255", "10.99.0.65/28", "10.99.0.0/23", "10.99.0.0/1"})
    expect_refused(at, add_addresses(1, text), error_code::invalid_argument, "24 to 31 bits");
}

TEST(further_addresses, are_few) {
  auto at = world_with_dual_vm();
  for (std::uint32_t claim = 1; claim <= domain::further_addresses_max; ++claim)
    at.must(add_addresses(claim));
  expect_refused(at, add_addresses(100), error_code::limit_reached, "has 7 addresses");
  at.must(remove_addresses("10.99.0.3"));
  expect_refused(at, add_addresses(100), error_code::limit_reached, "has 7 addresses");
  at.must(note_port({1}));
  at.must(add_addresses(100));
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(further_addresses, go_when_the_port_is_without_them_and_not_before) {
  auto at = world_with_dual_vm();
  at.must(add_addresses(1, "10.99.0.20"));
  at.must(add_addresses(2, "10.99.0.64/28"));
  EXPECT_THAT(types_of(at.tell(note_port({1, 2}))), IsEmpty()) << "nobody asked that they go";
  EXPECT_THAT(types_of(at.tell(remove_addresses("10.99.0.20"))),
              ElementsAre("vm.addresses_removal_requested"));
  EXPECT_THAT(types_of(at.tell(remove_addresses("10.99.0.20"))), IsEmpty());
  EXPECT_THAT(further_of(at), ElementsAre("10.99.0.20 = fd00:99::14/128 leaving",
                                          "10.99.0.64/28 = fd00:99::40/124"));
  expect_refused(at, place_vm({.number = 2, .name = "b", .address = "10.99.0.20"}),
                 error_code::conflict, "held by a VM");
  EXPECT_THAT(types_of(at.tell(note_port({1, 2, 3}))),
              ElementsAre("vm.addresses_removed", "network.address_released"));
  EXPECT_THAT(further_of(at), ElementsAre("10.99.0.64/28 = fd00:99::40/124"));
  at.must(place_vm({.number = 2, .name = "b", .address = "10.99.0.20"}));
  at.must(remove_addresses("10.99.0.64/28"));
  at.must(note_port({2}));
  EXPECT_EQ(at.find_network()->subnets.front().taken.size(), 2U);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(further_addresses, rest_when_they_are_gone_if_the_network_says_so) {
  auto at = world_with_dual_vm(600);
  at.must(add_addresses(1, "10.99.0.64/28"));
  at.must(remove_addresses("10.99.0.64/28"));
  at.must(note_port({1}));
  expect_refused(at, add_addresses(2, "10.99.0.70"), error_code::conflict, "rests until");
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(further_addresses, believe_the_vms_own_node_in_its_newest_epoch_only) {
  auto at = world_with_dual_vm();
  at.must(add_addresses(1, "10.99.0.20"));
  at.must(remove_addresses("10.99.0.20"));
  EXPECT_THAT(types_of(at.tell(note_port({1}, 1, 0))), IsEmpty());
  auto others = note_port({1});
  domain::set(others.mutable_vm()->mutable_note_port()->mutable_node(), node(2));
  EXPECT_TRUE(is_refused(at.tell(others), error_code::conflict, {"another node"}));
  EXPECT_THAT(further_of(at), ElementsAre("10.99.0.20 = fd00:99::14/128 leaving"));
}

TEST(further_addresses, go_with_the_vm) {
  auto at = world_with_dual_vm();
  at.must(add_addresses(1, "10.99.0.20"));
  at.must(add_addresses(2, "10.99.0.64/28"));
  at.must(remove_addresses("10.99.0.20"));
  at.must(remove_vm());
  expect_refused(at, add_addresses(3), error_code::conflict, "being deleted");
  EXPECT_EQ(further_of(at).size(), 2U);
  EXPECT_THAT(types_of(at.see(1, v1::VmObserved::ABSENT)),
              ElementsAre("vm.removed", "vm.job_ended", "network.address_released",
                          "network.address_released", "network.address_released",
                          "cluster.vm_released"));
  EXPECT_TRUE(at.find_network()->addresses_of.empty());
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(further_addresses, that_a_vm_does_not_have_cannot_be_removed) {
  auto at = world_with_dual_vm();
  at.must(add_addresses(1, "10.99.0.64/28"));
  expect_refused(at, remove_addresses("10.99.0.64"), error_code::not_found, "no 10.99.0.64");
  expect_refused(at, remove_addresses("10.99.0.64/29"), error_code::not_found, "10.99.0.64/29");
  expect_refused(at, remove_addresses("10.99.0.64/200"), error_code::not_found, "10.99.0.64/200");
  expect_refused(at, remove_addresses("10.99.0.2"), error_code::conflict, "first address");
}

} // namespace
} // namespace orrery::support
