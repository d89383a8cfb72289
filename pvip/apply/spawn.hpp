#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace orrery::pvip {

/// How a program of the operating system is started from a thread of ours: signals as in a fresh
/// process, a process group of its own (Ctrl-C at a terminal is for us), an empty environment. It
/// runs in the network namespace of the calling thread.
class spawn_settings {
public:
  /// The child has our descriptor `from` as its `to`; all that is not named and has no O_CLOEXEC is
  /// as it is here.
  struct stream {
    int from = -1;
    int to = -1;
  };

  explicit spawn_settings(const std::vector<stream>& streams);
  spawn_settings(const spawn_settings&) = delete;
  spawn_settings& operator=(const spawn_settings&) = delete;
  ~spawn_settings();

  /// `words`: the program's path and its arguments. 0, or an errno.
  [[nodiscard]] int spawn(pid_t& child, std::vector<std::string> words) const;

private:
  posix_spawn_file_actions_t x_actions{};
  posix_spawnattr_t x_attributes{};
};

} // namespace orrery::pvip
