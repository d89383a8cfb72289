#include "events/log/checked_text.hpp"
#include "events/log/segment_log.hpp"
#include "tests/events/log/segment_fixture.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <set>
#include <thread>

namespace orrery::log {

namespace {

using contract::append_and_wait;
using contract::at_once;
using contract::outcomes;
using contract::patience;
using contract::seven;
using contract::zero;

/// Runs `body` in a child process; its exit status, or minus the signal that ended it.
template <class Body> int in_child(Body body) {
  const auto child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

} // namespace

// ---- refusals of opening and creating

TEST_F(segment_test, opening_nothing_is_not_found) {
  EXPECT_EQ(open_error().code, error_code::not_found);
  std::filesystem::create_directory(path());
  EXPECT_EQ(open_error().code, error_code::not_found);
}

TEST_F(segment_test, opening_a_file_is_refused) {
  std::ofstream(path()) << "not a directory";
  EXPECT_EQ(open_error().code, error_code::invalid_argument);
  EXPECT_FALSE(segment_log::create(path(), test_identity));
}

TEST_F(segment_test, creating_below_nothing_is_refused) {
  const auto made = segment_log::create(path() + "/not/there", test_identity);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, error_code::io_failed);
}

TEST_F(segment_test, creating_twice_is_refused_and_harms_nothing) {
  fill(*create(), 5);
  const auto again = segment_log::create(path(), test_identity);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, error_code::already_exists);
  EXPECT_EQ(contents_of(*open())[0].size(), 3u);
}

TEST_F(segment_test, creating_over_records_without_log_meta_is_refused) {
  fill(*create(), 5);
  std::filesystem::remove(path() + "/log.meta");
  const auto again = segment_log::create(path(), test_identity);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, error_code::damaged);
}

TEST_F(segment_test, a_newer_format_is_refused_as_such) {
  create().reset();
  std::ofstream(path() + "/log.meta", std::ios::trunc) << with_checksum("orrery log, format 3\n");
  EXPECT_EQ(open_error().code, error_code::unknown_record);
}

TEST_F(segment_test, a_second_opener_is_told_who_holds_the_directory) {
  auto first = create();
  const auto refused = open_error();
  EXPECT_EQ(refused.code, error_code::locked);
  EXPECT_NE(refused.text.find(path()), std::string::npos);
  EXPECT_NE(refused.text.find("orreryd"), std::string::npos);
  auto reading = small_files();
  reading.read_only = true;
  EXPECT_EQ(open_error(reading).code, error_code::locked);
  const auto created = segment_log::create(path(), test_identity);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, error_code::locked);
  first.reset();
  EXPECT_NE(open(), nullptr);
}

TEST_F(segment_test, the_lock_ends_with_the_process_that_held_it) {
  EXPECT_EQ(in_child([&] {
              auto made = create();
              append_and_wait(*made, zero, "from the child");
              ::kill(::getpid(), SIGKILL);
            }),
            -SIGKILL);
  EXPECT_EQ(contents_of(*open())[0], std::vector<std::string>{"from the child"});
}

TEST_F(segment_test, identity_is_kept) {
  create().reset();
  EXPECT_EQ(open()->identity(), test_identity);
}

// ---- reading only

TEST_F(segment_test, a_read_only_log_refuses_appends) {
  fill(*create(), 5);
  auto options = small_files();
  options.read_only = true;
  const auto reader = open(options);
  const auto outcome = append_and_wait(*reader, zero, "x");
  EXPECT_EQ(outcome.fate, append_fate::not_written);
  EXPECT_EQ(outcome.failure.code, error_code::read_only);
  EXPECT_EQ(reader->end(zero).value(), 3u);
}

TEST_F(segment_test, read_only_logs_share_and_keep_writers_out) {
  fill(*create(), 5);
  auto options = small_files();
  options.read_only = true;
  const auto one = open(options);
  const auto two = open(options);
  EXPECT_EQ(contents_of(*one), contents_of(*two));
  EXPECT_EQ(open_error().code, error_code::locked);
}

TEST_F(segment_test, a_read_only_log_changes_no_byte_even_of_a_torn_tail) {
  fill(*create(), 5);
  auto torn = load_image(path());
  torn[segment_name(0)][3000] = 'x';
  torn["next.new"] = "left by a crash";
  store_image(path(), torn);
  auto options = small_files();
  options.read_only = true;
  options.calls.pwrite = [](int, const void*, std::size_t, off_t) -> ssize_t {
    ADD_FAILURE() << "a read-only log wrote";
    return -1;
  };
  {
    const auto reader = open(options);
    ASSERT_TRUE(x_report.torn);
    EXPECT_EQ(x_report.torn->file, segment_name(0));
    EXPECT_EQ(contents_of(*reader)[0].size(), 3u);
  }
  EXPECT_EQ(load_image(path()), torn);
}

// ---- disks that fail

TEST_F(segment_test, a_failed_sync_ends_the_process_with_a_clear_message) {
  create().reset();
  const auto said = x_where.base() + "/said";
  const auto ended = in_child([&] {
    const file to(::open(said.c_str(), O_WRONLY | O_CREAT, 0600));
    ORRERY_CHECK(::dup2(to.descriptor(), STDERR_FILENO) == STDERR_FILENO);
    auto options = small_files();
    options.calls.fdatasync = [failing = false](int of) mutable {
      if (std::exchange(failing, true)) {
        errno = EIO;
        return -1;
      }
      return ::fdatasync(of);
    };
    auto opened = open(options);
    append_and_wait(*opened, zero, "lost");
  });
  EXPECT_EQ(ended, -SIGABRT);
  const auto text = load_image(x_where.base())["said"];
  EXPECT_NE(text.find("the log cannot go on: sync of " + path() + "/" + segment_name(0)),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("check the disk"), std::string::npos) << text;
}

TEST_F(segment_test, after_a_failed_sync_the_fate_is_unknown_and_nothing_more_is_written) {
  create().reset();
  std::atomic<bool> failing = false;
  std::atomic<int> told = 0;
  auto options = small_files();
  options.calls.fdatasync = [&](int of) {
    if (failing) {
      errno = EIO;
      return -1;
    }
    return ::fdatasync(of);
  };
  options.on_fatal = [&](const std::string&) { ++told; };
  auto opened = open(options);
  EXPECT_EQ(append_and_wait(*opened, zero, "good").fate, append_fate::durable);
  failing = true;
  const auto lost = append_and_wait(*opened, zero, "lost");
  EXPECT_EQ(lost.fate, append_fate::unknown);
  EXPECT_EQ(lost.failure.code, error_code::io_failed);
  failing = false;
  EXPECT_EQ(append_and_wait(*opened, zero, "after").fate, append_fate::not_written);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(contents_of(*opened)[0], std::vector<std::string>{"good"});
}

TEST_F(segment_test, a_half_written_group_is_taken_back_when_the_disk_is_full) {
  create().reset();
  std::atomic<bool> full = false;
  auto options = small_files();
  options.calls.pwrite = [&](int to, const void* bytes, std::size_t size, off_t at) -> ssize_t {
    if (full.exchange(false)) {
      // As a copy-on-write file system does: some of it is written, then there is no room.
      EXPECT_EQ(::pwrite(to, bytes, size - 8, at), static_cast<ssize_t>(size - 8));
      errno = ENOSPC;
      return -1;
    }
    return ::pwrite(to, bytes, size, at);
  };
  auto opened = open(options);
  append_and_wait(*opened, zero, "before");
  full = true;
  const auto refused = append_and_wait(*opened, zero, std::string(100, 'x'));
  EXPECT_EQ(refused.fate, append_fate::not_written);
  EXPECT_EQ(refused.failure.code, error_code::storage_full);
  EXPECT_TRUE(refused.failure.retryable);
  const auto after = append_and_wait(*opened, zero, "after");
  EXPECT_EQ(after.fate, append_fate::durable);
  EXPECT_EQ(after.at, 1u);
  opened.reset();
  opened = open();
  EXPECT_FALSE(x_report.torn);
  EXPECT_EQ(contents_of(*opened)[0], (std::vector<std::string>{"before", "after"}));
}

TEST_F(segment_test, no_room_for_the_next_file_leaves_the_log_as_it_was) {
  std::atomic<bool> full = false;
  auto options = small_files();
  options.calls.fallocate = [&](int of, off_t size) {
    if (full) {
      errno = ENOSPC;
      return -1;
    }
    return ::fallocate(of, 0, 0, size);
  };
  auto made = create(options);
  full = true;
  std::size_t stored = 0;
  append_outcome refused;
  while (refused.fate != append_fate::not_written && stored < 1000) {
    refused = append_and_wait(*made, zero, std::string(100, 'x'));
    stored += refused.fate == append_fate::durable ? 1 : 0;
  }
  EXPECT_EQ(refused.fate, append_fate::not_written);
  EXPECT_EQ(refused.failure.code, error_code::storage_full);
  EXPECT_GT(stored, 5u);
  EXPECT_EQ(made->end(zero).value(), stored);
  EXPECT_EQ(append_and_wait(*made, seven, std::string(100, 'x')).failure.code,
            error_code::storage_full);
  full = false;
  EXPECT_EQ(append_and_wait(*made, zero, "room again").at, stored);
  made.reset();
  made = open();
  EXPECT_FALSE(x_report.torn);
  EXPECT_EQ(contents_of(*made)[0].size(), stored + 1);
}

// ---- groups and proofs

TEST_F(segment_test, all_that_waits_is_written_with_one_sync) {
  gate door;
  auto options = small_files();
  options.segment_size = 1024 * 1024;
  create(options).reset();
  options.calls.fdatasync = [&](int of) {
    door.pass();
    return ::fdatasync(of);
  };
  auto opened = open(options);
  const auto at_start = door.arrived();
  door.close();
  outcomes seen;
  opened->append(zero, "first", seen.done());
  ASSERT_TRUE(door.wait_for_arrivals(at_start + 1));
  for (int count = 0; count < 100; ++count)
    opened->append(count % 2 == 0 ? zero : seven, "waits", seen.done());
  door.open();
  seen.wait(101);
  const auto counted = opened->statistics();
  EXPECT_EQ(counted.records, 101u);
  EXPECT_EQ(counted.syncs, 2u);
}

TEST_F(segment_test, many_appenders_share_syncs) {
  auto options = small_files();
  options.segment_size = 4 * 1024 * 1024;
  auto made = create(options);
  std::vector<std::thread> threads;
  for (int count = 0; count < 8; ++count)
    threads.emplace_back([&] {
      outcomes seen;
      for (int at = 0; at < 100; ++at)
        made->append(zero, "record", seen.done());
      seen.wait(100);
    });
  for (auto& thread : threads)
    thread.join();
  const auto counted = made->statistics();
  EXPECT_EQ(counted.records, 800u);
  EXPECT_LT(counted.syncs, counted.records);
}

TEST_F(segment_test, what_is_not_synced_cannot_be_read) {
  gate door;
  create().reset();
  auto options = small_files();
  options.calls.fdatasync = [&](int of) {
    door.pass();
    return ::fdatasync(of);
  };
  auto opened = open(options);
  const auto at_start = door.arrived();
  door.close();
  outcomes seen;
  opened->append(zero, "on its way", seen.done());
  ASSERT_TRUE(door.wait_for_arrivals(at_start + 1));
  EXPECT_EQ(opened->end(zero).value(), 0u);
  EXPECT_TRUE(opened->read(zero, 0, 1000, at_once).value().empty());
  EXPECT_EQ(seen.count(), 0u);
  door.open();
  seen.wait(1);
  EXPECT_EQ(opened->read(zero, 0, 1000, at_once).value().size(), 1u);
}

TEST_F(segment_test, the_proof_is_synced_when_the_log_is_idle) {
  gate door;
  create().reset();
  auto options = small_files();
  options.calls.fdatasync = [&](int of) {
    door.pass();
    return ::fdatasync(of);
  };
  auto opened = open(options);
  const auto at_start = door.arrived();
  append_and_wait(*opened, zero, "alone");
  EXPECT_TRUE(door.wait_for_arrivals(at_start + 2)) << "the marker was never synced";
}

TEST_F(segment_test, an_acknowledged_record_has_its_proof_before_the_answer) {
  auto made = create();
  // At the answer itself, before any later sync: a reader of the files must find it proven.
  outcomes seen;
  auto report = seen.done();
  image at_answer;
  made->append(zero, "proven", [&](const append_outcome& outcome) {
    at_answer = load_image(path());
    report(outcome);
  });
  seen.wait(1);
  made.reset();
  auto flipped = at_answer;
  const auto at = flipped[segment_name(0)].find("proven");
  ASSERT_NE(at, std::string::npos);
  flipped[segment_name(0)][at] = 'P';
  store_image(path(), flipped);
  EXPECT_EQ(open_error().code, error_code::damaged);
}

TEST_F(segment_test, reopening_again_and_again_adds_nothing) {
  fill(*create(), 5);
  open().reset();
  const auto first = load_image(path());
  open().reset();
  open().reset();
  EXPECT_EQ(load_image(path()), first);
}

// ---- files

TEST_F(segment_test, files_grow_up_to_their_full_size) {
  auto options = small_files();
  options.segment_size = 16 * 1024 * 1024;
  auto made = create(options);
  for (int count = 0; count < 20; ++count)
    append_and_wait(*made, zero, std::string(record_size_max, 'x'));
  made.reset();
  std::vector<std::uintmax_t> sizes;
  for (const auto& [name, bytes] : load_image(path()))
    if (parse_segment_name(name))
      sizes.push_back(bytes.size());
  EXPECT_EQ(sizes, (std::vector<std::uintmax_t>{4u << 20, 8u << 20, 16u << 20}));
}

TEST_F(segment_test, reads_start_anywhere_and_cross_files) {
  auto made = create();
  fill(*made, 200);
  const auto all = contents_of(*made);
  for (offset from = 0; from < all[0].size(); ++from) {
    const auto piece = made->read(zero, from, 700, at_once);
    ASSERT_TRUE(piece) << piece.error().text;
    ASSERT_FALSE(piece->empty());
    for (const auto& one : *piece)
      ASSERT_EQ(one.bytes, all[0][one.at]);
    ASSERT_EQ(piece->front().at, from);
  }
}

TEST_F(segment_test, a_creation_that_a_crash_ended_can_be_done_again) {
  create().reset();
  auto interrupted = load_image(path());
  interrupted["log.meta.new"] = interrupted["log.meta"];
  interrupted.erase("log.meta");
  store_image(path(), interrupted);
  EXPECT_EQ(open_error().code, error_code::not_found);
  auto made = create();
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(append_and_wait(*made, zero, "x").at, 0u);
  made.reset();
  EXPECT_FALSE(load_image(path()).contains("log.meta.new"));
}

} // namespace orrery::log
