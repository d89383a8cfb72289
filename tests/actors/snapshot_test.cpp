#include "actors/engine/snapshot.hpp"
#include "actors/private_files.hpp"
#include "actors/snapshot_files.hpp"
#include "tests/actors/written_log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace orrery::actors {
namespace {

namespace files = std::filesystem;

constexpr auto here = written_log::where;

struct folder {
  std::string path =
      files::temp_directory_path() / ("orrery-snapshots-" + std::to_string(log::random_number()));

  ~folder() { files::remove_all(path); }

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& one : files::directory_iterator(path))
      found.push_back(one.path().filename());
    std::ranges::sort(found);
    return found;
  }
};

v1::Command sent_to(partition_number target, std::uint64_t number) {
  v1::Command made;
  domain::set(made.mutable_entity(),
              uuid{static_cast<std::uint64_t>(target) | (std::uint64_t{7} << 12), 9});
  made.mutable_stream()->set_number(number);
  return made;
}

std::vector<error> passed_over;

result<std::optional<partition_snapshot>> find(const folder& in, const written_log& of,
                                               std::uint64_t seq_max = 1'000'000) {
  passed_over.clear();
  return find_snapshot(in.path, of.identity, here, seq_max, *of.log,
                       [](const error& why) { passed_over.push_back(why); });
}

TEST(snapshot, is_what_was_folded) {
  const written_log of(1);
  auto made = of.folded();
  made.unacknowledged = {sent_to(partition_number{3}, 4), sent_to(partition_number{3}, 5)};
  const auto read = decode_snapshot(encode_snapshot(of.identity, made), of.identity);
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->head, made.head);
  EXPECT_EQ(read->next, made.next);
  EXPECT_EQ(read->before, made.before);
  EXPECT_EQ(read->owner_process, 77U);
  EXPECT_EQ(read->state.to_bytes(), made.state.to_bytes());
  ASSERT_EQ(read->unacknowledged.size(), 2U);
  EXPECT_EQ(read->unacknowledged[1].stream().number(), 5U);
}

TEST(snapshot, of_another_log_or_version_or_with_any_byte_changed_is_refused) {
  const written_log of(2, 20);
  const auto bytes = encode_snapshot(of.identity, of.folded());
  EXPECT_EQ(decode_snapshot(bytes, log::new_identity()).error().code, error_code::log_cut);
  for (std::size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 500) {
    auto changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    EXPECT_EQ(decode_snapshot(changed, of.identity).error().code, error_code::damaged) << i;
    EXPECT_FALSE(decode_snapshot(std::string_view(bytes).substr(0, i), of.identity)) << i;
  }
}

TEST(snapshot, a_fold_goes_on_from_it) {
  written_log of(3);
  const auto middle = of.folded();
  auto start = decode_snapshot(encode_snapshot(of.identity, middle), of.identity);
  ASSERT_TRUE(start);
  of.write(4, 40);
  log_fold fold(of.log, of.identity, std::move(*start));
  auto moved = fold.advance();
  while (moved && *moved)
    moved = fold.advance();
  const auto whole = of.folded();
  EXPECT_GT(whole.seq(), middle.seq());
  EXPECT_EQ(fold.at().head, whole.head);
  EXPECT_EQ(fold.at().state.to_bytes(), whole.state.to_bytes());
}

TEST(snapshot_files, keep_the_two_newest) {
  written_log of(5, 10);
  const folder in;
  std::vector<std::uint64_t> made;
  for (int i = 0; i < 4; ++i) {
    const auto one = of.folded();
    made.push_back(one.seq());
    ASSERT_TRUE(write_snapshot(in.path, of.identity, one));
    of.write(static_cast<std::uint64_t>(6 + i), 10);
  }
  EXPECT_EQ(in.names().size(), snapshots_kept);
  EXPECT_EQ((*find(in, of))->seq(), made[3]);
  EXPECT_EQ((*find(in, of, made[3] - 1))->seq(), made[2]); // the newest is too new
  EXPECT_FALSE(*find(in, of, made[2] - 1));
}

TEST(snapshot_files, of_another_log_or_that_a_killed_process_left_do_not_stay) {
  const written_log of(5, 10);
  const written_log before(6, 60);
  const folder in;
  ASSERT_TRUE(write_snapshot(in.path, before.identity, before.folded()));
  const auto old = in.path + "/" + in.names().front();
  files::copy(old, in.path + "/0000-00000000000000000999.snapshot");
  std::ofstream(old + std::string(partial_suffix)) << "half of";
  std::ofstream(in.path + "/0001-00000000000000000009.snapshot.partial") << "another partition's";
  const auto made = of.folded();
  ASSERT_TRUE(write_snapshot(in.path, of.identity, made));
  EXPECT_EQ(in.names().size(), 2U);
  const auto found = find(in, of);
  ASSERT_TRUE(found);
  ASSERT_TRUE(*found);
  EXPECT_EQ((*found)->seq(), made.seq());
}

TEST(snapshot_files, that_are_damaged_or_misnamed_are_passed_over) {
  written_log of(11, 10);
  const folder in;
  ASSERT_TRUE(write_snapshot(in.path, of.identity, of.folded()));
  const auto older = of.folded().seq();
  of.write(12, 10);
  ASSERT_TRUE(write_snapshot(in.path, of.identity, of.folded()));
  const auto newest = in.path + "/" + in.names().back();
  std::ofstream(newest, std::ios::app) << "more";
  EXPECT_EQ((*find(in, of))->seq(), older);
  ASSERT_EQ(passed_over.size(), 1U);
  EXPECT_NE(passed_over[0].text.find(newest), std::string::npos);
  files::remove(newest);
  files::copy(in.path + "/" + in.names().front(), newest); // another one under its name
  EXPECT_EQ((*find(in, of))->seq(), older);
  EXPECT_EQ(passed_over.size(), 1U);
  for (const auto* name :
       {"0000-.snapshot", "0000-12x.snapshot", "0000-99999999999999999999.snapshot",
        "0001-00000000000000000001.snapshot", "notes.txt"})
    std::ofstream(in.path + "/" + name) << "nonsense";
  EXPECT_EQ((*find(in, of))->seq(), older);
}

TEST(snapshot_files, that_are_ahead_of_the_log_or_beside_it_mean_lost_records) {
  written_log of(13, 10);
  const folder in;
  ASSERT_TRUE(write_snapshot(in.path, of.identity, of.folded()));
  written_log shorter(13, 2);
  shorter.identity = of.identity;
  const auto ahead = find(in, shorter);
  ASSERT_FALSE(ahead);
  EXPECT_EQ(ahead.error().code, error_code::log_cut);
  EXPECT_NE(ahead.error().text.find("acknowledged records are lost"), std::string::npos);
  EXPECT_EQ(find(in, shorter, 0).error().code, error_code::log_cut); // whatever is projected
  written_log other(14, 200);                                        // longer, and another
  other.identity = of.identity;
  EXPECT_EQ(find(in, other).error().code, error_code::log_cut);
}

TEST(snapshot_files, in_a_directory_that_is_not_there_are_none) {
  const written_log of(15, 5);
  const folder in;
  EXPECT_FALSE(*find(in, of));
}

} // namespace
} // namespace orrery::actors
