#pragma once

#include "actors/api/http/server.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

// What the connections of one server share; for this folder's own files.

namespace orrery::http {

class session;

/// Open while the threads run. A responder may be called or dropped by anybody at any time, also
/// when the server is gone: it reaches the server through this gate only.
class gate {
public:
  /// Runs `act` on the strand of a session, if it and the server are there still.
  void post(const std::weak_ptr<session>& whom, std::function<void(session&)> act);

  void close();

private:
  std::mutex x_mutex;
  bool x_is_open = true;
};

/// Who is there, and who may be. Any thread.
class hall {
public:
  hall(http::limits wanted, handler taken)
      : limits(wanted), handle(std::move(taken)), door(std::make_shared<gate>()) {}

  const http::limits limits;
  const handler handle;
  const std::shared_ptr<gate> door;
  std::atomic<bool> stopping = false;

  /// How many there are already; `one` is kept when they are fewer than `count_max`.
  [[nodiscard]] std::size_t enter(std::uint64_t number, const std::shared_ptr<session>& one,
                                  std::size_t count_max);

  /// Whether one more session may be kept for more plain requests; then it counts as one.
  [[nodiscard]] bool admit_plain();

  /// Whether one more session may become a stream; then it counts as one.
  [[nodiscard]] bool admit_stream(bool was_plain);

  void leave(std::uint64_t number, bool is_stream, bool is_plain);

  /// Runs `act` on the strand of each.
  void for_all(const std::function<void(session&)>& act);

  /// Until nobody is there, or the time is over.
  void wait_until_empty(std::chrono::milliseconds patience);

private:
  std::mutex x_mutex; ///< of what is below
  std::condition_variable x_emptied;
  std::map<std::uint64_t, std::shared_ptr<session>> x_sessions;
  std::size_t x_streams = 0; ///< of the sessions
  std::size_t x_plain = 0;   ///< of the sessions: are kept for more plain requests
};

} // namespace orrery::http
