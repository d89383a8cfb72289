#include "pvip/guest/udp_frame.hpp"
#include "tests/pvip/dhcp_questions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr std::size_t headers = 14 + 20 + 8;

udp_frame frame_with(std::span<const std::byte> payload) {
  return {.frame_source = {{2, 0, 0, 0, 0, 1}},
          .frame_target = {{2, 0, 0, 0, 0, 2}},
          .source = {0x0a630001U},
          .target = {0x0a63000bU},
          .source_port = 67,
          .target_port = 68,
          .payload = payload};
}

/// The sum of RFC 1071 over big-endian halves, folded: 0xffff where the checksum is right.
unsigned folded_sum(std::span<const std::byte> bytes, unsigned sum) {
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    sum += std::to_integer<unsigned>(bytes[at]) << (at % 2 == 0 ? 8 : 0);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}

void expect_right_checksums(const std::vector<std::byte>& bytes) {
  const auto ip = std::span(bytes).subspan(14, 20);
  const auto udp = std::span(bytes).subspan(34);
  EXPECT_EQ(folded_sum(ip, 0), 0xffffU);
  const auto pseudo = folded_sum(ip.subspan(12), 17U + static_cast<unsigned>(udp.size()));
  EXPECT_EQ(folded_sum(udp, pseudo), 0xffffU);
  EXPECT_FALSE(udp[6] == std::byte{0} && udp[7] == std::byte{0}) << "says that there is none";
}

TEST(pvip_udp, as_on_the_wire) {
  const auto payload = bytes_of({'h', 'i', '!'});
  const auto expected = bytes_of({2,    0,    0,    0,  0, 2,  2,  0,  0,    0,   0,  1,  // frame
                                  8,    0,    0x45, 0,  0, 31, 0,  0,  0x40, 0,   64, 17, //
                                  0x25, 0xfd, 10,   99, 0, 1,  10, 99, 0,    11,          //
                                  0,    67,   0,    68, 0, 11, 0,  0,  'h',  'i', '!'});
  auto made = write_udp(frame_with(payload));
  expect_right_checksums(made);
  ASSERT_EQ(made.size(), expected.size());
  made[40] = made[41] = std::byte{0}; // UDP's checksum, judged above
  EXPECT_EQ(made, expected);
}

TEST(pvip_udp, checksums_are_right_for_every_length_and_never_say_none) {
  std::vector<std::byte> payload;
  for (int i = 0; i < 600; ++i) {
    expect_right_checksums(write_udp(frame_with(payload)));
    payload.push_back(static_cast<std::byte>(i * 7));
  }
  // Among all values of two bytes is the one whose sum is zero.
  payload.resize(2);
  for (unsigned value = 0; value <= 0xffff; ++value) {
    field_writer(payload).number(static_cast<std::uint16_t>(value));
    const auto made = write_udp(frame_with(payload));
    ASSERT_FALSE(made[40] == std::byte{0} && made[41] == std::byte{0}) << value;
  }
}

TEST(pvip_udp, what_is_written_is_read) {
  const auto payload = bytes_of({1, 2, 3, 4, 5});
  const auto bytes = write_udp(frame_with(payload));
  const auto read = read_udp(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->frame_source, frame_with(payload).frame_source);
  EXPECT_EQ(read->frame_target, frame_with(payload).frame_target);
  EXPECT_EQ(read->source, frame_with(payload).source);
  EXPECT_EQ(read->target, frame_with(payload).target);
  EXPECT_EQ(read->source_port, 67);
  EXPECT_EQ(read->target_port, 68);
  EXPECT_TRUE(std::ranges::equal(read->payload, payload));
}

TEST(pvip_udp, padding_behind_the_packet_is_no_payload) {
  const auto payload = bytes_of({1, 2, 3});
  auto bytes = write_udp(frame_with(payload));
  bytes.resize(60);
  const auto read = read_udp(bytes);
  ASSERT_TRUE(read);
  EXPECT_TRUE(std::ranges::equal(read->payload, payload));
}

TEST(pvip_udp, ip_options_are_stepped_over) {
  const auto payload = bytes_of({1, 2, 3});
  auto bytes = write_udp(frame_with(payload));
  bytes.insert(bytes.begin() + 34, 4, std::byte{1});
  bytes[14] = std::byte{0x46};
  bytes[17] = std::byte{20 + 4 + 8 + 3};
  const auto read = read_udp(bytes);
  ASSERT_TRUE(read);
  EXPECT_TRUE(std::ranges::equal(read->payload, payload));
}

TEST(pvip_udp, short_frames_are_refused) {
  const auto payload = bytes_of({1, 2, 3});
  const auto whole = write_udp(frame_with(payload));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(read_udp(std::span(whole).first(length))) << length;
  }
}

TEST(pvip_udp, frames_of_other_kinds_are_refused) {
  const auto payload = bytes_of({1, 2, 3});
  const auto whole = write_udp(frame_with(payload));
  const auto expect_refused = [&](std::size_t at, int value) {
    auto other = whole;
    other[at] = static_cast<std::byte>(value);
    EXPECT_FALSE(read_udp(other)) << at << " " << value;
  };
  expect_refused(12, 0x81); // tagged
  expect_refused(13, 6);    // ARP
  expect_refused(14, 0x65); // IPv6
  expect_refused(14, 0x44); // a header of 16 bytes
  expect_refused(14, 0x4f); // of 60 bytes, more than there are
  expect_refused(17, 27);   // a packet too short for UDP
  expect_refused(17, 32);   // longer than the frame
  expect_refused(20, 0x60); // more fragments
  expect_refused(21, 1);    // not the first fragment
  expect_refused(23, 6);    // TCP
  expect_refused(39, 7);    // a datagram shorter than its header
  expect_refused(39, 12);   // longer than the packet
}

TEST(pvip_udp, any_bytes_are_read_without_harm) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const auto whole = write_udp(frame_with(bytes_of({1, 2, 3, 4, 5, 6, 7, 8})));
  for (int i = 0; i < 50'000; ++i) {
    auto bytes = whole;
    for (int n = static_cast<int>(random() % 4); n >= 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    bytes.resize(random() % (bytes.size() + 8));
    if (const auto read = read_udp(bytes)) {
      ASSERT_LE(read->payload.size() + headers, bytes.size()) << "seed " << seed;
    }
  }
}

} // namespace
} // namespace orrery::pvip
