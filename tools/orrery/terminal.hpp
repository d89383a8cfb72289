#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace orrery::cli {

/// Where this process prints to.
struct terminal {
  bool out = false;       ///< stdout is a terminal
  bool err = false;       ///< stderr is a terminal
  std::size_t width = 80; ///< columns of the terminal; meaningless when none is one
  bool colours = false;   ///< on stderr: it is a terminal, not dumb, and NO_COLOR is not set
};

/// Asks the system. `width` is 80 when the terminal does not say.
[[nodiscard]] terminal this_terminal();

/// One line that can go to a terminal whatever it holds: control characters, direction marks and
/// broken UTF-8 become '?'.
[[nodiscard]] std::string clean(std::string_view text);

/// Columns that a cleaned text takes, wide characters counted twice.
[[nodiscard]] std::size_t width_of(std::string_view text);

/// A cleaned text cut to at most `width` columns, the last one "…" when something was cut.
[[nodiscard]] std::string fit(std::string_view text, std::size_t width);

/// "3s", "5m", "2h", "4d": the largest unit, rounded down. Negative times are "0s", since clocks
/// differ.
[[nodiscard]] std::string age_text(std::chrono::microseconds age);

/// "0.3 s", "12.0 s", "3 min 05 s".
[[nodiscard]] std::string elapsed_text(std::chrono::microseconds time);

} // namespace orrery::cli
