#include "pvip/apply/arp.hpp"
#include "pvip/apply/arp_probe.hpp"
#include "tests/pvip/apply_fixture.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <unordered_set>
#include <vector>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

/// Gratuitous ARP that left the uplink until so many frames came.
std::vector<arp_frame> heard_at(const file_descriptor& wire, std::size_t count) {
  std::vector<arp_frame> frames;
  while (frames.size() < count) {
    pollfd ready{.fd = wire.number(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(long_patience).count())) !=
        1) {
      ADD_FAILURE() << "only " << frames.size() << " frames came";
      break;
    }
    std::array<std::byte, 256> bytes{};
    const auto size = ::recv(wire.number(), bytes.data(), bytes.size(), 0);
    if (const auto frame = read_arp(std::span<const std::byte>(bytes).first(
            static_cast<std::size_t>(std::max(size, 0L))))) {
      frames.push_back(*frame);
    }
  }
  return frames;
}

/// How many frames have come; they are taken.
int taken_from(const file_descriptor& wire) {
  int count = 0;
  std::array<std::byte, 256> bytes{};
  while (::recv(wire.number(), bytes.data(), bytes.size(), MSG_DONTWAIT) >= 0) {
    ++count;
  }
  return count;
}

class pvip_static_arp : public pvip_apply {
protected:
  void SetUp() override {
    pvip_apply::SetUp();
    x_lab.ip("link add up0 type veth peer name wire0");
    x_lab.ip("link set up0 up address 0a:00:00:00:00:99");
    x_lab.ip("link set wire0 up");
    x_told.arp_uplink = "up0";
  }

  [[nodiscard]] std::string answered_for() { return x_lab.ip("neigh show proxy"); }

  port x_told = port_number(1);
};

TEST_F(pvip_static_arp, a_guest_is_answered_for_by_an_entry_of_its_own_and_everybody_is_told) {
  auto wire = x_lab.inside().run([] { return open_arp_socket("wire0"); });
  ASSERT_TRUE(wire) << wire.error().text;
  ensured(x_told);
  EXPECT_TRUE(has(answered_for(), "10.99.0.11 dev up0 proxy proto 143")) << answered_for();
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv4/conf/up0/proxy_arp"), "0");
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv4/neigh/up0/proxy_delay"), "0");
  expect_right({x_told});
  const auto frames = heard_at(*wire, 3);
  ASSERT_EQ(frames.size(), 3U);
  const mac_address own{{0x0a, 0, 0, 0, 0, 0x99}};
  for (std::size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(frames[n], gratuitous_arp(own, x_told.address,
                                        n == 1 ? arp_operation::reply : arp_operation::request));
  }
  ensured(x_told); // nothing to do, nothing to tell
  EXPECT_EQ(taken_from(*wire), 0);
  x_told.announced = false;
  ensured(x_told);
  EXPECT_EQ(answered_for(), "");
  EXPECT_FALSE(has(x_lab.ip("route"), to_text(x_told.address)));
}

TEST_F(pvip_static_arp, of_ipv6_the_same_by_neighbour_discovery) {
  port told = port6_number(1);
  told.arp_uplink = "up0";
  told.more_addresses = {parse_ipv6("2001:db8:77::5").value()};
  const std::string address = to_text(*told.address6);
  ensured(told);
  const auto shown = [this] { return x_lab.ip("-6 neigh show proxy"); };
  EXPECT_TRUE(has(shown(), address + " dev up0 proxy proto 143")) << shown();
  EXPECT_TRUE(has(shown(), "2001:db8:77::5 dev up0 proxy proto 143")) << shown();
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv6/conf/up0/proxy_ndp"), "1");
  EXPECT_EQ(x_lab.setting("/proc/sys/net/ipv6/neigh/up0/proxy_delay"), "0");
  expect_right({told});
  x_lab.set("/proc/sys/net/ipv6/conf/up0/proxy_ndp", "0");
  expect_repaired({told}, "answer for " + address + " on up0 was not given at once");
  x_lab.set("/proc/sys/net/ipv6/neigh/up0/proxy_delay", "80");
  expect_repaired({told}, "was not given at once");
  x_lab.ip("-6 neigh del proxy " + address + " dev up0");
  expect_repaired({told}, "answer for " + address + " on up0 was missing");
  told.announced = false;
  ensured(told);
  EXPECT_EQ(shown(), "");
}

TEST_F(pvip_static_arp, what_went_is_told_no_more) {
  auto wire = x_lab.inside().run([] { return open_arp_socket("wire0"); });
  ASSERT_TRUE(wire) << wire.error().text;
  ensured(x_told);
  ASSERT_TRUE(x_network->remove(x_told.link));
  EXPECT_EQ(answered_for(), "");
  (void)taken_from(*wire);
  // Another's three come after all that the first one's would have.
  port next = port_number(2);
  next.arp_uplink = "up0";
  ensured(next);
  for (const arp_frame& frame : heard_at(*wire, 3)) {
    EXPECT_EQ(frame.sender, next.address);
  }
}

TEST_F(pvip_static_arp, drift_is_repaired_and_what_is_foreign_left) {
  x_lab.ip("neigh add proxy 10.99.0.200 dev up0 protocol static");
  ensured(x_told);
  x_lab.ip("neigh del proxy 10.99.0.11 dev up0");
  expect_repaired({x_told}, "answer for 10.99.0.11 on up0 was missing");
  x_lab.set("/proc/sys/net/ipv4/neigh/up0/proxy_delay", "80");
  expect_repaired({x_told}, "was not given at once");
  x_lab.ip("neigh add proxy 10.99.0.77 dev up0 protocol 143");
  expect_repaired({x_told}, "answer for 10.99.0.77 on up0 is wanted by nobody");
  const auto report = reconciled({});
  EXPECT_GT(report.removed, 0U);
  EXPECT_TRUE(has(answered_for(), "10.99.0.200"));
  EXPECT_FALSE(has(answered_for(), "10.99.0.11"));
}

TEST_F(pvip_static_arp, an_uplink_that_is_not_there_is_told_and_a_foreign_answer_too) {
  x_told.arp_uplink = "nowhere0";
  const auto nowhere = x_network->ensure(x_told);
  ASSERT_FALSE(nowhere);
  EXPECT_TRUE(has(nowhere.error().text, "nowhere0")) << nowhere.error().text;
  x_told.arp_uplink = "up0";
  x_lab.ip("neigh add proxy 10.99.0.11 dev up0 protocol static");
  const auto taken = x_network->ensure(x_told);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, error_code::already_exists) << taken.error().text;
}

TEST_F(pvip_static_arp, others_are_told_of_a_port_that_is_there_when_it_is_asked_for) {
  x_told.announced = false;
  reconciled({x_told});
  EXPECT_TRUE(x_network->announced().empty());
  ASSERT_TRUE(x_network->announce(x_told.link, true));
  EXPECT_EQ(x_network->announced(), std::unordered_set<std::string>{x_told.link});
  EXPECT_TRUE(has(answered_for(), "10.99.0.11 dev up0")) << answered_for();
  x_told.announced = true;
  expect_right({x_told});
  ASSERT_TRUE(x_network->announce(x_told.link, false));
  EXPECT_FALSE(has(x_lab.ip("route"), to_text(x_told.address)));
  EXPECT_EQ(answered_for(), "");
  const auto before = everything();
  ASSERT_TRUE(x_network->announce(port_number(2).link, true));
  EXPECT_EQ(everything(), before) << "nothing is made where there is no port";
}

TEST_F(pvip_static_arp, the_node_answers_where_it_is_said_whatever_a_port_says) {
  x_told.arp_uplink = "";
  reconciled({x_told});
  EXPECT_EQ(answered_for(), "");
  ASSERT_TRUE(x_network->answer_on("up0"));
  EXPECT_TRUE(has(answered_for(), "10.99.0.11 dev up0")) << answered_for();
  ensured(port_number(2));
  EXPECT_TRUE(has(answered_for(), "10.99.0.12 dev up0")) << "also one that came later";
  const auto nowhere = x_network->answer_on("nowhere0");
  ASSERT_FALSE(nowhere);
  EXPECT_TRUE(has(nowhere.error().text, "nowhere0")) << nowhere.error().text;
  ASSERT_TRUE(x_network->answer_on(""));
  EXPECT_EQ(answered_for(), "");
}

} // namespace
} // namespace orrery::pvip
