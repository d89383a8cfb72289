#include "tools/orrery/csv.hpp"

namespace orrery::cli {

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0)
      line += ',';
    if (cells[i].find_first_of(",\"\r\n") == std::string::npos) {
      line += cells[i];
      continue;
    }
    line += '"';
    for (const auto one : cells[i])
      line += one == '"' ? "\"\"" : std::string(1, one);
    line += '"';
  }
  return line + "\r\n";
}

} // namespace orrery::cli
