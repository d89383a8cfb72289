#include "actors/api/api.hpp"

#include "actors/api/call.hpp"
#include "events/core/text.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace orrery::actors {

namespace {

/// How long a read with Orrery-Min-Position waits for the projections.
constexpr std::chrono::milliseconds position_patience{2'000};

/// How long the reply to an accepted change waits for the projections.
constexpr std::chrono::milliseconds projected_patience{30'000};

/// Equal without telling by its duration where they differ.
bool is_same_secret(std::string_view left, std::string_view right) {
  if (left.size() != right.size())
    return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i)
    difference |= static_cast<unsigned char>(left[i]) ^ static_cast<unsigned char>(right[i]);
  return difference == 0;
}

/// The token of the Authorization header; empty when there is none.
std::string_view bearer_of(const http::request& request) {
  constexpr std::string_view scheme = "bearer "; // RFC 9110: in any case
  const auto lower = [](char one) {
    return one >= 'A' && one <= 'Z' ? static_cast<char>(one - 'A' + 'a') : one;
  };
  const auto* given = request.header("authorization");
  if (given == nullptr ||
      !std::ranges::equal(scheme, std::string_view(*given).substr(0, scheme.size()), {}, {}, lower))
    return {};
  return std::string_view(*given).substr(scheme.size());
}

bool has_position(const http::response& reply) {
  return std::ranges::any_of(reply.headers,
                             [](const auto& one) { return one.name == position_header; });
}

} // namespace

struct api::route {
  std::string_view method;
  std::string_view pattern; ///< {name} stands for a name or an id, {verb} for a word behind a colon
  void (api::*handle)(call&);
  std::vector<std::string_view> parameters{}; ///< that it takes; others are refused, never ignored
  bool is_open = false;                       ///< needs no token, and is not asked what for
};

namespace {

/// The parameters of a list with these filters.
std::vector<std::string_view> paged(std::vector<std::string_view> filters) {
  filters.insert(filters.end(), {"pageSize", "pageToken"});
  return filters;
}

} // namespace

const std::vector<api::route>& api::routes() {
  // What changes something takes no parameters: its body says all.
  static const std::vector<route> table{
      {"GET", "/v1/vms", &api::get_vms, paged({"cluster", "node", "name", "observed", "label"})},
      {"POST", "/v1/vms", &api::post_vm},
      {"GET", "/v1/vms/{name}", &api::get_vm, {"asOf"}},
      {"DELETE", "/v1/vms/{name}", &api::delete_vm},
      {"POST", "/v1/vms/{name}:{verb}", &api::act_on_vm},
      {"GET", "/v1/vms/{name}/console", &api::get_console, {"lines"}},
      {"GET", "/v1/clusters", &api::get_clusters, paged({"name", "label"})},
      {"POST", "/v1/clusters", &api::post_cluster},
      {"GET", "/v1/clusters/{name}", &api::get_cluster, {"asOf"}},
      {"POST", "/v1/clusters/{name}:{verb}", &api::act_on_cluster},
      {"GET", "/v1/nodes", &api::get_nodes, paged({"cluster", "name", "label"})},
      {"POST", "/v1/nodes", &api::post_node},
      {"GET", "/v1/nodes/{name}", &api::get_node, {"asOf"}},
      {"POST", "/v1/nodes/{name}:{verb}", &api::act_on_node},
      {"GET", "/v1/networks", &api::get_networks, paged({"cluster", "name", "label"})},
      {"POST", "/v1/networks", &api::post_network},
      {"GET", "/v1/networks/{name}", &api::get_network, {"asOf"}},
      {"DELETE", "/v1/networks/{name}", &api::delete_network},
      {"POST", "/v1/networks/{name}:{verb}", &api::act_on_network},
      {"GET", "/v1/jobs", &api::get_jobs, paged({"resource", "state"})},
      {"GET", "/v1/jobs/{name}", &api::get_job},
      {"GET", "/v1/events", &api::get_events, paged({"resource"})},
      {"GET", "/v1/watch", &api::get_watch, {"after", "noun", "resource"}},
      {"GET", "/v1/usage", &api::get_usage,
       paged({"from", "to", "resource", "cluster", "meter", "by"})},
      {"GET", "/v1/hypervisors", &api::get_hypervisors},
      {"GET", "/v1/status", &api::get_status, {"digest"}},
      {"GET", "/v1/projections", &api::get_projections, paged({})},
      {"GET", "/v1/projections/{name}", &api::get_projection},
      {"POST", "/v1/projections/{name}:{verb}", &api::act_on_projection},
      {"GET", "/v1/installation", &api::get_installation},
      {"POST", "/v1/installation:trustClock", &api::post_trust_clock},
      {"POST", "/v1/installation:setLimit", &api::post_set_limit},
      {"GET", "/metrics", &api::get_metrics, {}, true},
      {"GET", "/healthz", &api::get_health, {}, true},
  };
  return table;
}

namespace {

/// Matches a path against a pattern, filling name and verb.
bool matches(std::string_view pattern, std::string_view path, std::string& name,
             std::string& verb) {
  constexpr std::string_view name_mark = "{name}";
  constexpr std::string_view verb_mark = ":{verb}";
  const auto at = pattern.find(name_mark);
  if (at == std::string_view::npos)
    return pattern == path;
  if (path.substr(0, at) != pattern.substr(0, at))
    return false;
  auto rest = path.substr(at);
  auto tail = pattern.substr(at + name_mark.size());
  if (tail == verb_mark) {
    const auto colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon == 0)
      return false;
    verb = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    tail = {};
  }
  if (rest.size() <= tail.size() || !rest.ends_with(tail))
    return false;
  rest.remove_suffix(tail.size());
  if (rest.find('/') != std::string_view::npos || rest.find(':') != std::string_view::npos)
    return false;
  name = rest;
  return true;
}

} // namespace

api::api(api_services services) : x_services(std::move(services)) {
  x_gate = std::thread([this] { run_gate(); });
}

api::~api() {
  {
    const std::lock_guard lock(x_guard);
    x_is_closing = true;
  }
  x_changed.notify_all();
  x_gate.join();
}

void api::disconnect() {
  x_services.submit = {};
  x_services.console = {};
  x_services.status = {};
}

void api::when_projected(const command_reply& reply, std::function<void()> then) {
  {
    const std::lock_guard lock(x_guard);
    x_waiting.push_back(
        {reply, std::move(then), std::chrono::steady_clock::now() + projected_patience});
  }
  x_changed.notify_one();
}

/// Whether the projections have folded the decision, and what another partition makes of it.
bool api::is_there(const command_reply& reply, std::chrono::milliseconds patience) const {
  const auto where = reply.command.partition();
  if (!x_services.store->wait_for(where, reply.seq, patience))
    return false;
  const auto made = domain::from_proto(reply.reply.entity());
  return made.is_none() || made.partition() == where ||
         x_services.store->wait_for_thing(made, patience);
}

/// Waits a little for the oldest; what comes later and is there sooner does not wait for it.
void api::send_those_there(std::deque<waiting_answer>& waiting) const {
  constexpr std::chrono::milliseconds turn{5};
  auto patience = turn;
  for (auto at = waiting.begin(); at != waiting.end();) {
    const bool is_due =
        std::chrono::steady_clock::now() >= at->deadline || x_services.store->stalled().has_value();
    if (!is_there(at->reply, std::exchange(patience, std::chrono::milliseconds(0))) && !is_due) {
      ++at;
      continue;
    }
    at->send();
    at = waiting.erase(at);
  }
}

void api::run_gate() {
  std::deque<waiting_answer> waiting;
  std::unique_lock lock(x_guard);
  while (true) {
    x_changed.wait(lock, [&] { return x_is_closing || !x_waiting.empty() || !waiting.empty(); });
    if (x_is_closing)
      return;
    for (auto& one : std::exchange(x_waiting, {}))
      waiting.push_back(std::move(one));
    lock.unlock();
    send_those_there(waiting);
    lock.lock();
  }
}

void api::handle(http::request request, http::responder respond) {
  const auto began = std::chrono::steady_clock::now();
  const route* found = nullptr;
  std::string allowed; // methods of this path
  call made;
  for (const auto& one : routes()) {
    std::string name;
    std::string verb;
    if (!matches(one.pattern, request.path, name, verb))
      continue;
    allowed += (allowed.empty() ? "" : ", ") + std::string(one.method);
    if (one.method != request.method)
      continue;
    found = &one;
    made.name = std::move(name);
    made.verb = std::move(verb);
    break;
  }
  const std::string pattern(found == nullptr ? "" : found->pattern);
  made.respond = [metrics = x_services.metrics, store = x_services.store,
                  respond = std::move(respond), pattern, method = request.method,
                  began](http::response reply) {
    constexpr int not_found = 404; // is an answer too, from a place in the log
    if (reply.status == not_found && !pattern.empty() && !has_position(reply))
      set_position(reply, position_text(store->lowest_positions()));
    metrics->count(projections::http_request{pattern, method, reply.status,
                                             std::chrono::steady_clock::now() - began});
    respond(std::move(reply));
  };
  made.request = std::move(request);
  if (found == nullptr) {
    if (allowed.empty())
      return made.fail({error_code::not_found, "there is no such path in this API", false});
    return made.send(http::method_not_allowed(made.request.method, allowed, made.request.path));
  }
  const auto token = bearer_of(made.request);
  if (!found->is_open && (token.empty() || !is_same_secret(token, x_services.token)))
    return made.fail({error_code::unauthenticated,
                      "no token, or a wrong one: send 'Authorization: Bearer <token>'; the token "
                      "is in the file that orreryd's configuration names as token_file",
                      false});
  if (const auto* wanted = made.request.header("orrery-min-position")) {
    const auto places = parse_position(*wanted);
    if (!places)
      return made.fail(places.error());
    for (const auto& place : *places)
      if (!x_services.store->wait_for(place.where, place.seq, position_patience))
        return made.fail(
            {error_code::unavailable,
             "this process has not folded position " + position_text(place) + " yet: try again",
             true});
  }
  if (!found->is_open)
    if (auto known = made.only(found->parameters); !known)
      return made.fail(known.error());
  if (found->method == "DELETE" && !says_nothing(made))
    return;
  (this->*found->handle)(made);
}

} // namespace orrery::actors
