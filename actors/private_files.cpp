#include "actors/private_files.hpp"

#include "events/log/new_identity.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace orrery::actors {

namespace {

error system_failure(const std::string& what, int number) {
  return {error_code::io_failed, what + ": " + std::strerror(number), false};
}

} // namespace

result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST)
    return {};
  return system_failure("cannot make the directory " + path, errno);
}

result<void> write_private(const std::string& path, const std::string& content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0)
    return system_failure("cannot write " + path, errno);
  const auto written = ::write(file, content.data(), content.size());
  const int number = errno;
  ::close(file);
  if (written != static_cast<ssize_t>(content.size()))
    return system_failure("cannot write " + path, number);
  return {};
}

result<void> write_durably(const std::string& path, std::string_view content) {
  const auto partial = path + std::string(partial_suffix);
  const auto failed = [&](const std::string& what, int number) {
    ::unlink(partial.c_str());
    auto said = system_failure("cannot " + what + " " + path, number);
    if (number == ENOSPC || number == EDQUOT)
      said.code = error_code::storage_full;
    return said;
  };
  const int file = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0)
    return failed("write", errno);
  int number = 0;
  while (!content.empty() && number == 0) {
    const auto written = ::write(file, content.data(), content.size());
    if (written < 0 && errno != EINTR)
      number = errno;
    content.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
  if (number == 0 && ::fsync(file) != 0)
    number = errno;
  ::close(file);
  if (number != 0)
    return failed("write", number);
  if (::rename(partial.c_str(), path.c_str()) != 0)
    return failed("make", errno);
  const auto directory = path.substr(0, path.rfind('/'));
  const int folder = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_synced = folder >= 0 && ::fsync(folder) == 0;
  number = errno;
  if (folder >= 0)
    ::close(folder);
  return is_synced ? result<void>() : system_failure("cannot sync " + directory, number);
}

result<std::string> read_private(const std::string& path, std::size_t size_max) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 && errno == ENOENT)
    return error{error_code::not_found, "there is no file " + path, true};
  if (file < 0)
    return system_failure("cannot read " + path, errno);
  std::string content(size_max + 1, '\0');

  struct stat seen {};

  const bool is_file = ::fstat(file, &seen) == 0 && S_ISREG(seen.st_mode);
  const auto size = is_file ? ::read(file, content.data(), content.size()) : 0;
  const int number = errno;
  ::close(file);
  if (!is_file || (seen.st_mode & 077) != 0)
    return error{error_code::config_invalid,
                 path + (is_file ? " may be read by others: chmod 600 it" : " is no file"), true};
  if (size < 0)
    return system_failure("cannot read " + path, number);
  if (static_cast<std::size_t>(size) > size_max)
    return error{error_code::too_large,
                 path + " has more than " + std::to_string(size_max) + " bytes", true};
  content.resize(static_cast<std::size_t>(size));
  if (content.ends_with('\n'))
    content.pop_back();
  if (content.empty()) // a password that is half written is none
    return error{error_code::config_invalid, path + " is empty", true};
  return content;
}

result<std::string> load_token(const std::string& path) {
  constexpr std::size_t token_size_min = 16;

  struct stat seen {};

  if (::stat(path.c_str(), &seen) != 0) {
    std::string token = "orr_";
    for (int i = 0; i < 4; ++i) {
      char digits[17];
      std::snprintf(digits, sizeof digits, "%016llx",
                    static_cast<unsigned long long>(log::random_number()));
      token += digits;
    }
    if (auto written = write_private(path, token + "\n"); !written)
      return written.error();
    return token;
  }
  if ((seen.st_mode & 077) != 0)
    return error{error_code::config_invalid,
                 "others may read the token file " + path + ": chmod 600 it", false};
  std::ifstream file(path);
  std::string token;
  std::getline(file, token);
  if (token.size() < token_size_min)
    return error{error_code::config_invalid,
                 "the token in " + path + " is too short: delete the file, a new one is made",
                 false};
  return token;
}

} // namespace orrery::actors
