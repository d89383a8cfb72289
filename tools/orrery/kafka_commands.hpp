#pragma once

namespace CLI { // NOLINT(readability-identifier-naming): their name
class App;
}

namespace orrery::cli {

/// Adds `orrery log init` and `orrery log check`, which make and judge the topics and the identity
/// of a log on Kafka without a running daemon. Their callbacks run while the command line is parsed
/// and print by themselves. They throw `failure`, and `CLI::RuntimeError(check_failed)` for a topic
/// that is not fit.
void add_kafka_commands(CLI::App& log);

} // namespace orrery::cli
