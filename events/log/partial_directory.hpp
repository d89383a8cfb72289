#pragma once

#include "events/core/error.hpp"
#include "events/log/segment_files.hpp"

#include <string>

namespace orrery::log {

/// The directory of a log or a backup while it is made: under its name with `.partial` behind it,
/// locked. Unless it is finished, it is gone with this object; what a killed process left there the
/// next one removes.
class partial_directory {
public:
  /// Empty, in mode 0700. Errors: `locked` (another process makes the same one), `already_exists`
  /// (something else is in the way), `storage_full`, `io_failed`.
  [[nodiscard]] static result<partial_directory> make(const std::string& final_name);

  partial_directory(partial_directory&& other) noexcept;
  partial_directory& operator=(partial_directory&&) = delete;
  ~partial_directory();

  [[nodiscard]] const log_directory& where() const { return x_where; }

  /// Gives it its name, durably. What has that name and is not empty is not replaced. Errors:
  /// `io_failed`.
  [[nodiscard]] result<void> finish();

private:
  partial_directory(std::string final_name, log_directory where);

  [[nodiscard]] result<void> clear() const;

  std::string x_final_name;
  log_directory x_where;
  bool x_is_mine = true;
};

} // namespace orrery::log
