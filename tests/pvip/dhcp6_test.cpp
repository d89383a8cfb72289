#include "pvip/guest/dhcp6.hpp"
#include "tests/pvip/dhcp_questions.hpp"
#include "tests/pvip/guest6_questions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr std::size_t headers = 14 + 40 + 8;

dhcp6_message random_message(std::mt19937& random) {
  dhcp6_message made{.type = static_cast<dhcp6_type>(1 + random() % 11),
                     .transaction = static_cast<std::uint32_t>(random() & 0xffffff),
                     .options = {}};
  for (auto n = random() % 8; n > 0; --n) {
    std::vector<std::byte> value(random() % 4 == 0 ? random() % 800 : random() % 12);
    std::ranges::generate(value, [&] { return static_cast<std::byte>(random()); });
    made.options.push_back(
        {.number = static_cast<dhcp6_option>(random() % 40), .value = std::move(value)});
  }
  return made;
}

TEST(pvip_dhcp6, messages_of_others_are_read_and_written_again_as_they_were) {
  for (const auto& frame : {dhclient_solicits, dhclient_requests, dhcpcd_solicits}) {
    const auto bytes = std::span(frame).subspan(headers);
    const auto message = read_dhcp6(bytes);
    ASSERT_TRUE(message);
    EXPECT_TRUE(std::ranges::equal(write_dhcp6(*message), bytes));
  }
  const auto request = read_dhcp6(std::span(dhclient_requests).subspan(headers)).value();
  EXPECT_EQ(request.type, dhcp6_type::request);
  EXPECT_EQ(request.transaction, 0xbf5444U);
  ASSERT_EQ(request.options.size(), 5U);
  EXPECT_EQ(request.options[1].number, dhcp6_option::server);
  EXPECT_EQ(request.options[1].value, bytes_of_hex("000300010e0000000001"));
}

TEST(pvip_dhcp6, what_is_written_is_read) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int i = 0; i < 5'000; ++i) {
    const dhcp6_message message = random_message(random);
    const auto read = read_dhcp6(write_dhcp6(message));
    ASSERT_TRUE(read) << "seed " << seed;
    ASSERT_EQ(*read, message) << "seed " << seed;
  }
}

TEST(pvip_dhcp6, options_that_end_behind_the_message_are_refused) {
  const auto whole = std::span(dhclient_requests).subspan(headers);
  int read = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    read += read_dhcp6(whole.first(length)) ? 1 : 0;
  }
  EXPECT_EQ(read, 5) << "without options, and behind each but the last of them";
  EXPECT_TRUE(read_dhcp6(bytes_of_hex("01000001000e0000")));
  EXPECT_FALSE(read_dhcp6(bytes_of_hex("01000001000e0001")));
  EXPECT_FALSE(read_dhcp6(bytes_of_hex("01000001000e00")));
}

TEST(pvip_dhcp6, messages_of_relays_are_known_and_not_read) {
  for (const int type : {12, 13}) {
    const auto bytes = bytes_of({type, 0, 0, 0});
    EXPECT_TRUE(is_relayed(bytes));
    EXPECT_FALSE(read_dhcp6(bytes));
  }
  EXPECT_FALSE(is_relayed(bytes_of({11, 0, 0, 0})));
  EXPECT_FALSE(is_relayed({}));
}

TEST(pvip_dhcp6, any_bytes_are_read_without_harm_and_what_is_read_can_be_written) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = write_dhcp6(random_message(random));
    for (auto n = random() % 6; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    bytes.resize(random() % (bytes.size() + 4));
    if (const auto message = read_dhcp6(bytes)) {
      ASSERT_EQ(write_dhcp6(*message), bytes) << "seed " << seed;
    }
  }
}

} // namespace
} // namespace orrery::pvip
