#include "events/log/segment_scan.hpp"

#include "events/log/log.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>

namespace orrery::log {

namespace {

/// Read ahead of the walk: large enough that a call costs nothing beside the checksum.
constexpr std::size_t scan_piece_size = std::size_t{1024} * 1024;

/// Far above any log.meta, so that a longer one is seen as damaged.
constexpr std::size_t meta_size_max = 4096;

class scanner {
public:
  scanner(const log_directory& directory, const frame_visitor& each, scan_beside beside)
      : x_directory(directory), x_each(each), x_beside(beside) {}

  result<directory_scan> run() {
    if (auto known = list(); !known)
      return known.error();
    if (!x_scan.found_damage)
      if (auto read = read_identity(); !read)
        return read.error();
    x_seed = seed_of(x_scan.identity.log);
    for (std::size_t at = 0; at < x_scan.segments.size() && !ended(); ++at)
      if (auto walked = walk_file(at); !walked)
        return walked.error();
    if (!ended())
      if (auto checked = check_end(); !checked)
        return checked.error();
    return std::move(x_scan);
  }

private:
  [[nodiscard]] bool ended() const {
    return x_scan.found_damage || x_scan.torn || x_caught_writing;
  }

  void damaged(const std::string& name, std::uint64_t position, std::string text) {
    if (!x_scan.found_damage)
      x_scan.found_damage = damage{name, position, std::move(text)};
  }

  result<void> list() {
    auto names = x_directory.names();
    if (!names)
      return names.error();
    for (const auto& name : *names)
      if (const auto first = parse_segment_name(name))
        x_scan.segments.push_back({*first, name, 0});
    return {};
  }

  result<void> read_identity() {
    const auto text = x_directory.read_small(std::string(meta_name), meta_size_max);
    if (!text && text.error().code == error_code::not_found)
      return no_meta();
    if (!text)
      return text.error();
    const auto parsed = parse_meta(*text);
    if (const auto* failure = std::get_if<meta_failure>(&parsed)) {
      if (failure->newer)
        return error{error_code::unknown_record,
                     x_directory.path() + "/log.meta is of a newer format than this version knows: "
                                          "use the version of orrery that wrote it, or a later one",
                     false};
      damaged(std::string(meta_name), failure->position, "it is not what was written");
      return {};
    }
    x_scan.identity = std::get<log_meta>(parsed).identity;
    x_scan.incarnation = std::get<log_meta>(parsed).incarnation;
    if (x_scan.segments.empty())
      damaged(segment_name(0), 0, "the first file of the log is missing");
    return {};
  }

  /// A creation that a crash interrupted leaves one file without frames; it never was a log.
  result<void> no_meta() {
    const bool interrupted = x_scan.segments.size() == 1 && x_scan.segments[0].first == 0;
    if (!x_scan.segments.empty() && !(interrupted && file_is_unused(x_scan.segments[0].name))) {
      damaged(std::string(meta_name), 0, "it is missing, but the records are there");
      return {};
    }
    return error{error_code::not_found, "there is no log in " + x_directory.path(), false};
  }

  bool file_is_unused(const std::string& name) {
    const auto opened = x_directory.open_file(name, O_RDONLY);
    if (!opened)
      return false;
    const auto size = size_of(*opened, name);
    if (!size)
      return false;
    file_reader reader(*opened, *size, scan_piece_size);
    return reader.first_not_zero(segment_header_size) == *size && reader.failure() == 0;
  }

  // ---- one file

  result<void> walk_file(std::size_t index) {
    auto& segment = x_scan.segments[index];
    if (segment.first != x_scan.frames)
      return wrong_first(index);
    const auto opened = x_directory.open_file(segment.name, O_RDONLY);
    if (!opened)
      return opened.error();
    const auto size = size_of(*opened, segment.name);
    if (!size)
      return size.error();
    file_reader reader(*opened, *size, scan_piece_size);
    const auto header = parse_segment_header(reader.at(0, segment_header_size));
    if (reader.failure() != 0)
      return read_error(segment.name, reader);
    if (!header)
      damaged(segment.name, 0, "the file's header is broken");
    else if (header->log != x_scan.identity.log || header->first != segment.first)
      damaged(segment.name, 0, "the file belongs to another log or another place in it");
    else if (*size < header->size)
      damaged(segment.name, *size,
              "the file was cut: it has " + std::to_string(*size) + " of " +
                  std::to_string(header->size) + " bytes");
    if (x_scan.found_damage)
      return {};
    segment.size = header->size;
    x_scan.synced_to = std::max(x_scan.synced_to, segment.first);
    x_scan.last_file_size = *size;
    walk_frames(index, reader);
    if (reader.failure() == 0 && !ended())
      judge_rest(index, reader, *size);
    return reader.failure() == 0 ? result<void>() : read_error(segment.name, reader);
  }

  [[nodiscard]] error read_error(const std::string& name, const file_reader& reader) const {
    return system_error("read", x_directory.path() + "/" + name, reader.failure());
  }

  /// Files are in order of their numbers, so a file between the last one and this one is gone.
  result<void> wrong_first(std::size_t index) {
    damaged(segment_name(x_scan.frames), 0,
            "the file is missing: frame " + std::to_string(x_scan.frames) + " should follow, but " +
                x_scan.segments[index].name + " comes next");
    return {};
  }

  /// The next frame of the log, if it stands whole at this place; its bytes are then in the reader.
  std::optional<frame_header> next_frame(std::size_t index, file_reader& reader,
                                         std::uint64_t position) {
    const auto& segment = x_scan.segments[index];
    if (position + frame_header_size > segment.size)
      return std::nullopt;
    const auto header = parse_frame_header(reader.at(position, frame_header_size), x_seed);
    if (!header || header->number != x_scan.frames)
      return std::nullopt;
    // A writer always leaves room for the frame that ends a file.
    const auto reserved = header->kind == frame_kind::continued ? 0 : frame_header_size;
    const auto whole = frame_size(header->body_size);
    if (position + whole + reserved > segment.size)
      return std::nullopt;
    if (header->kind == frame_kind::record &&
        header->offset != x_ends[static_cast<std::uint16_t>(header->partition)])
      return std::nullopt;
    const auto bytes = reader.at(position, static_cast<std::size_t>(whole));
    if (bytes.size() != whole || !body_is_good(*header, bytes.substr(frame_header_size), x_seed))
      return std::nullopt;
    return header;
  }

  /// Visits good frames; stops at the first thing that is none.
  void walk_frames(std::size_t index, file_reader& reader) {
    std::uint64_t position = segment_header_size;
    x_continued = false;
    while (!x_continued) {
      const auto header = next_frame(index, reader, position);
      if (!header)
        break;
      if (header->kind == frame_kind::record)
        ++x_ends[static_cast<std::uint16_t>(header->partition)];
      x_continued = header->kind == frame_kind::continued;
      ++x_scan.frames;
      x_scan.synced_to = std::max(x_scan.synced_to, header->synced_to);
      if (x_each)
        x_each({x_scan.identity, index, x_scan.segments[index], position, *header,
                reader.at(position + frame_header_size, header->body_size)});
      position += frame_size(header->body_size);
    }
    x_scan.end_position = position;
  }

  /// Behind the good frames there must be zeros up to the announced end, and nothing after it.
  void judge_rest(std::size_t index, file_reader& reader, std::uint64_t size) {
    const auto& segment = x_scan.segments[index];
    const auto position = x_scan.end_position;
    const bool last = index + 1 == x_scan.segments.size();
    const bool clean = reader.first_not_zero(position) == size && size == segment.size;
    if (clean && (last || x_continued))
      return;
    if (!last || x_continued) {
      damaged(segment.name, position,
              x_continued ? "there are bytes behind the last frame of the file"
                          : "not a good frame, though this file was complete and synced before the "
                            "next one was begun");
      return;
    }
    const auto later = largest_synced_to(reader, position, size);
    if (reader.failure() != 0)
      return;
    if (later > x_scan.frames && was_being_written(index, reader))
      x_caught_writing = true;
    else if (later > x_scan.frames)
      damaged(segment.name, position,
              "not a good frame, though frames up to number " + std::to_string(later - 1) +
                  " are known to have been synced");
    else
      x_scan.torn =
          torn_tail{segment.name, position, dirty_bytes(reader, position, size, segment.size)};
  }

  /// What was no frame a moment ago is one now. One more look is enough: a frame that proves this
  /// one is only written when this one is there.
  bool was_being_written(std::size_t index, file_reader& reader) {
    if (x_beside == scan_beside::nobody)
      return false;
    reader.forget();
    return next_frame(index, reader, x_scan.end_position).has_value();
  }

  /// From any good frame header behind `position`, at any place where one can start.
  std::uint64_t largest_synced_to(file_reader& reader, std::uint64_t position, std::uint64_t size) {
    std::uint64_t largest = 0;
    while (true) {
      position = reader.first_not_zero(position) / frame_alignment * frame_alignment;
      if (position + frame_header_size > size)
        return largest;
      const auto header = parse_frame_header(reader.at(position, frame_header_size), x_seed);
      if (header)
        largest = std::max(largest, header->synced_to);
      position += frame_alignment;
    }
  }

  /// Bytes from `position` to the last one that is not zero, or to the end of a file that is longer
  /// than it `announced` (then even zeros are too much).
  static std::uint64_t dirty_bytes(file_reader& reader, std::uint64_t position, std::uint64_t size,
                                   std::uint64_t announced) {
    if (size > announced)
      return size - position;
    std::uint64_t end = position;
    for (auto at = reader.first_not_zero(position); at < size; at = reader.first_not_zero(at)) {
      const auto piece = reader.at(at, scan_piece_size);
      if (piece.empty())
        break;
      end = at + piece.find_last_not_of('\0') + 1;
      at += piece.size();
    }
    return end - position;
  }

  // ---- the whole

  /// A file that says it is continued has a successor, or a crash came just before the rename.
  result<void> check_end() {
    if (!x_continued)
      return {};
    const auto missing = segment_name(x_scan.frames);
    const auto opened = x_directory.open_file(std::string(next_name), O_RDONLY);
    if (!opened && opened.error().code != error_code::not_found)
      return opened.error();
    if (opened) {
      file_reader reader(*opened, segment_header_size, segment_header_size);
      const auto header = parse_segment_header(reader.at(0, segment_header_size));
      if (header && header->first == x_scan.frames && header->log == x_scan.identity.log) {
        if (x_beside == scan_beside::writer)
          return {}; // it has no records before it has its name
        x_scan.segments.push_back({x_scan.frames, std::string(next_name), 0});
        return walk_file(x_scan.segments.size() - 1);
      }
    }
    if (x_beside == scan_beside::writer && x_directory.open_file(missing, O_RDONLY))
      return {}; // it got its name since the names were listed
    damaged(missing, 0, "the file is missing, though the one before it says that it was begun");
    return {};
  }

  const log_directory& x_directory;
  const frame_visitor& x_each;
  const scan_beside x_beside;
  directory_scan x_scan;
  frame_seed x_seed;
  bool x_continued = false;
  bool x_caught_writing = false;
  std::array<std::uint64_t, partition_number_max + 1> x_ends{};
};

} // namespace

error to_error(const std::string& directory, const damage& found) {
  return {error_code::damaged,
          directory + "/" + found.file + " is damaged at byte " + std::to_string(found.position) +
              ": " + found.text +
              ". The log is not opened, since records that were acknowledged would be missing: "
              "restore the directory from a backup; `orrery log verify` shows how much is good",
          false};
}

result<directory_scan> scan(const log_directory& directory, const frame_visitor& each,
                            scan_beside beside) {
  return scanner(directory, each, beside).run();
}

} // namespace orrery::log
