#include "pvip/apply/guest_services.hpp"
#include "pvip/apply/host_network.hpp"
#include "pvip/guest/guest_question.hpp"
#include "pvip/guest/neighbour_discovery.hpp"
#include "tests/pvip/apply_fixture.hpp"
#include "tests/pvip/dhcp_questions.hpp"
#include "tests/pvip/guest6_questions.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

/// Frames of IPv6 that come from the gateway until one is `last`, which is the last.
std::vector<std::vector<std::byte>> heard_until(asking_guest& guest,
                                                const std::vector<std::byte>& last) {
  std::vector<std::vector<std::byte>> heard;
  while (auto frame = guest.hear(long_patience)) {
    const auto read = read_ipv6(*frame);
    if (!read || read->source != gateway6) {
      continue;
    }
    heard.push_back(*std::move(frame));
    if (heard.back() == last) {
      return heard;
    }
  }
  ADD_FAILURE() << "it never came, but " << heard.size() << " others";
  return heard;
}

std::vector<std::byte> told_to_all(const port& of) { return router_advertisement(of, all_nodes); }

std::vector<std::byte> told_to_asker(const port& of) {
  return router_advertisement(of, guest6_link_local);
}

std::uint64_t counted(const std::map<std::string, guest_counts>& all, const port& of,
                      guest_service service, guest_outcome outcome) {
  return all.at(of.link)[static_cast<std::size_t>(service)][static_cast<std::size_t>(outcome)];
}

TEST_F(pvip_apply, a_guest_is_told_who_routes_when_its_port_changes_and_when_it_asks) {
  port mine = guest6();
  reconciled({mine});
  asking_guest guest(x_lab, mine.link);
  mine.mtu = 1300;
  ensured(mine);
  heard_until(guest, told_to_all(mine));
  // Nothing changes, nothing is told: what comes next is the answer.
  ensured(mine);
  reconciled({mine});
  guest.send(linux_asks_for_routers);
  EXPECT_EQ(heard_until(guest, told_to_asker(mine)).size(), 1U);
  mine.name_servers6.clear();
  reconciled({mine});
  EXPECT_EQ(heard_until(guest, told_to_all(mine)).size(), 1U);
}

TEST_F(pvip_apply, a_guest_is_told_who_routes_when_its_node_begins) {
  const port mine = guest6();
  reconciled({mine});
  asking_guest guest(x_lab, mine.link);
  SetUp();
  reconciled({mine});
  heard_until(guest, told_to_all(mine));
}

TEST_F(pvip_apply, a_guest_is_told_who_routes_again_and_again) {
  const port mine = guest6();
  const port other = port_number(2);
  reconciled({mine, other});
  asking_guest guest(x_lab, mine.link);
  asking_guest without(x_lab, other.link);
  const auto tell_often = [&]() -> result<std::unique_ptr<guest_services>> {
    auto services = guest_services::open(50ms);
    if (services) {
      (*services)->replace({mine, other});
    }
    return services;
  };
  const auto services = x_lab.inside().run(tell_often);
  ASSERT_TRUE(services) << services.error().text;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(heard_until(guest, told_to_all(mine)).size(), 1U);
  }
  while (const auto frame = without.hear(1ms)) {
    const auto read = read_ipv6(*frame);
    EXPECT_FALSE(read && read->source == gateway6) << "it has no IPv6";
  }
  const auto removed = [&]() -> result<void> {
    (*services)->replace({other});
    return {};
  };
  ASSERT_TRUE(x_lab.inside().run(removed));
  guest.send(linux_asks_for_routers); // answered by x_network alone
  heard_until(guest, told_to_asker(mine));
  while (const auto frame = guest.hear(200ms)) {
    EXPECT_NE(*frame, told_to_all(mine)) << "it is told still";
  }
}

TEST_F(pvip_apply, a_guest_has_its_ipv6_address_by_dhcp_and_each_question_is_counted) {
  const port mine = guest6();
  reconciled({mine});
  asking_guest guest(x_lab, mine.link);
  guest.send(dhcpcd_solicits);
  const auto answer = answer_guest(mine, guest_service::dhcp6, dhcpcd_solicits);
  heard_until(guest, answer.frame.value());
  auto spoiled = dhcpcd_solicits;
  spoiled.back() ^= std::byte{1};
  guest.send(spoiled);
  auto stolen = linux_asks_for_routers;
  stolen[11] = std::byte{2};
  guest.send(stolen);
  guest.send(linux_asks_whether_it_is_free);
  guest.send(linux_asks_for_routers);
  heard_until(guest, told_to_asker(mine));
  const auto all = x_network->guest_counts_of_ports();
  EXPECT_EQ(counted(all, mine, guest_service::dhcp6, guest_outcome::acknowledged), 1U);
  EXPECT_EQ(counted(all, mine, guest_service::dhcp6, guest_outcome::malformed), 1U);
  EXPECT_EQ(counted(all, mine, guest_service::router, guest_outcome::foreign), 1U);
  EXPECT_EQ(counted(all, mine, guest_service::neighbour, guest_outcome::nothing_due), 1U);
  EXPECT_EQ(counted(all, mine, guest_service::router, guest_outcome::answered), 1U);
}

TEST_F(pvip_apply, a_guest_without_an_ipv6_address_is_told_nothing_of_it) {
  const port mine = port_number(1);
  reconciled({mine});
  asking_guest guest(x_lab, mine.link);
  for (const auto& question : {linux_asks_for_routers, dhclient_solicits, dhcpcd_solicits}) {
    guest.send(question);
  }
  guest.send(asked_by(mine, question_of(mine, dhcp_type::discover)));
  while (const auto frame = guest.hear(long_patience)) {
    const auto read = read_ipv6(*frame);
    EXPECT_FALSE(read && read->source == gateway6);
    if (read_udp(*frame)) {
      break; // what came after them is answered
    }
  }
  const auto all = x_network->guest_counts_of_ports();
  for (const guest_service each :
       {guest_service::dhcp6, guest_service::router, guest_service::neighbour}) {
    EXPECT_EQ(all.at(mine.link)[static_cast<std::size_t>(each)], outcome_counts{});
  }
}

} // namespace
} // namespace orrery::pvip
