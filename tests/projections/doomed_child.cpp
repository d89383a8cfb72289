// What tests do to a process of its own:
//
//   projections_doomed_child crash FOLDER SEED COMMANDS POINT COUNT
//     folds a random history one commit at a time and is killed at a crash point
//   projections_doomed_child refold FOLDER SEED COMMANDS POINT COUNT
//     makes a projection anew in many small files, and is killed at a crash point
//   projections_doomed_child full_disk FOLDER
//     fills a small file system of its own, makes room and goes on; the step that went wrong as its
//     exit status, 0 for none
//   projections_doomed_child full_disk_refold FOLDER
//     the same while projections are made anew

#include "events/core/crash_point.hpp"
#include "tests/projections/histories.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string_view>

namespace orrery::projections {
namespace {

constexpr int wrong_use = 99;

int crash(std::span<char*> words) {
  if (words.size() != 5)
    return wrong_use;
  const auto commits =
      random_history(std::strtoull(words[1], nullptr, 10), std::strtoull(words[2], nullptr, 10));
  if (!arm_crash_point(words[3], std::strtoull(words[4], nullptr, 10)))
    return wrong_use;
  const auto rows = open_store(words[0]);
  for (const auto& commit : commits)
    if (!rows->apply(std::span(&commit, 1)))
      return wrong_use;
  return 0;
}

int refold(std::span<char*> words) {
  if (words.size() != 5)
    return wrong_use;
  const auto commits =
      random_history(std::strtoull(words[1], nullptr, 10), std::strtoull(words[2], nullptr, 10));
  const auto rows = open_store(words[0]);
  if (!arm_crash_point(words[3], std::strtoull(words[4], nullptr, 10)))
    return wrong_use;
  constexpr std::size_t small = 8 * 1024;
  for (const auto& one : rows->status()) {
    const auto made = rows->begin_refolding(one.name, refold_aim::replace, small);
    if (!made)
      return 10;
    for (const auto& commit : commits)
      if (!(*made)->apply(std::span(&commit, 1)))
        return 11;
    const auto held = rows->hold();
    if (!rows->replace(held, **made))
      return 12;
  }
  return 0;
}

/// A file system of 8 MiB on `where`, in a mount namespace of this process alone.
bool mount_small(const std::string& where) {
  if (::geteuid() != 0 && ::unshare(CLONE_NEWUSER) != 0)
    return false;
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", where.c_str(), "tmpfs", 0, "size=8m") == 0;
}

/// Takes all room but `left` bytes.
void fill_disk(const std::string& ballast, std::uintmax_t left) {
  const auto folder = std::filesystem::path(ballast).parent_path();
  std::ofstream file(ballast, std::ios::binary);
  const std::string block(4096, 'b');
  while (std::filesystem::space(folder).available > left + block.size())
    file << block << std::flush;
}

/// Folds one commit at a time from `done` on until the disk is full; false when it does not say so.
bool apply_until_full(store& rows, const history& commits, std::size_t& done) {
  result<void> applied;
  while (applied && done < commits.size()) {
    applied = rows.apply(std::span(&commits[done], 1));
    done += applied ? 1 : 0;
  }
  return !applied && applied.error().code == error_code::storage_full &&
         applied.error().retryable &&
         rows.lowest_position(partition_number{0}).seq == commits[done - 1]->seq;
}

int full_disk(std::span<char*> words) {
  if (words.size() != 1)
    return wrong_use;
  const std::string disk = words[0];
  if (!mount_small(disk))
    return 10;
  const auto ballast = disk + "/ballast";
  const auto folder = disk + "/projections";
  constexpr std::uintmax_t room = 128 * 1024;
  const auto commits = random_history(1, 1500);
  auto rows = open_store(folder);
  std::size_t done = 0;

  fill_disk(ballast, room);
  if (!apply_until_full(*rows, commits, done) || !apply_until_full(*rows, commits, done))
    return 11;
  if (!rows->list_vms({}, {})) // reading goes on
    return 12;
  std::filesystem::remove(ballast);
  if (const auto again = rows->apply(std::span(&commits[done], 1)); !again) {
    std::fprintf(stderr, "%s\n", again.error().text.c_str());
    return 13;
  }
  ++done;

  fill_disk(ballast, room);
  if (!apply_until_full(*rows, commits, done))
    return 14;
  rows.reset(); // on a full disk
  if (const auto opened = store::open(folder);
      !opened && opened.error().code != error_code::storage_full)
    return 15;
  std::filesystem::remove(ballast);
  rows = open_store(folder);
  if (rows->lowest_position(partition_number{0}).seq != commits[done - 1]->seq ||
      !rows->apply(commits))
    return 16;
  const filled_store whole(commits);
  return *rows->digest() == *whole.rows->digest() ? 0 : 17;
}

/// Makes the timeline anew; how that ended.
result<void> refold_timeline(store& rows, const history& commits) {
  constexpr std::size_t small = 64 * 1024;
  const auto made = rows.begin_refolding(timeline::family, refold_aim::replace, small);
  if (!made)
    return made.error();
  for (const auto& commit : commits)
    if (auto applied = (*made)->apply(std::span(&commit, 1)); !applied)
      return applied;
  const auto held = rows.hold();
  return rows.replace(held, **made);
}

int full_disk_refold(std::span<char*> words) {
  if (words.size() != 1)
    return wrong_use;
  const std::string disk = words[0];
  if (!mount_small(disk))
    return 10;
  const auto ballast = disk + "/ballast";
  const auto commits = random_history(1, 1500);
  const auto early = commit_span(commits).first(commits.size() - 20);
  const auto rows = open_store(disk + "/projections");
  if (!rows->apply(early))
    return 11;
  int refused = 0;
  for (const std::uintmax_t room : {0, 4, 64, 128, 256}) { // KiB
    fill_disk(ballast, room * 1024);
    const auto made = refold_timeline(*rows, commits);
    refused += made ? 0 : 1;
    if (!made && made.error().code != error_code::storage_full) {
      std::fprintf(stderr, "%s\n", made.error().text.c_str());
      return 12;
    }
    if (!rows->list_vms({}, {}) || !rows->list_events({}, {}))
      return 13;
    std::filesystem::remove(ballast);
    if (const auto again = refold_timeline(*rows, commits); !again) {
      std::fprintf(stderr, "with room again, after %llu KiB: %s\n",
                   static_cast<unsigned long long>(room), again.error().text.c_str());
      return 14;
    }
  }
  if (refused < 3 || !rows->apply(commits))
    return 15;
  const filled_store whole(commits);
  return *rows->digest() == *whole.rows->digest() ? 0 : 16;
}

} // namespace
} // namespace orrery::projections

int main(int count, char** words) {
  if (count < 2)
    return orrery::projections::wrong_use;
  const std::string_view what(words[1]);
  const std::span<char*> rest(words + 2, static_cast<std::size_t>(count - 2));
  if (what == "crash")
    return orrery::projections::crash(rest);
  if (what == "refold")
    return orrery::projections::refold(rest);
  if (what == "full_disk")
    return orrery::projections::full_disk(rest);
  if (what == "full_disk_refold")
    return orrery::projections::full_disk_refold(rest);
  return orrery::projections::wrong_use;
}
