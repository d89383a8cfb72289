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

void widen(std::vector<std::size_t>& widths, const std::vector<std::string>& line) {
  for (std::size_t i = 0; i < line.size(); ++i)
    widths[i] = std::max(widths[i], width_of(line[i]));
}

std::string line_text(const std::vector<std::string>& line, const std::vector<std::size_t>& widths,
                      std::optional<std::size_t> width_max) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto cell = fit(line[i], widths[i]);
    text += cell;
    if (i + 1 < line.size())
      text += std::string(widths[i] - width_of(cell) + gap, ' ');
  }
  // A terminal narrower than the gaps and one column each still gets no wrapped line.
  return (width_max.has_value() ? fit(text, *width_max) : text) + "\n";
}

} // namespace

std::string growing_table::add(const std::vector<std::string>& row) {
  const auto line = cleaned(row, x_widths.empty() ? row.size() : x_widths.size());
  x_widths.resize(line.size());
  widen(x_widths, line);
  auto widths = x_widths;
  if (x_width_max.has_value())
    shrink(widths, *x_width_max);
  return line_text(line, widths, x_width_max);
}

std::string render(const table& shown, std::optional<std::size_t> width_max) {
  const auto count = shown.heads.size();
  if (count == 0)
    return {};
  std::vector<std::vector<std::string>> lines{cleaned(shown.heads, count)};
  for (const auto& row : shown.rows)
    lines.push_back(cleaned(row, count));
  std::vector<std::size_t> widths(count, 0);
  for (const auto& line : lines)
    widen(widths, line);
  if (width_max.has_value())
    shrink(widths, *width_max);
  std::string made;
  for (const auto& line : lines)
    made += line_text(line, widths, width_max);
  return made;
}

} // namespace orrery::cli
