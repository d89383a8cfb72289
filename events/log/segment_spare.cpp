#include "events/log/segment_spare.hpp"

#include "events/log/segment_scan.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace orrery::log {

namespace {

/// Written at once: small enough that whoever needs the file waits a moment only.
constexpr std::size_t zero_piece_size = 1024 * 1024;

} // namespace

segment_spare::~segment_spare() {
  stop();
  if (x_ready)
    (void)x_directory.remove(std::string(next_name)).has_value(); // else the next opening does it
}

void segment_spare::want(std::uint64_t size) {
  if (x_thread.joinable() || x_ready)
    return;
  x_stop = false;
  x_thread = std::thread([this, size] {
    auto made = make(size);
    if (!made)
      return; // told when the file is needed and cannot be made then either
    fill_with_zeros(*made);
    x_ready = std::move(*made);
  });
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
    if (made && zeroed)
      fill_with_zeros(*made);
    if (made || made.error().code != error_code::storage_full || size == size_min)
      return made;
    size = std::max(size / 2, size_min);
  }
}

void segment_spare::stop() {
  x_stop = true;
  if (x_thread.joinable())
    x_thread.join();
  x_stop = false;
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

void segment_spare::fill_with_zeros(const prepared& spare) const {
  const std::string zeros(
      static_cast<std::size_t>(std::min<std::uint64_t>(zero_piece_size, spare.size)), '\0');
  for (std::uint64_t at = 0; at < spare.size && !x_stop; at += zeros.size()) {
    const auto piece = std::string_view(zeros).substr(
        0, static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), spare.size - at)));
    if (write_all(x_calls, spare.opened, next_name, piece, at))
      return; // the room is there, so this is not worth telling
    // Written out piece by piece, so that a sync of the log never waits for a heap of zeros.
    ::sync_file_range(spare.opened.descriptor(), static_cast<off_t>(at),
                      static_cast<off_t>(piece.size()),
                      SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  }
  (void)::fdatasync(spare.opened.descriptor());
}

} // namespace orrery::log
