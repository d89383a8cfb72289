#include "pvip/guest/dhcp6_answer.hpp"
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

using values = std::vector<std::vector<std::byte>>;

const ipv6 another = parse_ipv6("2001:db8:1::12").value();
const ipv6 all_servers = parse_ipv6("ff02::1:2").value();

const dhcp6_field client{.number = dhcp6_option::client,
                         .value = bytes_of_hex("00010001329fd7d70a0000000001")};
const dhcp6_field server{.number = dhcp6_option::server,
                         .value = bytes_of_hex("000300010e0000000001")};

std::vector<std::byte> operator+(std::vector<std::byte> one, const std::vector<std::byte>& more) {
  one.insert(one.end(), more.begin(), more.end());
  return one;
}

std::vector<std::byte> bytes_of6(const ipv6& address) {
  const auto bytes = std::as_bytes(std::span(address.bytes));
  return {bytes.begin(), bytes.end()};
}

/// A field within a field, as on the wire.
std::vector<std::byte> field(int number, const std::vector<std::byte>& value) {
  return bytes_of({0, number, 0, static_cast<int>(value.size())}) + value;
}

dhcp6_field addresses(int number, const std::vector<ipv6>& wanted = {},
                      dhcp6_option kind = dhcp6_option::addresses) {
  auto value = bytes_of({0, 0, 0, number});
  if (kind != dhcp6_option::temporary_addresses) {
    value.resize(12);
  }
  for (const ipv6& each : wanted) {
    value = value + field(5, bytes_of6(each) + std::vector<std::byte>(8));
  }
  return {.number = kind, .value = value};
}

dhcp6_message question(dhcp6_type type, const dhcp6_fields& options) {
  return {.type = type, .transaction = 0xcafe01, .options = options};
}

/// The frame in which the guest sends it.
struct sends {
  mac_address frame_source = guest6().mac;
  ipv6 source = guest6_link_local;
  ipv6 target = all_servers;
  std::uint16_t target_port = dhcp6_server_port;

  [[nodiscard]] std::vector<std::byte> frame(const dhcp6_message& message) const {
    const auto payload = write_dhcp6(message);
    return write_udp6({.frame_source = frame_source,
                       .frame_target = mac_of_group(target),
                       .source = source,
                       .target = target,
                       .source_port = dhcp6_client_port,
                       .target_port = target_port,
                       .payload = payload});
  }
};

const dhcp6_message solicit = question(dhcp6_type::solicit, {client, addresses(1)});

void expect_silence(const std::vector<std::byte>& frame, guest_outcome outcome) {
  const auto answer = answer_dhcp6(guest6(), frame);
  EXPECT_EQ(answer.outcome, outcome) << name_of(answer.outcome);
  EXPECT_FALSE(answer.frame);
}

void expect_silence(dhcp6_type type, const dhcp6_fields& options, guest_outcome outcome) {
  expect_silence(sends{}.frame(question(type, options)), outcome);
}

/// An answer taken apart; its frame is checked as far as it is the same for all.
struct told {
  guest_outcome outcome;
  dhcp6_message message;

  /// Values of all options with a number.
  [[nodiscard]] values all(dhcp6_option number) const {
    values found;
    for (const dhcp6_field& each : message.options) {
      if (each.number == number) {
        found.push_back(each.value);
      }
    }
    return found;
  }
};

told answered(const std::vector<std::byte>& frame, const port& of = guest6()) {
  const auto answer = answer_dhcp6(of, frame);
  EXPECT_TRUE(answer.frame) << name_of(answer.outcome);
  if (!answer.frame) {
    return {.outcome = answer.outcome, .message = {}};
  }
  const auto datagram = read_udp6(*answer.frame);
  EXPECT_TRUE(datagram) << "its checksum is wrong";
  const auto message = datagram ? read_dhcp6(datagram->payload) : std::nullopt;
  EXPECT_TRUE(message);
  EXPECT_EQ(datagram->frame_source, gateway_mac);
  EXPECT_EQ(datagram->frame_target, of.mac);
  EXPECT_EQ(datagram->source, gateway6);
  EXPECT_EQ(datagram->target, guest6_link_local);
  EXPECT_EQ(datagram->source_port, 547);
  EXPECT_EQ(datagram->target_port, 546);
  EXPECT_LE(answer.frame->size(), 14U + ipv6_mtu_min);
  const told made{.outcome = answer.outcome, .message = *message};
  EXPECT_EQ(made.all(dhcp6_option::server), values{server.value});
  return made;
}

told answered(dhcp6_type type, const dhcp6_fields& options, const port& of = guest6()) {
  const auto made = answered(sends{}.frame(question(type, options)), of);
  EXPECT_EQ(made.message.transaction, 0xcafe01U);
  return made;
}

/// The value of an association that has the port's address, and others that end.
std::vector<std::byte> leased(int number, const std::vector<ipv6>& gone = {}) {
  auto value = bytes_of({0, 0, 0, number}) + bytes_of_hex("0000a8c00007e900") +
               field(5, bytes_of6(guest6_address) + bytes_of_hex("00093a8000093a80"));
  for (const ipv6& each : gone) {
    value = value + field(5, bytes_of6(each) + std::vector<std::byte>(8));
  }
  return value;
}

/// The value of one that has nothing.
std::vector<std::byte> nothing(int number, int status, bool has_times = true) {
  auto value = bytes_of({0, 0, 0, number});
  value.resize(has_times ? 12 : 4);
  return value + field(13, bytes_of({0, status}));
}

constexpr int no_address_available = 2;
constexpr int no_binding = 3;
constexpr int not_on_link = 4;
constexpr int use_multicast = 5;
constexpr int no_prefix_available = 6;

void expect_settings(const told& answer) {
  EXPECT_EQ(
      answer.all(dhcp6_option::name_servers),
      values{bytes_of_hex("20010db800530000000000000000000120010db8005300000000000000000002")});
}

// --- nobody else ---------------------------------------------------------------------------------

TEST(pvip_dhcp6_answer, another_guest_is_not_answered) {
  for (const sends& from :
       {sends{.frame_source = port_number(2).mac}, sends{.frame_source = gateway_mac},
        sends{.source = gateway6}, sends{.source = guest6_address}, sends{.source = {}},
        sends{.source = another}}) {
    expect_silence(from.frame(solicit), guest_outcome::foreign);
  }
}

TEST(pvip_dhcp6_answer, what_is_sent_to_others_is_not_answered) {
  for (const ipv6& target : {another, all_nodes, parse_ipv6("ff05::1:3").value()}) {
    expect_silence(sends{.target = target}.frame(solicit), guest_outcome::other_server);
  }
  const dhcp6_field other{.number = dhcp6_option::server,
                          .value = bytes_of_hex("000300010e0000000002")};
  for (const auto type :
       {dhcp6_type::request, dhcp6_type::renew, dhcp6_type::release, dhcp6_type::decline}) {
    expect_silence(type, {client, other, addresses(1, {guest6_address})},
                   guest_outcome::other_server);
  }
  expect_silence(dhcp6_type::information_request, {other}, guest_outcome::other_server);
}

TEST(pvip_dhcp6_answer, relayed_questions_are_not_answered) {
  for (const auto type : {dhcp6_type::relay_forward, dhcp6_type::relay_reply}) {
    expect_silence(type, {client, addresses(1)}, guest_outcome::relayed);
  }
}

// --- no question ---------------------------------------------------------------------------------

TEST(pvip_dhcp6_answer, what_is_no_question_is_not_answered) {
  for (const auto type : {dhcp6_type::advertise, dhcp6_type::reply, dhcp6_type::reconfigure,
                          static_cast<dhcp6_type>(0), static_cast<dhcp6_type>(14)}) {
    expect_silence(type, {client, server, addresses(1)}, guest_outcome::malformed);
  }
  expect_silence(sends{.target_port = 546}.frame(solicit), guest_outcome::malformed);
  auto spoiled = sends{}.frame(solicit);
  spoiled[60] ^= std::byte{1}; // the checksum
  expect_silence(spoiled, guest_outcome::malformed);
  expect_silence(linux_asks_for_routers, guest_outcome::malformed);
}

TEST(pvip_dhcp6_answer, names_are_as_their_message_wants_them) {
  const auto wanted = addresses(1, {guest6_address});
  for (const auto type : {dhcp6_type::solicit, dhcp6_type::confirm, dhcp6_type::rebind}) {
    expect_silence(type, {wanted}, guest_outcome::malformed);
    expect_silence(type, {client, server, wanted}, guest_outcome::malformed);
  }
  for (const auto type :
       {dhcp6_type::request, dhcp6_type::renew, dhcp6_type::release, dhcp6_type::decline}) {
    expect_silence(type, {client, wanted}, guest_outcome::malformed);
    expect_silence(type, {server, wanted}, guest_outcome::malformed);
    expect_silence(type, {client, server, server, wanted}, guest_outcome::malformed);
  }
  expect_silence(dhcp6_type::solicit, {client, client, wanted}, guest_outcome::malformed);
  for (const std::size_t length : {0U, 2U, 131U}) {
    expect_silence(
        dhcp6_type::solicit,
        {{.number = dhcp6_option::client, .value = std::vector<std::byte>(length)}, wanted},
        guest_outcome::malformed);
  }
}

TEST(pvip_dhcp6_answer, one_that_asks_for_nothing_or_too_much_is_not_answered) {
  for (const auto type : {dhcp6_type::solicit, dhcp6_type::confirm, dhcp6_type::rebind}) {
    expect_silence(type, {client}, guest_outcome::malformed);
  }
  for (const auto type :
       {dhcp6_type::request, dhcp6_type::renew, dhcp6_type::release, dhcp6_type::decline}) {
    expect_silence(type, {client, server}, guest_outcome::malformed);
  }
  expect_silence(dhcp6_type::confirm, {client, addresses(1)}, guest_outcome::malformed);
  expect_silence(dhcp6_type::information_request, {client, addresses(1)}, guest_outcome::malformed);
  expect_silence(dhcp6_type::solicit,
                 {client, addresses(1, std::vector<ipv6>(association_addresses_max + 1, another))},
                 guest_outcome::malformed);
  dhcp6_fields many{client};
  many.insert(many.end(), associations_max + 1, addresses(1));
  expect_silence(dhcp6_type::solicit, many, guest_outcome::malformed);
}

TEST(pvip_dhcp6_answer, broken_associations_are_not_answered) {
  for (const auto& value :
       {bytes_of_hex("000000010000000000000"), bytes_of_hex("000000"),
        bytes_of_hex("000000010000000000000000") + bytes_of_hex("0005001820"),
        bytes_of_hex("000000010000000000000000") + field(5, std::vector<std::byte>(23))}) {
    expect_silence(dhcp6_type::solicit,
                   {client, {.number = dhcp6_option::addresses, .value = value}},
                   guest_outcome::malformed);
  }
}

// --- what is told --------------------------------------------------------------------------------

TEST(pvip_dhcp6_answer, what_clients_ask_is_answered) {
  const told offer = answered(dhclient_solicits);
  EXPECT_EQ(offer.outcome, guest_outcome::offered);
  EXPECT_EQ(offer.message.type, dhcp6_type::advertise);
  EXPECT_EQ(offer.message.transaction, 0x8acfd6U);
  EXPECT_EQ(offer.all(dhcp6_option::client), values{client.value});
  EXPECT_EQ(offer.all(dhcp6_option::addresses), values{leased(1)});
  EXPECT_EQ(offer.all(dhcp6_option::preference), values{bytes_of({255})});
  expect_settings(offer);

  const told lease = answered(dhclient_requests);
  EXPECT_EQ(lease.outcome, guest_outcome::acknowledged);
  EXPECT_EQ(lease.message.type, dhcp6_type::reply);
  EXPECT_EQ(lease.all(dhcp6_option::addresses), values{leased(1)});
  EXPECT_TRUE(lease.all(dhcp6_option::preference).empty());
  expect_settings(lease);

  const told at_once = answered(dhcpcd_solicits);
  EXPECT_EQ(at_once.outcome, guest_outcome::acknowledged);
  EXPECT_EQ(at_once.message.type, dhcp6_type::reply);
  EXPECT_EQ(at_once.all(dhcp6_option::rapid_commit), values{{}});
  EXPECT_EQ(at_once.all(dhcp6_option::addresses), values{leased(1)});
  expect_settings(at_once);
}

TEST(pvip_dhcp6_answer, a_solicit_that_wishes_for_another_address_is_offered_its_own) {
  const told answer = answered(dhcp6_type::solicit, {client, addresses(1, {another})});
  EXPECT_EQ(answer.all(dhcp6_option::addresses), values{leased(1)});
}

TEST(pvip_dhcp6_answer, there_is_one_address_and_no_prefix) {
  const told answer =
      answered(dhcp6_type::solicit, {client, addresses(1), addresses(2),
                                     addresses(3, {}, dhcp6_option::temporary_addresses),
                                     addresses(4, {}, dhcp6_option::prefixes)});
  EXPECT_EQ(answer.outcome, guest_outcome::offered);
  EXPECT_EQ(answer.all(dhcp6_option::addresses),
            (values{leased(1), nothing(2, no_address_available)}));
  EXPECT_EQ(answer.all(dhcp6_option::temporary_addresses),
            values{nothing(3, no_address_available, false)});
  EXPECT_EQ(answer.all(dhcp6_option::prefixes), values{nothing(4, no_prefix_available)});

  const told second =
      answered(dhcp6_type::request, {client, server, addresses(1), addresses(2, {guest6_address}),
                                     addresses(4, {}, dhcp6_option::prefixes)});
  EXPECT_EQ(second.all(dhcp6_option::addresses),
            (values{nothing(1, no_address_available), leased(2)}));
  EXPECT_EQ(second.all(dhcp6_option::prefixes), values{nothing(4, no_prefix_available)});
}

TEST(pvip_dhcp6_answer, one_that_wants_prefixes_alone_is_told_that_there_are_none) {
  const dhcp6_field at_once{.number = dhcp6_option::rapid_commit, .value = {}};
  const told answer =
      answered(dhcp6_type::solicit, {client, at_once, addresses(4, {}, dhcp6_option::prefixes)});
  EXPECT_EQ(answer.outcome, guest_outcome::refused);
  EXPECT_EQ(answer.message.type, dhcp6_type::advertise);
  EXPECT_EQ(answer.all(dhcp6_option::prefixes), values{nothing(4, no_prefix_available)});
}

TEST(pvip_dhcp6_answer, a_request_for_another_address_is_not_on_link) {
  for (const std::vector<ipv6>& wanted : {std::vector{another}, {guest6_address, another}}) {
    const told answer = answered(dhcp6_type::request, {client, server, addresses(1, wanted)});
    EXPECT_EQ(answer.outcome, guest_outcome::refused);
    EXPECT_EQ(answer.all(dhcp6_option::addresses), values{nothing(1, not_on_link)});
  }
}

TEST(pvip_dhcp6_answer, a_renewal_keeps_the_address_and_ends_others) {
  for (const auto& names : {dhcp6_fields{client, server}, dhcp6_fields{client}}) {
    const auto type = names.size() == 2 ? dhcp6_type::renew : dhcp6_type::rebind;
    const auto with = [&](const dhcp6_fields& more) {
      dhcp6_fields all = names;
      all.insert(all.end(), more.begin(), more.end());
      return answered(type, all);
    };
    const told kept = with({addresses(1, {guest6_address})});
    EXPECT_EQ(kept.outcome, guest_outcome::acknowledged);
    EXPECT_EQ(kept.message.type, dhcp6_type::reply);
    EXPECT_EQ(kept.all(dhcp6_option::addresses), values{leased(1)});
    expect_settings(kept);
    EXPECT_EQ(with({addresses(1, {another})}).all(dhcp6_option::addresses),
              values{leased(1, {another})});
    EXPECT_EQ(
        with({addresses(1), addresses(2, {another, guest6_address})}).all(dhcp6_option::addresses),
        (values{nothing(1, no_binding), leased(2, {another})}));
    const told prefix = with({addresses(4, {}, dhcp6_option::prefixes)});
    EXPECT_EQ(prefix.outcome, guest_outcome::refused);
    EXPECT_EQ(prefix.all(dhcp6_option::prefixes), values{nothing(4, no_binding)});
    EXPECT_EQ(with({addresses(5, {another}, dhcp6_option::temporary_addresses)})
                  .all(dhcp6_option::temporary_addresses),
              values{nothing(5, no_binding, false)});
  }
}

TEST(pvip_dhcp6_answer, a_confirm_says_whether_all_addresses_are_the_ports) {
  const told right = answered(dhcp6_type::confirm, {client, addresses(1, {guest6_address})});
  EXPECT_EQ(right.outcome, guest_outcome::acknowledged);
  EXPECT_EQ(right.all(dhcp6_option::status), values{bytes_of({0, 0})});
  EXPECT_EQ(right.message.options.size(), 3U) << "no lease and no settings";
  const told wrong = answered(dhcp6_type::confirm,
                              {client, addresses(1, {guest6_address}), addresses(2, {another})});
  EXPECT_EQ(wrong.outcome, guest_outcome::refused);
  EXPECT_EQ(wrong.all(dhcp6_option::status), values{bytes_of({0, not_on_link})});
}

TEST(pvip_dhcp6_answer, what_is_given_back_or_declined_is_acknowledged) {
  for (const auto type : {dhcp6_type::release, dhcp6_type::decline}) {
    const told answer =
        answered(type, {client, server, addresses(1, {guest6_address}), addresses(2, {another})});
    EXPECT_EQ(answer.outcome, guest_outcome::acknowledged);
    EXPECT_EQ(answer.all(dhcp6_option::status), values{bytes_of({0, 0})});
    EXPECT_EQ(answer.all(dhcp6_option::addresses), values{nothing(2, no_binding)});
  }
  EXPECT_EQ(answered(dhcp6_type::solicit, {client, addresses(1)}).outcome, guest_outcome::offered);
}

TEST(pvip_dhcp6_answer, one_that_has_an_address_is_told_all_else) {
  for (const auto& names : {dhcp6_fields{client}, dhcp6_fields{}, dhcp6_fields{client, server}}) {
    const told answer = answered(dhcp6_type::information_request, names);
    EXPECT_EQ(answer.outcome, guest_outcome::acknowledged);
    EXPECT_EQ(answer.message.type, dhcp6_type::reply);
    EXPECT_EQ(answer.all(dhcp6_option::client).size(), names.empty() ? 0U : 1U);
    EXPECT_EQ(answer.all(dhcp6_option::information_refresh), values{bytes_of_hex("0000a8c0")});
    expect_settings(answer);
  }
}

TEST(pvip_dhcp6_answer, what_is_sent_to_the_gateway_alone_is_told_to_go_to_all) {
  const sends alone{.target = gateway6};
  const auto wanted = addresses(1, {guest6_address});
  for (const auto type :
       {dhcp6_type::request, dhcp6_type::renew, dhcp6_type::release, dhcp6_type::decline}) {
    const told answer = answered(alone.frame(question(type, {client, server, wanted})));
    EXPECT_EQ(answer.outcome, guest_outcome::refused);
    EXPECT_EQ(answer.all(dhcp6_option::status), values{bytes_of({0, use_multicast})});
    EXPECT_EQ(answer.message.options.size(), 3U);
  }
  for (const auto type : {dhcp6_type::solicit, dhcp6_type::confirm, dhcp6_type::rebind}) {
    expect_silence(alone.frame(question(type, {client, wanted})), guest_outcome::malformed);
  }
}

TEST(pvip_dhcp6_answer, without_name_servers_none_are_told) {
  port of = guest6();
  of.name_servers6.clear();
  EXPECT_TRUE(answered(dhcp6_type::solicit, {client, addresses(1)}, of)
                  .all(dhcp6_option::name_servers)
                  .empty());
}

TEST(pvip_dhcp6_answer, the_longest_answer_fits_into_the_least_packet) {
  port of = guest6();
  of.name_servers6.resize(name_servers_max, another);
  dhcp6_fields most{{.number = dhcp6_option::client,
                     .value = std::vector<std::byte>(duid_bytes_max, std::byte{7})},
                    addresses(1, std::vector<ipv6>(association_addresses_max, another))};
  for (std::size_t n = 1; n < associations_max; ++n) {
    most.push_back(addresses(static_cast<int>(n), {}, dhcp6_option::prefixes));
  }
  const told answer = answered(dhcp6_type::rebind, most, of); // which looks how long it is
  EXPECT_EQ(answer.outcome, guest_outcome::acknowledged);
  EXPECT_EQ(answer.all(dhcp6_option::client), values{most[0].value});
}

TEST(pvip_dhcp6_answer, any_bytes_are_answered_without_harm_and_to_the_guest_alone) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const std::vector<std::vector<std::byte>> frames = {
      dhclient_solicits, dhclient_requests, dhcpcd_solicits,
      sends{}.frame(question(dhcp6_type::rebind,
                             {client, addresses(1, {guest6_address, another}), addresses(2)}))};
  int answers = 0;
  for (int i = 0; i < 50'000; ++i) {
    auto bytes = frames[random() % frames.size()];
    for (auto n = random() % 5; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    const auto answer = answer_dhcp6(guest6(), with_right_checksum(bytes));
    if (answer.frame) {
      ++answers;
      const auto read = read_udp6(*answer.frame);
      ASSERT_TRUE(read) << "seed " << seed;
      ASSERT_EQ(read->frame_target, guest6().mac) << "seed " << seed;
      ASSERT_TRUE(is_link_local(read->target)) << "seed " << seed;
      ASSERT_LE(answer.frame->size(), 14U + ipv6_mtu_min) << "seed " << seed;
    }
  }
  EXPECT_GT(answers, 5'000) << "seed " << seed;
}

} // namespace
} // namespace orrery::pvip
