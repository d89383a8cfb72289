#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace orrery::http_test {

/// Far above what any reply takes on a busy machine; a test that waits this long has failed.
inline constexpr std::chrono::milliseconds patience = std::chrono::seconds(20);

/// A reply as it came.
struct raw_reply {
  int status = 0;                             ///< 0: none, the connection ended
  std::map<std::string, std::string> headers; ///< names in lower case
  std::string body;
};

/// A TCP connection that sends exactly what a test says, right or wrong.
class raw_client {
public:
  explicit raw_client(std::uint16_t port);
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;
  ~raw_client();

  /// False when the connection was ended by the server.
  bool send(std::string_view bytes);

  /// Ends the sending side only.
  void finish_sending();

  /// The next reply; `head` tells that no body follows.
  raw_reply reply(bool head = false);

  /// The next bytes, exactly so many; fewer at the end of the connection or of the patience.
  std::string take(std::size_t size);

  /// True when the server ends the connection (and sends nothing more) in time.
  bool ended();

  /// What one request gives: send, then reply.
  raw_reply ask(std::string_view bytes) {
    send(bytes);
    return reply();
  }

private:
  /// Reads more into the buffer; false at the end of the connection or of the patience.
  bool fill();

  int x_socket = -1;
  std::string x_buffer;
  bool x_timed_out = false;
};

/// "GET <target> HTTP/1.1" with a Host header and nothing else.
std::string get(std::string_view target);

/// "POST <target> HTTP/1.1" with a body.
std::string post(std::string_view target, std::string_view body);

} // namespace orrery::http_test
