#include "pvip/apply/bird_control.hpp"

#include "events/core/text.hpp"
#include "pvip/apply/file_descriptor.hpp"
#include "pvip/apply/system_error.hpp"
#include "pvip/apply/waiting.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace orrery::pvip {

namespace {

/// A path of a file, and the words before it.
constexpr std::size_t command_bytes_max = 1'024;

/// What is told of BIRD's words.
constexpr std::size_t words_bytes_max = 300;

// Numbers of lines, from the list in BIRD's documentation of its commands.
constexpr int code_refused = 8'000; // and above
constexpr int code_ending = 6;      // "Reconfiguration ignored, shutting down"

using deadline = std::chrono::steady_clock::time_point;

error bird_failed(error_code code, const std::string& text) {
  return {.code = code, .text = "BIRD " + text, .retryable = true};
}

result<file_descriptor> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return error{.code = error_code::invalid_argument,
                 .text = "\"" + printable(path, text_shown_max) +
                         "\" cannot be a socket's path; it has 1 to " +
                         std::to_string(sizeof(address.sun_path) - 1) + " bytes"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  file_descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) {
    return system_error("a socket for BIRD cannot be opened", errno);
  }
  if (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
      0) {
    return socket;
  }
  if (errno == ENOENT || errno == ECONNREFUSED) {
    return bird_failed(error_code::unavailable, "does not listen at " + path + "; start it");
  }
  if (errno == EAGAIN) {
    return bird_failed(error_code::timed_out, "takes no more connections at " + path);
  }
  return system_error("BIRD cannot be spoken to at " + path, errno);
}

/// One question and its reply, until a deadline.
class conversation {
public:
  conversation(file_descriptor socket, std::chrono::milliseconds patience)
      : x_socket(std::move(socket)), x_patience(patience),
        x_until(std::chrono::steady_clock::now() + patience) {}

  result<void> say(std::string_view bytes) {
    while (!bytes.empty()) {
      if (auto ready = wait_for(POLLOUT); !ready) {
        return ready;
      }
      const auto count = ::send(x_socket.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(count));
      } else if (errno != EAGAIN && errno != EINTR) {
        return ended();
      }
    }
    return {};
  }

  result<bird_reply> hear() {
    bird_reply_reader reader;
    std::array<char, 4'096> bytes{};
    while (true) {
      if (auto ready = wait_for(POLLIN); !ready) {
        return ready.error();
      }
      const auto count = ::recv(x_socket.number(), bytes.data(), bytes.size(), 0);
      if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        return ended();
      }
      if (count < 0) {
        continue;
      }
      auto reply = reader.take({bytes.data(), static_cast<std::size_t>(count)});
      if (!reply) {
        return reply.error();
      }
      if (*reply) {
        return **std::move(reply);
      }
    }
  }

private:
  static error ended() { return bird_failed(error_code::unavailable, "ended while it was asked"); }

  result<void> wait_for(short event) {
    switch (pvip::wait_for(x_socket.number(), event, x_until)) {
    case waited::ready:
      return {};
    case waited::in_vain:
      return bird_failed(error_code::timed_out,
                         "gave no answer within " + std::to_string(x_patience.count()) + " ms");
    case waited::failed:
      break;
    }
    return system_error("BIRD cannot be waited for", errno);
  }

  file_descriptor x_socket;
  std::chrono::milliseconds x_patience;
  deadline x_until;
};

} // namespace

bird_control::bird_control(std::string socket, std::chrono::milliseconds patience)
    : x_socket(std::move(socket)), x_patience(patience) {}

result<bird_reply> bird_control::ask(std::string_view command) const {
  const auto is_control = [](char c) { return c >= 0 && c < ' '; };
  if (command.empty() || command.size() > command_bytes_max ||
      std::ranges::any_of(command, is_control)) {
    return error{.code = error_code::invalid_argument,
                 .text = "a question to BIRD is one line of 1 to " +
                         std::to_string(command_bytes_max) + " bytes"};
  }
  auto socket = connect_to(x_socket);
  if (!socket) {
    return socket.error();
  }
  conversation with(*std::move(socket), x_patience);
  if (const auto greeting = with.hear(); !greeting) {
    return greeting.error();
  }
  if (auto said = with.say(std::string(command) + "\n"); !said) {
    return said.error();
  }
  auto reply = with.hear();
  if (reply && reply->back().code >= code_refused) {
    return bird_failed(error_code::driver_failed,
                       "refuses: " + printable(reply->back().text, words_bytes_max));
  }
  return reply;
}

result<void> bird_control::status() const {
  const auto reply = ask("show status");
  return reply ? result<void>() : reply.error();
}

result<void> bird_control::configure_check(const std::string& file) const {
  const auto reply = ask("configure check \"" + file + "\"");
  return reply ? result<void>() : reply.error();
}

result<void> bird_control::configure() const {
  const auto reply = ask("configure");
  if (!reply) {
    return reply.error();
  }
  if (reply->back().code == code_ending) {
    return bird_failed(error_code::conflict, "is ending and takes no new configuration");
  }
  return {};
}

} // namespace orrery::pvip
