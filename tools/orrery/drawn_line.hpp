#pragma once

#include "tools/orrery/commands.hpp"

#include <chrono>
#include <string>

namespace orrery::cli {

/// A line on stderr that is drawn again and again, and taken away at the end; nothing when stderr
/// is no terminal, or with -q.
class drawn_line {
public:
  explicit drawn_line(const settings& how);
  drawn_line(const drawn_line&) = delete;
  drawn_line& operator=(const drawn_line&) = delete;
  ~drawn_line();

  /// Not more often than can be read.
  void show(const std::string& text);

private:
  const bool x_shown;
  bool x_drawn = false;
  std::chrono::steady_clock::time_point x_last;
};

} // namespace orrery::cli
