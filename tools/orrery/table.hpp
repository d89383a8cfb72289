#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace orrery::cli {

/// Rows under heads. Rows may be shorter than the heads; longer ones lose their tail.
struct table {
  std::vector<std::string> heads;
  std::vector<std::vector<std::string>> rows;
};

/// Aligned text, a line a row, two blanks between columns, "-" for empty cells. With a width no
/// line is wider: the widest columns give first, and lose their tail to "…".
[[nodiscard]] std::string render(const table& shown, std::optional<std::size_t> width_max);

} // namespace orrery::cli
