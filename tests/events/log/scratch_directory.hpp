#pragma once

#include "events/core/check.hpp"

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace orrery::log {

/// A directory of its own for a test, removed with all that is in it.
class scratch_directory {
public:
  scratch_directory() {
    auto pattern = (std::filesystem::temp_directory_path() / "orrery-log-XXXXXX").string();
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
