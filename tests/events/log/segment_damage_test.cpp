#include "events/log/inspect.hpp"
#include "tests/events/log/segment_fixture.hpp"

#include <atomic>
#include <iostream>

namespace orrery::log {

namespace {

constexpr std::size_t record_total = 50;

/// Opens changed images of one small log, and insists on what may come of it: damage, told with
/// file and byte; or a torn tail, cut and told, behind every acknowledged record. Never another
/// history.
class segment_damage : public segment_test {
protected:
  void SetUp() override {
    {
      auto made = create();
      fill(*made, record_total);
      x_contents = contents_of(*made);
    }
    x_image = load_image(path());
    for (const auto& [name, bytes] : x_image)
      if (parse_segment_name(name))
        x_last = name;
    ASSERT_GE(x_image.size(), 4u) << "the log should have several files";
    ASSERT_EQ(x_contents[0].size() + x_contents[1].size(), record_total);
  }

  enum class outcome { refused, cut, clean };

  /// `what` names the change in failures.
  outcome try_image(const image& changed, const std::string& what) {
    SCOPED_TRACE(what);
    store_image(path(), changed);
    open_report report;
    auto opened = segment_log::open(path(), small_files(), report);
    if (!opened) {
      EXPECT_EQ(opened.error().code, error_code::damaged) << opened.error().text;
      EXPECT_NE(opened.error().text.find(path() + "/"), std::string::npos);
      EXPECT_NE(opened.error().text.find(" at byte "), std::string::npos);
      expect_same_verdict(outcome::refused);
      return outcome::refused;
    }
    EXPECT_EQ(contents_of(**opened), x_contents) << "another history, opened without a word";
    if (!report.torn)
      return outcome::clean;
    EXPECT_EQ(report.torn->file, x_last);
    EXPECT_GT(report.torn->bytes, 0u);
    expect_usable(std::move(*opened));
    return outcome::cut;
  }

  /// `orrery log verify` must see what opening sees.
  void expect_same_verdict(outcome seen) {
    const auto inspected = inspect(path(), {});
    ASSERT_TRUE(inspected) << inspected.error().text;
    EXPECT_EQ(inspected->found_damage.has_value(), seen == outcome::refused);
    EXPECT_FALSE(inspected->is_good());
  }

  void expect_usable(std::unique_ptr<segment_log> opened) {
    EXPECT_EQ(contract::append_and_wait(*opened, contract::zero, "on").fate, append_fate::durable);
    opened.reset();
    open_report again;
    const auto reopened = segment_log::open(path(), small_files(), again);
    ASSERT_TRUE(reopened) << reopened.error().text;
    EXPECT_FALSE(again.torn) << "cutting left something behind";
    EXPECT_EQ(contract::read_all(**reopened, contract::zero).size(), x_contents[0].size() + 1);
  }

  image x_image;
  contents x_contents;
  std::string x_last;
};

} // namespace

TEST_F(segment_damage, every_flipped_byte_is_refused_or_cut_and_told) {
  std::map<outcome, int> outcomes;
  for (const auto& [name, bytes] : x_image)
    for (std::size_t at = 0; at < bytes.size(); ++at)
      for (const int pattern : {0xff, 0x01, 0x20}) {
        auto changed = x_image;
        changed[name][at] = static_cast<char>(changed[name][at] ^ pattern);
        const auto what = name + " byte " + std::to_string(at) + " xor " + std::to_string(pattern);
        const auto seen = try_image(changed, what);
        ++outcomes[seen];
        EXPECT_NE(seen, outcome::clean) << what << " was not noticed";
        if (HasFailure())
          return;
      }
  std::cout << "[ flips    ] " << outcomes[outcome::refused] << " refused, "
            << outcomes[outcome::cut] << " cut and told" << std::endl;
  EXPECT_GT(outcomes[outcome::refused], 0);
  EXPECT_GT(outcomes[outcome::cut], 0);
}

TEST_F(segment_damage, every_file_cut_short_at_any_length_is_refused) {
  for (const auto& [name, bytes] : x_image)
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      auto changed = x_image;
      changed[name].resize(size);
      const auto what = name + " cut to " + std::to_string(size);
      EXPECT_EQ(try_image(changed, what), outcome::refused) << what;
      if (HasFailure())
        return;
    }
}

TEST_F(segment_damage, a_missing_file_is_refused) {
  for (const auto& [name, bytes] : x_image) {
    auto changed = x_image;
    changed.erase(name);
    EXPECT_EQ(try_image(changed, name + " removed"), outcome::refused);
  }
  image only_meta;
  only_meta["log.meta"] = x_image["log.meta"];
  EXPECT_EQ(try_image(only_meta, "all records removed"), outcome::refused);
}

TEST_F(segment_damage, garbage_behind_a_file_is_refused_or_cut_and_told) {
  const auto& last = x_image[x_last];
  const std::vector<std::string> garbage{
      "x",
      std::string(1, '\0'),
      std::string(5000, '\xff'),
      std::string(48, '\0'),
      last,                             // a whole file
      last.substr(segment_header_size), // good frames, at the wrong place
  };
  for (const auto& [name, bytes] : x_image)
    for (const auto& added : garbage) {
      auto changed = x_image;
      changed[name] += added;
      const auto seen = try_image(changed, name + " with " + std::to_string(added.size()));
      EXPECT_EQ(seen, name == x_last ? outcome::cut : outcome::refused) << name;
    }
}

TEST_F(segment_damage, files_that_changed_places_are_refused) {
  auto changed = x_image;
  std::swap(changed[segment_name(0)], changed[x_last]);
  EXPECT_EQ(try_image(changed, "first and last file swapped"), outcome::refused);
}

TEST_F(segment_damage, a_file_of_another_log_is_refused) {
  scratch_directory other;
  {
    auto made = segment_log::create(
        other.path(), {test_identity.installation, log_id{uuid{77, 77}}}, small_files());
    ASSERT_TRUE(made);
    fill(**made, record_total);
  }
  auto changed = x_image;
  changed[x_last] = load_image(other.path())[x_last];
  EXPECT_EQ(try_image(changed, "last file of another log"), outcome::refused);
}

TEST_F(segment_damage, a_lost_piece_in_the_middle_is_refused) {
  constexpr std::size_t sector = 512;
  for (const auto& [name, bytes] : x_image) {
    if (!parse_segment_name(name) || name == x_last)
      continue;
    for (std::size_t at = 0; at < bytes.size(); at += sector) {
      auto changed = x_image;
      const auto size = std::min(sector, bytes.size() - at);
      changed[name].replace(at, size, std::string(size, '\0'));
      if (changed[name] == bytes)
        continue; // nothing but zeros there
      EXPECT_EQ(try_image(changed, name + " zeros at " + std::to_string(at)), outcome::refused);
    }
  }
}

TEST_F(segment_damage, damage_while_the_log_is_open_is_told_by_the_read) {
  store_image(path(), x_image);
  auto opened = open();
  auto changed = x_image[segment_name(0)];
  changed[200] = static_cast<char>(changed[200] ^ 1);
  std::ofstream(path() + "/" + segment_name(0), std::ios::binary) << changed;
  bool told = false;
  for (const auto where : {contract::zero, contract::seven}) {
    const auto seen = opened->read(where, 0, 1'000'000, contract::at_once);
    told = told ||
           (!seen && seen.error().code == error_code::damaged &&
            seen.error().text.find(segment_name(0) + " is damaged at byte ") != std::string::npos);
  }
  EXPECT_TRUE(told);
}

// ---- writes that a power cut tore: any sectors of the last, unsynced group may be missing

namespace {

constexpr std::size_t sector = 512;
constexpr std::size_t group_count = 12;

class segment_torn : public segment_test {
protected:
  /// Appends some records, then one group of `group_count`, and keeps what was written for it.
  void write_group() {
    gate door;
    auto options = small_files();
    options.segment_size = 64 * 1024;
    options.calls.fdatasync = [&](int) {
      door.pass();
      return 0;
    };
    options.calls.pwrite = [&](int to, const void* bytes, std::size_t size, off_t at) {
      if (x_watched && size > x_group.size()) {
        x_group.assign(static_cast<const char*>(bytes), size);
        x_group_at = static_cast<std::size_t>(at);
        x_before = load_image(path());
      }
      return ::pwrite(to, bytes, size, at);
    };
    auto made = create(options);
    fill(*made, 4);
    contract::outcomes seen;
    const auto before = door.arrived();
    door.close(); // the next sync waits, so that what follows becomes one group
    made->append(contract::zero, "opens the group", seen.done());
    ASSERT_TRUE(door.wait_for_arrivals(before + 1));
    for (std::size_t count = 0; count < group_count; ++count)
      made->append(contract::zero, "grouped " + std::to_string(count) + std::string(250, '.'),
                   seen.done());
    x_watched = true;
    door.open();
    seen.wait(group_count + 1);
    x_contents = contents_of(*made);
  }

  /// The directory with only those sectors of the group whose bits are set.
  [[nodiscard]] image torn(unsigned present) const {
    auto changed = x_before;
    auto& bytes = changed[segment_name(0)];
    for (std::size_t at = 0; at < x_group.size(); ++at)
      if ((present >> ((x_group_at + at) / sector - x_group_at / sector) & 1) != 0)
        bytes[x_group_at + at] = x_group[at];
    return changed;
  }

  [[nodiscard]] std::size_t sectors() const {
    return (x_group_at + x_group.size() - 1) / sector - x_group_at / sector + 1;
  }

  /// All acknowledged records and a prefix of the group, also when it is opened once more.
  void expect_good() {
    auto opened = open();
    ASSERT_NE(opened, nullptr);
    x_torn_count += x_report.torn ? 1 : 0;
    const auto seen = contents_of(*opened);
    ASSERT_GE(seen[0].size(), x_contents[0].size() - group_count);
    for (std::size_t at = 0; at < seen[0].size(); ++at)
      ASSERT_EQ(seen[0][at], x_contents[0][at]);
    ASSERT_EQ(seen[1], x_contents[1]);
    opened.reset();
    opened = open();
    ASSERT_FALSE(x_report.torn);
    ASSERT_EQ(contents_of(*opened), seen);
  }

  std::atomic<bool> x_watched = false;
  std::string x_group;
  std::size_t x_group_at = 0;
  image x_before;
  contents x_contents;
  int x_torn_count = 0;
};

} // namespace

TEST_F(segment_torn, a_torn_group_never_costs_an_acknowledged_record) {
  write_group();
  ASSERT_FALSE(x_group.empty());
  ASSERT_GE(sectors(), 5u);
  ASSERT_LE(sectors(), 12u);
  for (unsigned present = 0; present < 1u << sectors(); ++present) {
    SCOPED_TRACE("sectors " + std::to_string(present));
    store_image(path(), torn(present));
    expect_good();
    if (HasFailure())
      return;
  }
  std::cout << "[ torn     ] " << (1u << sectors()) << " ways to tear " << sectors() << " sectors, "
            << x_torn_count << " seen as a torn tail" << std::endl;
  EXPECT_GT(x_torn_count, 0);
}

} // namespace orrery::log
