#include "projections/machine.hpp"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace orrery::projections {

namespace {

/// Fields of /proc/self/stat behind the name of the program, which may hold blanks (proc(5)): the
/// first of them is field 3.
constexpr std::size_t first_field = 3;
constexpr std::size_t user_time = 14;
constexpr std::size_t system_time = 15;
constexpr std::size_t start_time = 22;
constexpr std::size_t virtual_size = 23;
constexpr std::size_t resident_pages = 24;

/// When the machine started, in seconds since 1970: the line `btime` of /proc/stat.
double booted_at() {
  std::ifstream file("/proc/stat");
  std::string word;
  while (file >> word) {
    double seconds = 0;
    if (word == "btime" && file >> seconds)
      return seconds;
  }
  return 0;
}

} // namespace

std::optional<process_figures> figures_of_this_process() {
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos)
    return std::nullopt;
  std::istringstream words(text.substr(name_end + 1));
  const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
  if (fields.size() <= resident_pages - first_field)
    return std::nullopt;
  const auto field = [&fields](std::size_t which) {
    return std::strtoull(fields[which - first_field].c_str(), nullptr, 10);
  };
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  static const double booted = booted_at();
  process_figures told;
  told.cpu_seconds = static_cast<double>(field(user_time) + field(system_time)) / ticks;
  told.started_at = booted + static_cast<double>(field(start_time)) / ticks;
  told.virtual_bytes = field(virtual_size);
  told.resident_bytes = field(resident_pages) * static_cast<std::uint64_t>(::getpagesize());
  std::error_code failure;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failure), end; !failure && at != end;
       at.increment(failure))
    ++told.open_files;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0)
    told.open_files_max = limit.rlim_cur;
  return told;
}

std::optional<file_system_figures> room_of(const std::string& directory) {
  struct statvfs told {};

  if (directory.empty() || ::statvfs(directory.c_str(), &told) != 0)
    return std::nullopt;
  return file_system_figures{told.f_blocks * told.f_frsize, told.f_bavail * told.f_frsize};
}

} // namespace orrery::projections
