#include "events/log/segment_log.hpp"

#include "events/core/crash_point.hpp"
#include "events/log/append_check.hpp"
#include "events/log/backup_manifest.hpp"
#include "events/log/segment_index.hpp"
#include "events/log/segment_spare.hpp"
#include "events/log/segment_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace orrery::log {

namespace {

/// Size of the first file: enough for thousands of commits, zero-filled in a moment.
constexpr std::uint64_t first_segment_size = std::uint64_t{4} * 1024 * 1024;

/// Read ahead of a reader; a tail is shorter.
constexpr std::size_t read_piece_min = std::size_t{4} * 1024;
constexpr std::size_t read_piece_max = std::size_t{1024} * 1024;

/// Zeros over a torn tail, so that no byte of it can be taken for a frame later.
result<void> cut(const file_calls& calls, const file& from, const torn_tail& torn,
                 std::uint64_t announced) {
  if (::ftruncate(from.descriptor(), static_cast<off_t>(announced)) != 0)
    return system_error("cut", torn.file, errno);
  constexpr std::size_t piece_size = std::size_t{1024} * 1024;
  const std::string zeros(piece_size, '\0');
  const auto end = std::min(torn.position + torn.bytes, announced);
  for (auto at = torn.position; at < end; at += piece_size) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece_size, end - at));
    if (auto failed =
            write_all(calls, from, torn.file, std::string_view(zeros).substr(0, size), at))
      return *failed;
  }
  return {};
}

/// Refuses a directory in which a log, or records of one, are.
result<void> check_empty(const log_directory& directory) {
  auto found = scan(directory, {});
  if (!found && found.error().code == error_code::not_found)
    return {};
  if (!found && found.error().code != error_code::unknown_record)
    return found.error();
  if (found && found->found_damage && found->found_damage->file == meta_name)
    return to_error(directory.path(), *found->found_damage);
  return error{error_code::already_exists,
               "there is a log in " + directory.path() +
                   " already: open it, or name another "
                   "directory",
               false};
}

} // namespace

class segment_log::core {
public:
  core(log_directory directory, open_options options, const log_meta& meta,
       std::unique_ptr<segment_index> index, writer_start start)
      : x_directory(std::move(directory)), x_options(std::move(options)), x_meta(meta),
        x_seed(seed_of(meta.identity.log)), x_index(std::move(index)),
        x_writer(x_directory, x_options, x_seed, meta.identity.log, *x_index, std::move(start)) {}

  result<std::vector<record>> read(partition_number where, offset from, std::size_t bytes_max,
                                   std::chrono::milliseconds patience) {
    const auto found = x_index->find(where, from, patience);
    if (!found)
      return found.error();
    if (!*found)
      return std::vector<record>();
    reading progress{where, from, bytes_max, **found, {}, 0, false};
    while (!progress.full && progress.next.at < progress.next.end)
      if (auto walked = read_file(progress); !walked)
        return walked.error();
    x_index->remember(where, progress.next.at, progress.next.place);
    crash_point("log.read.after");
    return std::move(progress.found);
  }

  const log_meta& meta() const { return x_meta; }

  const segment_index& index() const { return *x_index; }

  segment_writer& writer() { return x_writer; }

private:
  struct reading {
    partition_number where;
    offset from;
    std::size_t bytes_max;
    segment_index::start next; // the record and the place to look at
    std::vector<record> found;
    std::size_t bytes;
    bool full;
  };

  /// Reads on in the current file of `progress`, then points it to the next one.
  result<void> read_file(reading& progress) {
    auto& place = progress.next.place;
    const auto window = x_index->file_at(place.file);
    if (!window)
      return lost(progress, "the last file", place.position);
    const auto opened = x_directory.open_file(window->name, O_RDONLY);
    if (!opened)
      return error{error_code::unavailable, opened.error().text, true};
    file_reader reader(*opened, window->limit,
                       std::clamp(progress.bytes_max, read_piece_min, read_piece_max));
    while (!progress.full && progress.next.at < progress.next.end) {
      const auto header = parse_frame_header(reader.at(place.position, frame_header_size), x_seed);
      if (reader.failure() != 0)
        return read_failed(window->name, reader.failure());
      if (!header)
        return lost(progress, window->name, place.position);
      if (header->kind == frame_kind::continued) {
        place = {place.file + 1, segment_header_size};
        return {};
      }
      if (auto taken = take(progress, window->name, *header, reader); !taken)
        return taken.error();
    }
    return {};
  }

  /// Takes one frame if it is wanted, and steps over it unless the answer is full.
  result<void> take(reading& progress, const std::string& name, const frame_header& header,
                    file_reader& reader) {
    auto& place = progress.next.place;
    const auto whole = static_cast<std::size_t>(frame_size(header.body_size));
    if (header.kind == frame_kind::record && header.partition == progress.where) {
      if (header.offset != progress.next.at)
        return lost(progress, name, place.position);
      if (header.offset >= progress.from) {
        progress.full =
            !progress.found.empty() && progress.bytes + header.body_size > progress.bytes_max;
        if (progress.full)
          return {};
        const auto bytes = reader.at(place.position, whole);
        if (reader.failure() != 0)
          return read_failed(name, reader.failure());
        if (bytes.size() != whole || !body_is_good(header, bytes.substr(frame_header_size), x_seed))
          return lost(progress, name, place.position);
        progress.found.push_back(
            {header.offset, std::string(bytes.substr(frame_header_size, header.body_size))});
        progress.bytes += header.body_size;
      }
      ++progress.next.at;
    }
    place.position += whole;
    return {};
  }

  [[nodiscard]] error lost(const reading& progress, const std::string& name,
                           std::uint64_t position) const {
    return {error_code::damaged,
            x_directory.path() + "/" + name + " is damaged at byte " + std::to_string(position) +
                ": the record at offset " + std::to_string(progress.next.at) + " of partition " +
                to_text(progress.where) +
                " is not what was written; stop, and restore the directory from a backup",
            false};
  }

  [[nodiscard]] error read_failed(const std::string& name, int number) const {
    auto failed = system_error("read", x_directory.path() + "/" + name, number);
    failed.code = error_code::unavailable;
    return failed;
  }

  const log_directory x_directory;
  const open_options x_options;
  const log_meta x_meta;
  const frame_seed x_seed;
  const std::unique_ptr<segment_index> x_index;
  segment_writer x_writer; // last: its thread uses all the others
};

namespace {

/// A backup that is written to is none any more, and its incarnation is that of the log that it was
/// made of.
result<void> refuse_a_backup(const log_directory& directory) {
  if (!directory.open_file(std::string(manifest_name), O_RDONLY))
    return {};
  return error{error_code::invalid_argument,
               directory.path() +
                   " is a backup, not a log: make a log of it with `orrery backup restore`",
               false};
}

/// Finishes what a crash left undone and cuts a torn tail. Gives back where the writer goes on.
result<writer_start> make_writable(const log_directory& directory, const open_options& options,
                                   directory_scan& found) {
  auto& last = found.segments.back();
  if (last.name == next_name) {
    last.name = segment_name(last.first);
    if (auto renamed = directory.rename(std::string(next_name), last.name); !renamed)
      return renamed.error();
  } else if (auto removed = directory.remove(std::string(next_name)); !removed) {
    return removed.error();
  }
  if (auto removed = directory.remove(std::string(meta_new_name)); !removed)
    return removed.error();
  auto opened = directory.open_file(last.name, O_RDWR);
  if (!opened)
    return opened.error();
  if (found.torn)
    if (auto done = cut(options.calls, *opened, *found.torn, last.size); !done)
      return done.error();
  // What was written but not synced by a killed process counts from now on, so it must be durable.
  if (options.calls.fdatasync(opened->descriptor()) != 0)
    return system_error("sync", directory.path() + "/" + last.name, errno);
  if (auto synced = directory.sync(); !synced)
    return synced.error();
  return writer_start{std::move(*opened), last, found.end_position, found.frames, true};
}

} // namespace

result<std::unique_ptr<segment_log>> segment_log::create(const std::string& directory,
                                                         const log_identity& identity,
                                                         open_options options) {
  if (auto made = make_directory(directory); !made)
    return made.error();
  {
    const auto locked = log_directory::open(directory, directory_lock::exclusive);
    if (!locked)
      return locked.error();
    if (auto empty = check_empty(*locked); !empty)
      return empty.error();
    segment_spare maker(*locked, options.calls);
    const auto size = whole_pages(std::min(first_segment_size, options.segment_size));
    auto first = maker.take(size, size, true);
    if (!first)
      return first.error();
    const segment_header header{identity.log, 0, first->size};
    if (auto written = write_segment_header(options.calls, first->opened, header); !written)
      return written.error();
    if (auto renamed = locked->rename(std::string(next_name), segment_name(0)); !renamed)
      return renamed.error();
    if (auto written =
            write_whole(*locked, options.calls, meta_name, meta_new_name, encode_meta({identity}));
        !written)
      return written.error();
  }
  open_report report;
  return open(directory, std::move(options), report);
}

result<std::unique_ptr<segment_log>> segment_log::open(const std::string& directory,
                                                       open_options options, open_report& report) {
  auto locked = log_directory::open(directory, options.read_only ? directory_lock::shared
                                                                 : directory_lock::exclusive);
  if (!locked)
    return locked.error();
  if (!options.read_only)
    if (auto checked = refuse_a_backup(*locked); !checked)
      return checked.error();
  auto index = std::make_unique<segment_index>();
  std::uint64_t record_end = 0;
  auto found = scan(*locked, [&](const scanned_frame& frame) {
    if (frame.header.kind != frame_kind::record)
      return;
    index->load({frame.header.partition, frame.header.offset, {frame.segment, frame.position}});
    record_end = frame.header.number + 1;
  });
  if (!found)
    return found.error();
  if (found->found_damage)
    return to_error(directory, *found->found_damage);
  writer_start start;
  if (!options.read_only) {
    auto made = make_writable(*locked, options, *found);
    if (!made)
      return made.error();
    start = std::move(*made);
    start.proven = record_end <= found->synced_to;
  }
  for (const auto& info : found->segments)
    index->add_file(info);
  index->publish({}, found->end_position);
  report = {found->torn, found->frames, found->segments.size()};
  return std::unique_ptr<segment_log>(new segment_log(std::make_unique<core>(
      std::move(*locked), std::move(options), log_meta{found->identity, found->incarnation},
      std::move(index), std::move(start))));
}

segment_log::segment_log(std::unique_ptr<core> made) : x_core(std::move(made)) {}

segment_log::~segment_log() = default;

void segment_log::append(partition_number where, std::string bytes,
                         std::function<void(const append_outcome&)> done) {
  x_core->writer().append(where, std::move(bytes), std::move(done));
}

result<std::vector<record>> segment_log::read(partition_number where, offset from,
                                              std::size_t bytes_max,
                                              std::chrono::milliseconds patience) {
  return x_core->read(where, from, bytes_max, patience);
}

result<offset> segment_log::end(partition_number where) { return x_core->index().end(where); }

const log_identity& segment_log::identity() const { return x_core->meta().identity; }

std::uint64_t segment_log::incarnation() const { return x_core->meta().incarnation; }

segment_statistics segment_log::statistics() const { return x_core->writer().statistics(); }

} // namespace orrery::log
