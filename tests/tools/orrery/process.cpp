#include "tests/tools/orrery/process.hpp"

#include "events/core/check.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace orrery::cli_test {

namespace {

/// Arguments or variables as exec wants them.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> made;
  for (auto& one : texts)
    made.push_back(one.data());
  made.push_back(nullptr);
  return made;
}

std::vector<std::string> all_variables(const environment& variables) {
  auto wanted = variables;
  wanted.try_emplace("HOME", "/nonexistent");
  wanted.try_emplace("TERM", "xterm");
  std::vector<std::string> made;
  for (const auto& [name, value] : wanted)
    made.push_back(name + "=" + value);
  return made;
}

[[noreturn]] void become(const words& arguments, const environment& variables) {
  std::vector<std::string> texts{ORRERY_PROGRAM};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  auto settings = all_variables(variables);
  ::execve(ORRERY_PROGRAM, pointers(texts).data(), pointers(settings).data());
  ::_exit(127);
}

int exit_of(pid_t pid) {
  int status = 0;
  ORRERY_CHECK(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

process::process(const words& arguments, const environment& variables) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  ORRERY_CHECK(::pipe2(out.data(), O_CLOEXEC) == 0);
  ORRERY_CHECK(::pipe2(err.data(), O_CLOEXEC) == 0);
  x_pid = ::fork();
  ORRERY_CHECK(x_pid >= 0);
  if (x_pid == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    become(arguments, variables);
  }
  ::close(out[1]);
  ::close(err[1]);
  x_out = out[0];
  x_err = err[0];
}

process::~process() {
  if (x_pid > 0) {
    ::kill(x_pid, SIGKILL);
    exit_of(x_pid);
  }
  if (x_out >= 0)
    ::close(x_out);
  if (x_err >= 0)
    ::close(x_err);
}

bool process::read_more() {
  std::array<pollfd, 2> both{{{x_out, POLLIN, 0}, {x_err, POLLIN, 0}}};
  if (x_out < 0 && x_err < 0)
    return false;
  if (::poll(both.data(), both.size(), static_cast<int>(patience.count())) <= 0)
    return false;
  std::array<char, 65536> chunk{};
  for (auto& one : both) {
    if (one.revents == 0)
      continue;
    const bool is_out = one.fd == x_out;
    const auto size = ::read(one.fd, chunk.data(), chunk.size());
    if (size > 0) {
      (is_out ? x_seen.out : x_seen.err).append(chunk.data(), static_cast<std::size_t>(size));
    } else {
      ::close(one.fd);
      (is_out ? x_out : x_err) = -1;
    }
  }
  return true;
}

bool process::wait_for_err(std::string_view text) {
  while (x_seen.err.find(text) == std::string::npos)
    if (!read_more())
      return false;
  return true;
}

bool process::wait_for_out(std::string_view text) {
  while (x_seen.out.find(text) == std::string::npos)
    if (!read_more())
      return false;
  return true;
}

void process::interrupt() const { ::kill(x_pid, SIGINT); }

outcome process::finish() {
  while (read_more()) {
  }
  if (x_out >= 0 || x_err >= 0) {
    ADD_FAILURE() << "the command did not end; so far:\n" << x_seen.out << x_seen.err;
    ::kill(x_pid, SIGKILL);
  }
  x_seen.exit = exit_of(x_pid);
  x_pid = -1;
  return x_seen;
}

outcome run(const words& arguments, const environment& variables) {
  return process(arguments, variables).finish();
}

outcome run_on_terminal(const words& arguments, const environment& variables, unsigned columns) {
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = 24;
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, &size);
  ORRERY_CHECK(pid >= 0);
  if (pid == 0)
    become(arguments, variables);
  outcome made;
  std::array<char, 65536> chunk{};
  for (;;) {
    pollfd one{terminal, POLLIN, 0};
    if (::poll(&one, 1, static_cast<int>(patience.count())) <= 0) {
      ADD_FAILURE() << "the command did not end; so far:\n" << made.out;
      ::kill(pid, SIGKILL);
      break;
    }
    const auto got = ::read(terminal, chunk.data(), chunk.size());
    if (got <= 0)
      break; // the other side of a terminal ends with EIO
    made.out.append(chunk.data(), static_cast<std::size_t>(got));
  }
  ::close(terminal);
  made.exit = exit_of(pid);
  return made;
}

folder::folder() {
  auto pattern = testing::TempDir() + "orrery-cli-XXXXXX";
  ORRERY_CHECK(::mkdtemp(pattern.data()) != nullptr);
  x_path = pattern;
}

folder::~folder() {
  std::error_code ignored;
  std::filesystem::remove_all(x_path, ignored);
}

std::string folder::path(std::string_view name) const { return x_path + "/" + std::string(name); }

std::string folder::file(std::string_view name, std::string_view text) const {
  const auto made = path(name);
  std::filesystem::create_directories(std::filesystem::path(made).parent_path());
  std::ofstream(made, std::ios::binary) << text;
  return made;
}

} // namespace orrery::cli_test
