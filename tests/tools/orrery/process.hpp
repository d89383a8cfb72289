#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::cli_test {

/// Far above what a command takes on a busy machine; a test that waits this long has failed.
inline constexpr std::chrono::milliseconds patience = std::chrono::seconds(30);

using words = std::vector<std::string>;
using environment = std::map<std::string, std::string>;

/// What a finished command left. `exit` is 128 + signal when one ended it.
struct outcome {
  int exit = -1;
  std::string out;
  std::string err;
};

/// The real program `orrery`, running. Its environment holds HOME (an empty folder), TERM and what
/// the test gives, nothing else.
class process {
public:
  process(const words& arguments, const environment& variables);
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process();

  /// Reads until stderr holds `text`; false when the program ends or the patience does before.
  bool wait_for_err(std::string_view text);

  /// The same with stdout.
  bool wait_for_out(std::string_view text);

  void interrupt() const;

  /// Waits for the end.
  outcome finish();

private:
  /// Reads once from whichever has something; false when both have ended or the patience has.
  bool read_more();

  pid_t x_pid = -1;
  int x_out = -1;
  int x_err = -1;
  outcome x_seen;
};

/// Starts, waits, done.
outcome run(const words& arguments, const environment& variables);

/// The same on a terminal of that size: stdout and stderr come as one text in `out`.
outcome run_on_terminal(const words& arguments, const environment& variables, unsigned columns);

/// An empty folder, removed at the end.
class folder {
public:
  folder();
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder();

  /// Writes a file into it; returns its path.
  [[nodiscard]] std::string file(std::string_view name, std::string_view text) const;

  [[nodiscard]] std::string path(std::string_view name) const;

private:
  std::string x_path;
};

} // namespace orrery::cli_test
