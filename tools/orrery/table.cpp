#include "tools/orrery/table.hpp"

#include "tools/orrery/terminal.hpp"

#include <algorithm>
#include <numeric>

namespace orrery::cli {

namespace {

constexpr std::size_t gap = 2; ///< blanks between columns

std::vector<std::string> cleaned(const std::vector<std::string>& row, std::size_t count) {
  std::vector<std::string> made;
  for (std::size_t i = 0; i < count; ++i)
    made.push_back(i < row.size() && !row[i].empty() ? clean(row[i]) : "-");
  return made;
}

/// Takes columns from the widest ones until the sum fits, or nothing is left to take.
void shrink(std::vector<std::size_t>& widths, std::size_t width_max) {
  const auto gaps = gap * (widths.size() - 1);
  while (std::accumulate(widths.begin(), widths.end(), gaps) > width_max) {
    const auto widest = std::ranges::max_element(widths);
    if (*widest <= 1)
      return;
    --*widest;
  }
}

} // namespace

std::string render(const table& shown, std::optional<std::size_t> width_max) {
  const auto count = shown.heads.size();
  if (count == 0)
    return {};
  std::vector<std::vector<std::string>> lines{cleaned(shown.heads, count)};
  for (const auto& row : shown.rows)
    lines.push_back(cleaned(row, count));
  std::vector<std::size_t> widths(count, 0);
  for (const auto& line : lines)
    for (std::size_t i = 0; i < count; ++i)
      widths[i] = std::max(widths[i], width_of(line[i]));
  if (width_max.has_value())
    shrink(widths, *width_max);
  std::string made;
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      const auto cell = fit(line[i], widths[i]);
      text += cell;
      if (i + 1 < count)
        text += std::string(widths[i] - width_of(cell) + gap, ' ');
    }
    // A terminal narrower than the gaps and one column each still gets no wrapped line.
    made += (width_max.has_value() ? fit(text, *width_max) : text) + "\n";
  }
  return made;
}

} // namespace orrery::cli
