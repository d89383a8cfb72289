#include "tools/orrery/drawn_line.hpp"

#include "tools/orrery/terminal.hpp"

#include <cstdio>

namespace orrery::cli {

namespace {

/// Between two drawings: as fast as it can be read.
constexpr std::chrono::milliseconds redraw_pause{100};

} // namespace

drawn_line::drawn_line(const settings& how) : x_shown(this_terminal().err && !how.quiet) {}

drawn_line::~drawn_line() {
  if (x_drawn)
    std::fputs("\r\033[K", stderr);
}

void drawn_line::show(const std::string& text) {
  const auto when = std::chrono::steady_clock::now();
  if (!x_shown || (x_drawn && when - x_last < redraw_pause))
    return;
  x_drawn = true;
  x_last = when;
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

} // namespace orrery::cli
