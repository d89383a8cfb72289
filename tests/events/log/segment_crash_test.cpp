#include "events/core/crash_point.hpp"
#include "events/log/inspect.hpp"
#include "tests/events/log/segment_fixture.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>

namespace orrery::log {

namespace {

constexpr std::size_t record_total = 60;

std::string body_of(std::size_t at) {
  return "record " + std::to_string(at) + std::string(at * 53 % 300, '.');
}

/// A child process that appends records 0, 1, 2 … (going on from what is there) and tells each
/// acknowledgement through a pipe, until it is done or dead.
class writing_child {
public:
  template <class Prepare> writing_child(const std::string& path, Prepare prepare) {
    EXPECT_EQ(::pipe(x_pipe), 0);
    x_child = ::fork();
    if (x_child == 0) {
      run(path, prepare());
      ::_exit(0);
    }
    ::close(x_pipe[1]);
  }

  writing_child(const writing_child&) = delete;
  writing_child& operator=(const writing_child&) = delete;

  ~writing_child() { ::close(x_pipe[0]); }

  /// Waits for its end; true when it was killed, false when it came through.
  bool killed() {
    char byte = 0;
    while (::read(x_pipe[0], &byte, 1) == 1)
      ++x_acknowledged;
    int status = 0;
    EXPECT_EQ(::waitpid(x_child, &status, 0), x_child);
    EXPECT_TRUE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
                (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        << "the child failed: " << status;
    return WIFSIGNALED(status);
  }

  [[nodiscard]] std::size_t acknowledged() const { return x_acknowledged; }

private:
  void run(const std::string& path, const open_options& options) {
    open_report report;
    auto opened = segment_log::open(path, options, report);
    if (!opened && opened.error().code == error_code::not_found)
      opened = segment_log::create(path, test_identity, options);
    if (!opened)
      ::_exit(1);
    for (auto at = (*opened)->end(contract::zero).value(); at < record_total; ++at) {
      const auto outcome = contract::append_and_wait(**opened, contract::zero, body_of(at));
      if (outcome.fate != append_fate::durable || outcome.at != at)
        ::_exit(2);
      if (::write(x_pipe[1], "!", 1) != 1)
        ::_exit(3);
      if (!(*opened)->read(contract::zero, at, 1, contract::at_once))
        ::_exit(4);
    }
  }

  int x_pipe[2] = {-1, -1};
  pid_t x_child = -1;
  std::size_t x_acknowledged = 0;
};

class segment_crash : public segment_test {
protected:
  /// The records there must be a prefix of what was appended, with all that were acknowledged.
  void expect_history(std::size_t acknowledged_min) {
    open_report report;
    auto opened = segment_log::open(path(), small_files(), report);
    if (!opened && opened.error().code == error_code::not_found) {
      EXPECT_EQ(acknowledged_min, 0u);
      return; // killed while it was made: it can be made again
    }
    ASSERT_TRUE(opened) << opened.error().text;
    const auto seen = contents_of(**opened)[0];
    ASSERT_GE(seen.size(), acknowledged_min) << "an acknowledged record is gone";
    ASSERT_LE(seen.size(), record_total);
    for (std::size_t at = 0; at < seen.size(); ++at)
      ASSERT_EQ(seen[at], body_of(at));
    opened->reset();
    open_report again;
    const auto reopened = segment_log::open(path(), small_files(), again);
    ASSERT_TRUE(reopened) << reopened.error().text;
    ASSERT_FALSE(again.torn);
    ASSERT_EQ(contents_of(**reopened)[0], seen);
  }
};

/// Counts the calls that change anything and kills the process instead of the chosen one.
open_options killed_at_call(std::uint64_t chosen) {
  auto options = small_files();
  auto left = std::make_shared<std::atomic<std::uint64_t>>(chosen);
  const auto count = [left] {
    if (left->fetch_sub(1) == 1)
      ::kill(::getpid(), SIGKILL);
  };
  options.calls.pwrite = [count](int to, const void* bytes, std::size_t size, off_t at) {
    count();
    return ::pwrite(to, bytes, size, at);
  };
  options.calls.fdatasync = [count](int of) {
    count();
    return ::fdatasync(of);
  };
  options.calls.fallocate = [count](int of, off_t size) {
    count();
    return ::fallocate(of, 0, 0, size);
  };
  return options;
}

} // namespace

TEST_F(segment_crash, at_every_crash_point_and_pass_nothing_acknowledged_is_lost) {
  for (const auto* name :
       {"log.append.before", "log.write.after", "log.sync.after", "log.read.after"})
    for (std::uint64_t pass = 1; pass <= record_total; pass += 3) {
      SCOPED_TRACE(std::string(name) + " pass " + std::to_string(pass));
      store_image(path(), {});
      writing_child child(path(), [&] {
        if (!arm_crash_point(name, pass))
          ::_exit(9);
        return small_files();
      });
      EXPECT_TRUE(child.killed()) << "the crash point was never passed";
      EXPECT_GE(child.acknowledged() + 1, pass);
      expect_history(child.acknowledged());
      if (HasFailure())
        return;
    }
}

TEST_F(segment_crash, an_unknown_crash_point_is_refused) {
  EXPECT_FALSE(arm_crash_point("log.apend.before", 1));
  EXPECT_FALSE(arm_crash_point("log.append.before", 0));
  for (const auto name : all_crash_points())
    EXPECT_FALSE(name.empty());
}

TEST_F(segment_crash, killed_before_any_call_that_changes_the_disk_nothing_is_lost) {
  std::uint64_t call = 1;
  bool killed = true;
  for (; killed && call < 2000; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    store_image(path(), {});
    writing_child child(path(), [&] { return killed_at_call(call); });
    killed = child.killed();
    expect_history(killed ? child.acknowledged() : record_total);
    if (HasFailure())
      return;
  }
  std::cout << "[ crashes  ] " << call - 2 << " calls, killed before each" << std::endl;
  EXPECT_GT(call, 200u);
}

TEST_F(segment_crash, killed_again_and_again_it_still_comes_to_the_end) {
  std::size_t acknowledged = 0;
  int lives = 0;
  for (bool killed = true; killed && lives < 100; ++lives) {
    writing_child child(path(), [&] { return killed_at_call(30); });
    killed = child.killed();
    acknowledged += child.acknowledged();
  }
  EXPECT_GT(lives, 3);
  EXPECT_LE(acknowledged, record_total);
  expect_history(record_total);
}

// ---- a real full disk

namespace {

/// A file system of 1 MiB on `where`, in a mount namespace of this process alone.
bool mount_small(const std::string& where) {
  if (::geteuid() != 0 && ::unshare(CLONE_NEWUSER) != 0)
    return false;
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", where.c_str(), "tmpfs", 0, "size=1m") == 0;
}

/// Fills the disk through the log, makes room, goes on, opens again. The number of the step that
/// went wrong, 0 when none did.
int full_disk_story(const std::string& disk) {
  if (!mount_small(disk))
    return 10;
  std::ofstream(disk + "/ballast", std::ios::binary) << std::string(500 * 1024, 'b');
  open_options options;
  options.segment_size = 128 * 1024;
  auto made = segment_log::create(disk + "/log", test_identity, options);
  if (!made)
    return 11;
  std::size_t stored = 0;
  append_outcome outcome{append_fate::durable, 0, {}};
  while (outcome.fate == append_fate::durable && stored < 10'000) {
    outcome = contract::append_and_wait(**made, contract::zero, std::string(1000, 'x'));
    stored += outcome.fate == append_fate::durable ? 1 : 0;
  }
  if (outcome.fate != append_fate::not_written ||
      outcome.failure.code != error_code::storage_full || !outcome.failure.retryable)
    return 12;
  if (stored < 100 || (*made)->end(contract::zero).value() != stored)
    return 13;
  std::filesystem::remove(disk + "/ballast");
  outcome = contract::append_and_wait(**made, contract::zero, "room again");
  if (outcome.fate != append_fate::durable || outcome.at != stored)
    return 14;
  made->reset();
  open_report report;
  const auto opened = segment_log::open(disk + "/log", options, report);
  if (!opened || report.torn)
    return 15;
  return contract::read_all(**opened, contract::zero).size() == stored + 1 ? 0 : 16;
}

} // namespace

TEST_F(segment_crash, a_full_disk_refuses_appends_until_there_is_room) {
  const auto child = ::fork();
  if (child == 0)
    ::_exit(full_disk_story(x_where.base()));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0)
      << "10: no tmpfs could be mounted (needs root or user namespaces); else a step of the story";
}

TEST_F(segment_crash, a_disk_too_full_to_make_a_log_leaves_nothing_behind) {
  auto options = small_files();
  options.calls.fallocate = [](int, off_t) {
    errno = ENOSPC;
    return -1;
  };
  const auto made = segment_log::create(path(), test_identity, options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, error_code::storage_full);
  EXPECT_TRUE(load_image(path()).empty());
  EXPECT_NE(create(), nullptr);
}

} // namespace orrery::log
