#pragma once

#include "tools/orrery/json.hpp"
#include "tools/orrery/views.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orrery::cli {

/// What a list of usage has a row of.
enum class usage_rows {
  sums_of_vms, ///< `by=vm`: each VM, meter and state
  totals,      ///< `by=total`: each meter and state
  intervals,
};

/// The usage as the API gave it, page after page, as it is printed to stdout: totals of several
/// pages are added; in tables and CSV the sums of a VM are a row each, and CSV (RFC 4180) has whole
/// numbers of microseconds and times as they came. Throws `failure` for a sum above 128 bits.
[[nodiscard]] std::string usage_text(usage_rows what, std::vector<json> items, const printing& to);

/// "2026-11-01" (its first moment, in UTC) or "2026-11-01T08:30:00Z" as the API takes it; `flag`
/// names it in the text of a `failure`, which is thrown for anything else.
[[nodiscard]] std::string moment_text(std::string_view flag, const std::string& text);

} // namespace orrery::cli
