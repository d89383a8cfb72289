#pragma once

#include "tools/orrery/terminal.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace orrery::cli {

enum class progress_style {
  shown, ///< a line a step; on a terminal also a line that is drawn again with the time that passed
  silent
};

/// Tells on stderr how a job goes, and lets Ctrl-C leave it: from the construction on SIGINT is
/// taken by a thread of this object, which says how to come back and ends the process with 2,
/// whatever the rest of the program waits for. One object at a time.
class progress {
public:
  progress(const terminal& where, progress_style style);
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress();

  /// The job that is waited for, told as the first line.
  void begin(const std::string& what, const std::string& job);

  /// A step that is behind us.
  void step(const std::string& name, std::chrono::microseconds since_start);

  /// A remark ("cannot reach the API, trying again").
  void note(const std::string& text);

  /// The last line; nothing is drawn afterwards.
  void end(bool good, const std::string& text);

private:
  class impl;
  std::unique_ptr<impl> x_impl;
};

} // namespace orrery::cli
