#pragma once

#include "actors/api/http/server.hpp"
#include "events/core/error.hpp"

#include <string>
#include <string_view>

namespace orrery::http {

/// The path and query of a request target.
struct target_parts {
  std::string path;
  std::vector<field> query;
};

/// Parses a request target in origin form ("/v1/vms?pageSize=10") or absolute form
/// ("http://host/v1/vms"), percent-decoded. Errors: `invalid_argument` for broken escapes, an
/// escaped '/', control characters, text that is not UTF-8, another form, more than
/// `parameter_count_max` parameters.
[[nodiscard]] result<target_parts> parse_target(std::string_view target);

/// True for the characters of a header name or a method (RFC 9110, section 5.6.2).
[[nodiscard]] bool is_token(std::string_view text);

/// True when a header value can be sent as it is: no control characters but tab.
[[nodiscard]] bool is_field_value(std::string_view text);

/// What the connection is to become after a reply, and whether the reply has a body.
struct framing {
  bool close = false;
  bool head_only = false; ///< the request was HEAD
  bool streamed = false;  ///< the body follows, and ends with the connection
};

/// The bytes of a reply as HTTP/1.1, with `Date`, `Content-Length` and `Connection` added. A status
/// out of range or a header that cannot be sent gives the bytes of a 500 instead.
[[nodiscard]] std::string to_bytes(const response& reply, framing how);

/// `limit` as people say it in an error text: "16 KiB".
[[nodiscard]] std::string size_text(std::size_t limit);

} // namespace orrery::http
