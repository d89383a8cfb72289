#include "tools/orrery/api.hpp"

#include "events/core/id.hpp"
#include "tools/orrery/failure.hpp"
#include "tools/orrery/terminal.hpp"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>

namespace orrery::cli {

namespace {

using clock = std::chrono::steady_clock;

/// What of a reply that is not JSON is shown.
constexpr std::size_t shown_columns_max = 200;

endpoint endpoint_of(const context& where) {
  auto parsed = parse_url(where.url);
  if (!parsed)
    throw failure(exit_code::usage, "usage",
                  parsed.error().text + " (it comes from " + where.url_source + ")");
  return std::move(*parsed);
}

std::string token_of(const context& where, const endpoint& to) {
  if (where.token_file.empty())
    return {};
  if (!is_loopback(to.host))
    throw failure(exit_code::refused, "refused",
                  "will not send a token in clear text to " + to.host +
                      ": plain HTTP is for this machine only; use an SSH tunnel, for instance "
                      "ssh -L 7480:127.0.0.1:7480 " +
                      to.host);
  auto token = read_token(where.token_file);
  if (!token)
    throw failure(token.error());
  return std::move(*token);
}

std::string new_key() {
  std::random_device random;
  const auto bits = (static_cast<std::uint64_t>(random()) << 32) | random();
  const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
  return to_text(make_uuid(now, partition_number{0}, bits));
}

std::string target_of(const std::string& path, const parameters& asked) {
  std::string made = path;
  char mark = '?';
  for (const auto& [name, value] : asked) {
    made += mark + url_encode(name) + "=" + url_encode(value);
    mark = '&';
  }
  return made;
}

/// The error of a reply from 400 on.
failure problem_of(const http_reply& reply, bool with_token) {
  auto parsed = parse_json(reply.body);
  if (parsed && parsed->is_object()) {
    const auto code = parsed->at("code").text();
    auto detail = parsed->at("detail").text();
    if (detail.empty())
      detail = parsed->at("title").text();
    if (detail.empty())
      detail = "HTTP status " + std::to_string(reply.status);
    if (reply.status == 401 && !with_token)
      detail += "; no token file is set: name it by --token-file, ORRERY_TOKEN_FILE or token_file "
                "in the context file";
    failure made(exit_of(code, reply.status),
                 code.empty() ? "http_" + std::to_string(reply.status) : code, detail);
    made.problem = std::move(*parsed);
    return made;
  }
  const auto body =
      fit(clean(std::string_view(reply.body).substr(0, 4 * shown_columns_max)), shown_columns_max);
  return {exit_of("", reply.status), "http_" + std::to_string(reply.status),
          "the server answered with status " + std::to_string(reply.status) +
              (body.empty() ? std::string() : ": " + body)};
}

} // namespace

api::api(const context& where, bool debug)
    : x_endpoint(endpoint_of(where)), x_where(where), x_token(token_of(where, x_endpoint)),
      x_client(x_endpoint), x_debug(debug) {}

void api::unreachable(const error& why) const {
  if (why.code != error_code::unavailable)
    throw failure(exit_code::failed, name_of(why.code), x_where.url + ": " + why.text);
  throw failure(exit_code::failed, "unavailable",
                "cannot reach the API at " + x_where.url + " (from " + x_where.url_source +
                    "): " + why.text +
                    ". Is orreryd running there? Start it, for instance with deploy/quickstart, "
                    "or name another address by --url or ORRERY_URL");
}

http_request api::headed(http_request asked, const char* accept) const {
  asked.headers.emplace_back("Accept", accept);
  asked.headers.emplace_back("User-Agent", "orrery/" ORRERY_VERSION);
  if (!x_token.empty())
    asked.headers.emplace_back("Authorization", "Bearer " + x_token);
  return asked;
}

/// On stderr, when that is wanted.
void api::tell(const http_request& asked, const result<http_reply>& reply,
               clock::time_point began) const {
  if (!x_debug)
    return;
  const std::chrono::duration<double, std::milli> took = clock::now() - began;
  std::fprintf(stderr, "debug: %s %s%s: %s, %.1f ms\n", asked.method.c_str(), x_where.url.c_str(),
               asked.target.c_str(),
               reply ? std::to_string(reply->status).c_str() : reply.error().text.c_str(),
               took.count());
}

result<http_reply> api::send(const http_request& asked) {
  const auto began = clock::now();
  auto reply = x_client.send(headed(asked, "application/json, application/problem+json"));
  tell(asked, reply, began);
  return reply;
}

error api::follow(const std::string& path, const parameters& asked, const std::string& last_id,
                  const std::function<void(const stream_message&)>& take) {
  http_request request{
      .method = "GET", .target = target_of(path, asked), .headers = {}, .body = {}};
  if (!last_id.empty())
    request.headers.emplace_back("Last-Event-ID", last_id);
  const auto began = clock::now();
  const auto reply = x_client.open(headed(request, "text/event-stream, application/problem+json"));
  tell(request, reply, began);
  if (!reply)
    return reply.error();
  if (reply->status >= 400)
    throw problem_of(*reply, !x_token.empty());
  if (reply->status >= 300 || !reply->header("content-type").starts_with("text/event-stream"))
    throw failure(exit_code::failed, "internal",
                  "the reply to GET " + request.target +
                      " is no stream of events: is it really orreryd that answers at " +
                      x_where.url + "?");
  event_stream stream;
  while (true) {
    const auto bytes = x_client.receive();
    if (!bytes)
      return bytes.error();
    if (bytes->empty())
      return {error_code::io_failed, "the server ended the connection", true};
    const auto messages = stream.add(*bytes);
    if (!messages)
      return messages.error();
    for (const auto& one : *messages)
      take(one);
  }
}

json api::accepted(const http_request& asked, const http_reply& reply) {
  if (reply.status >= 400)
    throw problem_of(reply, !x_token.empty());
  if (const auto position = reply.header("orrery-position");
      !position.empty() && asked.method != "GET")
    x_position = position;
  if (reply.status < 300 && reply.body.empty())
    return {};
  auto parsed = parse_json(reply.body);
  if (reply.status >= 300 || !parsed)
    throw failure(exit_code::failed, "internal",
                  "the reply to " + asked.method + " " + asked.target + " (status " +
                      std::to_string(reply.status) +
                      ") is not JSON: is it really orreryd that "
                      "answers at " +
                      x_where.url + "?");
  return std::move(*parsed);
}

json api::get(const std::string& path, const parameters& asked) {
  http_request request{
      .method = "GET", .target = target_of(path, asked), .headers = {}, .body = {}};
  if (!x_position.empty())
    request.headers.emplace_back("Orrery-Min-Position", x_position);
  const auto reply = send(request);
  if (!reply)
    unreachable(reply.error());
  return accepted(request, *reply);
}

json api::change(const std::string& method, const std::string& path, const json& body) {
  http_request request{.method = method, .target = path, .headers = {}, .body = {}};
  request.headers.emplace_back("Idempotency-Key", new_key());
  if (body.type != json::kind::null) {
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = to_json(body, json_layout::compact);
  }
  auto reply = send(request);
  if (!reply && reply.error().code == error_code::io_failed) {
    const auto until = clock::now() + repeat_max;
    while (!reply && clock::now() < until) {
      pause_for(retry_pause);
      reply = send(request);
    }
  }
  if (!reply)
    unreachable(reply.error());
  return accepted(request, *reply);
}

std::vector<json> api::list(const std::string& path, std::string_view key, std::size_t limit,
                            const parameters& asked) {
  std::vector<json> made;
  std::string token;
  for (std::size_t page = 0; page < page_count_max; ++page) {
    auto wanted = asked;
    const auto missing = limit > 0 ? limit - made.size() : page_size_max;
    wanted.emplace_back("pageSize", std::to_string(std::min(missing, page_size_max)));
    if (!token.empty())
      wanted.emplace_back("pageToken", token);
    const auto reply = get(path, wanted);
    for (const auto& item : reply.at(key).items) {
      made.push_back(item);
      if (limit > 0 && made.size() == limit)
        return made;
    }
    auto next = reply.at("nextPageToken").text();
    if (next.empty())
      return made;
    if (next == token)
      break;
    token = std::move(next);
  }
  throw failure(exit_code::failed, "internal",
                "the list " + path + " does not end: the server gives page after page");
}

void pause_for(std::chrono::milliseconds time) {
  ::poll(nullptr, 0, static_cast<int>(std::max<long long>(time.count(), 0)));
}

} // namespace orrery::cli
