#include "actors/api/api.hpp"

#include "actors/api/body.hpp"
#include "drivers/capabilities.hpp"
#include "events/core/net.hpp"
#include "events/core/text.hpp"
#include "events/domain/job.hpp"
#include "events/domain/subnet.hpp"
#include "events/log/sha256.hpp"
#include "events/schema/json.hpp"
#include "projections/views.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

namespace orrery::actors {

namespace {

/// Longest Idempotency-Key, in bytes: a UUID is 36.
constexpr std::size_t key_size_max = 128;

/// How long a read with Orrery-Min-Position waits for the projections.
constexpr std::chrono::milliseconds position_patience{2'000};

/// How long the reply to an accepted change waits for the projections.
constexpr std::chrono::milliseconds projected_patience{30'000};

/// The most console lines and bytes in one answer.
constexpr std::uint64_t console_lines_max = 1'000;
constexpr std::size_t console_bytes_max = std::size_t{64} * 1024;

/// Longest path of a socket (sun_path has 108 bytes) and of a namespace's name.
constexpr std::size_t socket_path_size_max = 107;
constexpr std::size_t namespace_size_max = 63;

error invalid(std::string text) { return {error_code::invalid_argument, std::move(text), false}; }

std::uint64_t first_eight_bytes(const log::digest& hash) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i)
    value = (value << 8) | hash[i];
  return value;
}

/// Equal without telling by its duration where they differ.
bool is_same_secret(std::string_view left, std::string_view right) {
  if (left.size() != right.size())
    return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i)
    difference |= static_cast<unsigned char>(left[i]) ^ static_cast<unsigned char>(right[i]);
  return difference == 0;
}

std::string position_text(std::uint64_t seq) { return "0/" + std::to_string(seq); }

result<std::uint64_t> parse_position(std::string_view text) {
  std::uint64_t seq = 0;
  const auto slash = text.find('/');
  const auto number = slash == std::string_view::npos ? text : text.substr(slash + 1);
  const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), seq);
  if (failed != std::errc() || end != number.data() + number.size() ||
      (slash != std::string_view::npos && text.substr(0, slash) != "0"))
    return invalid("'" + printable(text, 40) + "' is not a position: want one like 0/118");
  return seq;
}

nlohmann::ordered_json to_object(const google::protobuf::Message& message) {
  return nlohmann::ordered_json::parse(to_json(message));
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

http::response json_response(int status, const nlohmann::ordered_json& body) {
  http::response made;
  made.status = status;
  // Texts from hypervisors were made printable on their way in; anything else is replaced, never
  // thrown.
  made.body = body.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return made;
}

void set_position(http::response& made, std::uint64_t seq) {
  made.headers.push_back({"Orrery-Position", position_text(seq)});
}

template <class Row>
http::response list_response(const char* name, const projections::listing<Row>& found) {
  nlohmann::ordered_json body;
  body[name] = nlohmann::ordered_json::array();
  for (const auto& item : found.items)
    body[name].push_back(to_object(item));
  if (!found.next_token.empty())
    body["nextPageToken"] = found.next_token;
  auto made = json_response(200, body);
  set_position(made, found.at.seq);
  return made;
}

template <class Row> http::response row_response(const projections::answer<Row>& found) {
  auto made = json_response(200, to_object(found.value));
  set_position(made, found.at.seq);
  return made;
}

} // namespace

/// One request on its way through a route.
struct api::call {
  http::request request;
  http::responder respond;
  std::string name; ///< what stands for {name} in the path
  std::string verb; ///< what stands behind a colon

  void send(http::response made) const { respond(std::move(made)); }

  void fail(const error& why) const { respond(http::problem_response(why, request.path)); }

  template <class Row>
  void send(const char* list, const result<projections::listing<Row>>& found) const {
    if (found)
      send(list_response(list, *found));
    else
      fail(found.error());
  }

  template <class Row> void send(const result<projections::answer<Row>>& found) const {
    if (found)
      send(row_response(*found));
    else
      fail(found.error());
  }

  [[nodiscard]] std::string parameter(const char* which) const {
    const auto* value = request.parameter(which);
    return value == nullptr ? std::string() : *value;
  }

  /// The paging parameters; others than `allowed` are refused, never ignored.
  [[nodiscard]] result<projections::page>
  page(std::initializer_list<std::string_view> allowed) const {
    projections::page wanted;
    for (const auto& [key, value] : request.query) {
      if (key == "pageToken") {
        wanted.token = value;
      } else if (key == "pageSize") {
        const auto [end, failed] =
            std::from_chars(value.data(), value.data() + value.size(), wanted.size);
        if (failed != std::errc() || end != value.data() + value.size())
          return invalid("pageSize '" + printable(value, 20) + "' is not a number");
      } else if (std::ranges::find(allowed, key) == allowed.end()) {
        return invalid("there is no parameter '" + printable(key, 40) + "' here");
      }
    }
    return wanted;
  }
};

struct api::route {
  std::string_view method;
  std::string_view pattern; ///< {name} stands for a name or an id, {verb} for a word behind a colon
  void (api::*handle)(call&);
  bool is_open = false; ///< needs no token
};

const std::vector<api::route>& api::routes() {
  static const std::vector<route> table{
      {"GET", "/v1/vms", &api::get_vms},
      {"POST", "/v1/vms", &api::post_vm},
      {"GET", "/v1/vms/{name}", &api::get_vm},
      {"DELETE", "/v1/vms/{name}", &api::delete_vm},
      {"POST", "/v1/vms/{name}:{verb}", &api::act_on_vm},
      {"GET", "/v1/vms/{name}/console", &api::get_console},
      {"GET", "/v1/clusters", &api::get_clusters},
      {"POST", "/v1/clusters", &api::post_cluster},
      {"GET", "/v1/clusters/{name}", &api::get_cluster},
      {"GET", "/v1/nodes", &api::get_nodes},
      {"POST", "/v1/nodes", &api::post_node},
      {"GET", "/v1/nodes/{name}", &api::get_node},
      {"GET", "/v1/networks", &api::get_networks},
      {"POST", "/v1/networks", &api::post_network},
      {"GET", "/v1/networks/{name}", &api::get_network},
      {"GET", "/v1/jobs", &api::get_jobs},
      {"GET", "/v1/jobs/{name}", &api::get_job},
      {"GET", "/v1/events", &api::get_events},
      {"GET", "/v1/hypervisors", &api::get_hypervisors},
      {"GET", "/v1/status", &api::get_status},
      {"POST", "/v1/installation:trustClock", &api::post_trust_clock},
      {"GET", "/metrics", &api::get_metrics, true},
      {"GET", "/healthz", &api::get_health, true},
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

void api::when_projected(std::uint64_t seq, std::function<void()> then) {
  {
    const std::lock_guard lock(x_guard);
    x_waiting.emplace_back(seq, std::move(then));
  }
  x_changed.notify_one();
}

void api::run_gate() {
  std::unique_lock lock(x_guard);
  while (true) {
    x_changed.wait(lock, [this] { return x_is_closing || !x_waiting.empty(); });
    if (x_is_closing)
      return;
    const auto [seq, then] = std::move(x_waiting.front());
    x_waiting.pop_front();
    lock.unlock();
    // Late is better than never: a reader who must be sure sends the position along.
    static_cast<void>(x_services.store->wait_for(seq, projected_patience));
    then();
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
  made.respond = [metrics = x_services.metrics, respond = std::move(respond), pattern,
                  method = request.method, began](http::response reply) {
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
    const auto seq = parse_position(*wanted);
    if (!seq)
      return made.fail(seq.error());
    if (!x_services.store->wait_for(*seq, position_patience))
      return made.fail({error_code::unavailable,
                        "this process has not folded position " + *wanted + " yet: try again",
                        true});
  }
  (this->*found->handle)(made);
}

// Reading -----------------------------------------------------------------------------------------

void api::get_vms(call& made) {
  auto page = made.page({"cluster", "node", "name", "observed"});
  if (!page)
    return made.fail(page.error());
  projections::vm_filter filter;
  filter.cluster = made.parameter("cluster");
  filter.node = made.parameter("node");
  filter.name = made.parameter("name");
  const auto observed = made.parameter("observed");
  if (!observed.empty() && !v1::VmObserved::State_Parse(observed, &filter.observed))
    return made.fail(
        invalid("'" + printable(observed, 40) +
                "' is not a state: want ABSENT, STOPPED, RUNNING, REACHABLE or UNKNOWN"));
  made.send("vms", x_services.store->list_vms(filter, *page));
}

void api::get_vm(call& made) { made.send(x_services.store->find_vm(made.name)); }

void api::get_clusters(call& made) {
  auto page = made.page({"name"});
  if (!page)
    return made.fail(page.error());
  made.send("clusters", x_services.store->list_clusters({{}, made.parameter("name")}, *page));
}

void api::get_cluster(call& made) { made.send(x_services.store->find_cluster(made.name)); }

void api::get_nodes(call& made) {
  auto page = made.page({"cluster", "name"});
  if (!page)
    return made.fail(page.error());
  made.send("nodes", x_services.store->list_nodes(
                         {made.parameter("cluster"), made.parameter("name")}, *page));
}

void api::get_node(call& made) { made.send(x_services.store->find_node(made.name)); }

void api::get_networks(call& made) {
  auto page = made.page({"cluster", "name"});
  if (!page)
    return made.fail(page.error());
  made.send("networks", x_services.store->list_networks(
                            {made.parameter("cluster"), made.parameter("name")}, *page));
}

void api::get_network(call& made) { made.send(x_services.store->find_network(made.name)); }

void api::get_jobs(call& made) {
  auto page = made.page({"resource", "state"});
  if (!page)
    return made.fail(page.error());
  projections::job_filter filter;
  filter.resource = made.parameter("resource");
  const auto state = made.parameter("state");
  if (!state.empty() && !v1::Job::State_Parse(state, &filter.state))
    return made.fail(invalid("'" + printable(state, 40) +
                             "' is not a state: want RUNNING, DONE, FAILED or CANCELLED"));
  made.send("jobs", x_services.store->list_jobs(filter, *page));
}

void api::get_job(call& made) { made.send(x_services.store->find_job(made.name)); }

void api::get_events(call& made) {
  auto page = made.page({"resource"});
  if (!page)
    return made.fail(page.error());
  projections::event_filter filter;
  filter.resource = made.parameter("resource");
  made.send("events", x_services.store->list_events(filter, *page));
}

void api::get_hypervisors(call& made) {
  nlohmann::ordered_json body;
  body["hypervisors"] = nlohmann::ordered_json::array();
  for (const auto kind : drivers::all_kinds()) {
    nlohmann::ordered_json row;
    row["kind"] = drivers::name_of(kind);
    for (const auto what : drivers::all_capabilities())
      row["capabilities"][std::string(drivers::name_of(what))] =
          drivers::name_of(drivers::supports(kind, what));
    body["hypervisors"].push_back(std::move(row));
  }
  made.send(json_response(200, body));
}

void api::get_status(call& made) {
  status_request asked;
  asked.with_digest = made.parameter("digest") == "true";
  asked.done = [respond = made.respond, projected = x_services.store->lowest_position().seq,
                read_only = x_services.is_read_only](const partition_status& status) {
    nlohmann::ordered_json body;
    body["standing"] = status.standing;
    body["readOnly"] = read_only;
    body["position"] = position_text(status.seq);
    body["projected"] = position_text(projected);
    body["epoch"] = status.epoch;
    body["entities"] = status.entities;
    body["awake"] = status.awake;
    body["queued"] = status.queued;
    body["alarm"] = status.alarm;
    if (!status.state_digest.empty())
      body["stateDigest"] = status.state_digest;
    respond(json_response(200, body));
  };
  x_services.status(std::move(asked));
}

void api::get_console(call& made) {
  const auto vm = x_services.store->find_vm(made.name);
  if (!vm)
    return made.fail(vm.error());
  std::uint64_t lines = 20;
  const auto wanted = made.parameter("lines");
  if (!wanted.empty()) {
    const auto [end, failed] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), lines);
    if (failed != std::errc() || end != wanted.data() + wanted.size() || lines == 0 ||
        lines > console_lines_max)
      return made.fail(
          invalid("lines is not a number from 1 to " + std::to_string(console_lines_max)));
  }
  const auto id = parse_id<vm_tag>(vm->value.id());
  ORRERY_CHECK(id.has_value());
  console_request asked;
  asked.vm = id->value;
  asked.bytes_max = console_bytes_max;
  asked.done = [respond = made.respond, path = made.request.path,
                lines](const result<std::string>& text) {
    if (!text)
      return respond(http::problem_response(text.error(), path));
    std::deque<std::string> last;
    std::string_view rest = *text;
    while (!rest.empty()) {
      const auto end = std::min(rest.find('\n'), rest.size());
      auto line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (line.ends_with('\r'))
        line.remove_suffix(1);
      last.push_back(printable(line, console_bytes_max));
      if (last.size() > lines)
        last.pop_front();
    }
    nlohmann::ordered_json body;
    body["lines"] = nlohmann::ordered_json::array();
    for (auto& line : last)
      body["lines"].push_back(std::move(line));
    respond(json_response(200, body));
  };
  x_services.console(std::move(asked));
}

void api::get_metrics(call& made) {
  http::response reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = x_services.metrics->expose();
  made.send(std::move(reply));
}

void api::get_health(call& made) {
  http::response reply;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = "ok\n";
  made.send(std::move(reply));
}

// Changing ----------------------------------------------------------------------------------------

uuid api::new_id() {
  return make_uuid(x_services.wall_clock(), x_services.where, x_services.random());
}

v1::Command api::new_command(const uuid& entity) {
  v1::Command command;
  domain::set(command.mutable_id(), new_id());
  command.mutable_principal()->set_kind(v1::Principal::OPERATOR);
  command.mutable_principal()->set_name("operator");
  domain::set(command.mutable_entity(), entity);
  return command;
}

void api::send_command(call& made, v1::Command command, std::string kind, std::string name) {
  if (x_services.is_read_only)
    return made.fail({error_code::read_only,
                      "this process only reads: send changes to the one that owns the log", false});
  // Nobody could see what a change did: it is refused while that is so.
  if (auto stalled = x_services.store->stalled())
    return made.fail(std::move(*stalled));
  if (x_services.queued->load() >= 10'000)
    return made.fail({error_code::too_many_requests,
                      "10,000 commands are waiting already: try again in a second", true});
  if (const auto* key = made.request.header("idempotency-key")) {
    if (key->empty() || key->size() > key_size_max)
      return made.fail(
          invalid("an Idempotency-Key has 1 to " + std::to_string(key_size_max) + " bytes"));
    command.mutable_key()->set_key_hash(first_eight_bytes(log::sha256_of("operator\n", *key)));
    command.mutable_key()->set_body_hash(first_eight_bytes(
        log::sha256_of(made.request.method + " " + made.request.path + "\n", made.request.body)));
  }
  x_services.stamp(command);
  auto what = std::make_shared<submission>();
  what->command = std::move(command);
  what->done = [this, respond = made.respond, path = made.request.path, kind = std::move(kind),
                name = std::move(name)](const command_reply& reply) {
    if (reply.reply.code() != 0)
      return respond(http::problem_response({static_cast<error_code>(reply.reply.code()),
                                             reply.reply.text(), reply.reply.retryable()},
                                            path));
    when_projected(reply.seq, [this, respond, reply, kind, name] {
      answer_command(respond, reply, kind, name);
    });
  };
  x_services.submit(std::move(what));
}

void api::answer_command(const http::responder& respond, const command_reply& reply,
                         const std::string& kind, const std::string& name) {
  nlohmann::ordered_json body;
  const auto job_id = to_text(orrery::job_id{reply.command});
  if (reply.reply.has_job()) {
    const auto job = x_services.store->find_job(job_id);
    if (!job)
      return respond(http::problem_response(job.error()));
    body["job"] = to_object(job->value);
  } else {
    // Decided and done in one record: there was nothing to wait for.
    body["job"]["id"] = job_id;
    body["job"]["kind"] = kind;
    body["job"]["resource"] = projections::resource_text(kind.substr(0, kind.find('.')),
                                                         domain::from_proto(reply.reply.entity()));
    body["job"]["resourceName"] = name;
    body["job"]["state"] = "DONE";
  }
  auto made = json_response(202, body);
  set_position(made, reply.seq);
  respond(std::move(made));
}

void api::post_cluster(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  const auto name = body->text("name", name_size_max);
  const auto hypervisor = body->text("hypervisor", name_size_max);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  const auto kind = drivers::parse_kind(hypervisor);
  if (!kind)
    return made.fail(kind.error());
  auto command = new_command(x_services.installation);
  auto* add = command.mutable_installation()->mutable_add_cluster();
  domain::set(add->mutable_cluster(), new_id());
  add->set_name(name);
  add->set_kind(static_cast<v1::HypervisorKind>(*kind));
  send_command(made, std::move(command), "cluster.create", name);
}

namespace {

bool is_plain_path_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
         c == '.' || c == '_' || c == '-';
}

result<void> check_endpoint(const std::string& hypervisor, const v1::NodeEndpoint& endpoint) {
  if (hypervisor != "kvm") {
    if (!endpoint.libvirt_socket().empty() || !endpoint.network_namespace().empty())
      return invalid("a " + hypervisor + " node has no libvirtSocket and no networkNamespace");
    return {};
  }
  if (!endpoint.libvirt_socket().starts_with('/') ||
      !std::ranges::all_of(endpoint.libvirt_socket(), is_plain_path_character))
    return invalid("libvirtSocket is not an absolute path of letters, digits and /._-");
  if (!std::ranges::all_of(endpoint.network_namespace(), is_plain_path_character) ||
      endpoint.network_namespace().find('/') != std::string::npos ||
      endpoint.network_namespace().starts_with('.'))
    return invalid("networkNamespace is not a name as `ip netns list` shows it");
  return {};
}

/// The uuid in a view's id text.
uuid id_in(const std::string& text) {
  const auto underscore = text.find('_');
  const auto parsed = parse_uuid(std::string_view(text).substr(underscore + 1));
  ORRERY_CHECK(parsed.has_value());
  return *parsed;
}

} // namespace

void api::post_node(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  constexpr std::uint64_t none = 0;
  const auto name = body->text("name", name_size_max);
  const auto cluster_name = body->text("cluster", name_size_max);
  v1::NodeEndpoint endpoint;
  endpoint.set_libvirt_socket(body->text("libvirtSocket", socket_path_size_max, ""));
  endpoint.set_network_namespace(body->text("networkNamespace", namespace_size_max, ""));
  constexpr std::uint64_t vcpus_max = 65'536;
  constexpr std::uint64_t memory_mib_max = std::uint64_t{1} << 30;
  const auto vcpus = body->number("vcpus", vcpus_max, &none);
  const auto memory_mib = body->number("memoryMib", memory_mib_max, &none);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  const auto cluster = x_services.store->find_cluster(cluster_name);
  if (!cluster)
    return made.fail(cluster.error());
  if (auto checked = check_endpoint(cluster->value.hypervisor(), endpoint); !checked)
    return made.fail(checked.error());
  auto command = new_command(id_in(cluster->value.id()));
  auto* add = command.mutable_cluster()->mutable_add_node();
  domain::set(add->mutable_node(), new_id());
  add->set_name(name);
  *add->mutable_endpoint() = endpoint;
  add->set_vcpus(static_cast<std::uint32_t>(vcpus));
  add->set_memory_mib(memory_mib);
  send_command(made, std::move(command), "node.create", name);
}

void api::post_network(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  constexpr std::size_t address_size_max = 18; // 255.255.255.255/32
  const auto name = body->text("name", name_size_max);
  const auto cluster_name = body->text("cluster", name_size_max);
  const auto prefix_text = body->text("prefix", address_size_max);
  const auto gateway_text = body->text("gateway", address_size_max, "");
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  const auto prefix = parse_ipv4_prefix(prefix_text);
  if (!prefix)
    return made.fail(prefix.error());
  auto gateway = result<ipv4>(ipv4{prefix->base.bits + 1});
  if (!gateway_text.empty())
    gateway = parse_ipv4(gateway_text);
  if (!gateway)
    return made.fail(gateway.error());
  if (auto checked = domain::check_subnet(*prefix, *gateway); !checked)
    return made.fail(checked.error());
  const auto cluster = x_services.store->find_cluster(cluster_name);
  if (!cluster)
    return made.fail(cluster.error());
  auto command = new_command(id_in(cluster->value.id()));
  auto* add = command.mutable_cluster()->mutable_add_network();
  domain::set(add->mutable_network(), new_id());
  domain::set(add->mutable_subnet(), new_id());
  add->set_name(name);
  add->set_prefix(prefix->base.bits);
  add->set_prefix_length(prefix->length);
  add->set_gateway(gateway->bits);
  send_command(made, std::move(command), "network.create", name);
}

void api::post_vm(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  constexpr std::uint64_t vcpus_max = 65'536;
  constexpr std::uint64_t memory_mib_max = std::uint64_t{1} << 30;
  const auto name = body->text("name", name_size_max);
  const auto cluster_name = body->text("cluster", name_size_max);
  const auto network_name = body->text("network", name_size_max);
  const auto image = body->text("image", name_size_max);
  const auto vcpus = body->number("vcpus", vcpus_max);
  const auto memory_mib = body->number("memoryMib", memory_mib_max);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  const auto cluster = x_services.store->find_cluster(cluster_name);
  if (!cluster)
    return made.fail(cluster.error());
  // Names of networks are unique in their cluster only.
  const auto networks =
      x_services.store->list_networks({cluster->value.id(), {}}, {projections::page_size_max, {}});
  if (!networks)
    return made.fail(networks.error());
  const auto network = std::ranges::find_if(networks->items, [&](const v1::Network& one) {
    return one.name() == network_name || one.id() == network_name;
  });
  if (network == networks->items.end())
    return made.fail({error_code::not_found,
                      "cluster '" + cluster->value.name() + "' has no network '" +
                          printable(network_name, name_size_max) + "': `orrery network list`",
                      false});
  auto command = new_command(id_in(cluster->value.id()));
  auto* place = command.mutable_cluster()->mutable_place_vm();
  domain::set(place->mutable_vm(), new_id());
  domain::set(place->mutable_nic(), new_id());
  domain::set(place->mutable_network(), id_in(network->id()));
  place->set_name(name);
  place->set_image(image);
  place->set_vcpus(static_cast<std::uint32_t>(vcpus));
  place->set_memory_mib(memory_mib);
  send_command(made, std::move(command), "vm.create", name);
}

void api::delete_vm(call& made) {
  const auto vm = x_services.store->find_vm(made.name);
  if (!vm)
    return made.fail(vm.error());
  auto command = new_command(id_in(vm->value.id()));
  command.mutable_vm()->mutable_remove();
  send_command(made, std::move(command), "vm.delete", vm->value.name());
}

void api::act_on_vm(call& made) {
  if (made.verb != "start" && made.verb != "shutdown" && made.verb != "stop")
    return made.fail(invalid("a VM has no action '" + printable(made.verb, 40) +
                             "': want start, shutdown or stop"));
  const auto vm = x_services.store->find_vm(made.name);
  if (!vm)
    return made.fail(vm.error());
  auto command = new_command(id_in(vm->value.id()));
  if (made.verb == "start")
    command.mutable_vm()->mutable_start();
  else if (made.verb == "shutdown")
    command.mutable_vm()->mutable_shutdown();
  else
    command.mutable_vm()->mutable_stop();
  send_command(made, std::move(command), "vm." + made.verb, vm->value.name());
}

void api::post_trust_clock(call& made) {
  auto command = new_command(x_services.installation);
  command.mutable_installation()->mutable_trust_clock();
  send_command(made, std::move(command), "installation.trust_clock", "");
}

} // namespace orrery::actors
