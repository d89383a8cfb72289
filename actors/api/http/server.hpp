#pragma once

#include "events/core/error.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::http {

/// One header or one query parameter.
struct field {
  std::string name;
  std::string value;

  friend bool operator==(const field&, const field&) = default;
};

/// A whole request, checked: path, query, headers and body are UTF-8 without control characters in
/// the first three.
struct request {
  std::string method;         ///< as sent, upper case by convention ("GET")
  std::string path;           ///< percent-decoded, starts with '/', without the query
  std::vector<field> query;   ///< decoded, in the order sent
  std::vector<field> headers; ///< names in lower case, in the order sent
  std::string body;
  std::string peer; ///< "127.0.0.1:51234"

  /// The first header of that (lower-case) name; nullptr when there is none.
  [[nodiscard]] const std::string* header(std::string_view name) const;

  /// The first query parameter of that name; nullptr when there is none.
  [[nodiscard]] const std::string* parameter(std::string_view name) const;
};

/// The open end of a reply that goes on for as long as somebody reads it. Any thread, no call
/// blocks, and all are harmless when the client or the server is gone.
class stream {
public:
  stream() = default;
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  virtual ~stream() = default;

  /// Sends `bytes` behind what was written before. They are not copied, so that many streams can
  /// send the same.
  virtual void write(std::shared_ptr<const std::string> bytes) = 0;

  /// Bytes that were written here and that the operating system has not taken yet. Whoever writes
  /// keeps it within a limit: the server does not.
  [[nodiscard]] virtual std::size_t waiting() const = 0;

  /// Sends what was written, then closes the connection.
  virtual void finish() = 0;
};

/// How a stream ended.
enum class stream_end : std::uint8_t {
  by_client, ///< it closed, or the connection broke
  by_server, ///< `finish`, or the server stopped
  too_slow,  ///< the client took nothing for `limits::write`
};

/// What whoever writes a stream is told, by a thread of the server: must not block.
struct stream_events {
  std::function<void()> drained;          ///< nothing is waiting any more; only of what was written
  std::function<void(stream_end)> closed; ///< once, and then nothing else
};

/// A whole reply. The server adds `Date`, `Content-Length` and `Connection`.
struct response {
  int status = 200; ///< 200 to 599
  std::string content_type = "application/json";
  std::vector<field> headers; ///< names and values without control characters
  std::string body;
  /// When there is one, the body is whatever is written to the stream, up to the close of the
  /// connection. Called at most once, by a thread of the server: must not block. Not called when
  /// the client is gone, or when there are `limits::streams` of them: then it is turned away.
  std::function<stream_events(std::shared_ptr<stream>)> open_stream = {};
};

/// The reply of `failure` as RFC 9457 problem details; `instance` is the path or id of the request
/// and may be empty. Adds `WWW-Authenticate` to 401 and `Retry-After` to 429 and 503, as RFC 9110
/// wants.
[[nodiscard]] response problem_response(const error& failure, std::string_view instance = {});

/// 405: the path is there, but knows only the methods in `allowed` ("GET, POST").
[[nodiscard]] response method_not_allowed(std::string_view method, std::string_view allowed,
                                          std::string_view instance);

/// Sends the reply. Callable once (later calls do nothing), from any thread, also after the server
/// has stopped. When its last copy is dropped without a call the client gets 500.
using responder = std::function<void(response)>;

/// Takes one request. Runs on a thread of the server and must not block: long work is handed over
/// and answered later.
using handler = std::function<void(request, responder)>;

/// Request line and headers; the usual limit of proxies is 8 to 16 KiB.
inline constexpr std::size_t header_size_max = std::size_t{16} * 1024;
/// Request body; images are streamed elsewhere.
inline constexpr std::size_t body_size_max = std::size_t{1024} * 1024;
/// Query parameters of one request; the API knows fewer than ten.
inline constexpr std::size_t parameter_count_max = 64;
/// A connection with no request on it.
inline constexpr std::chrono::milliseconds idle_max = std::chrono::seconds(60);
/// From the first byte of a request to its last: 1 MiB at 70 KiB/s.
inline constexpr std::chrono::milliseconds request_read_max = std::chrono::seconds(15);
/// From the request to the call of its responder; longer than any long poll of the API.
inline constexpr std::chrono::milliseconds answer_max = std::chrono::seconds(120);
/// Writing one reply to a slow reader; of a stream: without a byte that it takes.
inline constexpr std::chrono::milliseconds write_max = std::chrono::seconds(30);
/// What a stop waits for running requests before it cuts them.
inline constexpr std::chrono::milliseconds stop_grace_max = std::chrono::seconds(5);
/// Open connections that are kept for more plain requests; at 20 KiB of buffers each this is 5 MiB.
inline constexpr std::size_t connection_count_max = 256;
/// Open streams, beside the connections above: a thousand watchers, and some to spare. Each takes
/// 20 KiB of buffers, what its writer lets wait, and what the operating system holds of it (below).
/// A connection with its first request may be in either's place, since all watchers may come at
/// once; when that was a plain one and there are enough of those, it is closed behind its reply.
inline constexpr std::size_t stream_count_max = 1'100;
/// What the operating system keeps for a client that reads slowly. It would let this grow to 4 MiB
/// for each. Linux takes twice as much, for its own needs.
inline constexpr int stream_send_buffer_size = 32 * 1024;

/// The limits of one server, so that tests can use small ones.
struct limits {
  std::size_t header_size = header_size_max;
  std::size_t body_size = body_size_max;
  std::size_t connections = connection_count_max;
  std::size_t streams = stream_count_max;
  std::chrono::milliseconds idle = idle_max;
  std::chrono::milliseconds request_read = request_read_max;
  std::chrono::milliseconds answer = answer_max;
  std::chrono::milliseconds write = write_max;
  std::chrono::milliseconds stop_grace = stop_grace_max;
};

/// Errors: `config_invalid` when `listen` of the options below is not an address, or not one of
/// this machine alone.
[[nodiscard]] result<void> check_listen(const std::string& listen);

struct options {
  std::string listen = "127.0.0.1:0"; ///< "127.0.0.1:7480", "[::1]:0", "localhost:0"; 0 = any port
  unsigned threads = 2;               ///< 1 to 16
  http::limits limits;
};

/// An HTTP/1.1 server with keep-alive and one request at a time on a connection (what a client
/// pipelines is answered in order). It runs its own threads. Nothing a client sends can end the
/// process: what is malformed, too long, too slow or too much gets a problem reply, or a close.
///
///     idle --first byte--> reading --whole request--> answering --reply--> writing --> idle
///       |                     | bad, long, slow           | no answer in time  |
///       +--> closed           +--> writing a problem -----+--> draining --> closed
///                                                |               ^
///                                                +--> streaming -+
class server {
public:
  /// Binds and begins to answer. Does not block. Errors: `config_invalid` (the address cannot be
  /// parsed, is not a loopback address, or `threads` is out of range), `io_failed` (the port is
  /// taken, no descriptors).
  [[nodiscard]] static result<std::unique_ptr<server>> start(const options& wanted, handler handle);

  /// Only binds: the port is this server's, and nobody can connect yet. Errors: as `start`.
  [[nodiscard]] static result<std::unique_ptr<server>> bind(const options& wanted, handler handle);

  /// Begins to answer, of a server that was bound; once. Does not block. Errors: `io_failed`
  /// (another process that had bound the port too was faster).
  [[nodiscard]] result<void> serve();

  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Stops first, as `stop` does.
  ~server();

  /// The port that is bound. Never 0.
  [[nodiscard]] std::uint16_t port() const;

  /// Accepts no more, ends streams, lets running requests end for at most `stop_grace`, cuts what
  /// is left, ends the threads. Blocks that long at most, plus what a handler that runs at that
  /// moment takes. Not from a handler. Harmless to repeat.
  void stop();

private:
  class impl;

  explicit server(std::unique_ptr<impl> made);

  std::unique_ptr<impl> x_impl;
};

} // namespace orrery::http
