#include "events/core/id.hpp"
#include "events/core/text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>
#include <vector>

namespace orrery {
namespace {

constexpr auto some_text = "01993f0e-7c1a-7abc-8123-456789abcdef";

TEST(id_parse, refuses_what_is_no_uuid) {
  const std::vector<std::string> bad{
      "",
      "01993f0e",
      "01993f0e-7c1a-7abc-8123-456789abcde",
      "01993f0e-7c1a-7abc-8123-456789abcdef0",
      "01993f0e 7c1a-7abc-8123-456789abcdef",
      "01993f0e-7c1a-7abc-8123-456789abcdeg",
      "{1993f0e-7c1a-7abc-8123-456789abcdef",
      "01993f0e7c1a-7abc-8123-456789abcdef-",
      std::string(36, '-'),
      std::string("01993f0e-7c1a-7abc-8123-456789abcde\0", 36),
  };
  for (const auto& text : bad) {
    const auto parsed = parse_uuid(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, error_code::invalid_argument);
    EXPECT_NE(parsed.error().text.find("8-4-4-4-12"), std::string::npos);
  }
}

TEST(id_parse, shows_a_bad_text_cut_and_clean) {
  const std::string text = "\x01\xff" + std::string(62, 'x') + "ää" + std::string(1000, 'y');
  const auto parsed = parse_uuid(text);
  ASSERT_FALSE(parsed.has_value());
  EXPECT_TRUE(is_utf8(parsed.error().text));
  EXPECT_EQ(parsed.error().text.find('\x01'), std::string::npos);
  EXPECT_LT(parsed.error().text.size(), 200U);
}

TEST(id_parse, refuses_the_prefix_of_another_noun) {
  EXPECT_FALSE(parse_id<vm_tag>(std::string("node_") + some_text));
  EXPECT_FALSE(parse_id<vm_tag>(std::string("vm") + some_text));
  EXPECT_FALSE(parse_id<vm_tag>(std::string("vm-") + some_text));
  EXPECT_FALSE(parse_id<vm_tag>("vm_"));
}

TEST(id, is_the_same_after_its_text) {
  const auto parsed = parse_uuid(some_text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->a, 0x01993f0e7c1a7abcULL);
  EXPECT_EQ(parsed->b, 0x8123456789abcdefULL);
  EXPECT_EQ(to_text(*parsed), some_text);
  const auto upper = parse_uuid("01993F0E-7C1A-7ABC-8123-456789ABCDEF");
  ASSERT_TRUE(upper);
  EXPECT_EQ(*upper, *parsed);
}

TEST(id, carries_the_noun_in_its_text) {
  const auto parsed = parse_id<vm_tag>(std::string("vm_") + some_text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(to_text(*parsed), std::string("vm_") + some_text);
  const auto bare = parse_id<vm_tag>(some_text);
  ASSERT_TRUE(bare);
  EXPECT_EQ(*bare, *parsed);
}

TEST(id, is_a_uuid_of_version_7_with_the_partition_inside) {
  const auto now = from_micros(1'790'000'000'123'456);
  for (const std::uint16_t partition : std::initializer_list<std::uint16_t>{0, 1, 7, 4095})
    for (const std::uint64_t random : {0ULL, 1ULL, ~0ULL}) {
      const auto made = make_uuid(now, partition_number{partition}, random);
      EXPECT_EQ(made.a >> 16, 1'790'000'000'123U) << "milliseconds";
      EXPECT_EQ((made.a >> 12) & 0xf, 7U) << "version";
      EXPECT_EQ(made.b >> 62, 2U) << "variant";
      EXPECT_EQ(static_cast<std::uint16_t>(made.partition()), partition);
      EXPECT_EQ(made.b & ~(3ULL << 62), random & ~(3ULL << 62));
    }
}

TEST(id, sorts_by_time) {
  const auto early = make_uuid(from_micros(1'000'000), partition_number{4095}, ~0ULL);
  const auto late = make_uuid(from_micros(1'001'000), partition_number{0}, 0);
  EXPECT_LT(early, late);
}

TEST(id, of_all_zeros_is_none) {
  EXPECT_TRUE(uuid{}.is_none());
  EXPECT_TRUE(vm_id{}.is_none());
  EXPECT_FALSE((uuid{0, 1}).is_none());
  EXPECT_FALSE((uuid{1, 0}).is_none());
}

TEST(id, hashes_apart_where_only_time_or_only_random_bits_differ) {
  std::unordered_set<std::size_t> hashes;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    hashes.insert(std::hash<uuid>{}({i << 16, 0}));
    hashes.insert(std::hash<uuid>{}({~0ULL, i}));
  }
  EXPECT_GT(hashes.size(), 1'990U);
}

} // namespace
} // namespace orrery
