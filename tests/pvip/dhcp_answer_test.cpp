#include "pvip/guest/dhcp_answer.hpp"
#include "tests/pvip/dhcp_questions.hpp"
#include "tests/pvip/ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr ipv4 another{0x0a630063U};

port guest() {
  port made = port_number(1);
  made.prefix_length = 24;
  made.mtu = 1400;
  made.name_servers = {ipv4{0x0a630035U}, ipv4{0x0a630036U}};
  return made;
}

dhcp_message question(dhcp_type type) { return question_of(guest(), type); }

dhcp_message request_for(ipv4 address) {
  dhcp_message made = question(dhcp_type::request);
  made.options[dhcp_option::requested_address] = bytes_of(address);
  return made;
}

dhcp_message renewal() {
  dhcp_message made = question(dhcp_type::request);
  made.client = guest().address;
  return made;
}

void expect_silence(const std::vector<std::byte>& frame, guest_outcome outcome) {
  const auto answer = answer_dhcp(guest(), frame);
  EXPECT_EQ(answer.outcome, outcome) << name_of(answer.outcome);
  EXPECT_FALSE(answer.frame);
}

void expect_silence(const dhcp_message& message, guest_outcome outcome) {
  expect_silence(asked_by(guest(), message), outcome);
}

/// An answer taken apart; its frame is checked as far as it is the same for all.
struct told {
  guest_outcome outcome;
  dhcp_message message;
  bool to_everyone;
};

told answered(const std::vector<std::byte>& frame, const port& of = guest()) {
  const auto answer = answer_dhcp(of, frame);
  EXPECT_TRUE(answer.frame) << name_of(answer.outcome);
  if (!answer.frame) {
    return {.outcome = answer.outcome, .message = {}, .to_everyone = false};
  }
  const auto datagram = read_udp(*answer.frame);
  const auto message = datagram ? read_dhcp(datagram->payload) : std::nullopt;
  EXPECT_TRUE(message);
  const bool to_everyone = datagram->target == everyone;
  EXPECT_EQ(datagram->frame_source, gateway_mac);
  EXPECT_EQ(datagram->frame_target, to_everyone ? everyone_mac : of.mac);
  EXPECT_EQ(datagram->source, of.gateway);
  EXPECT_EQ(datagram->source_port, 67);
  EXPECT_EQ(datagram->target_port, 68);
  EXPECT_LE(datagram->payload.size() + 28, 576U) << "more than a client must take";
  EXPECT_TRUE(to_everyone || datagram->target == of.address);
  EXPECT_TRUE(message->is_reply);
  EXPECT_EQ(message->transaction, 0xcafe0001U);
  EXPECT_EQ(message->mac, of.mac);
  EXPECT_EQ(message->relay, ipv4{});
  EXPECT_EQ(message->options.at(dhcp_option::server), bytes_of(of.gateway));
  return {.outcome = answer.outcome, .message = *message, .to_everyone = to_everyone};
}

told answered(const dhcp_message& message, const port& of = guest()) {
  return answered(asked_by(of, message), of);
}

void expect_settings(const dhcp_message& message) {
  EXPECT_EQ(message.options.at(dhcp_option::subnet_mask), bytes_of({255, 255, 255, 0}));
  EXPECT_EQ(message.options.at(dhcp_option::routers), bytes_of({10, 99, 0, 1}));
  EXPECT_EQ(message.options.at(dhcp_option::name_servers),
            bytes_of({10, 99, 0, 53, 10, 99, 0, 54}));
  EXPECT_EQ(message.options.at(dhcp_option::mtu), bytes_of({1400 >> 8, 1400 & 0xff}));
  EXPECT_FALSE(message.options.contains(dhcp_option::classless_routes));
}

void expect_lease(const dhcp_message& message) {
  EXPECT_EQ(message.offered, guest().address);
  EXPECT_EQ(message.options.at(dhcp_option::lease_seconds), bytes_of({0, 0x09, 0x3a, 0x80}));
  EXPECT_EQ(message.options.at(dhcp_option::renewal_seconds), bytes_of({0, 0, 0xa8, 0xc0}));
  EXPECT_EQ(message.options.at(dhcp_option::rebinding_seconds), bytes_of({0, 0x07, 0xe9, 0x00}));
}

bool is_of(const dhcp_message& message, dhcp_type type) {
  return message.options.at(dhcp_option::type) == bytes_of({static_cast<int>(type)});
}

// --- nobody else ---------------------------------------------------------------------------------

TEST(pvip_dhcp_answer, another_guests_ethernet_address_is_not_answered) {
  dhcp_message about_another = question(dhcp_type::discover);
  about_another.mac = port_number(2).mac;
  expect_silence(about_another, guest_outcome::foreign);
  const question_frame from_another{.frame_source = port_number(2).mac, .source = {}};
  expect_silence(from_another.with(about_another), guest_outcome::foreign);
  expect_silence(from_another.with(question(dhcp_type::discover)), guest_outcome::foreign);
}

TEST(pvip_dhcp_answer, another_address_as_source_is_not_answered) {
  const question_frame from{.frame_source = guest().mac, .source = another};
  expect_silence(from.with(question(dhcp_type::discover)), guest_outcome::foreign);
}

TEST(pvip_dhcp_answer, relayed_questions_are_not_answered) {
  dhcp_message message = question(dhcp_type::discover);
  message.relay = another;
  expect_silence(message, guest_outcome::relayed);
}

TEST(pvip_dhcp_answer, what_is_sent_to_others_is_not_answered) {
  question_frame to{.frame_source = guest().mac, .source = guest().address};
  to.target = another;
  expect_silence(to.with(renewal()), guest_outcome::other_server);
  to.target = guest().gateway;
  to.frame_target = port_number(2).mac;
  expect_silence(to.with(renewal()), guest_outcome::other_server);
}

TEST(pvip_dhcp_answer, what_another_server_offered_is_not_ours_to_answer) {
  dhcp_message message = request_for(guest().address);
  message.options[dhcp_option::server] = bytes_of(another);
  expect_silence(message, guest_outcome::other_server);
}

TEST(pvip_dhcp_answer, an_inform_about_another_address_is_not_answered) {
  dhcp_message message = question(dhcp_type::inform);
  message.client = another;
  expect_silence(message, guest_outcome::foreign);
}

// --- no question ---------------------------------------------------------------------------------

TEST(pvip_dhcp_answer, what_is_no_question_is_not_answered) {
  for (const dhcp_type type : {dhcp_type::offer, dhcp_type::acknowledge, dhcp_type::refuse,
                               static_cast<dhcp_type>(0), static_cast<dhcp_type>(9)}) {
    expect_silence(question(type), guest_outcome::malformed);
  }
  dhcp_message reply = question(dhcp_type::discover);
  reply.is_reply = true;
  expect_silence(reply, guest_outcome::malformed);
  dhcp_message of_bootp = question(dhcp_type::discover);
  of_bootp.options.clear();
  expect_silence(of_bootp, guest_outcome::malformed);
}

TEST(pvip_dhcp_answer, options_of_a_wrong_length_are_not_answered) {
  const auto with = [](dhcp_option number, std::size_t length) {
    dhcp_message message = request_for(guest().address);
    message.options[number].resize(length);
    return message;
  };
  for (const std::size_t length : {0U, 2U}) {
    expect_silence(with(dhcp_option::type, length), guest_outcome::malformed);
  }
  for (const std::size_t length : {0U, 3U, 5U, 8U}) {
    expect_silence(with(dhcp_option::server, length), guest_outcome::malformed);
    expect_silence(with(dhcp_option::requested_address, length), guest_outcome::malformed);
  }
  expect_silence(with(dhcp_option::client, client_id_bytes_max + 1), guest_outcome::malformed);
}

TEST(pvip_dhcp_answer, other_ports_of_udp_are_not_answered) {
  question_frame from{.frame_source = guest().mac, .source = {}};
  from.source_port = 67; // a relay's
  expect_silence(from.with(question(dhcp_type::discover)), guest_outcome::malformed);
  from.source_port = 68;
  from.target_port = 68;
  expect_silence(from.with(question(dhcp_type::discover)), guest_outcome::malformed);
}

TEST(pvip_dhcp_answer, a_request_for_nothing_is_not_answered) {
  expect_silence(question(dhcp_type::request), guest_outcome::malformed);
}

TEST(pvip_dhcp_answer, any_bytes_are_answered_without_harm_and_to_the_guest_alone) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const auto discover = asked_by(guest(), question(dhcp_type::discover));
  int answers = 0;
  for (int i = 0; i < 50'000; ++i) {
    auto bytes = discover;
    for (auto n = random() % 5; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    if (const auto answer = answer_dhcp(guest(), bytes); answer.frame) {
      ++answers;
      const auto target = std::span(*answer.frame).first(6);
      const auto is = [&](const mac_address& mac) {
        return std::ranges::equal(target, std::as_bytes(std::span(mac.bytes)));
      };
      ASSERT_TRUE(is(guest().mac) || is(everyone_mac)) << "seed " << seed;
    }
  }
  EXPECT_GT(answers, 5'000) << "seed " << seed;
}

// --- what is told --------------------------------------------------------------------------------

TEST(pvip_dhcp_answer, a_discover_is_offered_the_address) {
  const auto [outcome, message, to_everyone] = answered(question(dhcp_type::discover));
  EXPECT_EQ(outcome, guest_outcome::offered);
  EXPECT_TRUE(is_of(message, dhcp_type::offer));
  expect_lease(message);
  expect_settings(message);
  EXPECT_EQ(message.client, ipv4{});
  EXPECT_FALSE(to_everyone);
}

TEST(pvip_dhcp_answer, a_discover_that_wishes_for_another_address_is_offered_its_own) {
  dhcp_message wish = question(dhcp_type::discover);
  wish.options[dhcp_option::requested_address] = bytes_of(another);
  EXPECT_EQ(answered(wish).message.offered, guest().address);
}

TEST(pvip_dhcp_answer, a_client_that_hears_only_broadcasts_is_answered_by_one) {
  for (const dhcp_message& asked : {question(dhcp_type::discover), request_for(guest().address)}) {
    dhcp_message deaf = asked;
    deaf.wants_broadcast = true;
    const told answer = answered(deaf);
    EXPECT_TRUE(answer.to_everyone);
    EXPECT_TRUE(answer.message.wants_broadcast);
    EXPECT_EQ(answer.message.offered, guest().address);
  }
}

TEST(pvip_dhcp_answer, a_request_for_the_own_address_is_acknowledged) {
  dhcp_message after_offer = request_for(guest().address);
  after_offer.options[dhcp_option::server] = bytes_of(guest().gateway);
  for (const dhcp_message& asked : {after_offer, request_for(guest().address)}) {
    const auto [outcome, message, to_everyone] = answered(asked);
    EXPECT_EQ(outcome, guest_outcome::acknowledged);
    EXPECT_TRUE(is_of(message, dhcp_type::acknowledge));
    expect_lease(message);
    expect_settings(message);
    EXPECT_FALSE(to_everyone);
  }
}

TEST(pvip_dhcp_answer, a_renewal_is_acknowledged_to_the_address_that_the_guest_has) {
  dhcp_message asked = renewal();
  asked.wants_broadcast = true; // does not count: who has an address hears what is sent to it
  const question_frame to_gateway{.frame_source = guest().mac,
                                  .frame_target = gateway_mac,
                                  .source = guest().address,
                                  .target = guest().gateway};
  const auto [outcome, message, to_everyone] = answered(to_gateway.with(asked));
  EXPECT_EQ(outcome, guest_outcome::acknowledged);
  expect_lease(message);
  EXPECT_EQ(message.client, guest().address);
  EXPECT_FALSE(to_everyone);
}

TEST(pvip_dhcp_answer, a_rebinding_to_all_is_acknowledged) {
  const question_frame to_all{.frame_source = guest().mac, .source = guest().address};
  EXPECT_EQ(answered(to_all.with(renewal())).outcome, guest_outcome::acknowledged);
}

TEST(pvip_dhcp_answer, a_request_for_another_address_is_refused_to_all) {
  dhcp_message held = renewal();
  held.client = another;
  dhcp_message both = renewal();
  both.options[dhcp_option::requested_address] = bytes_of(another);
  for (const dhcp_message& asked : {request_for(another), held, both}) {
    const auto [outcome, message, to_everyone] = answered(asked);
    EXPECT_EQ(outcome, guest_outcome::refused);
    EXPECT_TRUE(is_of(message, dhcp_type::refuse));
    EXPECT_TRUE(to_everyone);
    EXPECT_EQ(message.offered, ipv4{});
    EXPECT_EQ(message.client, ipv4{});
    EXPECT_TRUE(message.options.contains(dhcp_option::text));
    EXPECT_EQ(message.options.size(), 3U) << "RFC 2131, table 3: no lease and no settings";
  }
}

TEST(pvip_dhcp_answer, an_inform_is_told_all_but_a_lease) {
  dhcp_message asked = question(dhcp_type::inform);
  asked.client = guest().address;
  const auto [outcome, message, to_everyone] = answered(asked);
  EXPECT_EQ(outcome, guest_outcome::acknowledged);
  EXPECT_TRUE(is_of(message, dhcp_type::acknowledge));
  expect_settings(message);
  EXPECT_EQ(message.offered, ipv4{});
  for (const dhcp_option each :
       {dhcp_option::lease_seconds, dhcp_option::renewal_seconds, dhcp_option::rebinding_seconds}) {
    EXPECT_FALSE(message.options.contains(each));
  }
  EXPECT_FALSE(to_everyone);
}

TEST(pvip_dhcp_answer, what_is_given_back_or_declined_needs_no_answer) {
  expect_silence(question(dhcp_type::release), guest_outcome::nothing_due);
  expect_silence(question(dhcp_type::decline), guest_outcome::nothing_due);
}

TEST(pvip_dhcp_answer, a_clients_name_for_itself_comes_back) {
  for (const dhcp_message& question_or_wish :
       {question(dhcp_type::discover), request_for(guest().address), request_for(another)}) {
    dhcp_message asked = question_or_wish;
    asked.options[dhcp_option::client] = std::vector<std::byte>(client_id_bytes_max, std::byte{7});
    port most_told = guest();
    most_told.name_servers.resize(name_servers_max);
    most_told.classless_routes = true;
    EXPECT_EQ(answered(asked, most_told).message.options.at(dhcp_option::client),
              asked.options.at(dhcp_option::client));
  }
}

TEST(pvip_dhcp_answer, classless_routes_come_with_a_mask_of_one_host) {
  port of = guest();
  of.classless_routes = true;
  const auto message = answered(question(dhcp_type::discover), of).message;
  EXPECT_EQ(message.options.at(dhcp_option::subnet_mask), bytes_of({255, 255, 255, 255}));
  // RFC 3442: width, as many bytes of the destination as that needs, router.
  EXPECT_EQ(message.options.at(dhcp_option::classless_routes),
            bytes_of({32, 10, 99, 0, 1, 0, 0, 0, 0, 0, 10, 99, 0, 1}));
  EXPECT_EQ(message.options.at(dhcp_option::routers), bytes_of({10, 99, 0, 1}));
}

TEST(pvip_dhcp_answer, without_name_servers_none_are_told) {
  port of = guest();
  of.name_servers.clear();
  const auto message = answered(question(dhcp_type::discover), of).message;
  EXPECT_FALSE(message.options.contains(dhcp_option::name_servers));
}

TEST(pvip_dhcp_answer, every_length_of_a_subnet_is_told) {
  for (const auto& [length, mask] :
       {std::pair{1, 0x80000000U}, {16, 0xffff0000U}, {30, 0xfffffffcU}, {32, 0xffffffffU}}) {
    port of = guest();
    of.prefix_length = static_cast<std::uint8_t>(length);
    const auto message = answered(question(dhcp_type::discover), of).message;
    EXPECT_EQ(message.options.at(dhcp_option::subnet_mask), bytes_of(ipv4{mask}));
  }
}

TEST(pvip_dhcp_answer, outcomes_have_names_of_their_own) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < guest_outcomes.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(guest_outcomes[i]), i);
    names.insert(name_of(guest_outcomes[i]));
  }
  EXPECT_EQ(names.size(), guest_outcomes.size());
}

} // namespace
} // namespace orrery::pvip
