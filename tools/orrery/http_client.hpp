#pragma once

#include "events/core/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::cli {

/// Where an API is.
struct endpoint {
  std::string host; ///< a name or an address, without brackets
  std::uint16_t port = 80;
  std::string prefix; ///< of every path: "" or "/orrery"

  friend bool operator==(const endpoint&, const endpoint&) = default;
};

/// Parses "http://127.0.0.1:7480". Errors: `invalid_argument`, with what is wrong.
[[nodiscard]] result<endpoint> parse_url(std::string_view url);

/// True for hosts that are this machine: "localhost", 127.0.0.0/8, ::1. A token in clear text goes
/// nowhere else.
[[nodiscard]] bool is_loopback(std::string_view host);

/// The bytes of one path segment or query value, percent-encoded.
[[nodiscard]] std::string url_encode(std::string_view text);

struct http_reply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers; ///< names in lower case
  std::string body;

  /// The first header of that (lower-case) name, "" when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct http_request {
  std::string method;
  std::string target; ///< encoded path and query, behind the prefix
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

/// Making a connection, all addresses of the host together.
inline constexpr std::chrono::milliseconds connect_max = std::chrono::seconds(5);
/// Silence of the server within a reply; the API's long polls are far shorter.
inline constexpr std::chrono::milliseconds silence_max = std::chrono::seconds(60);
/// Of one reply; a page of 1,000 VMs is 1 MiB.
inline constexpr std::size_t reply_size_max = std::size_t{64} * 1024 * 1024;
/// Status line and headers of one reply.
inline constexpr std::size_t reply_header_size_max = std::size_t{64} * 1024;

/// A blocking HTTP/1.1 client on one connection, which it keeps. Small on purpose: the libraries
/// at hand bring TLS and compression, and with them more time at start than a whole command takes.
class http_client {
public:
  explicit http_client(endpoint where);
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;
  ~http_client();

  /// Blocks. A kept connection that the server has closed meanwhile is opened anew. Errors:
  /// `unavailable` (no connection: nothing was sent), `io_failed` (it broke, the request may have
  /// been carried out), `timed_out` (silence), `too_large`, `damaged` (not HTTP).
  [[nodiscard]] result<http_reply> send(const http_request& asked);

  /// The same for a reply whose body does not end: on a connection of its own, and of a reply below
  /// 300 the body is left for `receive`. Errors as above.
  [[nodiscard]] result<http_reply> open(const http_request& asked);

  /// The next bytes of that body; none when the connection has ended. Blocks. Errors: `io_failed`,
  /// `timed_out`.
  [[nodiscard]] result<std::string> receive();

  /// How long the server may be silent within a reply; `silence_max` at first.
  void set_silence(std::chrono::milliseconds most) { x_silence = most; }

private:
  [[nodiscard]] result<void> connect();
  /// Connects where needed, sends, waits for the first byte of the reply.
  [[nodiscard]] result<void> begin(std::string_view bytes);
  [[nodiscard]] result<void> write(std::string_view bytes);
  [[nodiscard]] result<http_reply> read(const std::string& method);
  [[nodiscard]] result<http_reply> read_head();
  [[nodiscard]] result<void> read_body(http_reply& reply);
  [[nodiscard]] result<std::string> read_chunks();
  [[nodiscard]] result<std::string> read_line();
  [[nodiscard]] result<std::string> read_exactly(std::uint64_t size);
  /// False at the end of the stream.
  [[nodiscard]] result<bool> fill();
  void disconnect();

  endpoint x_where;
  std::chrono::milliseconds x_silence = silence_max;
  int x_socket = -1;
  std::string x_buffer; ///< received, not used
};

} // namespace orrery::cli
