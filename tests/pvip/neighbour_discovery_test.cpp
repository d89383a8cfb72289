#include "pvip/guest/neighbour_discovery.hpp"
#include "tests/pvip/dhcp_questions.hpp"
#include "tests/pvip/guest6_questions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr std::size_t headers = 14 + 40;
const ipv6 neighbour = parse_ipv6("2001:db8:1::12").value();

/// A solicitation as a guest sends it, with what a test wants otherwise.
struct asks {
  mac_address frame_source = guest6().mac;
  ipv6 source = guest6_link_local;
  ipv6 target = all_routers;
  std::uint8_t hop_limit = 255;
  std::vector<std::byte> message = bytes_of_hex("8500000000000000");

  [[nodiscard]] std::vector<std::byte> frame() const {
    return write_ipv6({.frame_source = frame_source,
                       .frame_target = mac_of_group(target),
                       .source = source,
                       .target = target,
                       .protocol = ipv6_protocol::icmp,
                       .hop_limit = hop_limit,
                       .payload = message});
  }

  [[nodiscard]] std::vector<std::byte> with_options(std::string_view hex) const {
    asks more = *this;
    const auto options = bytes_of_hex(hex);
    more.message.insert(more.message.end(), options.begin(), options.end());
    return more.frame();
  }
};

asks asks_for(const ipv6& wanted) {
  asks made{.target = neighbour, .message = bytes_of_hex("8700000000000000")};
  for (const std::uint8_t each : wanted.bytes) {
    made.message.push_back(static_cast<std::byte>(each));
  }
  return made;
}

void expect_silence(const std::vector<std::byte>& frame, guest_outcome outcome) {
  const auto answer = answer_router_solicitation(guest6(), frame);
  EXPECT_EQ(answer.outcome, outcome) << name_of(answer.outcome);
  EXPECT_FALSE(answer.frame);
}

void expect_silence_about(const std::vector<std::byte>& frame, guest_outcome outcome) {
  const auto answer = answer_neighbour_solicitation(guest6(), frame);
  EXPECT_EQ(answer.outcome, outcome) << name_of(answer.outcome);
  EXPECT_FALSE(answer.frame);
}

ipv6_frame answered(const guest_answer& answer, std::vector<std::byte>& kept) {
  EXPECT_EQ(answer.outcome, guest_outcome::answered) << name_of(answer.outcome);
  kept = answer.frame.value();
  const auto read = read_ipv6(kept);
  EXPECT_TRUE(read);
  EXPECT_EQ(read->frame_source, gateway_mac);
  EXPECT_EQ(read->source, gateway6);
  EXPECT_EQ(read->hop_limit, 255);
  return *read;
}

// --- who routes ----------------------------------------------------------------------------------

TEST(pvip_router, what_linux_asks_is_answered_to_it_alone) {
  std::vector<std::byte> kept;
  const auto read = answered(answer_router_solicitation(guest6(), linux_asks_for_routers), kept);
  EXPECT_EQ(read.frame_target, guest6().mac);
  EXPECT_EQ(read.target, guest6_link_local);
  // RFC 4861, 4.2: hops 64, managed and other, 65535 s; the gateway's address, the MTU; RFC 8106:
  // two name servers for as long.
  auto expected = bytes_of_hex("86000000"
                               "40c0ffff0000000000000000"
                               "01010e0000000001"
                               "0501000000000578"
                               "190500000000ffff"
                               "20010db8005300000000000000000001"
                               "20010db8005300000000000000000002");
  expected[2] = read.payload[2]; // the checksum, judged by read_ipv6
  expected[3] = read.payload[3];
  EXPECT_TRUE(std::ranges::equal(read.payload, expected));
}

TEST(pvip_router, one_that_has_no_address_yet_is_answered_to_all) {
  for (const ipv6& source : {ipv6{}, guest6_address}) {
    std::vector<std::byte> kept;
    const auto read =
        answered(answer_router_solicitation(guest6(), asks{.source = source}.frame()), kept);
    EXPECT_EQ(read.target, all_nodes);
    EXPECT_EQ(read.frame_target, (mac_address{{0x33, 0x33, 0, 0, 0, 1}}));
    EXPECT_EQ(kept, router_advertisement(guest6(), all_nodes));
  }
}

TEST(pvip_router, a_question_to_the_gateway_alone_is_answered) {
  std::vector<std::byte> kept;
  answered(answer_router_solicitation(guest6(), asks{.target = gateway6}.frame()), kept);
  // An option that we know nothing of: a nonce.
  answered(answer_router_solicitation(guest6(), asks{}.with_options("0e01206d41f3ec2f")), kept);
}

TEST(pvip_router, without_name_servers_none_are_told_and_no_mtu_below_the_least) {
  port of = guest6();
  of.name_servers6.clear();
  of.mtu = 600;
  const auto frame = router_advertisement(of, all_nodes);
  ASSERT_EQ(frame.size(), headers + 32);
  EXPECT_EQ(field_reader(std::span(frame).subspan(headers + 28)).long_number(), 1280U);
}

TEST(pvip_router, another_guest_is_not_answered) {
  expect_silence(asks{.frame_source = port_number(2).mac}.frame(), guest_outcome::foreign);
  expect_silence(asks{.frame_source = gateway_mac}.frame(), guest_outcome::foreign);
  expect_silence(asks{.source = neighbour}.frame(), guest_outcome::foreign);
  expect_silence(asks{.source = gateway6}.frame(), guest_outcome::foreign);
  expect_silence(asks{}.with_options("01010a0000000002"), guest_outcome::foreign);
}

TEST(pvip_router, what_is_no_question_is_not_answered) {
  expect_silence(asks{.hop_limit = 254}.frame(), guest_outcome::malformed);
  expect_silence(asks{.message = bytes_of_hex("8501000000000000")}.frame(),
                 guest_outcome::malformed);
  expect_silence(asks{.message = bytes_of_hex("8600000000000000")}.frame(),
                 guest_outcome::malformed);
  expect_silence(asks{}.with_options("01000a0000000001"), guest_outcome::malformed);
  expect_silence(asks{}.with_options("01020a0000000001"), guest_outcome::malformed);
  expect_silence(asks{}.with_options("0101"), guest_outcome::malformed);
  expect_silence(asks{.source = {}}.with_options("01010a0000000001"), guest_outcome::malformed);
  expect_silence(dhclient_solicits, guest_outcome::malformed);
  expect_silence(asks{.target = all_nodes}.frame(), guest_outcome::other_server);
}

// --- where a neighbour is ------------------------------------------------------------------------

TEST(pvip_neighbour, everybody_else_is_behind_the_gateway) {
  for (const ipv6& source : {guest6_link_local, guest6_address}) {
    asks question = asks_for(neighbour);
    question.source = source;
    std::vector<std::byte> kept;
    const auto read = answered(
        answer_neighbour_solicitation(guest6(), question.with_options("01010a0000000001")), kept);
    EXPECT_EQ(read.frame_target, guest6().mac);
    EXPECT_EQ(read.target, source);
    // RFC 4861, 4.4: a router, asked, overrides; the gateway's address.
    auto expected = bytes_of_hex("88000000e0000000"
                                 "20010db8000100000000000000000012"
                                 "02010e0000000001");
    expected[2] = read.payload[2];
    expected[3] = read.payload[3];
    EXPECT_TRUE(std::ranges::equal(read.payload, expected));
  }
}

TEST(pvip_neighbour, everybody_is_told_that_an_address_is_here_now) {
  const mac_address own{{0x0a, 0, 0, 0, 0, 0x99}};
  const auto frame = unasked_advertisement(own, neighbour);
  const auto read = read_ipv6(frame);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->frame_source, own);
  EXPECT_EQ(read->frame_target, mac_of_group(all_nodes));
  EXPECT_EQ(read->source, neighbour);
  EXPECT_EQ(read->target, all_nodes);
  EXPECT_EQ(read->hop_limit, 255);
  // RFC 4861, 7.2.6: not asked, overrides.
  auto expected = bytes_of_hex("8800000020000000"
                               "20010db8000100000000000000000012"
                               "02010a0000000099");
  expected[2] = read->payload[2];
  expected[3] = read->payload[3];
  EXPECT_TRUE(std::ranges::equal(read->payload, expected));
}

TEST(pvip_neighbour, who_speaks_for_itself_is_not_answered_for) {
  expect_silence_about(linux_asks_whether_it_is_free, guest_outcome::nothing_due);
  expect_silence_about(asks_for(guest6_address).frame(), guest_outcome::nothing_due);
  expect_silence_about(asks_for(gateway6).frame(), guest_outcome::nothing_due);
  expect_silence_about(asks_for(guest6_link_local).frame(), guest_outcome::nothing_due);
  asks probe = asks_for(neighbour);
  probe.source = {};
  expect_silence_about(probe.frame(), guest_outcome::nothing_due);
}

TEST(pvip_neighbour, no_question_and_no_guest_of_ours) {
  asks thief = asks_for(neighbour);
  thief.frame_source = port_number(2).mac;
  expect_silence_about(thief.frame(), guest_outcome::foreign);
  asks liar = asks_for(neighbour);
  liar.source = neighbour;
  expect_silence_about(liar.frame(), guest_outcome::foreign);
  expect_silence_about(asks_for(all_nodes).frame(), guest_outcome::malformed);
  expect_silence_about(asks{.message = bytes_of_hex("87000000000000002001")}.frame(),
                       guest_outcome::malformed);
  expect_silence_about(linux_asks_for_routers, guest_outcome::malformed);
}

TEST(pvip_neighbour, any_bytes_are_answered_without_harm_and_to_the_guest_alone) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const std::vector<std::vector<std::byte>> frames = {
      linux_asks_whether_it_is_free, linux_asks_for_routers, asks_for(neighbour).frame()};
  int answers = 0;
  for (int i = 0; i < 50'000; ++i) {
    auto bytes = frames[random() % frames.size()];
    for (auto n = random() % 4; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    bytes = with_right_checksum(bytes);
    for (const auto& answer : {answer_router_solicitation(guest6(), bytes),
                               answer_neighbour_solicitation(guest6(), bytes)}) {
      if (answer.frame) {
        ++answers;
        const auto read = read_ipv6(*answer.frame);
        ASSERT_TRUE(read) << "seed " << seed;
        ASSERT_LE(answer.frame->size(), 14U + guest6().mtu) << "seed " << seed;
        ASSERT_TRUE(read->frame_target == guest6().mac || read->target == all_nodes) << seed;
      }
    }
  }
  EXPECT_GT(answers, 5'000) << "seed " << seed;
}

} // namespace
} // namespace orrery::pvip
