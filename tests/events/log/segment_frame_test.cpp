#include "events/log/checked_text.hpp"
#include "events/log/log.hpp"
#include "events/log/segment_frame.hpp"

#include <gtest/gtest.h>

#include <string>

namespace orrery::log {

namespace {

constexpr log_identity identity{installation_id{uuid{0x1111, 0x2222}},
                                log_id{uuid{0x3333, 0x4444}}};

frame_header sample() {
  return {.kind = frame_kind::record,
          .body_size = 0,
          .number = 9,
          .offset = 4,
          .synced_to = 8,
          .partition = partition_number{7},
          .body_crc = 0};
}

std::string encoded(const frame_header& header, std::string_view body, frame_seed seed) {
  std::string bytes;
  encode_frame(bytes, header, body, seed);
  return bytes;
}

} // namespace

TEST(segment_frame, rejects_fields_that_no_writer_sets) {
  const auto seed = seed_of(identity.log);
  auto ahead = sample();
  ahead.synced_to = 10;
  EXPECT_FALSE(parse_frame_header(encoded(ahead, "x", seed), seed));
  EXPECT_FALSE(parse_frame_header(encoded(sample(), "", seed), seed)) << "an empty record";
  EXPECT_FALSE(
      parse_frame_header(encoded(sample(), std::string(record_size_max + 1, 'x'), seed), seed));
  auto nowhere = sample();
  nowhere.partition = partition_number{partition_number_max + 1};
  EXPECT_FALSE(parse_frame_header(encoded(nowhere, "x", seed), seed));
  auto marker = sample();
  marker.kind = frame_kind::synced;
  EXPECT_FALSE(parse_frame_header(encoded(marker, "", seed), seed)) << "a marker with an offset";
  auto unknown = sample();
  unknown.kind = static_cast<frame_kind>(9);
  EXPECT_FALSE(parse_frame_header(encoded(unknown, "x", seed), seed));
}

TEST(segment_frame, a_frame_of_another_log_is_none) {
  const auto bytes = encoded(sample(), "body", seed_of(log_id{uuid{1, 1}}));
  EXPECT_FALSE(parse_frame_header(bytes, seed_of(identity.log)));
}

TEST(segment_frame, every_flipped_bit_is_seen) {
  const auto seed = seed_of(identity.log);
  const auto good = encoded(sample(), "some body", seed);
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      const auto header = parse_frame_header(bytes, seed);
      EXPECT_FALSE(header && body_is_good(*header, bytes.substr(frame_header_size), seed))
          << at << " bit " << bit;
    }
}

TEST(segment_frame, gives_back_what_was_encoded) {
  const auto seed = seed_of(identity.log);
  for (std::size_t size = 1; size < 20; ++size) {
    const std::string body(size, 'b');
    const auto bytes = encoded(sample(), body, seed);
    EXPECT_EQ(bytes.size(), frame_size(size));
    EXPECT_EQ(bytes.size() % frame_alignment, 0u);
    const auto header = parse_frame_header(bytes, seed);
    ASSERT_TRUE(header);
    EXPECT_TRUE(body_is_good(*header, bytes.substr(frame_header_size), seed));
    auto expected = sample();
    expected.body_size = static_cast<std::uint32_t>(size);
    expected.body_crc = crc32c(seed.value, body);
    EXPECT_EQ(*header, expected);
  }
}

TEST(segment_frame, crc32c_agrees_with_rfc_3720) {
  // Section B.4: 32 bytes of zeros give aa 36 91 8a (the inverted register, little endian).
  EXPECT_EQ(crc32c(0xffffffff, std::string(32, '\0')) ^ 0xffffffff, 0x8a9136aau);
}

TEST(segment_frame, a_file_header_is_good_or_none) {
  const segment_header header{identity.log, 4711, 1 << 20};
  const auto good = encode(header);
  ASSERT_EQ(good.size(), segment_header_size);
  EXPECT_EQ(parse_segment_header(good).value(), header);
  for (std::size_t at = 0; at < good.size(); ++at) {
    auto bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    EXPECT_FALSE(parse_segment_header(bytes)) << at;
    EXPECT_FALSE(parse_segment_header(good.substr(0, at))) << at;
  }
}

TEST(segment_frame, names_are_exact) {
  EXPECT_EQ(segment_name(4711), "00000000000000004711.seg");
  EXPECT_EQ(parse_segment_name(segment_name(4711)), 4711u);
  EXPECT_EQ(parse_segment_name("18446744073709551615.seg"), 18446744073709551615u);
  for (const auto* wrong : {"", "4711.seg", "00000000000000004711.sej", "0000000000000000471x.seg",
                            "18446744073709551616.seg", "-0000000000000000001.seg"})
    EXPECT_FALSE(parse_segment_name(wrong)) << wrong;
}

TEST(segment_meta, every_changed_byte_is_seen_and_placed) {
  const log_meta meta{identity, 4711};
  const auto good = encode_meta(meta);
  ASSERT_EQ(std::get<log_meta>(parse_meta(good)), meta);
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      const auto parsed = parse_meta(bytes);
      const auto* failure = std::get_if<meta_failure>(&parsed);
      ASSERT_NE(failure, nullptr) << at;
      EXPECT_FALSE(failure->newer) << at;
      EXPECT_LE(failure->position, good.size());
    }
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_TRUE(std::holds_alternative<meta_failure>(parse_meta(good.substr(0, size)))) << size;
  EXPECT_TRUE(std::holds_alternative<meta_failure>(parse_meta(good + "x")));
}

TEST(segment_meta, what_was_written_before_there_were_incarnations_is_the_first_one) {
  const auto parsed = parse_meta(
      with_checksum("orrery log, format 1\ninstallation 00000000-0000-1111-0000-000000002222\n"
                    "log 00000000-0000-3333-0000-000000004444\n"));
  ASSERT_TRUE(std::holds_alternative<log_meta>(parsed));
  EXPECT_EQ(std::get<log_meta>(parsed), (log_meta{identity, 1}));
}

TEST(segment_meta, an_incarnation_is_a_number_from_one_on) {
  for (const auto* wrong : {"0", "01", "+1", "9223372036854775808", "18446744073709551616", ""})
    EXPECT_TRUE(std::holds_alternative<meta_failure>(parse_meta(
        with_checksum("orrery log, format 2\ninstallation 00000000-0000-1111-0000-000000002222\n"
                      "log 00000000-0000-3333-0000-000000004444\nincarnation " +
                      std::string(wrong) + "\n"))))
        << wrong;
}

TEST(segment_meta, a_newer_format_is_told_from_damage) {
  const auto parsed =
      parse_meta(with_checksum("orrery log, format 3\nwhatever a later version keeps\n"));
  const auto* failure = std::get_if<meta_failure>(&parsed);
  ASSERT_NE(failure, nullptr);
  EXPECT_TRUE(failure->newer);
}

} // namespace orrery::log
