#pragma once

#include "events/core/error.hpp"

#include <cstddef>
#include <string>
#include <string_view>

// The few files of a process beside log and projections.

namespace orrery::actors {

/// Makes a directory with mode 0700 unless it is there. Errors: `io_failed`.
[[nodiscard]] result<void> make_directory(const std::string& path);

/// Writes a small file at once, mode 0600. Errors: `io_failed`.
[[nodiscard]] result<void> write_private(const std::string& path, const std::string& content);

/// Behind the name of a file that is being written; one that a killed process left stays there.
inline constexpr std::string_view partial_suffix = ".partial";

/// Writes a file of any size, mode 0600, that has its name only when all of it is on the disk; one
/// of that name is replaced. Blocks. Errors: `storage_full`, `io_failed`.
[[nodiscard]] result<void> write_durably(const std::string& path, std::string_view content);

/// A file of 1 to `size_max` bytes that nobody but its owner may read, without its last end of a
/// line. Errors: `not_found`, `config_invalid` (others may read it; it is no file, or empty),
/// `too_large`, `io_failed`; none tells what is in it.
[[nodiscard]] result<std::string> read_private(const std::string& path, std::size_t size_max);

/// The token in the file, made when there is none. Errors: `config_invalid` (others may read it, or
/// it is too short), `io_failed`.
[[nodiscard]] result<std::string> load_token(const std::string& path);

} // namespace orrery::actors
