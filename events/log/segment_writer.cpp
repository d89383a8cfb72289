#include "events/log/segment_writer.hpp"

#include "events/core/crash_point.hpp"
#include "events/log/append_check.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace orrery::log {

namespace {

/// Records written at once: bounds the buffer and the time until the first of them is answered.
constexpr std::size_t batch_bytes_max = std::size_t{16} * 1024 * 1024;

/// Kept free in every file behind the records: a `synced` frame, then the `continued` one.
constexpr std::uint64_t reserved_size = 2 * frame_header_size;

/// Files grow by this factor up to their full size, so that a small log stays small and what is
/// filled with zeros is at most this many times what is written.
constexpr std::uint64_t growth = 2;

} // namespace

result<void> write_segment_header(const file_calls& calls, const file& to,
                                  const segment_header& header) {
  if (auto failed = write_all(calls, to, next_name, encode(header), 0))
    return *failed;
  if (calls.fdatasync(to.descriptor()) != 0)
    return system_error("sync", next_name, errno);
  return {};
}

std::uint64_t grown_size(std::uint64_t size, std::uint64_t segment_size) {
  return whole_pages(std::min(segment_size, size * growth));
}

segment_writer::segment_writer(const log_directory& directory, const open_options& options,
                               frame_seed seed, const log_id& log, segment_index& index,
                               writer_start start)
    : x_directory(directory), x_options(options), x_seed(seed), x_log(log), x_index(index),
      x_spare(directory, options.calls), x_current(std::move(start.current)),
      x_info(std::move(start.info)), x_file_number(index.file_count() - 1),
      x_position(start.position), x_next_number(start.next_number), x_synced_to(start.next_number) {
  if (x_current && !start.proven && fits(0))
    write_marker();
  x_thread = std::thread([this] { run(); });
}

segment_writer::~segment_writer() {
  {
    const std::lock_guard hold(x_lock);
    x_closing = true;
  }
  x_wake.notify_one();
  x_thread.join();
}

void segment_writer::append(partition_number where, std::string bytes,
                            std::function<void(const append_outcome&)> done) {
  crash_point("log.append.before");
  {
    const std::lock_guard hold(x_lock);
    auto refusal = append_refusal(where, bytes.size(), x_pending_bytes);
    if (x_options.read_only)
      refusal = error{error_code::read_only,
                      "the log in " + x_directory.path() + " is open for reading only", false};
    if (refusal)
      bytes = {};
    x_pending_bytes += bytes.size();
    x_waiting.push_back({where, std::move(bytes), std::move(done), std::move(refusal), 0});
  }
  x_wake.notify_one();
}

segment_statistics segment_writer::statistics() const {
  return {x_records.load(), x_syncs.load(), x_bytes_written.load()};
}

void segment_writer::run() {
  while (true) {
    batch taken;
    {
      std::unique_lock hold(x_lock);
      if (!wait_for_work(hold)) {
        hold.unlock();
        sync_marker(); // idle for a while, or closing
        hold.lock();
        if (x_waiting.empty() && x_closing)
          return;
        continue;
      }
      taken = take();
    }
    commit(taken);
  }
}

/// False when nothing came while the marker waits for its sync, or when closing.
bool segment_writer::wait_for_work(std::unique_lock<std::mutex>& hold) {
  const auto ready = [this] { return x_closing || !x_waiting.empty(); };
  if (x_marker_unsynced)
    x_wake.wait_for(hold, marker_sync_delay, ready);
  else
    x_wake.wait(hold, ready);
  return !x_waiting.empty();
}

segment_writer::batch segment_writer::take() {
  batch taken;
  std::size_t bytes = 0;
  while (!x_waiting.empty() && (taken.empty() || bytes < batch_bytes_max)) {
    bytes += x_waiting.front().bytes.size();
    taken.push_back(std::move(x_waiting.front()));
    x_waiting.pop_front();
  }
  return taken;
}

void segment_writer::commit(batch& taken) {
  std::size_t from = 0;
  while (from < taken.size()) {
    if (x_failed) {
      answer(taken, from, taken.size(), refused_for_ever());
      break;
    }
    const auto to = encode(taken, from);
    if (to > from) {
      answer(taken, from, to, store());
      from = to;
    } else if (auto failed = next_file(frame_size(taken[from].bytes.size()))) {
      answer(taken, from, from + 1, failed);
      ++from;
    }
  }
  std::size_t bytes = 0;
  for (const auto& one : taken)
    bytes += one.bytes.size();
  const std::lock_guard hold(x_lock);
  x_pending_bytes -= bytes;
}

/// Encodes what fits into the current file; the index behind the last one that does.
std::size_t segment_writer::encode(batch& taken, std::size_t from) {
  x_buffer.clear();
  x_placed.clear();
  auto number = x_next_number;
  auto to = from;
  for (; to < taken.size(); ++to) {
    auto& one = taken[to];
    if (one.refusal)
      continue;
    if (!fits(x_buffer.size() + frame_size(one.bytes.size())))
      break;
    auto& end = x_ends.try_emplace(one.where, x_index.end(one.where)).first->second;
    one.at = end++;
    x_placed.push_back({one.where, one.at, {x_file_number, x_position + x_buffer.size()}});
    const frame_header header{.kind = frame_kind::record,
                              .body_size = 0,
                              .number = number++,
                              .offset = one.at,
                              .synced_to = x_synced_to,
                              .partition = one.where,
                              .body_crc = 0};
    encode_frame(x_buffer, header, one.bytes, x_seed);
  }
  return to;
}

/// Writes and syncs what is encoded; nothing when it is durable, else what became of it.
std::optional<append_outcome> segment_writer::store() {
  if (x_placed.empty())
    return std::nullopt;
  if (auto failed = write(x_buffer)) {
    x_ends.clear(); // taken back: read again from what is durable
    return failed;
  }
  x_next_number += x_placed.size();
  crash_point("log.write.after");
  if (!sync_current())
    return append_outcome{append_fate::unknown, 0, {error_code::io_failed, *x_failed, false}};
  crash_point("log.sync.after");
  write_marker();
  x_records += x_placed.size();
  x_index.publish(x_placed, x_position);
  prepare_next();
  return std::nullopt;
}

/// Writes frames at the end. After a failure they are taken back, so that they never appear.
std::optional<append_outcome> segment_writer::write(const std::string& bytes) {
  if (auto failed = write_all(x_options.calls, x_current, x_info.name, bytes, x_position)) {
    if (take_back(bytes.size()))
      return append_outcome{append_fate::not_written, 0, *failed};
    fatal(failed->text + ", and the half-written frames could not be taken back");
    return append_outcome{append_fate::unknown, 0, *failed};
  }
  x_position += bytes.size();
  x_bytes_written += bytes.size();
  return std::nullopt;
}

bool segment_writer::take_back(std::size_t size) {
  const std::string zeros(size, '\0');
  return !write_all(x_options.calls, x_current, x_info.name, zeros, x_position) &&
         x_options.calls.fdatasync(x_current.descriptor()) == 0;
}

bool segment_writer::sync_current() {
  ++x_syncs;
  if (x_options.calls.fdatasync(x_current.descriptor()) != 0) {
    const auto failed = system_error("sync", x_directory.path() + "/" + x_info.name, errno);
    fatal(failed.text);
    return false;
  }
  x_synced_to = x_next_number;
  x_marker_unsynced = false;
  return true;
}

/// The proof for what was just synced. Without room or disk for it the log is as good as before.
void segment_writer::write_marker() {
  std::string frame;
  const frame_header header{.kind = frame_kind::synced,
                            .body_size = 0,
                            .number = x_next_number,
                            .offset = 0,
                            .synced_to = x_next_number,
                            .partition = partition_number{0},
                            .body_crc = 0};
  encode_frame(frame, header, {}, x_seed);
  if (write(frame))
    return;
  ++x_next_number;
  x_marker_unsynced = true;
}

void segment_writer::sync_marker() {
  if (x_marker_unsynced && !x_failed)
    (void)sync_current(); // a failure is remembered, and told to the next append
}

/// The next file is begun when an eighth of this one is written, and filled with zeros at the log's
/// own pace from then on: as slowly as it can be, since zeros share the disk with the syncs.
void segment_writer::prepare_next() {
  const auto eighth = x_info.size / 8;
  if (x_position > eighth)
    x_spare.want(next_size(), next_size() / 7 * (x_position - eighth) / eighth);
}

std::uint64_t segment_writer::next_size() const {
  return grown_size(x_info.size, x_options.segment_size);
}

bool segment_writer::fits(std::uint64_t bytes) const {
  return x_position + bytes + reserved_size <= x_info.size;
}

/// Goes to the next file, in which a frame of this size fits.
std::optional<append_outcome> segment_writer::next_file(std::uint64_t frame) {
  const auto size_min = whole_pages(segment_header_size + frame + reserved_size);
  auto taken = x_spare.take(next_size(), size_min);
  if (!taken)
    return append_outcome{append_fate::not_written, 0, taken.error()};
  return change_to(std::move(*taken));
}

/// The order makes every moment a good one to crash at: the next file is there under its working
/// name with its header; then this file says that it is continued; then the next one gets its name.
std::optional<append_outcome> segment_writer::change_to(segment_spare::prepared next) {
  const segment_header header{x_log, x_next_number + 1, next.size};
  if (auto written = write_segment_header(x_options.calls, next.opened, header); !written) {
    (void)x_directory.remove(std::string(next_name)).has_value(); // the next opening does it too
    return append_outcome{append_fate::not_written, 0, written.error()};
  }
  std::string frame;
  const frame_header last{.kind = frame_kind::continued,
                          .body_size = 0,
                          .number = x_next_number,
                          .offset = 0,
                          .synced_to = x_synced_to,
                          .partition = partition_number{0},
                          .body_crc = 0};
  encode_frame(frame, last, {}, x_seed);
  if (auto failed = write(frame)) {
    (void)x_directory.remove(std::string(next_name)).has_value();
    return failed;
  }
  ++x_next_number;
  if (!sync_current())
    return append_outcome{append_fate::not_written, 0, {error_code::io_failed, *x_failed, false}};
  const auto name = segment_name(x_next_number);
  auto renamed = x_directory.rename(std::string(next_name), name);
  if (renamed)
    renamed = x_directory.sync();
  if (!renamed) {
    fatal(renamed.error().text);
    return append_outcome{append_fate::not_written, 0, renamed.error()};
  }
  x_current = std::move(next.opened);
  x_info = {x_next_number, name, next.size};
  x_position = segment_header_size;
  ++x_file_number;
  x_index.add_file(x_info);
  return std::nullopt;
}

void segment_writer::answer(batch& taken, std::size_t from, std::size_t to,
                            const std::optional<append_outcome>& failed) {
  for (; from < to; ++from) {
    auto& one = taken[from];
    if (one.refusal)
      one.done({append_fate::not_written, 0, *one.refusal});
    else if (failed)
      one.done(*failed);
    else
      one.done({append_fate::durable, one.at, {}});
  }
}

void segment_writer::fatal(const std::string& text) {
  const auto whole = "orrery: the log cannot go on: " + text +
                     ". What the disk holds is unknown now, so the process ends; check the disk, "
                     "then start again: what was acknowledged before is there";
  x_failed = whole;
  if (x_options.on_fatal) {
    x_options.on_fatal(whole);
    return;
  }
  std::fprintf(stderr, "%s\n", whole.c_str());
  std::abort();
}

append_outcome segment_writer::refused_for_ever() const {
  return {append_fate::not_written, 0, {error_code::io_failed, *x_failed, false}};
}

} // namespace orrery::log
