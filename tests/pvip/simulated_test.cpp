#include "pvip/apply/simulated_host_network.hpp"
#include "tests/pvip/ports.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

TEST(pvip_simulated, refuses_what_the_kernel_one_refuses) {
  const auto network = make_simulated_host_network("vp", [](const port&, auto) { return true; });
  port bad = port_number(1);
  bad.address = bad.gateway;
  const auto ensured = network->ensure(bad);
  ASSERT_FALSE(ensured);
  EXPECT_EQ(ensured.error().code, error_code::invalid_argument);
  const auto removed = network->remove("eth0");
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, error_code::invalid_argument);
}

TEST(pvip_simulated, a_port_that_was_not_made_cannot_answer) {
  const auto network = make_simulated_host_network("vp", [](const port&, auto) { return true; });
  const auto answer = network->answers_arp(port_number(1), 1s);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, error_code::not_found);
}

TEST(pvip_simulated, the_rule_answers_for_ports_that_exist) {
  const auto network =
      make_simulated_host_network("vp", [](const port& wanted, std::chrono::milliseconds patience) {
        return wanted.address == port_number(1).address && patience == 7ms;
      });
  ASSERT_TRUE(network->ensure(port_number(1)));
  ASSERT_TRUE(network->ensure(port_number(2)));
  EXPECT_TRUE(network->answers_arp(port_number(1), 7ms).value());
  EXPECT_FALSE(network->answers_arp(port_number(1), 8ms).value());
  EXPECT_FALSE(network->answers_arp(port_number(2), 7ms).value());
  ASSERT_TRUE(network->remove(port_number(1).link));
  EXPECT_FALSE(network->answers_arp(port_number(1), 7ms));
}

TEST(pvip_simulated, reconciles_to_what_is_wanted) {
  const auto network = make_simulated_host_network("vp", [](const port&, auto) { return true; });
  ASSERT_TRUE(network->ensure(port_number(7)));
  const auto report = network->reconcile(ports_up_to(3));
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_EQ(report->removed, 3U);
  EXPECT_FALSE(network->answers_arp(port_number(7), 1s));
  EXPECT_TRUE(network->answers_arp(port_number(2), 1s).value());
}

TEST(pvip_simulated, ports_that_contradict_each_other_give_way_to_what_is_wanted) {
  const auto network = make_simulated_host_network("vp", [](const port&, auto) { return true; });
  port other = port_number(1);
  other.link = port_number(2).link;
  ASSERT_TRUE(network->ensure(port_number(1)));
  ASSERT_TRUE(network->ensure(other));
  ASSERT_TRUE(network->reconcile({other}));
  EXPECT_FALSE(network->answers_arp(port_number(1), 1s));
  EXPECT_TRUE(network->answers_arp(other, 1s).value());
}

TEST(pvip_simulated, many_threads_may_use_it) {
  const auto network = make_simulated_host_network("vp", [](const port&, auto) { return true; });
  std::vector<std::thread> threads;
  for (std::uint16_t t = 0; t < 4; ++t) {
    threads.emplace_back([&network, t] {
      for (std::uint16_t n = 0; n < 25; ++n) {
        const port mine = port_number(static_cast<std::uint16_t>(t * 100 + n));
        EXPECT_TRUE(network->ensure(mine));
        EXPECT_TRUE(network->answers_arp(mine, 1s).value());
        EXPECT_TRUE(network->remove(mine.link));
      }
    });
  }
  for (std::thread& each : threads) {
    each.join();
  }
  const auto report = network->reconcile({});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->removed, 0U);
}

} // namespace
} // namespace orrery::pvip
