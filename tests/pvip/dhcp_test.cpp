#include "pvip/guest/dhcp.hpp"
#include "tests/pvip/dhcp_questions.hpp"
#include "tests/pvip/ports.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string_view>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr std::size_t server_name_at = 44;
constexpr std::size_t file_at = 108;
constexpr std::size_t options_at = 240;

/// A message whose field of options holds these bytes.
std::vector<std::byte> with_options(const std::vector<std::byte>& options) {
  auto bytes = write_dhcp(question_of(port_number(1), dhcp_type::discover));
  bytes.resize(options_at);
  bytes.insert(bytes.end(), options.begin(), options.end());
  return bytes;
}

std::vector<std::byte> text(std::string_view of) {
  const auto bytes = std::as_bytes(std::span(of));
  return {bytes.begin(), bytes.end()};
}

void put(std::vector<std::byte>& bytes, std::size_t at, const std::vector<std::byte>& what) {
  std::ranges::copy(what, bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

dhcp_message random_message(std::mt19937& random) {
  dhcp_message made;
  made.is_reply = random() % 2 == 0;
  made.transaction = static_cast<std::uint32_t>(random());
  made.seconds = static_cast<std::uint16_t>(random());
  made.wants_broadcast = random() % 2 == 0;
  for (ipv4* each : {&made.client, &made.offered, &made.next_server, &made.relay}) {
    each->bits = static_cast<std::uint32_t>(random());
  }
  for (std::uint8_t& each : made.mac.bytes) {
    each = static_cast<std::uint8_t>(random());
  }
  for (auto n = random() % 8; n > 0; --n) {
    const auto number = static_cast<dhcp_option>(1 + random() % 254);
    if (number != dhcp_option::overload) {
      std::vector<std::byte> value(random() % 4 == 0 ? random() % 800 : random() % 12);
      std::ranges::generate(value, [&] { return static_cast<std::byte>(random()); });
      made.options[number] = std::move(value);
    }
  }
  return made;
}

TEST(pvip_dhcp, what_is_written_is_read) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int i = 0; i < 5'000; ++i) {
    const dhcp_message message = random_message(random);
    const auto read = read_dhcp(write_dhcp(message));
    ASSERT_TRUE(read) << "seed " << seed;
    ASSERT_EQ(*read, message) << "seed " << seed;
  }
}

TEST(pvip_dhcp, any_bytes_are_read_without_harm_and_what_is_read_can_be_written) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = write_dhcp(random_message(random));
    for (auto n = random() % 6; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    for (auto n = random() % 6; n > 0; --n) {
      bytes[options_at + random() % (bytes.size() - options_at)] = static_cast<std::byte>(52);
    }
    bytes.resize(bytes.size() - random() % 60);
    if (const auto read = read_dhcp(bytes)) {
      ASSERT_EQ(read_dhcp(write_dhcp(*read)), read) << "seed " << seed;
    }
  }
}

TEST(pvip_dhcp, as_on_the_wire) {
  dhcp_message message = question_of(port_number(1), dhcp_type::request);
  message.wants_broadcast = true;
  message.client = ipv4{0x0a63000bU};
  message.options[dhcp_option::requested_address] = bytes_of({10, 99, 0, 11});
  const auto bytes = write_dhcp(message);
  ASSERT_EQ(bytes.size(), 300U); // BOOTP's least
  auto expected = bytes_of({1, 1, 6, 0, 0xca, 0xfe, 0, 1, 0, 0, 0x80, 0, 10, 99, 0, 11});
  expected.resize(28);
  const auto mac = bytes_of({0x0a, 0, 0, 0, 0, 1});
  expected.insert(expected.end(), mac.begin(), mac.end());
  expected.resize(236);
  const auto options =
      bytes_of({0x63, 0x82, 0x53, 0x63, 50, 4, 10, 99, 0, 11, 53, 1, 3, 255, 0, 0, 0});
  expected.insert(expected.end(), options.begin(), options.end());
  expected.resize(300);
  EXPECT_EQ(bytes, expected);
}

TEST(pvip_dhcp, what_is_cut_is_refused) {
  auto whole = write_dhcp(question_of(port_number(1), dhcp_type::discover));
  whole.resize(options_at + 4); // one option and the end
  for (std::size_t length = 0; length < options_at; ++length) {
    EXPECT_FALSE(read_dhcp(std::span(whole).first(length))) << length;
  }
  EXPECT_TRUE(read_dhcp(std::span(whole).first(options_at))); // no option at all
  EXPECT_FALSE(read_dhcp(std::span(whole).first(options_at + 1)));
  EXPECT_FALSE(read_dhcp(std::span(whole).first(options_at + 2)));
  EXPECT_TRUE(read_dhcp(std::span(whole).first(options_at + 3))); // no end, as some send
}

TEST(pvip_dhcp, other_hardware_directions_and_cookies_are_refused) {
  const auto whole = write_dhcp(question_of(port_number(1), dhcp_type::discover));
  for (const auto& [at, value] :
       {std::pair{0, 0}, {0, 3}, {1, 6}, {2, 16}, {236, 0}, {239, 0x64}}) {
    auto other = whole;
    other[static_cast<std::size_t>(at)] = static_cast<std::byte>(value);
    EXPECT_FALSE(read_dhcp(other)) << at;
  }
}

TEST(pvip_dhcp, options_behind_their_field_are_refused) {
  EXPECT_FALSE(read_dhcp(with_options(bytes_of({12}))));
  EXPECT_FALSE(read_dhcp(with_options(bytes_of({12, 1}))));
  EXPECT_FALSE(read_dhcp(with_options(bytes_of({0, 0, 12, 200, 'a', 'b'}))));
  EXPECT_TRUE(read_dhcp(with_options(bytes_of({255, 12, 200}))));
}

TEST(pvip_dhcp, parts_of_an_option_are_joined) {
  // The example of RFC 3396, section 8: "/diskless/foo" as the name of the boot file.
  const auto read =
      read_dhcp(with_options(bytes_of({67, 7,  '/', 'd', 'i', 's', 'k', 'l', 'e', 53, 1,
                                       1,  67, 6,   's', 's', '/', 'f', 'o', 'o', 255})));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->options.at(static_cast<dhcp_option>(67)), text("/diskless/foo"));
  EXPECT_EQ(read->options.size(), 2U);
}

TEST(pvip_dhcp, a_long_option_is_written_in_parts) {
  dhcp_message message;
  message.options[dhcp_option::text] = std::vector<std::byte>(300, std::byte{'x'});
  const auto bytes = write_dhcp(message);
  EXPECT_EQ(bytes[options_at + 1], std::byte{255});
  EXPECT_EQ(bytes[options_at + 2 + 255], std::byte{56});
  EXPECT_EQ(bytes[options_at + 2 + 255 + 1], std::byte{45});
  EXPECT_EQ(read_dhcp(bytes), message);
}

TEST(pvip_dhcp, overloaded_fields_are_read_in_their_order) {
  auto bytes = with_options(bytes_of({52, 1, 3, 12, 1, 'a', 255}));
  put(bytes, server_name_at, bytes_of({12, 1, 'c', 255}));
  put(bytes, file_at, bytes_of({12, 1, 'b', 53, 1, 1, 255}));
  const auto read = read_dhcp(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->options.at(static_cast<dhcp_option>(12)), text("abc"));
  EXPECT_EQ(read->options.at(dhcp_option::type), bytes_of({1}));
  EXPECT_FALSE(read->options.contains(dhcp_option::overload));
}

TEST(pvip_dhcp, only_the_named_fields_hold_options) {
  auto bytes = with_options(bytes_of({52, 1, 1, 255}));
  put(bytes, server_name_at, bytes_of({12, 200})); // a name, as far as we know
  put(bytes, file_at, bytes_of({53, 1, 1, 255}));
  const auto read = read_dhcp(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->options.size(), 1U);
}

TEST(pvip_dhcp, overloads_that_mean_nothing_and_fields_that_are_broken_are_refused) {
  for (const auto& options :
       {bytes_of({52, 1, 0, 255}), bytes_of({52, 1, 4, 255}), bytes_of({52, 2, 1, 1, 255}),
        bytes_of({52, 0, 255}), bytes_of({52, 1, 1, 52, 1, 1, 255})}) {
    EXPECT_FALSE(read_dhcp(with_options(options)));
  }
  auto bytes = with_options(bytes_of({52, 1, 2, 255}));
  put(bytes, server_name_at, bytes_of({12, 63}));
  EXPECT_FALSE(read_dhcp(bytes));
}

} // namespace
} // namespace orrery::pvip
