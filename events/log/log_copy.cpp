#include "events/log/log_copy.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace orrery::log {

namespace {

/// Written at once: a call for many frames, little memory.
constexpr std::size_t piece_size = std::size_t{1024} * 1024;

} // namespace

void log_copy::keep(error failed) {
  if (!x_failed)
    x_failed = std::move(failed);
}

void log_copy::take(const scanned_frame& frame) {
  if (x_failed)
    return;
  if (!x_file || frame.in.first != x_first)
    begin_file(frame.identity.log, frame.in);
  encode_frame(x_buffer, frame.header, frame.body, seed_of(frame.identity.log));
  x_waiting.push_back({frame.header.number, x_buffer.size()});
  // A marker that was written is there, whether it was synced or not: it says so of those below.
  const bool is_proof = frame.header.kind == frame_kind::synced;
  x_proven_to = std::max(x_proven_to,
                         frame.header.synced_to +
                             (is_proof && frame.header.synced_to == frame.header.number ? 1 : 0));
  if (x_buffer.size() >= piece_size)
    write_proven();
}

result<void> log_copy::finish(const directory_scan& found) {
  x_proven_to = std::max(x_proven_to, found.synced_to);
  for (const auto& one : found.segments)
    if (!x_failed && (!x_file || one.first > x_first))
      begin_file(found.identity.log, one); // has no frames yet
  end_file();
  return x_failed ? result<void>(*x_failed) : result<void>();
}

/// A file that is begun proves all before it.
void log_copy::begin_file(const log_id& log, const segment_info& like) {
  x_proven_to = std::max(x_proven_to, like.first);
  end_file();
  if (x_failed)
    return;
  x_name = segment_name(like.first);
  x_first = like.first;
  x_size = like.size;
  auto opened = x_to.open_file(x_name, O_WRONLY | O_CREAT | O_EXCL);
  if (!opened)
    return keep(opened.error());
  x_file = std::move(*opened);
  const auto size = static_cast<off_t>(x_size);
  int failed = 0;
  do
    failed = x_how == copied_files::sparse ? ::ftruncate(x_file.descriptor(), size)
                                           : x_calls.fallocate(x_file.descriptor(), size);
  while (failed != 0 && errno == EINTR);
  if (failed != 0)
    return keep(system_error("making room", x_to.path() + "/" + x_name, errno));
  if (auto unwritten =
          write_all(x_calls, x_file, x_name, encode(segment_header{log, x_first, x_size}), 0))
    return keep(*unwritten);
  x_position = segment_header_size;
}

void log_copy::end_file() {
  if (!x_file || x_failed)
    return;
  write_proven();
  if (!x_failed && x_calls.fdatasync(x_file.descriptor()) != 0)
    keep(system_error("sync", x_to.path() + "/" + x_name, errno));
  x_file = {};
  x_behind += x_size;
  if (x_progress)
    x_progress(x_behind);
}

/// What is proven leaves the buffer.
void log_copy::write_proven() {
  std::size_t end = 0;
  while (!x_waiting.empty() &&
         (x_which == copied_frames::all || x_waiting.front().number < x_proven_to)) {
    end = x_waiting.front().end;
    x_waiting.pop_front();
  }
  if (end == 0)
    return;
  if (auto failed =
          write_all(x_calls, x_file, x_name, std::string_view(x_buffer).substr(0, end), x_position))
    return keep(*failed);
  x_buffer.erase(0, end);
  for (auto& one : x_waiting)
    one.end -= end;
  x_position += end;
  if (x_progress)
    x_progress(x_behind + x_position);
}

} // namespace orrery::log
