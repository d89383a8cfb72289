#pragma once

namespace orrery::cli {

/// The whole program `orrery`: parses the command line, carries out the command, prints, and
/// returns the exit code (failure.hpp). Blocks.
[[nodiscard]] int run_cli(int argc, const char* const* argv);

} // namespace orrery::cli
