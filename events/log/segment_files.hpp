#pragma once

#include "events/core/error.hpp"

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::log {

/// The calls that decide about durability, replaceable so that a test can let them fail or count
/// them. The meaning is that of the system calls of the same names; errors in `errno`.
struct file_calls {
  std::function<ssize_t(int, const void*, std::size_t, off_t)> pwrite;
  std::function<int(int)> fdatasync;
  std::function<int(int, off_t)> fallocate; ///< room for the first bytes of a file

  [[nodiscard]] static file_calls system();
};

/// A file descriptor that closes itself.
class file {
public:
  file() = default;

  explicit file(int descriptor) : x_descriptor(descriptor) {}

  file(file&& other) noexcept : x_descriptor(std::exchange(other.x_descriptor, -1)) {}

  file& operator=(file&& other) noexcept;
  ~file();

  [[nodiscard]] int descriptor() const { return x_descriptor; }

  explicit operator bool() const { return x_descriptor >= 0; }

private:
  int x_descriptor = -1;
};

/// "open of <what>: No space left on device", as an error; `storage_full` when the disk or quota
/// is.
[[nodiscard]] error system_error(std::string_view action, std::string_view what, int number);

/// Makes the directory (mode 0700) if it is not there, and its name durable. Errors:
/// `storage_full`, `io_failed`.
[[nodiscard]] result<void> make_directory(const std::string& path);

/// Makes durable which names the parent of `path` holds. Errors: `io_failed`.
[[nodiscard]] result<void> sync_parent(const std::string& path);

/// Who else may use the directory of a log.
enum class directory_lock {
  exclusive, ///< nobody: for a writer
  shared,    ///< readers
  none,      ///< anybody: to read beside a writer, which knows nothing of it
};

/// The directory of a log, open and locked.
class log_directory {
public:
  /// Errors: `not_found`, `invalid_argument` (not a directory), `locked` (the text says who holds
  /// it), `io_failed`.
  [[nodiscard]] static result<log_directory> open(const std::string& path, directory_lock lock);

  [[nodiscard]] const std::string& path() const { return x_path; }

  /// Opens a file in it with the flags of open(2), mode 0600.
  [[nodiscard]] result<file> open_file(const std::string& name, int flags) const;

  /// The whole of a small file, at most `size_max` bytes. Errors: `not_found`, `io_failed`.
  [[nodiscard]] result<std::string> read_small(const std::string& name, std::size_t size_max) const;

  /// Names of its entries, sorted.
  [[nodiscard]] result<std::vector<std::string>> names() const;

  [[nodiscard]] result<void> rename(const std::string& from, const std::string& to) const;

  /// Removes a file; no error when it is not there.
  [[nodiscard]] result<void> remove(const std::string& name) const;

  /// Whether its path still leads to it: somebody may have renamed it.
  [[nodiscard]] bool is_at_its_path() const;

  /// Makes created, renamed and removed names durable.
  [[nodiscard]] result<void> sync() const;

private:
  log_directory(std::string path, file directory)
      : x_path(std::move(path)), x_directory(std::move(directory)) {}

  std::string x_path;
  file x_directory;
};

/// Writes all bytes at `position`, or says what failed; some of them may be written then.
[[nodiscard]] std::optional<error> write_all(const file_calls& calls, const file& to,
                                             std::string_view name, std::string_view bytes,
                                             std::uint64_t position);

/// Makes a file that appears whole or not at all, under `new_name` first.
[[nodiscard]] result<void> write_whole(const log_directory& directory, const file_calls& calls,
                                       std::string_view name, std::string_view new_name,
                                       const std::string& text);

/// Reads pieces of a file through a buffer of its own, so that a walk over small frames makes few
/// calls. Never maps the file: a read error must not end the process.
class file_reader {
public:
  /// `piece_size`: bytes to read ahead. Nothing at or above `limit` is read.
  file_reader(const file& from, std::uint64_t limit, std::size_t piece_size);

  /// The bytes from `position` on: `size`, fewer at the end of the file or limit, nothing at all
  /// after an error, which `failure` then holds (errno). Valid until the next call.
  [[nodiscard]] std::string_view at(std::uint64_t position, std::size_t size);

  /// Position of the first byte that is not zero, from `position` on; the limit when there is none.
  [[nodiscard]] std::uint64_t first_not_zero(std::uint64_t position);

  /// What was read ahead is read again: somebody may have written meanwhile.
  void forget() { x_size = 0; }

  [[nodiscard]] int failure() const { return x_failure; }

private:
  void fill(std::uint64_t position, std::size_t size);

  const file& x_file;
  std::uint64_t x_limit;
  std::size_t x_piece_size;
  std::unique_ptr<char[]> x_buffer;
  std::size_t x_capacity = 0;
  std::uint64_t x_start = 0;
  std::size_t x_size = 0;
  int x_failure = 0;
};

/// Size of a file in bytes. Errors: `io_failed`.
[[nodiscard]] result<std::uint64_t> size_of(const file& of, std::string_view name);

} // namespace orrery::log
