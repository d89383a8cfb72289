#include "pvip/apply/arp.hpp"
#include "pvip/plan/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr mac_address guest{{0x0a, 1, 2, 3, 4, 5}};
constexpr ipv4 guest_address{0x0a630011U};
constexpr ipv4 gateway_address{0x0a630001U};

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int each : values) {
    bytes.push_back(static_cast<std::byte>(each));
  }
  return bytes;
}

arp_frame right_answer() {
  return {.frame_source = guest,
          .frame_target = gateway_mac,
          .operation = arp_operation::reply,
          .sender_mac = guest,
          .sender = guest_address,
          .target_mac = gateway_mac,
          .target = gateway_address};
}

TEST(pvip_arp, short_frames_are_no_arp) {
  const auto whole = write_arp(right_answer());
  for (std::size_t length = 0; length < 42; ++length) {
    EXPECT_FALSE(read_arp(std::span(whole).first(length))) << length;
  }
  EXPECT_TRUE(read_arp(std::span(whole).first(42))); // without padding, as taps carry them
}

TEST(pvip_arp, frames_of_other_kinds_are_no_arp) {
  const auto whole = write_arp(right_answer());
  // Ether type, hardware, protocol, both lengths, operation: all but the last must be exact.
  for (std::size_t at = 12; at < 22; ++at) {
    auto other = whole;
    other[at] ^= std::byte{0x10};
    EXPECT_FALSE(read_arp(other)) << at;
  }
}

TEST(pvip_arp, any_bytes_are_read_without_harm) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes(random() % 80);
    for (std::byte& each : bytes) {
      each = static_cast<std::byte>(random());
    }
    if (const auto frame = read_arp(bytes)) {
      const auto again = write_arp(*frame);
      ASSERT_TRUE(std::equal(again.begin(), again.begin() + 42, bytes.begin())) << "seed " << seed;
    }
  }
}

TEST(pvip_arp, question_as_on_the_wire) {
  const auto frame = write_arp(arp_question(gateway_mac, gateway_address, guest_address));
  auto expected = bytes_of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0e, 0,    0, 0,   0, 1, //
                            0x08, 0x06, 0,    1,    0x08, 0,    6,    4,    0, 1,         //
                            0x0e, 0,    0,    0,    0,    1,    10,   0x63, 0, 1,         //
                            0,    0,    0,    0,    0,    0,    10,   0x63, 0, 0x11});
  expected.resize(arp_frame_bytes);
  EXPECT_TRUE(std::ranges::equal(frame, expected));
}

TEST(pvip_arp, what_is_written_is_read) {
  const auto frame = read_arp(write_arp(right_answer()));
  ASSERT_TRUE(frame);
  EXPECT_EQ(*frame, right_answer());
}

TEST(pvip_arp, only_the_wanted_guest_answers) {
  const auto question = arp_question(gateway_mac, gateway_address, guest_address);
  EXPECT_TRUE(answers(right_answer(), question, guest));
  const auto expect_no = [&](auto change) {
    arp_frame other = right_answer();
    change(other);
    EXPECT_FALSE(answers(other, question, guest));
  };
  expect_no([](arp_frame& f) { f.operation = arp_operation::request; });
  expect_no([](arp_frame& f) { f.frame_source.bytes[5] ^= 1; });
  expect_no([](arp_frame& f) { f.sender_mac.bytes[0] ^= 4; });
  expect_no([](arp_frame& f) { f.sender.bits ^= 1; });
  expect_no([](arp_frame& f) { f.target = f.sender; }); // gratuitous: not to our question
  expect_no([](arp_frame& f) { f.target_mac = guest; });
}

} // namespace
} // namespace orrery::pvip
