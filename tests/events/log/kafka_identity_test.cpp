#include "events/log/bytes.hpp"
#include "events/log/kafka_identity.hpp"
#include "events/log/segment_frame.hpp"

#include <gtest/gtest.h>

#include <string>

// The bytes; where they are kept is tests/kafka/identity_test.cpp.

namespace orrery::log {

namespace {

constexpr kafka_identity sample{{installation_id{uuid{1, 2}}, log_id{uuid{3, 4}}}, 64};

/// With another value at a place and the right checksum.
template <class Number> std::string changed(std::size_t at, Number value) {
  auto bytes = encode(sample).substr(0, kafka_identity_size - 4);
  std::string piece;
  add_number(piece, value);
  bytes.replace(at, piece.size(), piece);
  add_number(bytes, crc32c(0xffffffff, bytes));
  return bytes;
}

error_code refused(const std::string& bytes) {
  const auto parsed = parse_kafka_identity(bytes);
  EXPECT_FALSE(parsed);
  return parsed ? error_code::internal : parsed.error().code;
}

} // namespace

TEST(kafka_identity, every_cut_and_every_flipped_bit_is_damage) {
  const auto good = encode(sample);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(refused(good.substr(0, size)), error_code::damaged);
  EXPECT_EQ(refused(good + "x"), error_code::damaged);
  for (std::size_t at = 0; at < 8 * good.size(); ++at) {
    auto bytes = good;
    bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ (1 << at % 8));
    const auto code = refused(bytes);
    // The version is looked at before the checksum, whose place a later one may have changed.
    const bool is_version = at / 8 >= 4 && at / 8 < 8;
    EXPECT_EQ(code, is_version && at != 32 ? error_code::unknown_record : error_code::damaged)
        << at;
  }
}

TEST(kafka_identity, what_cannot_be_is_damage_though_its_checksum_is_right) {
  EXPECT_EQ(refused(changed(4, std::uint32_t{0})), error_code::damaged);
  EXPECT_EQ(refused(changed(40, std::uint16_t{0})), error_code::damaged);
  EXPECT_EQ(refused(changed(40, std::uint16_t{4097})), error_code::damaged);
  EXPECT_EQ(refused(changed(42, std::uint16_t{1})), error_code::damaged);
  auto bytes = sample;
  bytes.log.log = {};
  EXPECT_EQ(refused(encode(bytes)), error_code::damaged);
  bytes = sample;
  bytes.log.installation = {};
  EXPECT_EQ(refused(encode(bytes)), error_code::damaged);
}

TEST(kafka_identity, a_later_format_is_not_known) {
  EXPECT_EQ(refused(changed(4, std::uint32_t{2})), error_code::unknown_record);
}

TEST(kafka_identity, comes_back_as_it_was) {
  EXPECT_EQ(parse_kafka_identity(encode(sample)).value(), sample);
  auto largest = sample;
  largest.partitions = partition_number_max + 1;
  EXPECT_EQ(parse_kafka_identity(encode(largest)).value(), largest);
}

} // namespace orrery::log
