#include "pvip/apply/bird_process.hpp"

#include "pvip/apply/system_error.hpp"
#include "pvip/apply/waiting.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>

namespace orrery::pvip {

namespace {

/// A command of ours has a dozen words, three of which are paths that fit a socket's.
constexpr std::size_t command_bytes_max = 4'096;

std::optional<pid_t> pid_in(const std::string& name) {
  pid_t number = 0;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
  return failed == std::errc() && end == name.data() + name.size() ? std::optional(number)
                                                                   : std::nullopt;
}

/// Its words, each with a zero behind it; empty when it ended.
std::string command_of(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/cmdline";
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, command_bytes_max> bytes{};
  const auto count = file.is_open() ? ::read(file.number(), bytes.data(), bytes.size()) : 0;
  return count > 0 ? std::string(bytes.data(), static_cast<std::size_t>(count)) : std::string();
}

} // namespace

std::optional<file_descriptor> process_of_bird(const std::string& program,
                                               const std::string& configuration) {
  using namespace std::string_literals;
  const std::string begins = program + "\0-c\0"s + configuration + "\0"s;
  std::error_code failed;
  for (std::filesystem::directory_iterator at("/proc", failed), end; !failed && at != end;
       at.increment(failed)) {
    const auto pid = pid_in(at->path().filename().string());
    if (!pid || !command_of(*pid).starts_with(begins)) {
      continue;
    }
    // Looked at again, since the number may be another's by now.
    file_descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
    if (process.is_open() && command_of(*pid).starts_with(begins)) {
      return process;
    }
  }
  return std::nullopt;
}

result<void> end_process(const file_descriptor& process, int signal,
                         std::chrono::milliseconds limit) {
  // By number, since glibc 2.36 declares these without the "C" that its library has.
  if (::syscall(SYS_pidfd_send_signal, process.number(), signal, nullptr, 0) != 0 &&
      errno != ESRCH) {
    return system_error("BIRD cannot be ended", errno);
  }
  switch (wait_for(process.number(), POLLIN, std::chrono::steady_clock::now() + limit)) {
  case waited::ready:
    return {};
  case waited::in_vain:
    return error{.code = error_code::timed_out,
                 .text = "BIRD did not end within " + std::to_string(limit.count()) + " ms",
                 .retryable = true};
  case waited::failed:
    break;
  }
  return system_error("BIRD cannot be waited for", errno);
}

} // namespace orrery::pvip
