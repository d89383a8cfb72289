#pragma once

namespace CLI { // NOLINT(readability-identifier-naming): their name
class App;
}

namespace orrery::cli {

/// Adds `orrery log` with what works on Kafka (`kafka_commands.hpp`), and `orrery log verify DIR`
/// and `orrery log dump DIR`, which read the directory of an embedded
/// log without a running daemon. Their callbacks run while the command line is parsed and print by
/// themselves; for an exit code other than 0 they throw `CLI::RuntimeError(code)`.
void add_log_commands(CLI::App& root);

} // namespace orrery::cli
