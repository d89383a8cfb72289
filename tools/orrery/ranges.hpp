#pragma once

#include "tools/orrery/json.hpp"

#include <string>
#include <vector>

namespace orrery::cli {

/// What the API wants of ranges said as FIRST-LAST or as one address, and of those in `file`: one a
/// line, what follows a '#' is a remark, "-" is standard input. Those that touch become one, so
/// that a list of single addresses is short. Throws `failure` (usage) for what is no range, naming
/// the line, for a file that cannot be read, and when there is none at all.
[[nodiscard]] json ranges_of(const std::vector<std::string>& said, const std::string& file);

} // namespace orrery::cli
