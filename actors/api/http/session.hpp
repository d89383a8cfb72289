#pragma once

#include "actors/api/http/hall.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio { // NOLINT(readability-identifier-naming): their name
class io_context;
}

namespace orrery::http {

/// An accepted connection, as the system knows it.
struct accepted_socket {
  int descriptor = -1;
  bool is_v6 = false;
};

/// One connection: reads requests, has them answered one after the other, and closes it. All
/// members but `post` are called on its strand, that is by `post`.
class session {
public:
  /// Takes the socket over. The context and the hall must live longer.
  [[nodiscard]] static std::shared_ptr<session>
  make(boost::asio::io_context& on, const accepted_socket& taken, hall& home, std::uint64_t number);

  session() = default;
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  virtual ~session() = default;

  /// Runs `act` on the strand, as long as the context runs. Any thread.
  virtual void post(std::function<void(session&)> act) = 0;

  /// Begins to read requests.
  virtual void begin() = 0;

  /// Says that there are too many connections, and closes.
  virtual void refuse() = 0;

  /// The server stops: ends now when nothing runs, else after the reply; of a stream after what is
  /// being written.
  virtual void wind_up() = 0;

  /// Ends at once, whatever runs.
  virtual void end() = 0;

  /// The reply of request number `turn`; late ones are dropped.
  virtual void answer(std::uint64_t turn, const response& reply) = 0;

  /// Of a stream: what its writer gives.
  virtual void take(std::shared_ptr<const std::string> bytes) = 0;

  /// Of a stream: its writer has given all.
  virtual void finish() = 0;
};

} // namespace orrery::http
