#include "actors/api/http/message.hpp"

#include "actors/api/http/problem.hpp"
#include "events/core/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <ctime>
#include <optional>

namespace orrery::http {

namespace {

/// What of a client's text is repeated in an error.
constexpr std::size_t quoted_size_max = 80;

error bad_target(std::string_view why, std::string_view text) {
  return error{error_code::invalid_argument,
               std::string(why) + ": '" + printable(text, quoted_size_max) + "'", false};
}

int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

enum class part { path, query };

/// Undoes percent-encoding (RFC 3986, section 2.1), and '+' for a space in a query.
result<std::string> decode(std::string_view text, part where) {
  std::string made;
  made.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return bad_target("the request target has a '%' without two hexadecimal digits", text);
      c = static_cast<char>(high * 16 + low);
      i += 2;
      // A decoded '/' could not be told from a separator.
      if (c == '/' && where == part::path)
        return bad_target("the request path has an escaped '/'", text);
    } else if (c == '+' && where == part::query) {
      c = ' ';
    }
    if (is_control(c))
      return bad_target("the request target has a control character", text);
    made += c;
  }
  if (!is_utf8(made))
    return bad_target("the request target is not UTF-8", made);
  return made;
}

result<std::vector<field>> parse_query(std::string_view text) {
  std::vector<field> made;
  while (!text.empty()) {
    const auto piece = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), piece.size() + 1));
    if (piece.empty())
      continue;
    if (made.size() == parameter_count_max)
      return error{error_code::invalid_argument,
                   "the request has more than " + std::to_string(parameter_count_max) +
                       " query parameters",
                   false};
    const auto equals = piece.find('=');
    auto name = decode(piece.substr(0, equals), part::query);
    if (!name)
      return name.error();
    auto value =
        decode(equals == std::string_view::npos ? std::string_view() : piece.substr(equals + 1),
               part::query);
    if (!value)
      return value.error();
    made.push_back(field{std::move(*name), std::move(*value)});
  }
  return made;
}

std::string_view reason_of(int status) {
  struct known {
    int status;
    std::string_view reason;
  };

  static constexpr std::array<known, 22> table{{
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {304, "Not Modified"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  }};
  const auto* found = std::ranges::find(table, status, &known::status);
  return found == table.end() ? std::string_view() : found->reason; // the phrase may be empty
}

/// The time in the one form that RFC 9110 (section 5.6.7) wants. Not by `strftime`: names of days
/// and months must not follow the locale.
std::string date_text() {
  static constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm split{};
  if (gmtime_r(&now, &split) == nullptr)
    return {};
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                days[static_cast<std::size_t>(split.tm_wday)], split.tm_mday,
                months[static_cast<std::size_t>(split.tm_mon)], split.tm_year + 1900, split.tm_hour,
                split.tm_min, split.tm_sec);
  return text.data();
}

/// Why a reply cannot be sent as it is; nothing for a good one.
std::optional<std::string> fault_of(const response& reply) {
  if (reply.status < 200 || reply.status > 599)
    return "a reply has the status " + std::to_string(reply.status);
  if (!is_field_value(reply.content_type))
    return "a reply has a content type that cannot be sent";
  for (const auto& header : reply.headers)
    if (!is_token(header.name) || !is_field_value(header.value))
      return "a reply has the header '" + printable(header.name, quoted_size_max) +
             "', which cannot be sent";
  return std::nullopt;
}

} // namespace

bool is_token(std::string_view text) {
  static constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           marks.find(c) != std::string_view::npos;
  });
}

bool is_field_value(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return is_control(c) && c != '\t'; });
}

result<target_parts> parse_target(std::string_view target) {
  // A proxy may send the absolute form, which a server must accept (RFC 9112, section 3.2.2).
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme))
      continue;
    const auto slash = target.find_first_of("/?", scheme.size());
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
    break;
  }
  const auto mark = target.find('?');
  const auto raw_path = target.substr(0, mark);
  if (raw_path.empty() || raw_path.front() != '/')
    return bad_target("the request path does not start with '/'", target);
  auto path = decode(raw_path, part::path);
  if (!path)
    return path.error();
  auto query =
      parse_query(mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1));
  if (!query)
    return query.error();
  return target_parts{std::move(*path), std::move(*query)};
}

std::string to_bytes(const response& reply, framing how) {
  if (const auto fault = fault_of(reply); fault.has_value())
    return to_bytes(problem_response(error{error_code::internal, *fault, false}), how);
  const bool bodiless = reply.status == 204 || reply.status == 304;
  std::string made = "HTTP/1.1 " + std::to_string(reply.status) + " ";
  made += reason_of(reply.status);
  made += "\r\nDate: " + date_text() + "\r\n";
  if (!bodiless) {
    if (!reply.content_type.empty())
      made += "Content-Type: " + reply.content_type + "\r\n";
    if (!how.streamed)
      made += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
  }
  for (const auto& header : reply.headers)
    made += header.name + ": " + header.value + "\r\n";
  made += how.close ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n";
  if (!bodiless && !how.head_only && !how.streamed)
    made += reply.body;
  return made;
}

std::string size_text(std::size_t limit) {
  constexpr std::size_t kib = 1024;
  if (limit >= kib * kib && limit % (kib * kib) == 0)
    return std::to_string(limit / (kib * kib)) + " MiB";
  if (limit >= kib && limit % kib == 0)
    return std::to_string(limit / kib) + " KiB";
  return std::to_string(limit) + " bytes";
}

const std::string* request::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &field::name);
  return found == headers.end() ? nullptr : &found->value;
}

const std::string* request::parameter(std::string_view name) const {
  const auto found = std::ranges::find(query, name, &field::name);
  return found == query.end() ? nullptr : &found->value;
}

namespace {

response problem(int status, const error& failure, std::string_view instance) {
  response made;
  made.status = status;
  made.content_type = problem_type;
  made.body = problem_body(failure, made.status, instance);
  if (made.status == 401)
    made.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (made.status == 429 || made.status == 503)
    made.headers.push_back({"Retry-After", "1"});
  return made;
}

} // namespace

response problem_response(const error& failure, std::string_view instance) {
  return problem(status_of(failure.code), failure, instance);
}

response method_not_allowed(std::string_view method, std::string_view allowed,
                            std::string_view instance) {
  constexpr int status = 405;
  constexpr std::size_t method_size_shown = 20;
  auto made = problem(status,
                      {error_code::invalid_argument,
                       "this path does not know the method " +
                           printable(method, method_size_shown) + ", only " + std::string(allowed),
                       false},
                      instance);
  made.headers.push_back({"Allow", std::string(allowed)});
  return made;
}

} // namespace orrery::http
