#pragma once

#include "tools/orrery/commands.hpp"

#include <string>

namespace orrery::cli {

// `orrery backup`: of the embedded log, as files; they ask no API. Each prints one line (a table,
// or an object for -o json and yaml) and throws `failure` when it did not work, with exit code 3
// when a log or a backup is not good. All block for as long as reading and writing take.

/// Copies the log of the data directory, whose orreryd may run.
void create_backup(const settings& how, const std::string& data, const std::string& backup);

/// Reads all of a backup.
void verify_backup(const settings& how, const std::string& backup);

/// Makes a log of a backup in a data directory that has none.
void restore_backup(const settings& how, const std::string& backup, const std::string& data);

} // namespace orrery::cli
