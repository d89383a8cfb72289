#include "actors/api/http/request_reader.hpp"

#include "actors/api/http/message.hpp"
#include "events/core/text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace orrery::http {

namespace {

namespace beast = boost::beast;

/// Received and not parsed yet: a chunk header or a trailer that never ends stops here.
constexpr std::size_t pending_slack = std::size_t{16} * 1024;

error request_error(error_code code, std::string text) {
  return error{code, std::move(text), false};
}

/// Lower-case copies of the headers. Errors: a value that is not UTF-8.
result<std::vector<field>> to_fields(const beast::http::fields& sent) {
  std::vector<field> made;
  for (const auto& header : sent) {
    field one{std::string(header.name_string()), std::string(header.value())};
    for (char& c : one.name)
      if (c >= 'A' && c <= 'Z')
        c = static_cast<char>(c - 'A' + 'a');
    if (!is_utf8(one.value) || !is_field_value(one.value))
      return request_error(error_code::invalid_argument,
                           "the header '" + one.name + "' is not UTF-8 or has a control character");
    made.push_back(std::move(one));
  }
  return made;
}

result<request> to_request(beast::http::request<beast::http::string_body>&& sent,
                           std::string peer) {
  auto target = parse_target(std::string_view(sent.target().data(), sent.target().size()));
  if (!target)
    return target.error();
  auto headers = to_fields(sent.base());
  if (!headers)
    return headers.error();
  if (sent.version() >= 11 && sent.count(beast::http::field::host) != 1)
    return request_error(error_code::invalid_argument,
                         "an HTTP/1.1 request needs exactly one Host header");
  if (!is_utf8(sent.body()))
    return request_error(error_code::invalid_argument, "the request body is not UTF-8");
  request made;
  made.method = std::string(sent.method_string());
  made.path = std::move(target->path);
  made.query = std::move(target->query);
  made.headers = std::move(*headers);
  made.body = std::move(sent.body());
  made.peer = std::move(peer);
  return made;
}

} // namespace

struct request_reader::parser : beast::http::request_parser<beast::http::string_body> {};

request_reader::request_reader(const http::limits& limits) : x_limits(limits) { next(); }

request_reader::~request_reader() = default;

void request_reader::next() {
  x_parser = std::make_unique<parser>();
  x_parser->header_limit(static_cast<std::uint32_t>(x_limits.header_size));
  x_parser->body_limit(x_limits.body_size);
  x_parser->eager(true);
  x_header_size = 0;
  x_has_begun = false;
  x_header_seen = false;
  skip_empty_lines();
}

void request_reader::add(std::string_view bytes) {
  x_pending.append(bytes);
  if (!x_has_begun)
    skip_empty_lines();
}

/// Some clients send an empty line after a body (RFC 9112, section 2.2).
void request_reader::skip_empty_lines() {
  const auto first = x_pending.find_first_not_of("\r\n");
  x_pending.erase(0, std::min(first, x_pending.size()));
}

request_reader::outcome request_reader::parse() {
  x_has_begun = true;
  boost::system::error_code failed;
  const auto used = x_parser->put(boost::asio::buffer(x_pending), failed);
  x_pending.erase(0, used);
  if (!x_header_seen)
    x_header_size += used;
  if (failed == beast::http::error::header_limit)
    return refuse_long_header();
  if (failed == beast::http::error::body_limit)
    return refuse(413, request_error(error_code::too_large, "the request body is longer than " +
                                                                size_text(x_limits.body_size)));
  if (failed && failed != beast::http::error::need_more)
    return refuse(400, request_error(error_code::invalid_argument,
                                     "this is not an HTTP/1.1 request: " + failed.message()));
  if (!x_parser->is_header_done() && x_header_size + x_pending.size() > x_limits.header_size)
    return refuse_long_header();
  if (x_parser->is_header_done() && !std::exchange(x_header_seen, true))
    if (const auto judged = judge_expectation(); judged != outcome::more)
      return judged;
  if (x_parser->is_done())
    return outcome::complete;
  if (x_pending.size() > x_limits.header_size + pending_slack)
    return refuse_long_header();
  return outcome::more;
}

/// "Expect: 100-continue" is answered, so that clients send their body at once.
request_reader::outcome request_reader::judge_expectation() {
  const auto& sent = x_parser->get();
  if (sent.version() < 11 || sent.count(beast::http::field::expect) == 0)
    return outcome::more;
  if (!beast::iequals(sent[beast::http::field::expect], "100-continue"))
    return refuse(417, request_error(error_code::invalid_argument,
                                     "the only expectation that can be met is 100-continue"));
  if (x_parser->is_done())
    return outcome::more; // the body came without waiting for our word
  return outcome::expects_continue;
}

request_reader::outcome request_reader::refuse(int status, error why) {
  x_refusal = {status, std::move(why)};
  return outcome::refused;
}

request_reader::outcome request_reader::refuse_long_header() {
  return refuse(431,
                request_error(error_code::too_large, "request line and headers are longer than " +
                                                         size_text(x_limits.header_size)));
}

bool request_reader::keeps_alive() const { return x_parser->keep_alive(); }

bool request_reader::is_head() const { return x_parser->get().method() == beast::http::verb::head; }

result<request> request_reader::take(std::string peer) {
  return to_request(x_parser->release(), std::move(peer));
}

} // namespace orrery::http
