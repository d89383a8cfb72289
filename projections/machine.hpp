#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace orrery::projections {

/// What this process takes of its machine.
struct process_figures {
  double cpu_seconds = 0;           ///< of the user and of the system
  std::uint64_t resident_bytes = 0; ///< memory that is not swapped out
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t open_files_max = 0; ///< it cannot open more
  double started_at = 0;            ///< seconds since 1970
};

/// From /proc; nothing when it cannot be read. Takes some ten microseconds.
[[nodiscard]] std::optional<process_figures> figures_of_this_process();

/// The room of a file system, in bytes.
struct file_system_figures {
  std::uint64_t size = 0;
  std::uint64_t free = 0; ///< for a process without special rights
};

/// Of the file system that holds a directory; nothing when there is no such directory.
[[nodiscard]] std::optional<file_system_figures> room_of(const std::string& directory);

} // namespace orrery::projections
