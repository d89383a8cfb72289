#pragma once

#include <cstddef>

namespace orrery::actors {

/// Raises the number of files and connections that this process may have open to `wanted`, if it is
/// lower and the system lets us. Gives what it is then, which may be less. Programs that this
/// process starts inherit it.
[[nodiscard]] std::size_t allow_open_files(std::size_t wanted);

/// How many streams the API may have open when this process may open so many files: all that it
/// wants, or what other connections, the log and the projections leave of them.
[[nodiscard]] std::size_t streams_within(std::size_t open_files_max);

/// What `streams_within` wants for all of them.
[[nodiscard]] std::size_t open_files_wanted();

} // namespace orrery::actors
