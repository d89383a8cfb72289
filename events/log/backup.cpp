#include "events/log/backup.hpp"

#include "events/log/inspect.hpp"
#include "events/log/log_copy.hpp"
#include "events/log/partial_directory.hpp"
#include "events/log/segment_scan.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

namespace orrery::log {

namespace {

bool is_there(const std::string& path) {
  struct stat status {};

  return ::lstat(path.c_str(), &status) == 0;
}

/// `a/b` for `a/b///`, so that a name can be put behind it.
std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/'))
    path.pop_back();
  return path;
}

/// Bytes of all segment files of a log.
result<std::uint64_t> size_of_log(const log_directory& of) {
  const auto names = of.names();
  if (!names)
    return names.error();
  std::uint64_t sum = 0;
  for (const auto& name : *names) {
    if (!parse_segment_name(name))
      continue;
    const auto opened = of.open_file(name, O_RDONLY);
    if (!opened)
      return opened.error();
    const auto size = size_of(*opened, name);
    if (!size)
      return size.error();
    sum += *size;
  }
  return sum;
}

result<void> check_room(const std::string& path, std::uint64_t bytes) {
  struct statvfs status {};

  if (::statvfs(path.c_str(), &status) != 0)
    return system_error("statvfs", path, errno);
  const auto there = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (there >= bytes)
    return {};
  return error{error_code::storage_full,
               "there are " + std::to_string(there) + " bytes free for " + path + ", and " +
                   std::to_string(bytes) + " may be needed: make room, or name another place",
               true};
}

std::function<void(std::uint64_t)> told(const backup_options& options, std::string_view what,
                                        std::uint64_t all) {
  if (!options.progress)
    return {};
  return [&options, what, all](std::uint64_t done) { options.progress(what, done, all); };
}

/// Inspects a copy, telling how far it is.
result<inspection> read_back(const log_directory& of, const backup_options& options) {
  const auto size = size_of_log(of);
  if (!size)
    return size.error();
  const auto tell = told(options, "checked", *size);
  if (!tell)
    return inspect(of, {});
  std::uint64_t done = 0;
  auto seen = inspect(of, [&](const inspected_record& one) {
    done += frame_size(one.bytes.size());
    tell(done);
  });
  tell(*size);
  return seen;
}

backup_facts facts_of(const inspection& seen, utc_time made) {
  backup_facts facts;
  facts.manifest.meta = {seen.identity, seen.incarnation};
  facts.manifest.made = made;
  facts.manifest.frames = seen.frames;
  for (const auto& [where, summary] : seen.partitions)
    facts.manifest.partitions[where] = {summary.records, summary.head};
  facts.files = seen.files;
  facts.bytes = seen.bytes;
  return facts;
}

std::string text_of(const damage& found) {
  return found.file + " is damaged at byte " + std::to_string(found.position) + ": " + found.text;
}

/// Why what was read is not the good log of a backup.
std::optional<std::string> fault_of(const inspection& seen) {
  if (seen.found_damage)
    return text_of(*seen.found_damage);
  if (seen.torn)
    return text_of({seen.torn->file, seen.torn->position, "its end is not what was written"});
  for (const auto& [where, summary] : seen.partitions)
    if (summary.alarm)
      return "every reader stops at record " + std::to_string(summary.alarm_at) + " of partition " +
             to_text(where) + " (" + std::string(name_of(*summary.alarm)) + ")";
  return std::nullopt;
}

error source_damaged(const std::string& log, const std::string& fault) {
  return {error_code::damaged,
          "the log in " + log + " is not good: " + fault +
              ". Nothing was backed up: keep the backups that there are, stop orreryd, and see "
              "with `orrery log verify` how much is good",
          false};
}

error backup_damaged(const std::string& backup, const std::string& fault) {
  return {error_code::damaged,
          "the backup " + backup + " is not good: " + fault + ". Use another backup", false};
}

/// The source of a backup, with the way out where there is no log.
result<log_directory> open_source(const std::string& log) {
  auto opened = log_directory::open(log, directory_lock::none);
  if (!opened && opened.error().code == error_code::not_found)
    return error{error_code::not_found,
                 "there is no log in " + log +
                     ": name the data_directory of an orreryd with the embedded log. A log on "
                     "Kafka is not backed up by this: its brokers' replication is what keeps it, "
                     "and mirroring to another cluster is its backup (docs/kafka.md)",
                 false};
  return opened;
}

/// The folder of what is to be made is there.
result<void> check_parent(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path().string();
  if (parent.empty() || is_there(parent))
    return {};
  return error{error_code::not_found,
               "there is no directory " + parent + " for " + path + ": make it first", false};
}

result<void> check_new(const std::string& backup) {
  if (!is_there(backup))
    return check_parent(backup);
  return error{error_code::already_exists,
               backup + " is there already: name a new directory for each backup", false};
}

/// Copies what is proven of `from`; its meta goes with it.
result<void> copy_log(const log_directory& from, const log_directory& to, std::uint64_t size,
                      const backup_options& options) {
  log_copy copy(to, options.calls, copied_frames::proven, copied_files::sparse,
                told(options, "copied", size));
  const auto found = scan(
      from, [&](const scanned_frame& frame) { copy.take(frame); }, scan_beside::writer);
  if (!found)
    return found.error();
  if (found->found_damage)
    return source_damaged(from.path(), text_of(*found->found_damage));
  if (auto finished = copy.finish(*found); !finished)
    return finished;
  return write_whole(to, options.calls, meta_name, meta_new_name,
                     encode_meta({found->identity, found->incarnation}));
}

result<backup_manifest> read_manifest(const log_directory& backup) {
  const auto text = backup.read_small(std::string(manifest_name), manifest_size_max);
  if (!text && text.error().code == error_code::not_found)
    return error{error_code::not_found,
                 backup.path() +
                     " is no backup, or not a whole one: it has no file backup.manifest; name a "
                     "directory that `orrery backup create` made",
                 false};
  if (!text)
    return text.error();
  auto parsed = parse_manifest(*text);
  if (auto* manifest = std::get_if<backup_manifest>(&parsed))
    return std::move(*manifest);
  const auto& failure = std::get<meta_failure>(parsed);
  if (failure.newer)
    return error{error_code::unknown_record,
                 "the backup " + backup.path() +
                     " is of a newer format than this version knows: use the version of orrery "
                     "that made it, or a later one",
                 false};
  return backup_damaged(backup.path(),
                        "backup.manifest is damaged at byte " + std::to_string(failure.position));
}

/// Where the backup holds other things than its manifest says.
std::optional<std::string> difference(const backup_manifest& wanted, const backup_manifest& found,
                                      const std::string& last_file) {
  if (found.meta != wanted.meta)
    return "log.meta is of another log, or of another incarnation of it";
  for (const auto& [where, one] : wanted.partitions) {
    const auto there = found.partitions.find(where);
    const auto records = there == found.partitions.end() ? 0 : there->second.records;
    if (records < one.records)
      return "partition " + to_text(where) + " has " + std::to_string(records) + " of " +
             std::to_string(one.records) + " records: the end of " + last_file + " is lost";
  }
  if (found != wanted)
    return "its records are not those of its manifest; the last ones are in " + last_file;
  return std::nullopt;
}

result<backup_facts> verify(const log_directory& backup, const backup_options& options) {
  const auto manifest = read_manifest(backup);
  if (!manifest)
    return manifest.error();
  const auto seen = read_back(backup, options);
  if (!seen && seen.error().code == error_code::not_found)
    return backup_damaged(backup.path(), "log.meta and the records are missing");
  if (!seen)
    return seen.error();
  if (const auto fault = fault_of(*seen))
    return backup_damaged(backup.path(), *fault);
  auto facts = facts_of(*seen, manifest->made);
  if (const auto fault = difference(*manifest, facts.manifest, seen->last_file))
    return backup_damaged(backup.path(), *fault);
  return facts;
}

result<void> check_fresh(const std::string& data_directory) {
  for (const auto* name : {"/log", "/projections", "/snapshots"})
    if (is_there(data_directory + name))
      return error{error_code::already_exists,
                   data_directory + name +
                       " is there already, and a restore replaces nothing: name a fresh "
                       "data_directory, or stop orreryd and move log, projections and snapshots "
                       "away",
                   false};
  return check_parent(data_directory);
}

std::uint64_t next_incarnation(const backup_manifest& of, utc_time now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  return std::max(of.meta.incarnation + 1, static_cast<std::uint64_t>(seconds));
}

/// Copies a good backup into a new log of its data directory.
result<void> restore_into(const log_directory& backup, const std::string& log,
                          const backup_manifest& manifest, const log_meta& meta,
                          const backup_options& options) {
  const auto size = size_of_log(backup);
  if (!size)
    return size.error();
  auto to = partial_directory::make(log);
  if (!to)
    return to.error();
  if (auto room = check_room(to->where().path(), *size); !room)
    return room;
  log_copy copy(to->where(), options.calls, copied_frames::all, copied_files::allocated,
                told(options, "copied", *size));
  const auto found = scan(backup, [&](const scanned_frame& frame) { copy.take(frame); });
  if (!found)
    return found.error();
  if (auto finished = copy.finish(*found); !finished)
    return finished;
  if (found->frames != manifest.frames) // good a moment ago
    return backup_damaged(backup.path(), "it changed while it was read");
  if (auto written =
          write_whole(to->where(), options.calls, meta_name, meta_new_name, encode_meta(meta));
      !written)
    return written;
  return to->finish();
}

} // namespace

result<backup_facts> create_backup(const std::string& log, const std::string& backup, utc_time now,
                                   const backup_options& options) {
  const auto final_name = without_slashes(backup);
  const auto from = open_source(log);
  if (!from)
    return from.error();
  if (auto checked = check_new(final_name); !checked)
    return checked.error();
  const auto size = size_of_log(*from);
  if (!size)
    return size.error();
  auto to = partial_directory::make(final_name);
  if (!to)
    return to.error();
  if (auto room = check_room(to->where().path(), *size); !room)
    return room.error();
  if (auto copied = copy_log(*from, to->where(), *size, options); !copied)
    return copied.error();
  const auto seen = read_back(to->where(), options);
  if (!seen)
    return seen.error();
  if (const auto fault = fault_of(*seen))
    return source_damaged(log, *fault);
  auto facts = facts_of(*seen, now);
  if (auto written = write_whole(to->where(), options.calls, manifest_name, manifest_new_name,
                                 encode_manifest(facts.manifest));
      !written)
    return written.error();
  if (auto finished = to->finish(); !finished)
    return finished.error();
  return facts;
}

result<backup_facts> verify_backup(const std::string& backup, const backup_options& options) {
  const auto opened = log_directory::open(backup, directory_lock::shared);
  if (!opened)
    return opened.error();
  return verify(*opened, options);
}

result<restored_log> restore_backup(const std::string& backup, const std::string& data_directory,
                                    utc_time now, const backup_options& options) {
  const auto data = without_slashes(data_directory);
  if (auto checked = check_fresh(data); !checked)
    return checked.error();
  const auto opened = log_directory::open(backup, directory_lock::shared);
  if (!opened)
    return opened.error();
  auto facts = verify(*opened, options);
  if (!facts)
    return facts.error();
  if (auto made = make_directory(data); !made)
    return made.error();
  const log_meta meta{facts->manifest.meta.identity, next_incarnation(facts->manifest, now)};
  if (auto restored = restore_into(*opened, data + "/log", facts->manifest, meta, options);
      !restored)
    return restored.error();
  return restored_log{std::move(*facts), meta.incarnation};
}

} // namespace orrery::log
