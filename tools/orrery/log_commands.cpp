#include "tools/orrery/log_commands.hpp"

#include <CLI/CLI.hpp>

namespace orrery::cli {

void add_log_commands(CLI::App& /*root*/) {}

} // namespace orrery::cli
