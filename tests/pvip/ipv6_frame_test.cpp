#include "pvip/guest/ipv6_frame.hpp"
#include "tests/pvip/dhcp_questions.hpp"
#include "tests/pvip/guest6_questions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr std::size_t headers = 14 + 40;

std::vector<std::vector<std::byte>> captured() {
  return {linux_asks_whether_it_is_free, linux_asks_for_routers, dhclient_solicits,
          dhclient_requests, dhcpcd_solicits};
}

TEST(pvip_ipv6, frames_of_others_are_read_and_written_again_as_they_were) {
  for (auto bytes : captured()) {
    const auto read = read_ipv6(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->frame_source, guest6().mac);
    EXPECT_EQ(read->frame_target, mac_of_group(read->target));
    EXPECT_EQ(read->payload.size() + headers, bytes.size());
    auto made = write_ipv6(*read);
    bytes[16] = bytes[17] = std::byte{0}; // the flow, which we leave out
    EXPECT_EQ(made, bytes);
  }
}

TEST(pvip_ipv6, a_checksum_must_be_right_or_left_to_the_card) {
  for (const auto& whole : captured()) {
    const std::size_t at = headers + (whole[20] == std::byte{17} ? 6 : 2);
    int taken = 0;
    for (unsigned value = 0; value <= 0xffff; ++value) {
      auto bytes = whole;
      field_writer(std::span(bytes).subspan(at)).number(static_cast<std::uint16_t>(value));
      taken += read_ipv6(bytes) ? 1 : 0;
    }
    EXPECT_EQ(taken, 2);
  }
  // What Linux leaves to a card that computes checksums: both addresses, length and protocol.
  auto left = dhclient_solicits;
  std::uint32_t sum = 17 + 0x40;
  for (std::size_t at = 22; at < headers; at += 2) {
    sum += field_reader(std::span(left).subspan(at)).number();
  }
  sum = (sum & 0xffff) + (sum >> 16);
  field_writer(std::span(left).subspan(headers + 6)).number(static_cast<std::uint16_t>(sum));
  EXPECT_TRUE(read_ipv6(left));
}

TEST(pvip_ipv6, a_datagram_without_a_checksum_is_refused) {
  std::vector<std::byte> payload(10); // UDP
  payload[5] = std::byte{10};
  const ipv6_frame frame{.frame_source = {},
                         .frame_target = {},
                         .source = guest6_link_local,
                         .target = all_nodes,
                         .payload = payload};
  bool was_zero = false;
  for (unsigned value = 0; value <= 0xffff; ++value) {
    field_writer(std::span(payload).subspan(8)).number(static_cast<std::uint16_t>(value));
    auto bytes = write_ipv6(frame);
    const auto stored = field_reader(std::span(bytes).subspan(headers + 6)).number();
    ASSERT_NE(stored, 0) << "says that there is none";
    ASSERT_TRUE(read_ipv6(bytes));
    if (stored == 0xffff) { // the same sum as zero
      was_zero = true;
      bytes[headers + 6] = bytes[headers + 7] = std::byte{0};
      EXPECT_FALSE(read_ipv6(bytes));
    }
  }
  EXPECT_TRUE(was_zero);
}

TEST(pvip_ipv6, padding_behind_the_packet_is_no_payload) {
  auto bytes = linux_asks_for_routers;
  bytes.resize(bytes.size() + 20);
  const auto read = read_ipv6(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->payload.size(), 16U);
}

TEST(pvip_ipv6, short_frames_are_refused) {
  for (const auto& whole : captured()) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      EXPECT_FALSE(read_ipv6(std::span(whole).first(length))) << length;
    }
  }
}

TEST(pvip_ipv6, frames_of_other_kinds_are_refused) {
  const auto expect_refused = [](std::size_t at, int value) {
    auto other = dhclient_solicits;
    other[at] = static_cast<std::byte>(value);
    EXPECT_FALSE(read_ipv6(other)) << at << " " << value;
  };
  expect_refused(12, 0x81); // tagged
  expect_refused(13, 0);    // another type
  expect_refused(14, 0x40); // IPv4
  expect_refused(19, 7);    // a packet too short for UDP
  expect_refused(19, 0x41); // longer than the frame
  expect_refused(20, 44);   // a fragment
  expect_refused(20, 0);    // options
  expect_refused(20, 6);    // TCP
}

TEST(pvip_ipv6, a_datagram_is_as_long_as_its_packet_or_shorter) {
  const auto payload = bytes_of({1, 2, 3, 4, 5});
  const auto whole = write_udp6({.frame_source = guest6().mac,
                                 .frame_target = gateway_mac,
                                 .source = guest6_link_local,
                                 .target = gateway6,
                                 .source_port = 546,
                                 .target_port = 547,
                                 .payload = payload});
  const auto read = read_udp6(whole);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->source_port, 546);
  EXPECT_EQ(read->target_port, 547);
  EXPECT_TRUE(std::ranges::equal(read->payload, payload));
  for (const auto& [length, payload_bytes] : {std::pair{7, -1}, {8, 0}, {12, 4}, {14, -1}}) {
    auto other = whole;
    other[headers + 5] = static_cast<std::byte>(length);
    const auto found = read_udp6(with_right_checksum(other));
    EXPECT_EQ(found ? static_cast<int>(found->payload.size()) : -1, payload_bytes);
  }
  EXPECT_FALSE(read_udp6(linux_asks_for_routers));
}

TEST(pvip_ipv6, any_bytes_are_read_without_harm) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const auto frames = captured();
  for (int i = 0; i < 50'000; ++i) {
    auto bytes = frames[random() % frames.size()];
    for (auto n = random() % 4; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    bytes.resize(random() % (bytes.size() + 8));
    if (const auto read = read_ipv6(bytes)) {
      ASSERT_LE(read->payload.size() + headers, bytes.size()) << "seed " << seed;
    }
  }
}

} // namespace
} // namespace orrery::pvip
