#include "tests/pvip/apply_fixture.hpp"
#include "tests/pvip/dhcp_questions.hpp"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

TEST_F(pvip_apply, nobody_answers_on_a_link_without_a_guest) {
  ensured(port_number(1));
  const auto answer = x_network->answers_arp(port_number(1), 300ms);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_FALSE(*answer);
}

TEST_F(pvip_apply, a_link_that_does_not_exist_is_said_by_the_question) {
  const auto answer = x_network->answers_arp(port_number(1), 300ms);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, error_code::not_found);
}

TEST_F(pvip_apply, an_impostor_is_not_the_guest) {
  const port wanted = port_number(1);
  ensured(wanted);
  const arp_guest impostor(x_lab, wanted.link, port_number(2).mac, wanted.address);
  const auto answer = x_network->answers_arp(wanted, 600ms);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_FALSE(*answer);
  EXPECT_GE(impostor.questions(), 2); // it was asked, again and again, and its answers were refused
}

TEST_F(pvip_apply, the_guest_answers) {
  const port wanted = port_number(1);
  ensured(wanted);
  const arp_guest guest(x_lab, wanted.link, wanted.mac, wanted.address);
  const auto answer = x_network->answers_arp(wanted, long_patience);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_TRUE(*answer);
}

TEST_F(pvip_apply, a_guest_that_comes_later_is_waited_for_and_holds_up_nobody) {
  const port slow = port_number(1);
  const port quick = port_number(2);
  ensured(slow);
  auto answer =
      std::async(std::launch::async, [&] { return x_network->answers_arp(slow, long_patience); });
  ensured(quick); // while the other waits
  const arp_guest quick_guest(x_lab, quick.link, quick.mac, quick.address);
  EXPECT_TRUE(x_network->answers_arp(quick, long_patience).value());
  EXPECT_EQ(answer.wait_for(0s), std::future_status::timeout);
  const arp_guest slow_guest(x_lab, slow.link, slow.mac, slow.address);
  const auto came = answer.get();
  ASSERT_TRUE(came) << came.error().text;
  EXPECT_TRUE(*came);
}

TEST_F(pvip_apply, a_question_outlives_the_tap_being_made_anew) {
  const port wanted = port_number(1);
  ensured(wanted);
  auto answer =
      std::async(std::launch::async, [&] { return x_network->answers_arp(wanted, long_patience); });
  x_lab.ip("link del dev " + wanted.link);
  ensured(wanted);
  const arp_guest guest(x_lab, wanted.link, wanted.mac, wanted.address);
  const auto came = answer.get();
  // Only when the first question was asked before the tap went is there something to outlive.
  if (came) {
    EXPECT_TRUE(*came);
  } else {
    EXPECT_EQ(came.error().code, error_code::not_found);
  }
}

TEST_F(pvip_apply, a_running_guest_is_not_cut_off_by_repairs) {
  const port wanted = port_number(1);
  reconciled({wanted});
  const std::string index = index_of(wanted.link);
  const arp_guest guest(x_lab, wanted.link, wanted.mac, wanted.address);
  x_lab.ip("link set dev " + wanted.link + " address fe:01:02:03:04:05");
  x_lab.ip("link set dev " + wanted.link + " alias somebody");
  x_lab.ip("route del " + to_text(wanted.address));
  port other_owner = wanted;
  other_owner.tap_owner_uid = 1; // the kernel changes it only while nobody holds the tap
  const auto report = reconciled({other_owner});
  EXPECT_TRUE(std::ranges::any_of(
      report.drift, [](const auto& s) { return has(s, "put off while a guest holds it"); }));
  EXPECT_EQ(index_of(wanted.link), index);
  EXPECT_TRUE(has(x_lab.ip("-o link show dev " + wanted.link), "LOWER_UP"));
  const auto answer = x_network->answers_arp(wanted, long_patience);
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_TRUE(*answer);
}

TEST_F(pvip_apply, each_guest_is_answered_by_what_its_own_port_says) {
  port told = port_number(1);
  told.mtu = 1400;
  reconciled({told, port_number(2)});
  asking_guest first(x_lab, told.link);
  asking_guest second(x_lab, port_number(2).link);
  const auto expect_offer = [](asking_guest& guest, const port& of) {
    const auto offer = guest.ask(asked_by(of, question_of(of, dhcp_type::discover)), long_patience);
    ASSERT_TRUE(offer);
    EXPECT_EQ(offer->offered, of.address);
    EXPECT_EQ(offer->options.at(dhcp_option::mtu), bytes_of({of.mtu >> 8, of.mtu & 0xff}));
  };
  expect_offer(first, told);
  expect_offer(second, port_number(2));
  told.mtu = 1300;
  ensured(told); // what is told changes, the tap stays
  expect_offer(first, told);
  EXPECT_EQ(x_network->guest_counts_of_ports().at(told.link)[0][0], 2U);
  EXPECT_EQ(x_network->guest_counts_of_ports().at(port_number(2).link)[0][0], 1U);
}

TEST_F(pvip_apply, a_guest_is_answered_on_a_tap_that_was_made_again) {
  const port mine = port_number(1);
  const auto question = asked_by(mine, question_of(mine, dhcp_type::discover));
  ensured(mine);
  EXPECT_TRUE(asking_guest(x_lab, mine.link).ask(question, long_patience));
  x_lab.ip("link delete " + mine.link);
  reconciled({mine});
  EXPECT_TRUE(asking_guest(x_lab, mine.link).ask(question, long_patience));
  x_lab.ip("link delete " + mine.link);
  ensured(mine);
  EXPECT_TRUE(asking_guest(x_lab, mine.link).ask(question, long_patience));
  x_lab.destroy();
  x_lab.make();
  reconciled({mine});
  EXPECT_TRUE(asking_guest(x_lab, mine.link).ask(question, long_patience));
}

TEST_F(pvip_apply, a_port_that_went_is_served_no_more) {
  reconciled(ports_up_to(2));
  ASSERT_TRUE(x_network->remove(port_number(0).link));
  EXPECT_FALSE(x_network->guest_counts_of_ports().contains(port_number(0).link));
  reconciled({});
  EXPECT_TRUE(x_network->guest_counts_of_ports().empty());
}

TEST_F(pvip_apply, the_others_are_served_when_something_is_in_the_way_of_one_port) {
  x_lab.ip("link add " + port_number(1).link + " type veth peer name peer0");
  ASSERT_FALSE(x_network->reconcile(ports_up_to(3)));
  const port mine = port_number(2);
  EXPECT_TRUE(asking_guest(x_lab, mine.link)
                  .ask(asked_by(mine, question_of(mine, dhcp_type::discover)), long_patience));
}

TEST_F(pvip_apply, many_threads_may_use_it) {
  constexpr std::uint16_t count = 8;
  std::vector<std::future<bool>> all;
  for (std::uint16_t n = 0; n < count; ++n) {
    all.push_back(std::async(std::launch::async, [this, n] {
      const port mine = port_number(n);
      if (!x_network->ensure(mine)) {
        return false;
      }
      const arp_guest guest(x_lab, mine.link, mine.mac, mine.address);
      const auto answer = x_network->answers_arp(mine, long_patience);
      return answer && *answer && (n % 2 == 0 || x_network->remove(mine.link));
    }));
  }
  for (auto& each : all) {
    EXPECT_TRUE(each.get());
  }
  expect_right({port_number(0), port_number(2), port_number(4), port_number(6)});
}

} // namespace
} // namespace orrery::pvip
