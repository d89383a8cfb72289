#include "pvip/apply/nft_helper.hpp"

#include "events/core/text.hpp"
#include "pvip/apply/spawn.hpp"
#include "pvip/apply/system_error.hpp"
#include "pvip/apply/waiting.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace orrery::pvip {

namespace {

/// What is told of nftables' words: they repeat the transaction, which may be long.
constexpr std::size_t words_bytes_max = 600;

/// A process whose connection ended is ending; one that is not is hanging.
constexpr std::chrono::milliseconds ending_limit{1'000};

enum class verdict : char { done = 0, refused = 1 };

error helper_failed(error_code code, const std::string& text) {
  return {.code = code, .text = "orrery-nft " + text, .retryable = true};
}

std::string words_of(int status) {
  if (WIFSIGNALED(status)) {
    return "was ended by signal " + std::to_string(WTERMSIG(status));
  }
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

} // namespace

nft_helper::nft_helper(std::string program, std::chrono::milliseconds patience)
    : x_program(std::move(program)), x_patience(patience) {}

nft_helper::~nft_helper() { (void)end(); }

result<std::string> nft_helper::run(std::string_view transaction) {
  if (transaction.empty() || transaction.size() > question_bytes_max) {
    return error{.code = error_code::too_large,
                 .text = "a transaction of nftables of " + std::to_string(transaction.size()) +
                         " bytes; 1 to " + std::to_string(question_bytes_max) + " can be asked"};
  }
  if (x_process == 0) {
    if (auto started = start(); !started) {
      return started.error();
    }
  }
  auto answer = exchange(transaction);
  if (!answer && answer.error().code != error_code::driver_failed) {
    error failure = answer.error();
    const std::string ending = end();
    if (failure.code == error_code::unavailable) {
      failure.text += ending;
    }
    failure.text += "; it will be started again";
    return failure;
  }
  return answer;
}

result<void> nft_helper::start() {
  std::array<int, 2> ends{};
  // A pair of sockets and no pipes: writing to a reader that died is then an error, no signal.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return system_error("orrery-nft cannot be connected to", errno);
  }
  file_descriptor ours(ends[0]);
  const file_descriptor theirs(ends[1]);
  pid_t child = 0;
  const spawn_settings settings(
      {{theirs.number(), STDIN_FILENO}, {theirs.number(), STDOUT_FILENO}});
  if (const int failed = settings.spawn(child, {x_program}); failed != 0) {
    return system_error(x_program + " cannot be started", failed);
  }
  x_process = child;
  x_socket = std::move(ours);
  return {};
}

result<void> nft_helper::wait_for(short event, deadline until) {
  switch (pvip::wait_for(x_socket.number(), event, until)) {
  case waited::ready:
    return {};
  case waited::in_vain:
    return helper_failed(error_code::timed_out, "gave no answer within " +
                                                    std::to_string(x_patience.count()) +
                                                    " ms and was ended");
  case waited::failed:
    break;
  }
  return system_error("orrery-nft cannot be waited for", errno);
}

result<void> nft_helper::send(std::string_view bytes, deadline until) {
  while (!bytes.empty()) {
    if (auto ready = wait_for(POLLOUT, until); !ready) {
      return ready;
    }
    const auto count =
        ::send(x_socket.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EAGAIN && errno != EINTR) {
      return helper_failed(error_code::unavailable, "");
    }
  }
  return {};
}

result<void> nft_helper::receive(char* to, std::size_t size, deadline until) {
  std::size_t had = 0;
  while (had < size) {
    if (auto ready = wait_for(POLLIN, until); !ready) {
      return ready;
    }
    const auto count = ::recv(x_socket.number(), to + had, size - had, MSG_DONTWAIT);
    if (count > 0) {
      had += static_cast<std::size_t>(count);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      return helper_failed(error_code::unavailable, "");
    }
  }
  return {};
}

result<std::string> nft_helper::exchange(std::string_view transaction) {
  const deadline until = std::chrono::steady_clock::now() + x_patience;
  const std::uint32_t asked = htonl(static_cast<std::uint32_t>(transaction.size()));
  std::array<char, sizeof(asked)> frame{};
  std::memcpy(frame.data(), &asked, sizeof(asked));
  if (auto sent = send({frame.data(), frame.size()}, until); !sent) {
    return sent.error();
  }
  if (auto sent = send(transaction, until); !sent) {
    return sent.error();
  }
  std::uint32_t size = 0;
  if (auto got = receive(frame.data(), frame.size(), until); !got) {
    return got.error();
  }
  std::memcpy(&size, frame.data(), sizeof(size));
  size = ntohl(size);
  if (size == 0 || size > answer_bytes_max) {
    return helper_failed(error_code::io_failed,
                         "answered with a length of " + std::to_string(size));
  }
  std::string answer(size, '\0');
  if (auto got = receive(answer.data(), answer.size(), until); !got) {
    return got.error();
  }
  const auto said = static_cast<verdict>(answer.front());
  answer.erase(0, 1);
  if (said == verdict::done) {
    return answer;
  }
  if (said != verdict::refused) {
    return helper_failed(error_code::io_failed, "answered with no verdict");
  }
  return error{.code = error_code::driver_failed,
               .text = "nftables refuses: " + printable(answer, words_bytes_max),
               .retryable = true};
}

std::string nft_helper::end() {
  if (x_process == 0) {
    return {};
  }
  x_socket = file_descriptor(); // at the end of its input it ends
  // By number: the header of glibc 2.36 declares it for C only.
  const file_descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, x_process, 0)));
  pollfd ended{.fd = handle.number(), .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, static_cast<int>(ending_limit.count())) != 1) {
    (void)::kill(x_process, SIGKILL);
  }
  int status = 0;
  while (::waitpid(x_process, &status, 0) < 0 && errno == EINTR) {
  }
  x_process = 0;
  return words_of(status);
}

result<std::string> nft_helper_beside_us() {
  std::error_code failed;
  const auto us = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) {
    return system_error("/proc/self/exe cannot be read", failed.value());
  }
  return (us.parent_path() / "orrery-nft").string();
}

} // namespace orrery::pvip
