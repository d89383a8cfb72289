#include "pvip/apply/bird.hpp"
#include "pvip/apply/upstream_speaker.hpp"
#include "tests/pvip/net_lab.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace orrery::pvip {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A node whose routers are not there.
class pvip_speaker : public testing::Test {
protected:
  void SetUp() override {
    x_lab.ip("link add up0 type veth peer name up1");
    x_lab.ip("address add 192.0.2.11/24 dev up0");
    x_lab.ip("link set up0 up");
    x_lab.ip("link set up1 up");
    x_speaker = make_upstream_speaker(x_lab.name(), {.folder = x_folder + "/deep/bird"});
  }

  void TearDown() override {
    const auto ended = x_speaker->ensure("up0", std::optional<upstream>());
    EXPECT_EQ(ended.problem, "");
    std::filesystem::remove_all(x_folder);
  }

  static upstream bgp(const ip_address& router) {
    return routed_upstream{
        .own_address = {},
        .protocol = bgp_upstream{.as = 64'601,
                                 .neighbours = {{.address = router, .as = 64'512, .password = {}}}},
        .learns_default = false,
        .learned_within = {}};
  }

  static upstream ospf(bool with_ipv6) {
    return routed_upstream{
        .own_address = {},
        .protocol =
            ospf_upstream{.area = {}, .interface = "up0", .password = {}, .with_ipv6 = with_ipv6},
        .learns_default = false,
        .learned_within = {}};
  }

  router_standing standing(const std::string& uplink, upstream wanted) {
    return x_speaker->ensure(uplink, std::optional(std::move(wanted)));
  }

  net_lab x_lab;
  std::string x_folder = "/run/orrery-speaker-test-" + std::to_string(::getpid());
  std::unique_ptr<upstream_speaker> x_speaker;
};

TEST_F(pvip_speaker, it_speaks_from_the_uplinks_addresses_of_the_routers_family) {
  const ip_address router6 = parse_ipv6("2001:db8:f::1").value();
  EXPECT_TRUE(has(standing("nowhere0", bgp(router6)).problem, "no link nowhere0"));
  EXPECT_TRUE(has(standing("up1", bgp(router6)).problem, "has no IPv4 address"));
  EXPECT_TRUE(has(standing("up0", bgp(router6)).problem, "no IPv6 address beside its link-local"));
  x_lab.ip("address add 2001:db8:f::11/64 dev up0 nodad");
  const auto found = standing("up0", bgp(router6));
  EXPECT_EQ(found.problem, "");
  ASSERT_EQ(found.neighbours.size(), 1U);
  EXPECT_EQ(found.neighbours.front().address, router6);
  EXPECT_FALSE(found.neighbours.front().established);
}

TEST_F(pvip_speaker, sessions_go_on_and_are_told_while_there_is_a_problem) {
  const ip_address router = ipv4{0xc0000201U};
  ASSERT_EQ(standing("up0", bgp(router)).problem, "");
  const auto without_password = x_speaker->ensure(
      "up0", error{.code = error_code::not_found, .text = "there is no file rack-7"});
  EXPECT_EQ(without_password.problem, "there is no file rack-7");
  ASSERT_EQ(without_password.neighbours.size(), 1U);
  EXPECT_EQ(without_password.neighbours.front().address, router);
  const auto nowhere = standing("nowhere0", bgp(router));
  EXPECT_TRUE(has(nowhere.problem, "no link nowhere0"));
  EXPECT_EQ(nowhere.neighbours.size(), 1U);
}

TEST_F(pvip_speaker, one_of_before_is_ended_though_its_folder_is_gone) {
  ASSERT_EQ(standing("up0", bgp(ipv4{0xc0000201U})).problem, "");
  const bird_place place{.folder = x_folder + "/deep/bird"};
  EXPECT_TRUE(bird::is_there(place));
  std::filesystem::remove_all(x_folder);
  x_speaker = make_upstream_speaker(x_lab.name(), place); // and we began again
  EXPECT_EQ(x_speaker->ensure("", std::optional<upstream>()).problem, "");
  EXPECT_FALSE(bird::is_there(place));
}

TEST_F(pvip_speaker, without_bird_in_the_machine_nothing_is_missed_that_is_not_wished) {
  x_speaker = make_upstream_speaker(
      x_lab.name(), {.folder = x_folder, .program = "/no/such/bird", .user = "no-such"});
  EXPECT_EQ(x_speaker->ensure("", std::optional<upstream>()).problem, "");
  EXPECT_EQ(standing("up0", static_arp_upstream{"up0"}).problem, "");
  EXPECT_TRUE(has(standing("up0", ospf(false)).problem, "no group no-such"));
}

TEST_F(pvip_speaker, ospf_without_a_router_is_told_as_silence) {
  for (const bool with_ipv6 : {false, true}) {
    const auto found = standing("up0", ospf(with_ipv6));
    EXPECT_TRUE(found.neighbours.empty());
    EXPECT_TRUE(found.is_silence);
    EXPECT_TRUE(has(found.problem, "full neighbour in OSPF on up0")) << found.problem;
  }
}

TEST_F(pvip_speaker, arp_on_a_link_that_is_not_there_or_has_no_carrier_is_told) {
  EXPECT_EQ(standing("up0", static_arp_upstream{"up0"}).problem, "");
  EXPECT_TRUE(has(standing("up9", static_arp_upstream{"up9"}).problem, "no link up9"));
  x_lab.ip("link set up1 down");
  EXPECT_TRUE(has(standing("up0", static_arp_upstream{"up0"}).problem, "no carrier"));
  EXPECT_FALSE(std::filesystem::exists(x_folder)) << "no BIRD was ever wished";
}

} // namespace
} // namespace orrery::pvip
