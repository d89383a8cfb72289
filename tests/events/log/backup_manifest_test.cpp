#include "events/log/backup_manifest.hpp"
#include "events/log/checked_text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace orrery::log {

namespace {

backup_manifest sample() {
  backup_manifest made;
  made.meta = {{installation_id{uuid{0x1111, 0x2222}}, log_id{uuid{0x3333, 0x4444}}}, 7};
  made.made = from_micros(1'764'346'761'000'123);
  made.frames = 4711;
  made.partitions[partition_number{0}] = {12, {1, 13, digest{1, 2, 3}}};
  made.partitions[partition_number{4095}] = {3, {2, 3, digest{255}}};
  return made;
}

bool is_refused(std::string_view text) {
  const auto parsed = parse_manifest(text);
  const auto* failure = std::get_if<meta_failure>(&parsed);
  return failure != nullptr && !failure->newer && failure->position <= text.size();
}

} // namespace

TEST(backup_manifest, gives_back_what_was_encoded) {
  EXPECT_EQ(std::get<backup_manifest>(parse_manifest(encode_manifest(sample()))), sample());
  const backup_manifest least{};
  EXPECT_EQ(std::get<backup_manifest>(parse_manifest(encode_manifest(least))), least);
}

TEST(backup_manifest, is_the_text_that_the_documents_show) {
  auto one = sample();
  one.partitions.erase(partition_number{4095});
  EXPECT_EQ(without_checksum(encode_manifest(one)).lines,
            "orrery backup, format 1\n"
            "installation 00000000-0000-1111-0000-000000002222\n"
            "log 00000000-0000-3333-0000-000000004444\n"
            "incarnation 7\n"
            "made 1764346761000123\n"
            "frames 4711\n"
            "partition 0 records 12 epoch 1 next 13 head "
            "0102030000000000000000000000000000000000000000000000000000000000\n");
}

TEST(backup_manifest, every_flipped_bit_is_seen) {
  const auto good = encode_manifest(sample());
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      EXPECT_TRUE(is_refused(bytes)) << at << " bit " << bit;
    }
}

TEST(backup_manifest, every_cut_is_seen) {
  const auto good = encode_manifest(sample());
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_TRUE(is_refused(good.substr(0, size))) << size;
  EXPECT_TRUE(is_refused(good + "x"));
}

TEST(backup_manifest, what_no_writer_writes_is_refused_though_the_checksum_fits) {
  const auto lines = std::string(without_checksum(encode_manifest(sample())).lines);
  const auto with = [&lines](const std::string& from, const std::string& to) {
    auto changed = lines;
    changed.replace(changed.find(from), from.size(), to);
    return with_checksum(changed);
  };
  EXPECT_TRUE(is_refused(with("incarnation 7", "incarnation 0")));
  EXPECT_TRUE(is_refused(with("incarnation 7", "incarnation 07")));
  EXPECT_TRUE(is_refused(with("made 1764346761000123", "made 18446744073709551615")));
  EXPECT_TRUE(is_refused(with("frames 4711", "frames -1")));
  EXPECT_TRUE(is_refused(with("partition 4095", "partition 4096")));
  EXPECT_TRUE(is_refused(with("partition 4095", "partition 0"))) << "twice the same";
  EXPECT_TRUE(is_refused(with("frames 4711\n", "")));
  EXPECT_TRUE(is_refused(with_checksum(lines + "\n")));
  EXPECT_TRUE(is_refused(with_checksum("")));
}

TEST(backup_manifest, a_newer_format_is_told_from_damage) {
  const auto text = with_checksum("orrery backup, format 2\nwhatever a later version keeps\n");
  const auto parsed = parse_manifest(text);
  const auto* failure = std::get_if<meta_failure>(&parsed);
  ASSERT_NE(failure, nullptr);
  EXPECT_TRUE(failure->newer);
}

} // namespace orrery::log
