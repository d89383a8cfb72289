#include "tests/actors/http/raw_client.hpp"

#include "events/core/check.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cstdlib>

namespace orrery::http_test {

raw_client::raw_client(std::uint16_t port) {
  x_socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ORRERY_CHECK(x_socket >= 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int failed = ::connect(x_socket, reinterpret_cast<const sockaddr*>(&where), sizeof where);
  ORRERY_CHECK(failed == 0);
}

raw_client::~raw_client() { ::close(x_socket); }

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = ::send(x_socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

void raw_client::finish_sending() { ::shutdown(x_socket, SHUT_WR); }

bool raw_client::fill() {
  pollfd one{x_socket, POLLIN, 0};
  if (::poll(&one, 1, static_cast<int>(patience.count())) != 1) {
    x_timed_out = true;
    return false;
  }
  std::array<char, 65536> chunk{};
  const auto size = ::recv(x_socket, chunk.data(), chunk.size(), 0);
  if (size <= 0)
    return false;
  x_buffer.append(chunk.data(), static_cast<std::size_t>(size));
  return true;
}

raw_reply raw_client::reply(bool head) {
  raw_reply made;
  std::size_t end = 0;
  while ((end = x_buffer.find("\r\n\r\n")) == std::string::npos)
    if (!fill())
      return made;
  const auto top = x_buffer.substr(0, end + 2);
  x_buffer.erase(0, end + 4);
  made.status = std::atoi(top.substr(top.find(' ') + 1).c_str());
  for (auto at = top.find("\r\n") + 2; at < top.size();) {
    const auto line_end = top.find("\r\n", at);
    const auto line = top.substr(at, line_end - at);
    at = line_end + 2;
    auto name = line.substr(0, line.find(':'));
    for (char& c : name)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    made.headers[name] = line.substr(line.find(':') + 2);
  }
  const auto length = made.headers.find("content-length");
  if (head || length == made.headers.end())
    return made;
  const auto size = static_cast<std::size_t>(std::atoll(length->second.c_str()));
  while (x_buffer.size() < size)
    if (!fill())
      return {};
  made.body = x_buffer.substr(0, size);
  x_buffer.erase(0, size);
  return made;
}

std::string raw_client::take(std::size_t size) {
  while (x_buffer.size() < size && fill()) {
  }
  auto made = x_buffer.substr(0, size);
  x_buffer.erase(0, made.size());
  return made;
}

bool raw_client::ended() {
  while (fill()) {
  }
  return !x_timed_out && x_buffer.empty();
}

std::string get(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

std::string post(std::string_view target, std::string_view body) {
  return "POST " + std::string(target) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

} // namespace orrery::http_test
