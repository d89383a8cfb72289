#include "events/domain/nic.hpp"
#include "events/domain/subnet.hpp"
#include "tests/support/builders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace orrery::support {
namespace {

using testing::HasSubstr;

domain::subnet_state subnet_of(std::string_view prefix, std::string_view gateway) {
  domain::subnet_state made;
  made.subnet = subnet();
  made.prefix = prefix_of(prefix);
  made.gateway = address_of(gateway);
  return made;
}

void expect_bad(const ipv4_prefix& prefix, std::string_view gateway, const std::string& words) {
  const auto checked = domain::check_subnet(prefix, address_of(gateway));
  ASSERT_FALSE(checked.has_value()) << to_text(prefix);
  EXPECT_EQ(checked.error().code, error_code::invalid_argument);
  EXPECT_THAT(checked.error().text, HasSubstr(words));
}

TEST(subnet_check, refuses_a_length_out_of_range) {
  for (const std::uint8_t length : std::initializer_list<std::uint8_t>{0, 15, 31, 32, 33, 255})
    expect_bad({address_of("10.0.0.0"), length}, "10.0.0.1", "/16 to /30");
}

TEST(subnet_check, refuses_host_bits) {
  expect_bad({address_of("10.0.0.1"), 24}, "10.0.0.2", "host bits");
}

TEST(subnet_check, refuses_a_gateway_that_is_no_host_of_it) {
  for (const auto* gateway : {"10.0.1.1", "10.0.0.0", "10.0.0.255"})
    expect_bad(prefix_of("10.0.0.0/24"), gateway, gateway);
}

TEST(subnet_check, refuses_what_no_guest_can_have) {
  const std::vector<std::array<std::string, 3>> bad{
      {"0.1.0.0/24", "0.1.0.1", "0.0.0.0/8 ('this network')"},
      {"127.0.0.0/24", "127.0.0.1", "127.0.0.0/8 (loopback)"},
      {"169.254.0.0/16", "169.254.0.1", "169.254.0.0/16 (link-local)"},
      {"224.0.0.0/24", "224.0.0.1", "224.0.0.0/4 (multicast)"},
      {"239.255.255.252/30", "239.255.255.253", "224.0.0.0/4 (multicast)"},
      {"255.255.255.0/24", "255.255.255.1", "240.0.0.0/4 (reserved and broadcast)"}};
  for (const auto& [prefix, gateway, words] : bad)
    expect_bad(prefix_of(prefix), gateway, words);
  expect_bad(prefix_of("127.0.0.0/24"), "127.0.0.1", "take a prefix of 10.0.0.0/8");
}

TEST(subnet_check, takes_what_stands_beside_those) {
  for (const auto* prefix : {"1.0.0.0/24", "126.255.255.0/24", "128.0.0.0/24", "169.253.255.0/24",
                             "169.255.0.0/24", "223.255.255.0/24", "100.64.0.0/16"}) {
    const auto wanted = prefix_of(prefix);
    EXPECT_TRUE(domain::check_subnet(wanted, ipv4{wanted.base.bits + 1})) << prefix;
  }
}

TEST(subnet_check, takes_the_largest_and_the_smallest) {
  EXPECT_TRUE(domain::check_subnet(prefix_of("10.0.0.0/16"), address_of("10.0.255.254")));
  EXPECT_TRUE(domain::check_subnet(prefix_of("10.0.0.0/30"), address_of("10.0.0.2")));
}

TEST(subnet, counts_all_but_network_broadcast_and_gateway) {
  EXPECT_EQ(domain::size_of(subnet_of("10.0.0.0/30", "10.0.0.1")), 1U);
  EXPECT_EQ(domain::size_of(subnet_of("10.0.0.0/24", "10.0.0.1")), 253U);
  EXPECT_EQ(domain::size_of(subnet_of("10.0.0.0/16", "10.0.0.1")), 65'533U);
}

TEST(subnet, gives_every_address_once_and_then_none) {
  auto at = subnet_of("10.0.0.0/28", "10.0.0.9");
  std::vector<std::string> given;
  for (std::uint32_t number = 1; number <= 13; ++number) {
    const auto next = domain::next_free(at, start_of_time());
    ASSERT_TRUE(next.has_value());
    given.push_back(to_text(*next));
    domain::give(at, domain::only(*next), nic(number));
  }
  EXPECT_THAT(given,
              testing::ElementsAre("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5",
                                   "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.10", "10.0.0.11",
                                   "10.0.0.12", "10.0.0.13", "10.0.0.14"));
  EXPECT_FALSE(domain::next_free(at, start_of_time()).has_value());
  domain::take_back(at, domain::only(address_of("10.0.0.4")), {});
  EXPECT_EQ(domain::next_free(at, start_of_time()), address_of("10.0.0.4"));
}

TEST(subnet, goes_on_behind_the_last_one_given) {
  auto at = subnet_of("10.0.0.0/29", "10.0.0.1");
  domain::give(at, domain::only(address_of("10.0.0.5")), nic(1));
  domain::take_back(at, domain::only(address_of("10.0.0.5")), {});
  EXPECT_EQ(domain::next_free(at, start_of_time()), address_of("10.0.0.6"));
  domain::give(at, domain::only(address_of("10.0.0.6")), nic(1));
  EXPECT_EQ(domain::next_free(at, start_of_time()), address_of("10.0.0.2")) << "round again";
}

TEST(subnet, gives_no_address_that_is_reserved) {
  auto at = subnet_of("10.0.0.0/28", "10.0.0.9");
  domain::reserve(at, {{address_of("10.0.0.8"), address_of("10.0.0.13")}, "printers"});
  domain::reserve(at, {{address_of("10.0.0.0"), address_of("10.0.0.3")}, ""});
  EXPECT_EQ(domain::reserved_size_of(at), 5U + 3U) << "without gateway and network";
  EXPECT_EQ(domain::range_around(at, address_of("10.0.0.8"))->note, "printers");
  EXPECT_EQ(domain::range_around(at, address_of("10.0.0.7")), nullptr);
  EXPECT_EQ(domain::range_around(at, address_of("10.0.0.14")), nullptr);
  std::vector<std::string> given;
  while (const auto next = domain::next_free(at, start_of_time())) {
    given.push_back(to_text(*next));
    domain::give(at, domain::only(*next), nic(static_cast<std::uint32_t>(given.size())));
  }
  EXPECT_THAT(given,
              testing::ElementsAre("10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.14"));
  domain::free(at, {address_of("10.0.0.8"), address_of("10.0.0.13")});
  EXPECT_EQ(domain::next_free(at, start_of_time()), address_of("10.0.0.8"));
}

TEST(subnet, counts_what_is_taken_of_the_reserved) {
  auto at = subnet_of("10.0.0.0/28", "10.0.0.1");
  domain::give(at, domain::only(address_of("10.0.0.5")), nic(1));
  domain::reserve(at, {{address_of("10.0.0.4"), address_of("10.0.0.6")}, ""});
  EXPECT_EQ(domain::reserved_size_of(at), 2U);
  domain::give(at, domain::only(address_of("10.0.0.6")), nic(2));
  EXPECT_EQ(domain::reserved_size_of(at), 1U);
  EXPECT_EQ(domain::next_free(at, start_of_time()), address_of("10.0.0.7"))
      << "a reserved one that was asked for moves nothing";
  domain::take_back(at, domain::only(address_of("10.0.0.5")), {});
  domain::take_back(at, domain::only(address_of("10.0.0.5")), {});
  EXPECT_EQ(domain::reserved_size_of(at), 2U);
  domain::free(at, {address_of("10.0.0.4"), address_of("10.0.0.6")});
  EXPECT_EQ(at.reserved_taken, 0U);
  EXPECT_EQ(domain::reserved_size_of(at), 0U);
}

TEST(subnet, lets_an_address_rest_until_its_time) {
  auto at = subnet_of("10.0.0.0/30", "10.0.0.1");
  const auto until = start_of_time() + std::chrono::seconds(60);
  domain::give(at, domain::only(address_of("10.0.0.2")), nic(1));
  domain::take_back(at, domain::only(address_of("10.0.0.2")), until);
  EXPECT_FALSE(domain::next_free(at, until - std::chrono::microseconds(1)));
  EXPECT_EQ(domain::next_rested(at, start_of_time()), until);
  EXPECT_EQ(domain::next_free(at, until), address_of("10.0.0.2"));
  domain::give(at, domain::only(address_of("10.0.0.2")), nic(2));
  EXPECT_FALSE(domain::next_rested(at, start_of_time()));
}

TEST(subnet, works_at_the_upper_end_of_all_addresses) {
  auto at = subnet_of("255.255.255.248/29", "255.255.255.249");
  domain::give(at, domain::only(address_of("255.255.255.254")), nic(1));
  EXPECT_EQ(domain::next_free(at, start_of_time()), address_of("255.255.255.250"));
}

} // namespace
} // namespace orrery::support
