#pragma once

#include "tools/orrery/commands.hpp"

#include <string>

namespace orrery::cli {

/// Has orreryd fold a projection again from the log, beside the rows that answer meanwhile, and
/// waits for the end unless told not to. Throws `failure`, also when that failed, and
/// (check_failed) when `verb` is "verify" and the rows are not what the log says.
void refold_projection(const settings& how, const std::string& verb, const std::string& name);

} // namespace orrery::cli
