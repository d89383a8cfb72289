#pragma once

#include <string>
#include <vector>

namespace orrery::cli {

/// A line of RFC 4180: cells between commas, CR LF at the end. A cell with a comma, a quote or a
/// line break stands in quotes, quotes in it twice.
[[nodiscard]] std::string csv_line(const std::vector<std::string>& cells);

} // namespace orrery::cli
