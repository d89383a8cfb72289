#pragma once

#include "actors/api/http/server.hpp"
#include "tests/tools/orrery/process.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace orrery::cli_test {

/// An API in this process that says what a test wants and keeps what it was asked. What no test
/// gave a route for is answered as the real one would on a small installation.
class fake_api {
public:
  using route = std::function<void(const http::request&, const http::responder&)>;

  fake_api();

  /// Answers "GET /v1/vms" (method and path) from now on.
  void on(const std::string& what, route answer);

  /// The same with a fixed body.
  void on(const std::string& what, int status, const std::string& body);

  /// ORRERY_URL of this API, and no more.
  [[nodiscard]] environment variables() const;

  [[nodiscard]] std::string url() const;

  [[nodiscard]] std::vector<http::request> requests() const;

  /// Stops and answers nobody; `port` is free for another one.
  void stop() { x_server->stop(); }

  [[nodiscard]] std::uint16_t port() const { return x_server->port(); }

  /// Starts again on that port.
  void start_again(std::uint16_t port);

private:
  void start(const std::string& listen);
  void answer(const http::request& asked, const http::responder& respond);

  mutable std::mutex x_mutex;
  std::map<std::string, route> x_routes;
  std::vector<http::request> x_requests;
  std::unique_ptr<http::server> x_server;
};

/// A reply with JSON, or with a problem from 400 on.
http::response reply(int status, const std::string& body);

/// Bodies as the API gives them.
std::string vm_body(const std::string& name);
std::string job_body(const std::string& state, const std::string& more = "");

/// Sends one scripted text to each connection, in order, after it has read a request; then closes.
/// For replies that no HTTP server would give.
class raw_api {
public:
  explicit raw_api(std::vector<std::string> replies);
  raw_api(const raw_api&) = delete;
  raw_api& operator=(const raw_api&) = delete;
  ~raw_api();

  [[nodiscard]] environment variables() const;

  /// The requests so far, as they came.
  [[nodiscard]] std::vector<std::string> requests() const;

private:
  void serve(const std::vector<std::string>& replies);

  int x_listener = -1;
  std::uint16_t x_port = 0;
  mutable std::mutex x_mutex;
  std::vector<std::string> x_requests;
  std::thread x_thread;
};

} // namespace orrery::cli_test
