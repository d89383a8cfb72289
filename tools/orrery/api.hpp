#pragma once

#include "tools/orrery/context.hpp"
#include "tools/orrery/event_stream.hpp"
#include "tools/orrery/http_client.hpp"
#include "tools/orrery/json.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orrery::cli {

/// Things on one page, as many as the API gives: most lists are one request.
inline constexpr std::size_t page_size_max = 1'000;
/// Pages of one list; of full pages this is ten million.
inline constexpr std::size_t page_count_max = 10'000;
/// After a connection broke within a change: how long the same request, with the same key, is sent
/// again. A daemon that was killed is back by then, or is not coming back by itself.
inline constexpr std::chrono::milliseconds repeat_max = std::chrono::seconds(10);
/// Between two tries, and between two looks at a job.
inline constexpr std::chrono::milliseconds retry_pause = std::chrono::milliseconds(300);

using parameters = std::vector<std::pair<std::string, std::string>>;

/// The API of one installation. Every function blocks, and throws `failure` for whatever goes
/// wrong: with the API's own problem object where it sent one.
class api {
public:
  /// Reads the token file. Sends nothing. With `debug` every request is told on stderr.
  api(const context& where, bool debug);

  /// GET. A reply after a change of this object is at least as new as the change.
  json get(const std::string& path, const parameters& asked = {});

  /// POST or DELETE with an idempotency key of its own. A null `body` sends none.
  json change(const std::string& method, const std::string& path, const json& body);

  /// All items of a list, page after page; at most `limit` (0: all of them).
  std::vector<json> list(const std::string& path, std::string_view key, std::size_t limit,
                         const parameters& asked = {});

  /// GET of a stream of events, behind the position `last_id` unless that is empty; gives each
  /// message to `take`. Ends, with the reason, when the connection could not be made or is over:
  /// `unavailable` when nothing came. Refusals of the API are thrown like all others.
  [[nodiscard]] error follow(const std::string& path, const parameters& asked,
                             const std::string& last_id,
                             const std::function<void(const stream_message&)>& take);

  /// Throws what a connection that could not be made means.
  [[noreturn]] void unreachable(const error& why) const;

  /// How long the server may be silent within a reply from now on.
  void set_silence(std::chrono::milliseconds most) { x_client.set_silence(most); }

private:
  [[nodiscard]] result<http_reply> send(const http_request& asked);
  [[nodiscard]] json accepted(const http_request& asked, const http_reply& reply);
  [[nodiscard]] http_request headed(http_request asked, const char* accept) const;
  void tell(const http_request& asked, const result<http_reply>& reply,
            std::chrono::steady_clock::time_point began) const;

  endpoint x_endpoint;
  context x_where;
  std::string x_token;
  http_client x_client;
  std::string x_position; ///< of the last change
  bool x_debug = false;
};

/// Waits without doing anything.
void pause_for(std::chrono::milliseconds time);

} // namespace orrery::cli
