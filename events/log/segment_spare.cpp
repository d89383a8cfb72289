#include "events/log/segment_spare.hpp"

#include "events/log/segment_scan.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace orrery::log {

namespace {

/// Written at once: small enough that a sync of the log beside it, or whoever needs the file, waits
/// a moment only.
constexpr std::size_t zero_piece_size = std::size_t{256} * 1024;

} // namespace

segment_spare::~segment_spare() {
  stop();
  if (x_ready)
    (void)x_directory.remove(std::string(next_name)).has_value(); // else the next opening does it
}

void segment_spare::want(std::uint64_t size, std::uint64_t zeroed_to) {
  {
    const std::lock_guard hold(x_lock);
    x_zeroed_to = std::max(x_zeroed_to, zeroed_to);
  }
  x_changed.notify_one();
  if (!x_thread.joinable() && !x_ready)
    x_thread = std::thread([this, size] { prepare(size); });
}

void segment_spare::prepare(std::uint64_t size) {
  auto made = make(size);
  if (!made)
    return; // told when the file is needed and cannot be made then either
  for (std::uint64_t at = 0; at < size && wait_for_pace(at); at += zero_piece_size)
    if (!write_zeros(*made, at))
      break; // the room is there, so this is not worth telling
  (void)::fdatasync(made->opened.descriptor());
  x_ready = std::move(*made);
}

/// False when it is time to stop.
bool segment_spare::wait_for_pace(std::uint64_t zeroed_to) {
  std::unique_lock hold(x_lock);
  x_changed.wait(hold, [&] { return x_stop || x_zeroed_to > zeroed_to; });
  return !x_stop;
}

result<segment_spare::prepared> segment_spare::take(std::uint64_t size, std::uint64_t size_min,
                                                    bool zeroed) {
  stop();
  if (x_ready && x_ready->size >= size_min) {
    auto taken = std::move(*x_ready);
    x_ready.reset();
    return taken;
  }
  x_ready.reset();
  size = std::max(size, size_min);
  while (true) {
    auto made = make(size);
    for (std::uint64_t at = 0; made && zeroed && at < size; at += zero_piece_size)
      zeroed = write_zeros(*made, at);
    if (made || made.error().code != error_code::storage_full || size == size_min)
      return made;
    size = std::max(size / 2, size_min);
  }
}

void segment_spare::stop() {
  {
    const std::lock_guard hold(x_lock);
    x_stop = true;
  }
  x_changed.notify_one();
  if (x_thread.joinable())
    x_thread.join();
  x_stop = false;
  x_zeroed_to = 0;
}

result<segment_spare::prepared> segment_spare::make(std::uint64_t size) const {
  const std::string name(next_name);
  // Under a new inode: a file of this name from before a crash may hold anything.
  if (auto removed = x_directory.remove(name); !removed)
    return removed.error();
  auto opened = x_directory.open_file(name, O_RDWR | O_CREAT | O_EXCL);
  if (!opened)
    return opened.error();
  const auto fail = [&](error why) {
    (void)x_directory.remove(name).has_value();
    return why;
  };
  int failed = 0;
  do
    failed = x_calls.fallocate(opened->descriptor(), static_cast<off_t>(size));
  while (failed != 0 && errno == EINTR);
  if (failed != 0)
    return fail(system_error("allocation of " + std::to_string(size) + " bytes",
                             x_directory.path() + "/" + name, errno));
  if (x_calls.fdatasync(opened->descriptor()) != 0)
    return fail(system_error("sync", x_directory.path() + "/" + name, errno));
  if (auto synced = x_directory.sync(); !synced)
    return fail(synced.error());
  return prepared{std::move(*opened), size};
}

/// One piece at `at`; false when it failed.
bool segment_spare::write_zeros(const prepared& spare, std::uint64_t at) const {
  const auto size =
      static_cast<std::size_t>(std::min<std::uint64_t>(zero_piece_size, spare.size - at));
  if (write_all(x_calls, spare.opened, next_name, std::string(size, '\0'), at))
    return false;
  // Written out piece by piece, so that a sync of the log never waits for a heap of zeros.
  ::sync_file_range(spare.opened.descriptor(), static_cast<off_t>(at), static_cast<off_t>(size),
                    SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  return true;
}

} // namespace orrery::log
