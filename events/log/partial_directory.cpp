#include "events/log/partial_directory.hpp"

#include "events/log/backup_manifest.hpp"
#include "events/log/segment_scan.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace orrery::log {

namespace {

/// Names that a log, a backup, or one that was begun can hold.
bool is_ours(const std::string& name) {
  return parse_segment_name(name) || name == meta_name || name == meta_new_name ||
         name == manifest_name || name == manifest_new_name || name == "." || name == "..";
}

} // namespace

result<partial_directory> partial_directory::make(const std::string& final_name) {
  const auto path = final_name + ".partial";
  if (auto made = make_directory(path); !made)
    return made.error();
  auto locked = log_directory::open(path, directory_lock::exclusive);
  if (!locked)
    return locked.error();
  if (!locked->is_at_its_path())
    return error{error_code::locked, "another process has just finished " + final_name, false};
  const auto found = locked->names();
  if (!found)
    return found.error();
  if (!std::ranges::all_of(*found, is_ours))
    return error{error_code::already_exists,
                 path + " holds what is of no backup: move it away, or choose another name", false};
  partial_directory made(final_name, std::move(*locked));
  if (auto cleared = made.clear(); !cleared)
    return cleared.error();
  return made;
}

partial_directory::partial_directory(std::string final_name, log_directory where)
    : x_final_name(std::move(final_name)), x_where(std::move(where)) {}

partial_directory::partial_directory(partial_directory&& other) noexcept
    : x_final_name(std::move(other.x_final_name)), x_where(std::move(other.x_where)),
      x_is_mine(std::exchange(other.x_is_mine, false)) {}

partial_directory::~partial_directory() {
  if (x_is_mine && clear())
    ::rmdir(x_where.path().c_str());
}

result<void> partial_directory::finish() {
  if (auto synced = x_where.sync(); !synced)
    return synced;
  if (::rename(x_where.path().c_str(), x_final_name.c_str()) != 0)
    return system_error("rename to " + x_final_name, x_where.path(), errno);
  x_is_mine = false;
  return sync_parent(x_final_name);
}

/// The manifest goes first: what has one is whole.
result<void> partial_directory::clear() const {
  if (auto removed = x_where.remove(std::string(manifest_name)); !removed)
    return removed;
  const auto found = x_where.names();
  if (!found)
    return found.error();
  for (const auto& name : *found)
    if (is_ours(name) && !name.starts_with('.'))
      if (auto removed = x_where.remove(name); !removed)
        return removed;
  return {};
}

} // namespace orrery::log
