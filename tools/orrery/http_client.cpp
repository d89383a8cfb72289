#include "tools/orrery/http_client.hpp"

#include "events/core/text.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace orrery::cli {

namespace {

constexpr std::size_t read_size = std::size_t{64} * 1024;

error failed(error_code code, std::string text) {
  return error{code, std::move(text), code == error_code::unavailable};
}

error not_http() {
  return failed(error_code::damaged,
                "the reply is not HTTP: another program listens there, or the URL is wrong");
}

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return made;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <class Number> bool parse_number(std::string_view text, Number& value, int base = 10) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

/// Waits until the socket is ready; 0 or an errno.
int wait_for(int descriptor, short events, std::chrono::milliseconds time) {
  pollfd one{descriptor, events, 0};
  for (;;) {
    const int ready = ::poll(&one, 1, static_cast<int>(time.count()));
    if (ready > 0)
      return 0;
    if (ready == 0)
      return ETIMEDOUT;
    if (errno != EINTR)
      return errno;
  }
}

/// Connects `descriptor` within the limit; 0 or an errno.
int connect_to(int descriptor, const addrinfo& where) {
  if (::connect(descriptor, where.ai_addr, where.ai_addrlen) == 0)
    return 0;
  if (errno != EINPROGRESS)
    return errno;
  if (const int why = wait_for(descriptor, POLLOUT, connect_max); why != 0)
    return why;
  int why = 0;
  socklen_t size = sizeof why;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &why, &size) == 0 ? why : errno;
}

/// "HTTP/1.1 202 Accepted" and the lines of headers. False when it is not that.
bool parse_head(std::string_view head, http_reply& reply) {
  auto line = head.substr(0, head.find("\r\n"));
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ' ||
      !parse_number(line.substr(9, 3), reply.status) || reply.status < 100)
    return false;
  head.remove_prefix(std::min(head.size(), line.size() + 2));
  while (!head.empty()) {
    line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
      return false;
    reply.headers.emplace_back(lower(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
  }
  return true;
}

std::string bytes_of(const http_request& asked, const endpoint& where) {
  const bool brackets = where.host.find(':') != std::string::npos;
  std::string made = asked.method;
  made.append(" ").append(where.prefix).append(asked.target).append(" HTTP/1.1\r\nHost: ");
  made.append(brackets ? "[" : "").append(where.host).append(brackets ? "]" : "");
  made.append(":").append(std::to_string(where.port)).append("\r\n");
  for (const auto& [name, value] : asked.headers)
    made.append(name).append(": ").append(value).append("\r\n");
  if (!asked.body.empty() || asked.method == "POST")
    made.append("Content-Length: ").append(std::to_string(asked.body.size())).append("\r\n");
  return made.append("\r\n").append(asked.body);
}

} // namespace

result<endpoint> parse_url(std::string_view url) {
  const auto wrong = [url](std::string_view why) {
    return failed(error_code::invalid_argument,
                  "the URL '" + printable(url, 200) + "' " + std::string(why));
  };
  if (url.starts_with("https://"))
    return wrong("asks for TLS, which is not there yet: want http:// to this machine");
  static constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme))
    return wrong("does not start with http://, for instance http://127.0.0.1:7480");
  auto rest = url.substr(scheme.size());
  const auto slash = rest.find('/');
  endpoint made;
  if (slash != std::string_view::npos) {
    made.prefix = rest.substr(slash);
    rest = rest.substr(0, slash);
    while (!made.prefix.empty() && made.prefix.back() == '/')
      made.prefix.pop_back();
  }
  const auto bad = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  if (std::ranges::any_of(url, bad) || url.find_first_of("?#@") != std::string_view::npos)
    return wrong("has a blank, a control character, '?', '#' or '@'");
  std::string_view port;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos)
      return wrong("has a '[' without ']'");
    made.host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
  } else {
    made.host = rest.substr(0, rest.find(':'));
    port = rest.substr(made.host.size());
  }
  if (made.host.empty())
    return wrong("names no host");
  if (!port.empty() &&
      (port.front() != ':' || !parse_number(port.substr(1), made.port) || made.port == 0))
    return wrong("has a port that is not a number from 1 to 65535");
  return made;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" ||
         (host.starts_with("127.") &&
          host.find_first_not_of("0123456789.") == std::string_view::npos);
}

std::string url_encode(std::string_view text) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string made;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      made += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    made += '%';
    made += digits[byte >> 4];
    made += digits[byte & 15];
  }
  return made;
}

std::string_view http_reply::header(std::string_view name) const {
  for (const auto& [known, value] : headers)
    if (known == name)
      return value;
  return {};
}

http_client::http_client(endpoint where) : x_where(std::move(where)) {}

http_client::~http_client() { disconnect(); }

void http_client::disconnect() {
  if (x_socket >= 0)
    ::close(x_socket);
  x_socket = -1;
  x_buffer.clear();
}

result<void> http_client::connect() {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const auto port = std::to_string(x_where.port);
  if (const int why = ::getaddrinfo(x_where.host.c_str(), port.c_str(), &wanted, &found); why != 0)
    return failed(error_code::unavailable,
                  "cannot find the host '" + x_where.host + "': " + ::gai_strerror(why));
  int why = 0;
  for (const auto* one = found; one != nullptr && x_socket < 0; one = one->ai_next) {
    const int descriptor =
        ::socket(one->ai_family, one->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, one->ai_protocol);
    why = descriptor < 0 ? errno : connect_to(descriptor, *one);
    if (why == 0)
      x_socket = descriptor;
    else if (descriptor >= 0)
      ::close(descriptor);
  }
  ::freeaddrinfo(found);
  if (x_socket < 0)
    return failed(error_code::unavailable, std::strerror(why));
  const int on = 1;
  ::setsockopt(x_socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return {};
}

result<http_reply> http_client::send(const http_request& asked) {
  const auto bytes = bytes_of(asked, x_where);
  const bool kept = x_socket >= 0;
  auto begun = begin(bytes);
  // A kept connection may have been closed before the request came: seen as a reset or an end
  // before the first byte of a reply. The caller's key makes a repetition harmless in any case.
  if (!begun && kept && begun.error().code == error_code::io_failed) {
    disconnect();
    begun = begin(bytes);
  }
  auto reply = begun ? read(asked.method) : result<http_reply>(begun.error());
  if (!reply || lower(reply->header("connection")).find("close") != std::string::npos)
    disconnect();
  return reply;
}

result<void> http_client::begin(std::string_view bytes) {
  if (x_socket < 0)
    if (auto connected = connect(); !connected)
      return connected.error();
  if (auto written = write(bytes); !written)
    return written.error();
  const auto more = x_buffer.empty() ? fill() : result<bool>(true);
  if (!more)
    return more.error();
  if (!*more)
    return failed(error_code::io_failed, "the server ended the connection");
  return {};
}

result<void> http_client::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = ::send(x_socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(size));
      continue;
    }
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (const int why = wait_for(x_socket, POLLOUT, x_silence); why == 0)
        continue;
      return failed(error_code::timed_out, "the server takes no more of the request");
    }
    return failed(error_code::io_failed,
                  std::string("the connection broke: ") + std::strerror(errno));
  }
  return {};
}

result<bool> http_client::fill() {
  std::array<char, read_size> chunk{};
  for (;;) {
    if (const int why = wait_for(x_socket, POLLIN, x_silence); why == ETIMEDOUT)
      return failed(error_code::timed_out, "no reply for " + std::to_string(x_silence.count()) +
                                               " ms; the request may still be carried out");
    const auto size = ::recv(x_socket, chunk.data(), chunk.size(), 0);
    if (size == 0)
      return false;
    if (size > 0) {
      x_buffer.append(chunk.data(), static_cast<std::size_t>(size));
      return true;
    }
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
      return failed(error_code::io_failed,
                    std::string("the connection broke: ") + std::strerror(errno));
  }
}

result<http_reply> http_client::open(const http_request& asked) {
  disconnect();
  const auto begun = begin(bytes_of(asked, x_where));
  auto reply = begun ? read_head() : result<http_reply>(begun.error());
  if (reply && reply->status >= 300)
    if (auto body = read_body(*reply); !body)
      reply = body.error();
  if (reply && reply->status < 300 && !reply->header("transfer-encoding").empty())
    reply =
        failed(error_code::damaged, "a proxy has cut the stream into chunks: ask orreryd itself");
  if (!reply || reply->status >= 300)
    disconnect();
  return reply;
}

result<std::string> http_client::receive() {
  if (x_buffer.empty()) {
    const auto more = fill();
    if (!more || !*more)
      disconnect();
    if (!more)
      return more.error();
  }
  return std::exchange(x_buffer, {});
}

result<http_reply> http_client::read(const std::string& method) {
  auto reply = read_head();
  if (reply && method != "HEAD" && reply->status != 204 && reply->status != 304)
    if (auto body = read_body(*reply); !body)
      return body.error();
  return reply;
}

result<http_reply> http_client::read_head() {
  for (;;) {
    std::size_t end = 0;
    while ((end = x_buffer.find("\r\n\r\n")) == std::string::npos) {
      if (x_buffer.size() > reply_header_size_max ||
          !std::string_view("HTTP/").starts_with(std::string_view(x_buffer).substr(0, 5)))
        return not_http();
      const auto more = fill();
      if (!more)
        return more.error();
      if (!*more)
        return failed(error_code::io_failed, "the connection ended within a reply");
    }
    http_reply reply;
    const bool good = parse_head(std::string_view(x_buffer).substr(0, end), reply);
    x_buffer.erase(0, end + 4);
    if (!good)
      return not_http();
    if (reply.status >= 200)
      return reply; // else it is informational: the real one follows
  }
}

result<void> http_client::read_body(http_reply& reply) {
  if (lower(reply.header("transfer-encoding")) == "chunked") {
    auto body = read_chunks();
    if (!body)
      return body.error();
    reply.body = std::move(*body);
    return {};
  }
  if (const auto length = reply.header("content-length"); !length.empty()) {
    std::uint64_t size = 0;
    if (!parse_number(length, size))
      return not_http();
    auto body = read_exactly(size);
    if (!body)
      return body.error();
    reply.body = std::move(*body);
    return {};
  }
  for (;;) { // until the server closes (RFC 9112, section 6.3)
    const auto more = fill();
    if (!more)
      return more.error();
    if (x_buffer.size() > reply_size_max)
      return failed(error_code::too_large, "the reply is longer than 64 MiB");
    if (*more)
      continue;
    reply.body = std::move(x_buffer);
    disconnect();
    return {};
  }
}

result<std::string> http_client::read_exactly(std::uint64_t size) {
  if (size > reply_size_max)
    return failed(error_code::too_large, "the reply is longer than 64 MiB");
  while (x_buffer.size() < size) {
    const auto more = fill();
    if (!more)
      return more.error();
    if (!*more)
      return failed(error_code::io_failed, "the connection ended within a reply");
  }
  auto made = x_buffer.substr(0, size);
  x_buffer.erase(0, size);
  return made;
}

result<std::string> http_client::read_line() {
  std::size_t end = 0;
  while ((end = x_buffer.find("\r\n")) == std::string::npos) {
    if (x_buffer.size() > reply_header_size_max)
      return not_http();
    const auto more = fill();
    if (!more)
      return more.error();
    if (!*more)
      return failed(error_code::io_failed, "the connection ended within a reply");
  }
  auto made = x_buffer.substr(0, end);
  x_buffer.erase(0, end + 2);
  return made;
}

result<std::string> http_client::read_chunks() {
  std::string made;
  for (;;) {
    const auto line = read_line();
    if (!line)
      return line.error();
    std::uint64_t size = 0;
    if (!parse_number(trimmed(std::string_view(*line).substr(0, line->find(';'))), size, 16))
      return not_http();
    if (size == 0)
      break;
    if (size > reply_size_max - made.size())
      return failed(error_code::too_large, "the reply is longer than 64 MiB");
    auto chunk = read_exactly(size + 2);
    if (!chunk)
      return chunk.error();
    if (!chunk->ends_with("\r\n"))
      return not_http();
    made += std::string_view(*chunk).substr(0, chunk->size() - 2);
  }
  for (;;) { // trailers
    const auto line = read_line();
    if (!line)
      return line.error();
    if (line->empty())
      return made;
  }
}

} // namespace orrery::cli
