#pragma once

#include "actors/api/http/server.hpp"
#include "events/core/error.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace orrery::http {

/// Makes requests of the bytes of one connection, within the server's limits. No socket, no clock.
///
///   next -> add, parse: more -> add, parse: … -> complete -> take -> next …
///                       expects_continue -> (say so) -> add, parse …
///                       refused -> refusal, and the connection ends
class request_reader {
public:
  enum class outcome : std::uint8_t {
    more,             ///< what came is right so far
    expects_continue, ///< the client waits for our word before it sends the body
    complete,         ///< a request can be taken
    refused,          ///< what follows cannot be trusted
  };

  struct refused_bytes {
    int status = 400;
    error why;
  };

  explicit request_reader(const http::limits& limits);
  ~request_reader();
  request_reader(const request_reader&) = delete;
  request_reader& operator=(const request_reader&) = delete;

  /// Begins with the next request, which may have come already.
  void next();

  void add(std::string_view bytes);

  /// Nothing came that was not read yet.
  [[nodiscard]] bool is_empty() const { return x_pending.empty(); }

  /// Reads what came; not when `is_empty`.
  [[nodiscard]] outcome parse();

  /// Why, after `refused`.
  [[nodiscard]] const refused_bytes& refusal() const { return x_refusal; }

  /// Whether the connection goes on behind the request; after `complete`, before `take`.
  [[nodiscard]] bool keeps_alive() const;

  /// Whether only the head of the reply is wanted; as `keeps_alive`.
  [[nodiscard]] bool is_head() const;

  /// The request, once. `peer` becomes part of it. Errors: what is well formed and still cannot be
  /// meant, as a header that is not UTF-8.
  [[nodiscard]] result<request> take(std::string peer);

private:
  struct parser;

  outcome refuse(int status, error why);
  [[nodiscard]] outcome refuse_long_header();
  [[nodiscard]] outcome judge_expectation();
  void skip_empty_lines();

  const http::limits x_limits;
  std::unique_ptr<parser> x_parser;
  std::string x_pending; ///< received, not parsed
  refused_bytes x_refusal;
  std::size_t x_header_size = 0;
  bool x_has_begun = false;
  bool x_header_seen = false;
};

} // namespace orrery::http
