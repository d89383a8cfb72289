#include "events/log/backup.hpp"
#include "events/log/checked_text.hpp"
#include "events/log/inspect.hpp"
#include "tests/events/log/segment_fixture.hpp"
#include "tests/support/wait.hpp"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

namespace orrery::log {

namespace {

using contract::seven;
using contract::zero;
using testing_support::wait_until;

constexpr std::chrono::seconds patience{20}; // what it waits for takes milliseconds
constexpr utc_time noon = from_micros(1'764'331'200'000'000);
constexpr std::uint64_t noon_seconds = 1'764'331'200;

class backup_test : public segment_test {
protected:
  [[nodiscard]] std::string backup() const { return x_where.base() + "/backup"; }

  [[nodiscard]] std::string data() const { return x_where.base() + "/data"; }

  /// A closed log of several files with claims and commits.
  void make_log(int commits = 60) {
    auto made = create();
    owner_of zeros(*made, zero);
    owner_of sevens(*made, seven);
    zeros.claim(0);
    sevens.claim(0);
    for (int i = 0; i < commits; ++i)
      (i % 3 == 0 ? sevens : zeros)
          .commit(std::string(static_cast<std::size_t>(i * 37 % 200), '.'));
  }

  backup_facts make_backup(const backup_options& options = {}) {
    const auto made = create_backup(path(), backup(), noon, options);
    EXPECT_TRUE(made) << made.error().text;
    return made ? *made : backup_facts{};
  }

  error create_error(const backup_options& options = {}) {
    const auto made = create_backup(path(), backup(), noon, options);
    EXPECT_FALSE(made) << "a backup was made";
    return made ? error{} : made.error();
  }

  error verify_error() {
    const auto seen = verify_backup(backup());
    EXPECT_FALSE(seen) << "it is good";
    return seen ? error{} : seen.error();
  }

  error restore_error(const backup_options& options = {}) {
    const auto made = restore_backup(backup(), data(), noon, options);
    EXPECT_FALSE(made) << "it was restored";
    return made ? error{} : made.error();
  }

  void expect_nothing_made(const std::string& name) {
    EXPECT_FALSE(std::filesystem::exists(name));
    EXPECT_FALSE(std::filesystem::exists(name + ".partial"));
  }

  /// Writes one more frame behind the last one, as a writer does that was not synced.
  void add_frame(frame_kind kind, std::uint64_t synced_to, const std::string& body) {
    const auto found = scan(*log_directory::open(path(), directory_lock::shared), {});
    ASSERT_TRUE(found);
    const auto seen = inspect(path(), {});
    ASSERT_TRUE(seen);
    std::string bytes;
    const auto at = kind == frame_kind::record ? seen->partitions.at(zero).records : 0;
    encode_frame(bytes, {kind, 0, found->frames, at, synced_to, zero, 0}, body,
                 seed_of(test_identity.log));
    auto files = load_image(path());
    files[found->segments.back().name].replace(found->end_position, bytes.size(), bytes);
    store_image(path(), files);
  }
};

/// What the directory of a backup holds beside the log.
image log_part(image all) {
  all.erase(std::string(manifest_name));
  return all;
}

bool says(const error& why, const std::string& text) {
  return why.text.find(text) != std::string::npos;
}

/// A disk that is full after so many writes.
file_calls full_after(int writes) {
  auto calls = file_calls::system();
  calls.pwrite = [left = std::make_shared<int>(writes), real = calls.pwrite](
                     int to, const void* bytes, std::size_t size, off_t at) -> ssize_t {
    if ((*left)-- > 0)
      return real(to, bytes, size, at);
    errno = ENOSPC;
    return -1;
  };
  return calls;
}

/// Appends as fast as the log takes it, to the end of its life.
class busy_writer {
public:
  explicit busy_writer(log& to) : x_log(to), x_thread([this] { run(); }) {}

  busy_writer(const busy_writer&) = delete;
  busy_writer& operator=(const busy_writer&) = delete;

  ~busy_writer() {
    x_is_over = true;
    x_thread.join();
    EXPECT_TRUE(wait_until(patience, [this] { return x_under_way == 0; }));
  }

  /// Lets it go on, and waits until more was acknowledged than when it was called; how many now.
  std::uint64_t wait_for_more() {
    const auto before = x_acknowledged.load();
    x_last = before + lead;
    EXPECT_TRUE(wait_until(patience, [this, before] { return x_acknowledged > before; }));
    return x_acknowledged;
  }

private:
  /// Records until the next `wait_for_more`. Without an end the log of a slow build grows by what
  /// is written while it is copied, ever more.
  static constexpr std::uint64_t lead = 4'000;

  void run() {
    for (std::uint64_t i = 0; !x_is_over; ++i) {
      ++x_under_way;
      x_log.append(zero, "record " + std::to_string(i) + std::string(i * 37 % 400, '.'),
                   [this](const append_outcome& outcome) {
                     EXPECT_EQ(outcome.fate, append_fate::durable);
                     ++x_acknowledged;
                     --x_under_way;
                   });
      while ((x_under_way > 64 || i >= x_last) && !x_is_over)
        std::this_thread::yield();
    }
  }

  log& x_log;
  std::atomic<bool> x_is_over = false;
  std::atomic<std::uint64_t> x_acknowledged = 0;
  std::atomic<std::uint64_t> x_under_way = 0;
  std::atomic<std::uint64_t> x_last = lead;
  std::thread x_thread; // last: it uses the others
};

} // namespace

TEST_F(backup_test, of_nothing_is_not_found_and_says_what_to_do_on_kafka) {
  const auto why = create_error();
  EXPECT_EQ(why.code, error_code::not_found);
  EXPECT_TRUE(says(why, "Kafka"));
  expect_nothing_made(backup());
}

TEST_F(backup_test, has_the_bytes_of_the_log) {
  make_log();
  const auto made = make_backup();
  EXPECT_EQ(log_part(load_image(backup())), load_image(path()));
  EXPECT_GT(made.files, 3u);
  EXPECT_EQ(made.manifest.made, noon);
  EXPECT_EQ(made.manifest.meta, (log_meta{test_identity, 1}));
  const auto seen = inspect(path(), {});
  ASSERT_TRUE(seen);
  EXPECT_EQ(made.manifest.frames, seen->frames);
  EXPECT_EQ(made.manifest.partitions.at(zero).head, seen->partitions.at(zero).head);
  EXPECT_EQ(made.manifest.records(), 62u);
  EXPECT_EQ(verify_backup(backup())->manifest, made.manifest);
}

TEST_F(backup_test, of_an_empty_log_is_one) {
  create().reset();
  const auto made = make_backup();
  EXPECT_EQ(made.manifest.records(), 0u);
  EXPECT_TRUE(verify_backup(backup() + "/"));
  ASSERT_TRUE(restore_backup(backup(), data(), noon));
}

TEST_F(backup_test, only_its_user_may_read_it) {
  make_log(1);
  make_backup();
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(backup()).permissions(), perms::owner_all);
  for (const auto& entry : std::filesystem::directory_iterator(backup()))
    EXPECT_EQ(entry.status().permissions(), perms::owner_read | perms::owner_write) << entry.path();
}

TEST_F(backup_test, leaves_out_what_is_not_proven_to_be_synced) {
  make_log();
  const auto before = load_image(path());
  add_frame(frame_kind::record, 0, "written, never synced");
  ASSERT_NE(load_image(path()), before);
  make_backup();
  EXPECT_EQ(log_part(load_image(backup())), before);
}

TEST_F(backup_test, a_later_frame_is_proof_as_a_marker_is) {
  make_log();
  add_frame(frame_kind::record, 0, "synced, but its marker was not written");
  const auto proven = load_image(path());
  const auto frames = inspect(path(), {})->frames;
  add_frame(frame_kind::record, frames, "says so of the one before");
  make_backup();
  EXPECT_EQ(log_part(load_image(backup())), proven);
  ASSERT_TRUE(restore_backup(backup(), data(), noon));
  EXPECT_EQ(inspect(data() + "/log", {})->frames, frames) << "what no marker proves is there too";
}

TEST_F(backup_test, leaves_out_a_torn_end) {
  make_log();
  const auto good = load_image(path());
  auto torn = good;
  const auto found = scan(*log_directory::open(path(), directory_lock::shared), {});
  torn[found->segments.back().name].replace(found->end_position, 4, "oFr1");
  store_image(path(), torn);
  make_backup();
  EXPECT_EQ(log_part(load_image(backup())), good);
}

TEST_F(backup_test, of_a_damaged_log_is_refused_with_the_place) {
  make_log();
  auto files = load_image(path());
  auto& bytes = files[segment_name(0)];
  const auto at = bytes.find("....");
  bytes[at] = '!';
  store_image(path(), files);
  const auto why = create_error();
  EXPECT_EQ(why.code, error_code::damaged);
  EXPECT_TRUE(says(why, segment_name(0) + " is damaged at byte")) << why.text;
  expect_nothing_made(backup());
}

TEST_F(backup_test, of_a_log_that_readers_stop_in_is_refused) {
  {
    auto made = create();
    owner_of owner(*made, zero);
    owner.claim(0);
    owner.claim(1, body_format + 1);
  }
  EXPECT_TRUE(says(create_error(), "stops at record 1 of partition 0"));
  expect_nothing_made(backup());
}

TEST_F(backup_test, is_made_under_a_new_name_only) {
  make_log(1);
  std::filesystem::create_directory(backup());
  EXPECT_EQ(create_error().code, error_code::already_exists);
  const auto nowhere = create_backup(path(), backup() + "/no/where", noon);
  ASSERT_FALSE(nowhere);
  EXPECT_TRUE(says(nowhere.error(), "make it first"));
}

TEST_F(backup_test, replaces_what_a_killed_one_left) {
  make_log();
  store_image(backup() + ".partial", {{"log.meta", "half"}, {segment_name(9), "half"}});
  make_backup();
  EXPECT_TRUE(verify_backup(backup()));
  EXPECT_FALSE(std::filesystem::exists(backup() + ".partial"));
}

TEST_F(backup_test, leaves_alone_what_is_not_of_a_backup) {
  make_log(1);
  const image other{{"thesis.txt", "the only copy"}};
  store_image(backup() + ".partial", other);
  EXPECT_EQ(create_error().code, error_code::already_exists);
  EXPECT_EQ(load_image(backup() + ".partial"), other);
}

TEST_F(backup_test, is_made_by_one_at_a_time) {
  make_log(1);
  std::filesystem::create_directory(backup() + ".partial");
  const auto held = log_directory::open(backup() + ".partial", directory_lock::exclusive);
  EXPECT_EQ(create_error().code, error_code::locked);
}

TEST_F(backup_test, tells_how_far_it_is) {
  make_log();
  backup_options options;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> last;
  options.progress = [&](std::string_view what, std::uint64_t done, std::uint64_t all) {
    EXPECT_LE(last[std::string(what)].first, done);
    EXPECT_LE(done, all);
    last[std::string(what)] = {done, all};
  };
  make_backup(options);
  for (const auto* what : {"copied", "checked"})
    EXPECT_EQ(last.at(what).first, last.at(what).second) << what;
}

TEST_F(backup_test, a_full_disk_leaves_nothing) {
  make_log();
  int writes = 0;
  for (bool is_done = false; !is_done; ++writes) {
    backup_options options;
    options.calls = full_after(writes);
    const auto made = create_backup(path(), backup(), noon, options);
    is_done = made.has_value();
    if (is_done)
      break;
    EXPECT_EQ(made.error().code, error_code::storage_full);
    expect_nothing_made(backup());
  }
  EXPECT_GT(writes, 5);
  EXPECT_TRUE(verify_backup(backup()));
}

TEST_F(backup_test, a_place_without_room_is_refused_at_once) {
  make_log(1);
  std::filesystem::resize_file(path() + "/" + segment_name(0), std::uint64_t{1} << 42);
  const auto why = create_error();
  EXPECT_EQ(why.code, error_code::storage_full);
  EXPECT_TRUE(says(why, "may be needed"));
  expect_nothing_made(backup());
}

TEST_F(backup_test, beside_a_writer_each_is_a_prefix_with_all_that_was_acknowledged) {
  // Files of a few frames change all the time; in large ones there is more half written.
  for (const auto size :
       {test_segment_size, test_segment_size, 64 * test_segment_size, 64 * test_segment_size}) {
    std::filesystem::remove_all(path());
    auto options = small_files();
    options.segment_size = size;
    auto log = create(options);
    std::vector<contents> seen;
    {
      busy_writer writer(*log);
      for (int i = 0; i < 8; ++i) {
        const auto before = writer.wait_for_more();
        const auto name = backup() + std::to_string(i);
        const auto made = create_backup(path(), name, noon);
        ASSERT_TRUE(made) << made.error().text;
        EXPECT_GE(made->manifest.records(), before);
        EXPECT_TRUE(verify_backup(name));
        auto reading = small_files();
        reading.read_only = true;
        const auto opened = segment_log::open(name, reading, x_report);
        ASSERT_TRUE(opened) << opened.error().text;
        seen.push_back(contents_of(**opened));
        std::filesystem::remove_all(name);
      }
    }
    log.reset();
    const auto all = contents_of(*open(options))[0];
    for (const auto& one : seen) {
      ASSERT_LE(one[0].size(), all.size());
      EXPECT_TRUE(std::equal(one[0].begin(), one[0].end(), all.begin()));
    }
    EXPECT_GT(seen.back()[0].size(), seen.front()[0].size());
  }
}

TEST_F(backup_test, what_was_half_written_when_it_was_read_is_no_damage) {
  make_log();
  const auto good = load_image(path());
  const auto in_first = [](const scanned_frame& frame) { return frame.segment == 0; };
  std::vector<std::uint64_t> places;
  const auto where = log_directory::open(path(), directory_lock::none);
  ASSERT_TRUE(scan(*where, [&](const scanned_frame& frame) {
    if (in_first(frame))
      places.push_back(frame.position);
  }));
  const auto half = places.at(places.size() / 2);
  // The first file alone, so that it is the one that is written to.
  image one{{"log.meta", good.at("log.meta")}, {segment_name(0), good.at(segment_name(0))}};
  one[segment_name(0)].replace(half, 8, std::string(8, '\0'));
  for (const auto beside : {scan_beside::nobody, scan_beside::writer}) {
    store_image(path(), one);
    std::uint64_t last = 0;
    const auto found = scan(
        *where,
        [&](const scanned_frame& frame) {
          last = frame.position;
          if (places.at(places.size() / 2 - 1) == frame.position)
            store_image(path(), {{"log.meta", good.at("log.meta")},
                                 {segment_name(0), good.at(segment_name(0))}});
        },
        beside);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->found_damage.has_value(), beside == scan_beside::nobody);
    EXPECT_EQ(last, places.at(places.size() / 2 - 1));
    EXPECT_EQ(found->end_position, half);
  }
}

TEST_F(backup_test, what_is_damaged_beside_a_writer_is_so_when_it_is_read_again) {
  make_log();
  auto files = load_image(path());
  std::string last;
  std::uint64_t place = 0;
  ASSERT_TRUE(
      scan(*log_directory::open(path(), directory_lock::shared), [&](const scanned_frame& frame) {
        if (frame.header.kind != frame_kind::record)
          return;
        last = frame.in.name;
        place = frame.position;
      }));
  files.at(last).at(place + frame_header_size) ^= 1;
  store_image(path(), files);
  const auto why = create_error();
  EXPECT_EQ(why.code, error_code::damaged);
  EXPECT_TRUE(says(why, last + " is damaged at byte " + std::to_string(place))) << why.text;
}

TEST(backup_sample, one_of_the_first_format_stays_readable) {
  const auto seen = verify_backup(ORRERY_SOURCE_FOLDER "/tests/golden/backup");
  ASSERT_TRUE(seen) << seen.error().text;
  EXPECT_EQ(seen->manifest.records(), 42u);
  EXPECT_EQ(seen->manifest.made, noon);
}

TEST_F(backup_test, verifying_what_is_none_is_not_found) {
  EXPECT_EQ(verify_error().code, error_code::not_found);
  make_log(1);
  std::filesystem::copy(path(), backup());
  EXPECT_EQ(verify_error().code, error_code::not_found) << "without a manifest";
}

TEST_F(backup_test, a_lost_file_is_named) {
  make_log();
  make_backup();
  const auto good = load_image(backup());
  for (const auto& [name, bytes] : log_part(good)) {
    auto changed = good;
    changed.erase(name);
    store_image(backup(), changed);
    const auto why = verify_error();
    EXPECT_EQ(why.code, error_code::damaged) << name;
    EXPECT_TRUE(says(why, name)) << why.text;
  }
}

TEST_F(backup_test, a_changed_byte_is_seen_wherever_it_is) {
  make_log(20);
  make_backup();
  const auto good = load_image(backup());
  for (const auto& [name, bytes] : good)
    for (std::size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 400) {
      auto changed = good;
      changed[name][at] = static_cast<char>(changed[name][at] ^ 1);
      store_image(backup(), changed);
      EXPECT_EQ(verify_error().code, error_code::damaged) << name << " " << at;
    }
}

TEST_F(backup_test, a_lost_end_is_seen_though_the_rest_is_a_good_log) {
  make_log();
  make_backup();
  const auto good = load_image(backup());
  std::vector<std::pair<std::string, std::uint64_t>> places;
  ASSERT_TRUE(
      scan(*log_directory::open(backup(), directory_lock::shared), [&](const scanned_frame& frame) {
        places.emplace_back(frame.in.name, frame.position);
      }));
  const auto& [last, end] = places.back();
  for (const auto& [name, position] : places) {
    if (name != last)
      continue;
    auto changed = good;
    std::fill(changed[name].begin() + static_cast<std::ptrdiff_t>(position), changed[name].end(),
              '\0');
    store_image(backup(), changed);
    ASSERT_TRUE(inspect(backup(), {})->is_good());
    const auto why = verify_error();
    EXPECT_EQ(why.code, error_code::damaged);
    EXPECT_TRUE(says(why, last)) << why.text;
  }
}

TEST_F(backup_test, a_manifest_of_a_newer_format_is_refused_as_such) {
  make_log(1);
  make_backup();
  auto files = load_image(backup());
  files[std::string(manifest_name)] = with_checksum("orrery backup, format 9\n");
  store_image(backup(), files);
  EXPECT_EQ(verify_error().code, error_code::unknown_record);
}

TEST_F(backup_test, nobody_writes_to_it) {
  make_log(1);
  make_backup();
  const auto opened = segment_log::open(backup(), small_files(), x_report);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(says(opened.error(), "orrery backup restore"));
}

TEST_F(backup_test, restored_is_the_log_under_a_higher_incarnation) {
  make_log();
  make_backup();
  const auto restored = restore_backup(backup(), data(), noon);
  ASSERT_TRUE(restored) << restored.error().text;
  EXPECT_EQ(restored->incarnation, noon_seconds);
  auto expected = load_image(path());
  expected["log.meta"] = encode_meta({test_identity, noon_seconds});
  EXPECT_EQ(load_image(data() + "/log"), expected);
  const auto before = contents_of(*open());
  const auto again = segment_log::open(data() + "/log", small_files(), x_report);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ((*again)->incarnation(), noon_seconds);
  EXPECT_EQ(contents_of(**again), before);
  fill(**again, 50);
}

TEST_F(backup_test, the_incarnation_rises_though_the_clock_stands) {
  make_log(1);
  make_backup();
  ASSERT_TRUE(restore_backup(backup(), data(), noon));
  ASSERT_TRUE(create_backup(data() + "/log", backup() + "2", noon));
  const auto again = restore_backup(backup() + "2", data() + "2", noon);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->incarnation, noon_seconds + 1);
}

TEST_F(backup_test, a_restored_log_has_room_for_what_its_files_may_hold) {
  make_log(1);
  make_backup();
  std::uint64_t allocated = 0;
  backup_options options;
  options.calls.fallocate = [&](int of, off_t size) {
    allocated += static_cast<std::uint64_t>(size);
    return ::fallocate(of, 0, 0, size);
  };
  ASSERT_TRUE(restore_backup(backup(), data(), noon, options));
  std::uint64_t sizes = 0;
  for (const auto& [name, bytes] : load_image(data() + "/log"))
    sizes += parse_segment_name(name) ? bytes.size() : 0;
  EXPECT_EQ(allocated, sizes);
}

TEST_F(backup_test, a_restore_replaces_nothing) {
  make_log(1);
  make_backup();
  for (const auto* name : {"/log", "/projections", "/snapshots"}) {
    std::filesystem::create_directories(data() + name);
    const auto why = restore_error();
    EXPECT_EQ(why.code, error_code::already_exists);
    EXPECT_TRUE(says(why, name)) << why.text;
    EXPECT_TRUE(says(why, "fresh")) << why.text;
    std::filesystem::remove_all(data());
  }
}

TEST_F(backup_test, a_damaged_backup_is_not_restored) {
  make_log();
  make_backup();
  auto files = load_image(backup());
  auto& bytes = files[segment_name(0)];
  bytes[bytes.find("....")] = '!';
  store_image(backup(), files);
  EXPECT_EQ(restore_error().code, error_code::damaged);
  EXPECT_FALSE(std::filesystem::exists(data()));
}

TEST_F(backup_test, a_restore_to_a_full_disk_leaves_no_log) {
  make_log();
  make_backup();
  int writes = 0;
  for (bool is_done = false; !is_done; ++writes) {
    backup_options options;
    options.calls = full_after(writes);
    const auto made = restore_backup(backup(), data(), noon, options);
    is_done = made.has_value();
    if (is_done)
      break;
    EXPECT_EQ(made.error().code, error_code::storage_full);
    expect_nothing_made(data() + "/log");
  }
  EXPECT_GT(writes, 5);
}

} // namespace orrery::log
