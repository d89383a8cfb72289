#include "pvip/guest/guest_question.hpp"
#include "tests/pvip/dhcp_questions.hpp"
#include "tests/pvip/guest6_questions.hpp"

#include <gtest/gtest.h>

#include <set>
#include <span>
#include <string_view>

namespace orrery::pvip {
namespace {

TEST(pvip_guest_question, a_frame_is_for_the_service_that_answers_it) {
  const auto discover = asked_by(guest6(), question_of(guest6(), dhcp_type::discover));
  EXPECT_EQ(service_of(discover), guest_service::dhcp);
  EXPECT_EQ(service_of(dhcpcd_solicits), guest_service::dhcp6);
  EXPECT_EQ(service_of(linux_asks_for_routers), guest_service::router);
  EXPECT_EQ(service_of(linux_asks_whether_it_is_free), guest_service::neighbour);
  const auto outcome_of = [](const std::vector<std::byte>& frame) {
    return answer_guest(guest6(), service_of(frame).value(), frame).outcome;
  };
  EXPECT_EQ(outcome_of(discover), guest_outcome::offered);
  EXPECT_EQ(outcome_of(dhcpcd_solicits), guest_outcome::acknowledged);
  EXPECT_EQ(outcome_of(linux_asks_for_routers), guest_outcome::answered);
  EXPECT_EQ(outcome_of(linux_asks_whether_it_is_free), guest_outcome::nothing_due);
}

TEST(pvip_guest_question, other_frames_are_for_none) {
  auto advertisement = linux_asks_for_routers;
  advertisement[54] = std::byte{134};
  EXPECT_FALSE(service_of(advertisement));
  auto tcp = linux_asks_for_routers;
  tcp[20] = std::byte{6};
  EXPECT_FALSE(service_of(tcp));
  auto arp = linux_asks_for_routers;
  arp[12] = std::byte{8};
  arp[13] = std::byte{6};
  EXPECT_FALSE(service_of(arp));
  for (std::size_t length = 0; length <= 54; ++length) {
    EXPECT_FALSE(service_of(std::span(dhcpcd_solicits).first(length))) << length;
  }
}

TEST(pvip_guest_question, a_port_without_an_ipv6_address_has_dhcp_for_ipv4_alone) {
  for (const guest_service each : all_guest_services) {
    EXPECT_TRUE(has_service(guest6(), each));
    EXPECT_EQ(has_service(port_number(1), each), each == guest_service::dhcp);
  }
}

TEST(pvip_guest_question, services_and_outcomes_have_names_of_their_own) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < all_guest_services.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(all_guest_services[i]), i);
    names.insert(name_of(all_guest_services[i]));
  }
  EXPECT_EQ(names.size(), all_guest_services.size());
}

} // namespace
} // namespace orrery::pvip
