#include "events/log/segment_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace orrery::log {

namespace {

constexpr mode_t private_file = 0600; // records hold customers' data
constexpr mode_t private_directory = 0700;

/// Bytes looked at in one piece when searching for the end of zeros.
constexpr std::size_t zero_piece_size = std::size_t{256} * 1024;

/// The process that holds a flock on the file of `of`, with its name; from /proc/locks, so only a
/// hint: empty when it cannot be told (another namespace, no /proc).
std::string lock_holder(int of) {
  struct stat status {};

  if (::fstat(of, &status) != 0)
    return {};
  std::array<char, 64> wanted{};
  std::snprintf(wanted.data(), wanted.size(), "%02x:%02x:%llu", major(status.st_dev),
                minor(status.st_dev), static_cast<unsigned long long>(status.st_ino));
  std::ifstream locks("/proc/locks");
  std::string number, kind, advisory, mode, process, inode, rest;
  while (locks >> number >> kind >> advisory >> mode >> process >> inode &&
         std::getline(locks, rest)) {
    if (kind != "FLOCK" || inode != wanted.data())
      continue;
    std::string name;
    std::getline(std::ifstream("/proc/" + process + "/comm"), name);
    if (name.empty())
      return {};
    return process.insert(0, "process ").append(" (").append(name).append(")");
  }
  return {};
}

error locked(const std::string& path, int directory) {
  const auto holder = lock_holder(directory);
  return {error_code::locked,
          "the log directory " + path + " is held by " +
              (holder.empty() ? std::string("another process") : holder) +
              ": an orreryd that runs on it, or an `orrery log` command; stop that one first, or "
              "give this one a directory of its own",
          true};
}

} // namespace

file_calls file_calls::system() {
  return {[](int to, const void* bytes, std::size_t size, off_t at) {
            return ::pwrite(to, bytes, size, at);
          },
          [](int of) { return ::fdatasync(of); },
          [](int of, off_t size) { return ::fallocate(of, 0, 0, size); }};
}

file& file::operator=(file&& other) noexcept {
  std::swap(x_descriptor, other.x_descriptor);
  return *this;
}

file::~file() {
  if (x_descriptor >= 0)
    ::close(x_descriptor);
}

error system_error(std::string_view action, std::string_view what, int number) {
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  std::array<char, 128> buffer{};
  const std::string text = std::string(action) + " of " + std::string(what) + ": " +
                           ::strerror_r(number, buffer.data(), buffer.size());
  if (full)
    return {error_code::storage_full, text + "; make room, then try again", true};
  return {error_code::io_failed, text, false};
}

result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), private_directory) == 0)
    return sync_parent(path);
  return errno == EEXIST ? result<void>() : system_error("creation", path, errno);
}

result<void> sync_parent(const std::string& path) {
  auto parent = std::filesystem::path(path).lexically_normal();
  if (!parent.has_filename())
    parent = parent.parent_path();
  parent = parent.parent_path();
  const file opened(::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY));
  if (!opened || ::fsync(opened.descriptor()) != 0)
    return system_error("sync", parent.string(), errno);
  return {};
}

result<log_directory> log_directory::open(const std::string& path, directory_lock lock) {
  file directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory && errno == ENOENT)
    return error{error_code::not_found, "there is no directory " + path, false};
  if (!directory && errno == ENOTDIR)
    return error{error_code::invalid_argument, path + " is not a directory", false};
  if (!directory)
    return system_error("open", path, errno);
  if (lock == directory_lock::none)
    return log_directory(path, std::move(directory));
  const int how = lock == directory_lock::exclusive ? LOCK_EX : LOCK_SH;
  int failed = 0;
  do
    failed = ::flock(directory.descriptor(), how | LOCK_NB);
  while (failed != 0 && errno == EINTR);
  if (failed != 0 && errno == EWOULDBLOCK)
    return locked(path, directory.descriptor());
  if (failed != 0)
    return system_error("lock", path, errno);
  return log_directory(path, std::move(directory));
}

result<file> log_directory::open_file(const std::string& name, int flags) const {
  file opened(::openat(x_directory.descriptor(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW,
                       private_file));
  if (opened)
    return opened;
  if (errno == ENOENT)
    return error{error_code::not_found, "there is no file " + x_path + "/" + name, false};
  return system_error("open", x_path + "/" + name, errno);
}

result<std::string> log_directory::read_small(const std::string& name, std::size_t size_max) const {
  const auto opened = open_file(name, O_RDONLY);
  if (!opened)
    return opened.error();
  file_reader reader(*opened, size_max, size_max);
  std::string bytes(reader.at(0, size_max));
  if (reader.failure() != 0)
    return system_error("read", x_path + "/" + name, reader.failure());
  return bytes;
}

result<std::vector<std::string>> log_directory::names() const {
  // A descriptor of its own: reading moves the position, which descriptors made by dup share.
  const int again = ::openat(x_directory.descriptor(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(again < 0 ? nullptr : ::fdopendir(again),
                                                    ::closedir);
  if (!listing)
    return system_error("list", x_path, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const auto* entry = ::readdir(listing.get()))
    names.emplace_back(entry->d_name);
  if (errno != 0)
    return system_error("list", x_path, errno);
  std::ranges::sort(names);
  return names;
}

result<void> log_directory::rename(const std::string& from, const std::string& to) const {
  const int at = x_directory.descriptor();
  if (::renameat(at, from.c_str(), at, to.c_str()) != 0)
    return system_error("rename to " + to, x_path + "/" + from, errno);
  return {};
}

result<void> log_directory::remove(const std::string& name) const {
  if (::unlinkat(x_directory.descriptor(), name.c_str(), 0) != 0 && errno != ENOENT)
    return system_error("removal", x_path + "/" + name, errno);
  return {};
}

bool log_directory::is_at_its_path() const {
  struct stat ours {};

  struct stat named {};

  return ::fstat(x_directory.descriptor(), &ours) == 0 && ::lstat(x_path.c_str(), &named) == 0 &&
         ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

result<void> log_directory::sync() const {
  if (::fsync(x_directory.descriptor()) != 0)
    return system_error("sync", x_path, errno);
  return {};
}

std::optional<error> write_all(const file_calls& calls, const file& to, std::string_view name,
                               std::string_view bytes, std::uint64_t position) {
  while (!bytes.empty()) {
    const auto written =
        calls.pwrite(to.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return system_error("write", name, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
    position += static_cast<std::uint64_t>(written);
  }
  return std::nullopt;
}

result<void> write_whole(const log_directory& directory, const file_calls& calls,
                         std::string_view name, std::string_view new_name,
                         const std::string& text) {
  const auto to = directory.open_file(std::string(new_name), O_WRONLY | O_CREAT | O_TRUNC);
  if (!to)
    return to.error();
  if (auto failed = write_all(calls, *to, new_name, text, 0))
    return *failed;
  if (calls.fdatasync(to->descriptor()) != 0)
    return system_error("sync", new_name, errno);
  if (auto renamed = directory.rename(std::string(new_name), std::string(name)); !renamed)
    return renamed.error();
  return directory.sync();
}

file_reader::file_reader(const file& from, std::uint64_t limit, std::size_t piece_size)
    : x_file(from), x_limit(limit), x_piece_size(piece_size) {}

std::string_view file_reader::at(std::uint64_t position, std::size_t size) {
  if (position >= x_limit)
    return {};
  size = static_cast<std::size_t>(std::min<std::uint64_t>(size, x_limit - position));
  if (position < x_start || position + size > x_start + x_size)
    fill(position, size);
  if (position >= x_start + x_size)
    return {};
  const auto from = static_cast<std::size_t>(position - x_start);
  return {x_buffer.get() + from, std::min(size, x_size - from)};
}

void file_reader::fill(std::uint64_t position, std::size_t size) {
  const auto wanted = static_cast<std::size_t>(
      std::min<std::uint64_t>(std::max(size, x_piece_size), x_limit - position));
  if (wanted > x_capacity) {
    x_buffer = std::make_unique_for_overwrite<char[]>(wanted);
    x_capacity = wanted;
  }
  x_start = position;
  x_size = 0;
  while (x_size < wanted) {
    const auto got = ::pread(x_file.descriptor(), x_buffer.get() + x_size, wanted - x_size,
                             static_cast<off_t>(position + x_size));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      x_failure = errno;
      x_size = 0;
      return;
    }
    if (got == 0)
      return;
    x_size += static_cast<std::size_t>(got);
  }
}

std::uint64_t file_reader::first_not_zero(std::uint64_t position) {
  while (true) {
    const auto piece = at(position, zero_piece_size);
    if (piece.empty())
      return x_limit;
    // Equal to itself one byte on, and starting with zero: all zero, at the speed of memcmp.
    const bool all_zero =
        piece[0] == '\0' && std::memcmp(piece.data(), piece.data() + 1, piece.size() - 1) == 0;
    if (!all_zero) {
      const auto found = std::ranges::find_if(piece, [](char byte) { return byte != '\0'; });
      return position + static_cast<std::uint64_t>(found - piece.begin());
    }
    position += piece.size();
  }
}

result<std::uint64_t> size_of(const file& of, std::string_view name) {
  struct stat status {};

  if (::fstat(of.descriptor(), &status) != 0)
    return system_error("stat", name, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

} // namespace orrery::log
