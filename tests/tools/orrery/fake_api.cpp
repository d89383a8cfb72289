#include "tests/tools/orrery/fake_api.hpp"

#include "events/core/check.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace orrery::cli_test {

namespace {

const std::string job_id = "job_01993f0e-7c1a-7000-8000-000000000009";

std::string thing_body(const std::string& noun, const std::string& name) {
  return R"({"id":")" + noun + R"(_01993f0e-7c1a-7000-8000-000000000001","name":")" + name +
         R"(","hypervisor":"simulated","cluster":{"id":"cluster_1","name":"local"},)"
         R"("prefix":"10.99.0.0/24","memoryMib":"4096","createdAt":"2026-01-01T00:00:00Z",)"
         R"("version":"1"})";
}

} // namespace

http::response reply(int status, const std::string& body) {
  http::response made;
  made.status = status;
  made.body = body;
  if (status >= 400)
    made.content_type = "application/problem+json";
  return made;
}

std::string vm_body(const std::string& name) {
  return R"({"id":"vm_01993f0e-7c1a-7000-8000-000000000001","name":")" + name +
         R"(","cluster":{"id":"cluster_1","name":"local"},"node":{"id":"node_1","name":"node-1"},)"
         R"("network":{"id":"network_1","name":"lan"},"image":"debian","vcpus":1,)"
         R"("memoryMib":"192","address":"10.99.0.17","mac":"0e:00:00:00:10:11",)"
         R"("desired":"RUNNING","observed":{"state":"REACHABLE","cause":"answered",)"
         R"("at":"2026-01-01T00:00:09Z","source":"node-1"},)"
         R"("createdAt":"2026-01-01T00:00:00.000000Z","version":"3"})";
}

std::string job_body(const std::string& state, const std::string& more) {
  return R"({"id":")" + job_id +
         R"(","kind":"vm.create","resource":"vm_01993f0e-7c1a-7000-8000-000000000001",)"
         R"("resourceName":"web-1","state":")" +
         state +
         R"(","steps":[{"name":"accepted","at":"2026-01-01T00:00:00Z"},)"
         R"({"name":"placed","at":"2026-01-01T00:00:00.1Z"}],)"
         R"("startedAt":"2026-01-01T00:00:00Z","deadline":"2026-01-01T00:02:00Z")" +
         more + "}";
}

fake_api::fake_api() {
  for (const std::string noun : {"cluster", "node", "network", "vm"}) {
    const auto body = noun == "vm" ? vm_body("web-1") : thing_body(noun, "one");
    on("GET /v1/" + noun + "s", 200, R"({")" + noun + R"(s":[)" + body + "]}");
    const std::string id = "_01993f0e-7c1a-7000-8000-000000000001";
    const std::vector<std::string> names{"one", "web-1", noun + id, "vm" + id};
    for (const auto& name : names)
      on("GET /v1/" + noun + "s/" + name, 200, body);
    on("POST /v1/" + noun + "s", 202, R"({"job":)" + job_body("RUNNING") + "}");
  }
  on("POST /v1/clusters/one:setUpstream", 202, R"({"job":)" + job_body("DONE") + "}");
  for (const std::string thing : {"clusters/one", "nodes/one", "networks/one", "vms/web-1"})
    on("POST /v1/" + thing + ":setLabels", 202, R"({"job":)" + job_body("DONE") + "}");
  for (const std::string verb : {"reserve", "free", "setQuarantine", "setGuests"})
    on("POST /v1/networks/one:" + verb, 202, R"({"job":)" + job_body("DONE") + "}");
  for (const std::string verb : {"start", "shutdown", "stop"})
    on("POST /v1/vms/web-1:" + verb, 202, R"({"job":)" + job_body("RUNNING") + "}");
  for (const std::string verb : {"setRate", "addAddress", "removeAddress"})
    on("POST /v1/vms/web-1:" + verb, 202, R"({"job":)" + job_body("DONE") + "}");
  on("POST /v1/installation:trustClock", 202, R"({"job":)" + job_body("DONE") + "}");
  on("POST /v1/installation:setLimit", 202, R"({"job":)" + job_body("DONE") + "}");
  const std::string projection =
      R"({"name":"jobs","version":3,"position":"0/12","work":{"verb":"VERIFY","state":"DONE",)"
      R"("startedAt":"2026-01-01T00:00:00Z","endedAt":"2026-01-01T00:00:09Z","records":12,)"
      R"("recordsAll":12,"digest":"ab","digestOfLog":"ab"}})";
  on("GET /v1/projections", 200, R"({"projections":[)" + projection + "]}");
  on("GET /v1/projections/jobs", 200, projection);
  on("POST /v1/projections/jobs:rebuild", 202, projection);
  on("POST /v1/projections/jobs:verify", 202, projection);
  on("GET /v1/installation", 200, R"({"edition":"hosting","clusters":1,"clustersMax":1000})");
  on("DELETE /v1/networks/one", 202, R"({"job":)" + job_body("RUNNING") + "}");
  on("DELETE /v1/vms/web-1", 202, R"({"job":)" + job_body("RUNNING") + "}");
  on("GET /v1/jobs", 200, R"({"jobs":[)" + job_body("DONE") + "]}");
  on("GET /v1/jobs/" + job_id, 200, job_body("DONE", R"(,"endedAt":"2026-01-01T00:00:08.9Z")"));
  on("GET /v1/events", 200,
     R"({"events":[{"position":"0/12/3","time":"2026-01-01T00:00:00Z","type":"vm.created",)"
     R"("resource":"vm_1","who":"admin","cause":"0/11","detail":"image debian"}]})");
  on("GET /v1/usage", 200,
     R"({"usage":[{"resource":{"id":"vm_1","name":"web-1"},"cluster":{"id":"cluster_1",)"
     R"("name":"local"},"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:00:02.500Z",)"
     R"("open":true,"sums":[{"meter":"nic.address","state":"STATE_UNSPECIFIED","amount":"1",)"
     R"("unit":"address","unitMicroseconds":"2500000"},{"meter":"vm.vcpu","state":"RUNNING",)"
     R"("amount":"4","unit":"vcpu","unitMicroseconds":"4"}]}]})");
  on("GET /v1/vms/web-1/console", 200, R"({"lines":["booting","\u001b[31mred\u001b[0m"]})");
  on("GET /v1/status", 200, R"({"version":"0.1.0","log":{"engine":"embedded","head":"0/12"}})");
  start("127.0.0.1:0");
}

void fake_api::start(const std::string& listen) {
  http::options how;
  how.listen = listen;
  how.limits.stop_grace = std::chrono::milliseconds(1);
  auto made = http::server::start(
      how, [this](http::request asked, http::responder respond) { answer(asked, respond); });
  ORRERY_CHECK(made.has_value());
  x_server = std::move(*made);
}

void fake_api::start_again(std::uint16_t port) { start("127.0.0.1:" + std::to_string(port)); }

void fake_api::on(const std::string& what, route answer) {
  const std::lock_guard lock(x_mutex);
  x_routes[what] = std::move(answer);
}

void fake_api::on(const std::string& what, int status, const std::string& body) {
  on(what, [status, body](const http::request&, const http::responder& respond) {
    respond(reply(status, body));
  });
}

void fake_api::answer(const http::request& asked, const http::responder& respond) {
  route found;
  {
    const std::lock_guard lock(x_mutex);
    x_requests.push_back(asked);
    const auto known = x_routes.find(asked.method + " " + asked.path);
    if (known != x_routes.end())
      found = known->second;
  }
  if (found)
    found(asked, respond);
  else
    respond(http::problem_response(
        error{error_code::not_found, "nothing is called '" + asked.path + "'", false}, asked.path));
}

environment fake_api::variables() const { return {{"ORRERY_URL", url()}}; }

std::string fake_api::url() const { return "http://127.0.0.1:" + std::to_string(port()); }

std::vector<http::request> fake_api::requests() const {
  const std::lock_guard lock(x_mutex);
  return x_requests;
}

raw_api::raw_api(std::vector<std::string> replies) {
  x_listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  auto* address = reinterpret_cast<sockaddr*>(&where);
  ORRERY_CHECK(::bind(x_listener, address, size) == 0);
  ORRERY_CHECK(::listen(x_listener, 16) == 0);
  ORRERY_CHECK(::getsockname(x_listener, address, &size) == 0);
  x_port = ntohs(where.sin_port);
  x_thread = std::thread([this, replies = std::move(replies)] { serve(replies); });
}

raw_api::~raw_api() {
  ::shutdown(x_listener, SHUT_RDWR); // wakes accept
  x_thread.join();
  ::close(x_listener);
}

void raw_api::serve(const std::vector<std::string>& replies) {
  for (const auto& text : replies) {
    const int client = ::accept4(x_listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0)
      return;
    std::string asked;
    std::array<char, 4096> chunk{};
    // Requests of these tests are short: the whole of one comes with its last header or shortly
    // after, and nobody needs the body.
    while (asked.find("\r\n\r\n") == std::string::npos) {
      const auto got = ::recv(client, chunk.data(), chunk.size(), 0);
      if (got <= 0)
        break;
      asked.append(chunk.data(), static_cast<std::size_t>(got));
    }
    {
      const std::lock_guard lock(x_mutex);
      x_requests.push_back(asked);
    }
    ::send(client, text.data(), text.size(), MSG_NOSIGNAL);
    ::shutdown(client, SHUT_WR);
    while (::recv(client, chunk.data(), chunk.size(), 0) > 0) {
    }
    ::close(client);
  }
}

environment raw_api::variables() const {
  return {{"ORRERY_URL", "http://127.0.0.1:" + std::to_string(x_port)}};
}

std::vector<std::string> raw_api::requests() const {
  const std::lock_guard lock(x_mutex);
  return x_requests;
}

} // namespace orrery::cli_test
