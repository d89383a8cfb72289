#pragma once

#include "projections/projection.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::projections {

/// Rows on one page: at most 1,000 (about 1 MB of JSON), 100 when not said.
inline constexpr std::uint32_t page_size_default = 100;
inline constexpr std::uint32_t page_size_max = 1000;

/// Rows that one page looks at. A filter that fits few of them gives a short page (it may be empty)
/// with a token to go on, so that no question holds a thread for long: about 0.1 s.
inline constexpr std::uint32_t rows_visited_max = 20'000;

/// Longest page token, in characters.
inline constexpr std::size_t page_token_size_max = 1024;

/// Which part of a list is wanted.
struct page {
  std::uint32_t size = page_size_default; ///< 1 to `page_size_max`
  std::string token = {};                 ///< empty for the first page
};

/// One page of a list. Rows that exist while a list is read page by page appear exactly once.
template <class Row> struct listing {
  std::vector<Row> items;
  std::string next_token; ///< empty on the last page, and only there
  log_positions at;       ///< what the rows are right for
};

/// One thing.
template <class Row> struct answer {
  Row value;
  log_positions at;
};

/// Where a page begins and how long it is.
struct page_start {
  std::uint32_t size = page_size_default;
  std::string after; ///< the last key of the page before
};

/// Checks a page of the list that `query` names (with all its filters: a token fits one list only).
/// `at` is what the rows are right for. Errors: `invalid_argument` (size, or a token that this list
/// did not give), `unavailable` (the token comes from newer rows than these: they are being
/// rebuilt).
[[nodiscard]] result<page_start> open_page(std::string_view query, const page& wanted,
                                           const log_positions& at);

/// The token of the page that follows `last_key`. Opaque: hexadecimal.
[[nodiscard]] std::string token_after(std::string_view query, std::string_view last_key,
                                      const log_positions& at);

/// What became of a row that a page looked at.
enum class row_fate : std::uint8_t { taken, passed_over };

/// Walks over one page of a range: `take` keeps a row or passes it over. Gives the token of the
/// next page, empty when the range has ended.
[[nodiscard]] std::string
walk_page(const reader& rows, std::string_view query, const page_start& start, key_range range,
          const log_positions& at,
          const std::function<row_fate(std::string_view key, std::string_view value)>& take);

} // namespace orrery::projections
