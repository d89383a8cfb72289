#pragma once

#include "events/core/check.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace orrery::log {

/// A directory of its own for a test, removed with all that is in it. In memory (where the system
/// offers that) for tests that open thousands of logs, on the disk for the others.
class scratch_directory {
public:
  enum class place { memory, disk };

  explicit scratch_directory(place where = place::memory) {
    const std::filesystem::path memory = "/dev/shm";
    const auto parent = where == place::memory && ::access(memory.c_str(), W_OK) == 0
                            ? memory
                            : std::filesystem::temp_directory_path();
    auto pattern = (parent / "orrery-log-XXXXXX").string();
    ORRERY_CHECK(::mkdtemp(pattern.data()) != nullptr);
    x_base = pattern;
  }

  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(x_base, ignored);
  }

  /// Where a log can be made; not there yet.
  [[nodiscard]] std::string path() const { return x_base + "/log"; }

  [[nodiscard]] const std::string& base() const { return x_base; }

private:
  std::string x_base;
};

} // namespace orrery::log
