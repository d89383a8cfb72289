#include "events/domain/installation.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery::support {
namespace {

using testing::ElementsAre;

TEST(installation_refuses, everything_before_it_was_founded) {
  world at;
  EXPECT_TRUE(is_refused(at.tell(add_cluster()), error_code::not_found, {"not founded"}));
  EXPECT_TRUE(is_refused(at.tell(trust_clock()), error_code::not_found, {"not founded"}));
}

TEST(installation_refuses, to_be_founded_twice) {
  auto at = founded_world();
  EXPECT_TRUE(is_refused(at.tell(found()), error_code::already_exists, {"founded already"}));
}

TEST(installation_refuses, an_edition_that_there_is_not) {
  world at;
  for (const auto edition : {v1::EDITION_UNSPECIFIED, static_cast<v1::Edition>(99)})
    EXPECT_TRUE(is_refused(at.tell(found(edition)), error_code::invalid_argument, {"edition"}));
}

TEST(installation_refuses, an_empty_command) {
  auto at = founded_world();
  v1::Command empty;
  domain::set(empty.mutable_entity(), installation());
  empty.mutable_installation();
  EXPECT_TRUE(is_refused(at.tell(empty), error_code::invalid_argument, {"installation"}));
}

TEST(installation_refuses, a_cluster_name_that_is_no_name) {
  auto at = founded_world();
  const std::vector<std::string> names{
      "", "-", "1st", "Web", "a_b", "ends-", "a b", "a\xff", std::string(64, 'a')};
  for (const auto& name : names)
    EXPECT_TRUE(is_refused(at.tell(add_cluster({.number = 2, .name = name})),
                           error_code::invalid_argument, {"cluster", "is not a name", "a-z"}));
}

TEST(installation_refuses, a_cluster_name_that_is_taken) {
  auto at = founded_world();
  EXPECT_TRUE(is_refused(at.tell(add_cluster({.number = 2})), error_code::already_exists,
                         {"'c1'", "another name"}));
}

TEST(installation_refuses, a_cluster_id_that_is_taken_and_keeps_no_name_of_it) {
  auto at = founded_world();
  EXPECT_TRUE(leaves_nothing_behind(at, [&at] {
    EXPECT_TRUE(is_refused(at.tell(add_cluster({.number = 1, .name = "c2"})),
                           error_code::already_exists, {"cluster with that id"}));
  }));
}

TEST(installation_refuses, a_kind_that_there_is_not) {
  auto at = founded_world();
  for (const int kind : {0, 7, 99, -1})
    EXPECT_TRUE(
        is_refused(at.tell(add_cluster(
                       {.number = 2, .name = "c2", .kind = static_cast<v1::HypervisorKind>(kind)})),
                   error_code::invalid_argument, {"kind of hypervisor"}));
}

TEST(installation_refuses, a_kind_without_a_driver) {
  auto at = founded_world();
  EXPECT_TRUE(is_refused(at.tell(add_cluster({.number = 2, .name = "c2", .kind = v1::XEN})),
                         error_code::unsupported, {"no driver", "xen", "/v1/hypervisors"}));
}

TEST(installation_refuses, a_kind_that_its_edition_does_not_cover) {
  world at;
  at.must(found(v1::HOSTING));
  for (const auto kind : {v1::VMWARE, v1::HYPERV})
    EXPECT_TRUE(is_refused(at.tell(add_cluster({.kind = kind})), error_code::unsupported,
                           {"hosting", "single_cluster", "multi_cluster"}));
  for (const auto kind : {v1::SIMULATED, v1::KVM, v1::CONTAINER}) {
    const auto number = static_cast<std::uint32_t>(kind);
    at.must(add_cluster({.number = number, .name = "c" + std::to_string(number), .kind = kind}));
  }
}

TEST(installation_refuses, a_second_cluster_of_edition_single_cluster) {
  world at;
  at.must(found(v1::SINGLE_CLUSTER));
  at.must(add_cluster({.kind = v1::VMWARE}));
  EXPECT_TRUE(is_refused(at.tell(add_cluster({.number = 2, .name = "c2"})), error_code::unsupported,
                         {"single_cluster", "one cluster"}));
}

TEST(installation, names_a_cluster_and_makes_it_in_one_record) {
  world at;
  at.must(found());
  const auto told = at.tell(add_cluster());
  EXPECT_THAT(types_of(told), ElementsAre("installation.cluster_named", "cluster.created"));
  EXPECT_EQ(domain::from_proto(told.reply().entity()), cluster());
  EXPECT_FALSE(told.reply().has_job());
  ASSERT_NE(at.find_cluster(), nullptr);
  EXPECT_EQ(at.find_cluster()->name, "c1");
  EXPECT_EQ(at.find_cluster()->kind, v1::SIMULATED);
  EXPECT_EQ(*at.find_installation()->cluster_names.find("c1"), cluster());
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(installation, records_that_an_operator_trusts_the_clock) {
  auto at = founded_world();
  EXPECT_THAT(types_of(at.tell(trust_clock())), ElementsAre("installation.clock_trusted"));
}

TEST(installation, names_its_editions) {
  EXPECT_EQ(domain::name_of(v1::HOSTING), "hosting");
  EXPECT_EQ(domain::name_of(v1::SINGLE_CLUSTER), "single_cluster");
  EXPECT_EQ(domain::name_of(v1::MULTI_CLUSTER), "multi_cluster");
  EXPECT_EQ(domain::name_of(static_cast<v1::Edition>(99)), "none");
}

} // namespace
} // namespace orrery::support
