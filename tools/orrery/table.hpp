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

/// A table whose rows come one by one: its columns become as wide as the widest cell so far.
class growing_table {
public:
  explicit growing_table(std::optional<std::size_t> width_max) : x_width_max(width_max) {}

  /// One line, the heads too. All rows have as many cells as the first.
  [[nodiscard]] std::string add(const std::vector<std::string>& row);

private:
  std::optional<std::size_t> x_width_max;
  std::vector<std::size_t> x_widths;
};

} // namespace orrery::cli
