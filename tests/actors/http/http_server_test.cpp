#include "actors/api/http/server.hpp"
#include "tests/actors/http/raw_client.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>
#include <thread>

namespace orrery::http {

namespace {

using namespace std::chrono_literals;
using http_test::get;
using http_test::post;
using http_test::raw_client;

/// Limits that a test can wait for. Those that a test does not mean to reach stay large.
constexpr auto soon = 150ms;

response text_reply(std::string body) {
  response made;
  made.content_type = "text/plain";
  made.body = std::move(body);
  return made;
}

/// Answers with what it was asked.
void echo(const request& asked, const responder& respond) {
  std::string body = asked.method + " " + asked.path;
  for (const auto& [name, value] : asked.query)
    body += " " + name + "=" + value;
  body += "\n" + asked.body;
  respond(text_reply(std::move(body)));
}

std::unique_ptr<server> started(handler handle, limits wanted = {}) {
  options how;
  how.limits = wanted;
  auto made = server::start(how, std::move(handle));
  EXPECT_TRUE(made) << (made ? "" : made.error().text);
  return std::move(*made);
}

void expect_problem(const http_test::raw_reply& reply, int status, std::string_view code) {
  EXPECT_EQ(reply.status, status) << reply.body;
  ASSERT_TRUE(reply.headers.contains("content-type")) << "no reply";
  EXPECT_EQ(reply.headers.at("content-type"), "application/problem+json");
  const auto body = nlohmann::json::parse(reply.body, nullptr, false);
  ASSERT_TRUE(body.is_object()) << reply.body;
  EXPECT_EQ(body.value("code", ""), code) << reply.body;
  EXPECT_EQ(body.value("status", 0), status);
  EXPECT_FALSE(body.value("detail", "").empty());
}

/// A gate that a test opens.
class latch {
public:
  void open() {
    const std::lock_guard lock(x_mutex);
    x_open = true;
    x_changed.notify_all();
  }

  bool wait() {
    std::unique_lock lock(x_mutex);
    return x_changed.wait_for(lock, http_test::patience, [this] { return x_open; });
  }

private:
  std::mutex x_mutex;
  std::condition_variable x_changed;
  bool x_open = false;
};

/// Keeps responders for the test to call.
class shelf {
public:
  void put(responder one) {
    const std::lock_guard lock(x_mutex);
    x_kept.push_back(std::move(one));
    x_changed.notify_all();
  }

  responder take() {
    std::unique_lock lock(x_mutex);
    if (!x_changed.wait_for(lock, http_test::patience, [this] { return !x_kept.empty(); }))
      return nullptr;
    auto one = std::move(x_kept.front());
    x_kept.erase(x_kept.begin());
    return one;
  }

private:
  std::mutex x_mutex;
  std::condition_variable x_changed;
  std::vector<responder> x_kept;
};

TEST(http_listen, refuses_what_is_not_loopback_or_not_an_address) {
  struct wrong {
    std::string listen;
    std::string reason;
  };

  const std::vector<wrong> all{
      {"0.0.0.0:0", "not a loopback"},
      {"192.0.2.1:80", "not a loopback"},
      {"[::]:0", "not a loopback"},
      {"[::ffff:10.0.0.1]:0", "not a loopback"},
      {"127.0.0.1", "no port"},
      {"127.0.0.1:", "port"},
      {"127.0.0.1:65536", "port"},
      {"127.0.0.1:-1", "port"},
      {"127.0.0.1:8x", "port"},
      {"::1:80", "without brackets"},
      {"example.org:80", "no IP address"},
      {":80", "no IP address"},
      {"", "no port"},
      {std::string("\0\xff:80", 5), "no IP address"},
  };
  for (const auto& [listen, reason] : all) {
    options how;
    how.listen = listen;
    const auto made = server::start(how, echo);
    ASSERT_FALSE(made) << listen;
    EXPECT_EQ(made.error().code, error_code::config_invalid);
    EXPECT_NE(made.error().text.find(reason), std::string::npos) << made.error().text;
  }
}

TEST(http_listen, refuses_a_taken_port_and_says_so) {
  const auto first = started(echo);
  options how;
  how.listen = "127.0.0.1:" + std::to_string(first->port());
  const auto second = server::start(how, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, error_code::io_failed);
  EXPECT_NE(second.error().text.find("another process has the port"), std::string::npos);
}

TEST(http_listen, refuses_a_senseless_number_of_threads) {
  for (const unsigned threads : {0U, 17U}) {
    options how;
    how.threads = threads;
    EXPECT_FALSE(server::start(how, echo));
  }
}

TEST(http_listen, takes_the_other_loopback_addresses) {
  for (const auto* listen : {"127.0.0.1:0", "127.1.2.3:0", "localhost:0"}) {
    options how;
    how.listen = listen;
    const auto made = server::start(how, echo);
    ASSERT_TRUE(made) << made.error().text;
    EXPECT_NE((*made)->port(), 0);
  }
}

TEST(http_bad_request, gets_a_problem_and_a_close) {
  struct wrong {
    std::string bytes;
    int status;
    std::string_view code;
  };

  const std::string host = "Host: h\r\n";
  const std::vector<wrong> all{
      {"hello\r\n\r\n", 400, "invalid_argument"},
      {"\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n", 400, "invalid_argument"}, // TLS
      {"GET /\r\n\r\n", 400, "invalid_argument"},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", 400, "invalid_argument"},
      {"GET / HTTP/1.1\r\n\r\n", 400, "invalid_argument"}, // no Host
      {"GET / HTTP/1.1\r\n" + host + host + "\r\n", 400, "invalid_argument"},
      {"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "invalid_argument"},
      {"GET / HTTP/1.1\r\n" + host + "X: \xff\r\n\r\n", 400, "invalid_argument"},
      {"GET /%zz HTTP/1.1\r\n" + host + "\r\n", 400, "invalid_argument"},
      {"GET /%ff HTTP/1.1\r\n" + host + "\r\n", 400, "invalid_argument"},
      {"GET /a%2fb HTTP/1.1\r\n" + host + "\r\n", 400, "invalid_argument"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: x\r\n\r\n", 400, "invalid_argument"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400,
       "invalid_argument"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
       400, "invalid_argument"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400,
       "invalid_argument"},
      {post("/", "\xc3\x28"), 400, "invalid_argument"},
      {"POST / HTTP/1.1\r\n" + host + "Expect: miracle\r\nContent-Length: 2\r\n\r\n{}", 417,
       "invalid_argument"},
  };
  const auto one = started(echo);
  for (const auto& [bytes, status, code] : all) {
    SCOPED_TRACE(bytes);
    raw_client client(one->port());
    const auto reply = client.ask(bytes);
    expect_problem(reply, status, code);
    EXPECT_EQ(reply.headers.at("connection"), "close");
    EXPECT_TRUE(client.ended());
  }
}

TEST(http_too_large, header_and_body_get_a_problem) {
  const auto one = started(echo);
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\n";
  const std::vector<std::string> headers{
      start + "X: " + std::string(header_size_max, 'x'),
      start + "X: " + std::string(header_size_max, 'x') + "\r\n\r\n",
      "GET /" + std::string(header_size_max + 100, 'x'),
      std::string(2 * header_size_max, 'x'),
  };
  for (const auto& bytes : headers) {
    raw_client client(one->port());
    const auto reply = client.ask(bytes);
    expect_problem(reply, 431, "too_large");
    EXPECT_TRUE(client.ended());
  }
  std::string many = start;
  while (many.size() < 3 * header_size_max)
    many += "A: b\r\n";
  raw_client fields(one->port());
  expect_problem(fields.ask(many + "\r\n"), 431, "too_large");

  raw_client body(one->port());
  expect_problem(body.ask(post("/", std::string(body_size_max + 1, 'x'))), 413, "too_large");
  EXPECT_TRUE(body.ended());

  raw_client announced(one->port()); // refused before a byte of it is sent
  expect_problem(announced.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n"),
                 413, "too_large");
}

TEST(http_too_large, chunked_bodies_have_the_same_limit) {
  limits small;
  small.body_size = 1000;
  const auto one = started(echo, small);
  const std::string start = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string body;
  for (int i = 0; i < 3; ++i)
    body += "190\r\n" + std::string(400, 'x') + "\r\n";
  raw_client client(one->port());
  expect_problem(client.ask(start + body), 413, "too_large");

  raw_client extension(one->port()); // a chunk header without end
  expect_problem(extension.ask(start + "1;x=" + std::string(40000, 'y')), 431, "too_large");

  raw_client good(one->port());
  EXPECT_EQ(good.ask(start + "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n").body, "POST /\nabcde");
}

TEST(http_slow, a_request_that_does_not_arrive_gets_408) {
  limits small;
  small.request_read = soon;
  const auto one = started(echo, small);
  for (const std::string bytes : {"G", "GET / HTTP/1.1\r\nHost:",
                                  "POST / HTTP/1.1\r\nHost: h\r\n"
                                  "Content-Length: 5\r\n\r\nabc"}) {
    raw_client client(one->port());
    expect_problem(client.ask(bytes), 408, "timed_out");
    EXPECT_TRUE(client.ended());
  }
}

TEST(http_slow, an_idle_connection_is_closed_without_a_word) {
  limits small;
  small.idle = soon;
  const auto one = started(echo, small);
  raw_client silent(one->port());
  EXPECT_TRUE(silent.ended());
  raw_client after(one->port());
  EXPECT_EQ(after.ask(get("/")).status, 200);
  EXPECT_TRUE(after.ended());
}

TEST(http_slow, a_handler_that_keeps_the_request_gives_504_and_its_late_reply_is_dropped) {
  limits small;
  small.answer = soon;
  shelf kept;
  const auto one =
      started([&](const request&, const responder& respond) { kept.put(respond); }, small);
  raw_client client(one->port());
  expect_problem(client.ask(get("/")), 504, "timed_out");
  kept.take()(text_reply("late"));
  EXPECT_TRUE(client.ended());
}

TEST(http_slow, a_client_that_does_not_read_is_cut) {
  limits small;
  small.write = soon;
  const auto one = started(
      [](const request&, const responder& respond) {
        respond(text_reply(std::string(std::size_t{64} * 1024 * 1024, 'x')));
      },
      small);
  raw_client client(one->port());
  client.send(get("/"));
  one->stop(); // waits for the connection: it must be gone before the grace of 5 s has passed
  EXPECT_EQ(client.reply().status, 0) << "64 MiB fit into the buffers of a socket?";
}

TEST(http_client, that_goes_away_within_a_request_harms_nobody) {
  const auto one = started(echo);
  for (const std::string bytes : {"", "G", "GET / HTTP/1.1\r\n",
                                  "POST / HTTP/1.1\r\nHost: h\r\n"
                                  "Content-Length: 5\r\n\r\na"}) {
    raw_client client(one->port());
    client.send(bytes);
    client.finish_sending();
    EXPECT_TRUE(client.ended());
  }
  raw_client client(one->port());
  EXPECT_EQ(client.ask(get("/")).status, 200);
}

TEST(http_connections, above_the_limit_get_503_and_there_is_room_again_after_a_close) {
  limits small;
  small.connections = 3;
  small.streams = 0;
  const auto one = started(echo, small);
  {
    raw_client a(one->port());
    raw_client b(one->port());
    raw_client c(one->port());
    EXPECT_EQ(a.ask(get("/")).status, 200);
    EXPECT_EQ(b.ask(get("/")).status, 200);
    EXPECT_EQ(c.ask(get("/")).status, 200);
    raw_client d(one->port());
    const auto reply = d.reply();
    expect_problem(reply, 503, "too_many_requests");
    EXPECT_TRUE(reply.headers.contains("retry-after"));
    EXPECT_EQ(a.ask(get("/")).status, 200) << "the refusal must not touch the others";
  }
  // The server sees the closes when it sees them; every try is a real connection.
  int status = 0;
  for (int i = 0; i < 10000 && status != 200; ++i)
    status = raw_client(one->port()).ask(get("/")).status;
  EXPECT_EQ(status, 200);
}

TEST(http_connections, a_flood_is_closed_and_the_server_lives) {
  limits small;
  small.connections = 2;
  small.streams = 0;
  const auto one = started(echo, small);
  std::vector<std::unique_ptr<raw_client>> all;
  for (int i = 0; i < 200; ++i)
    all.push_back(std::make_unique<raw_client>(one->port()));
  all.clear();
  int status = 0;
  for (int i = 0; i < 10000 && status != 200; ++i)
    status = raw_client(one->port()).ask(get("/")).status;
  EXPECT_EQ(status, 200);
}

TEST(http_request, arrives_whole) {
  std::promise<request> seen;
  const auto one = started([&](request asked, const responder& respond) {
    seen.set_value(std::move(asked));
    respond(response{});
  });
  raw_client client(one->port());
  client.send("PATCH /v1/vms/caf%C3%A9:start?a=1&b=%20 HTTP/1.1\r\nHost: h\r\nX-Thing:  v \r\n"
              "Content-Length: 2\r\n\r\n{}");
  EXPECT_EQ(client.reply().status, 200);
  const auto asked = seen.get_future().get();
  EXPECT_EQ(asked.method, "PATCH");
  EXPECT_EQ(asked.path, "/v1/vms/café:start");
  EXPECT_EQ(*asked.parameter("a"), "1");
  EXPECT_EQ(*asked.parameter("b"), " ");
  EXPECT_EQ(asked.parameter("c"), nullptr);
  EXPECT_EQ(*asked.header("x-thing"), "v");
  EXPECT_EQ(asked.header("X-Thing"), nullptr);
  EXPECT_EQ(asked.body, "{}");
  EXPECT_TRUE(asked.peer.starts_with("127.0.0.1:")) << asked.peer;
}

TEST(http_request, of_exactly_the_limit_is_taken) {
  const auto one = started(echo);
  raw_client client(one->port());
  const std::string body(body_size_max, 'x');
  EXPECT_EQ(client.ask(post("/", body)).body, "POST /\n" + body);
}

TEST(http_request, byte_by_byte_is_the_same_request) {
  const auto one = started(echo);
  raw_client client(one->port());
  for (const char c : post("/v1/vms?a=b", "{\"name\":\"web-1\"}"))
    client.send(std::string_view(&c, 1));
  EXPECT_EQ(client.reply().body, "POST /v1/vms a=b\n{\"name\":\"web-1\"}");
}

TEST(http_request, that_expects_100_continue_is_told_to_go_on) {
  const auto one = started(echo);
  raw_client client(one->port());
  client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.reply().status, 100);
  client.send("{}");
  EXPECT_EQ(client.reply().body, "POST /\n{}");
}

TEST(http_keep_alive, a_thousand_requests_on_one_connection) {
  const auto one = started(echo);
  raw_client client(one->port());
  for (int i = 0; i < 1000; ++i) {
    const auto path = "/" + std::to_string(i);
    const auto reply = client.ask(get(path));
    ASSERT_EQ(reply.status, 200);
    ASSERT_EQ(reply.body, "GET " + path + "\n");
    ASSERT_EQ(reply.headers.at("connection"), "keep-alive");
  }
}

TEST(http_keep_alive, ends_when_the_client_asks_and_with_http_1_0) {
  const auto one = started(echo);
  for (const std::string bytes :
       {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    raw_client client(one->port());
    const auto reply = client.ask(bytes);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("connection"), "close");
    EXPECT_TRUE(client.ended());
  }
}

TEST(http_keep_alive, head_has_the_length_and_no_body) {
  const auto one = started(echo);
  raw_client client(one->port());
  client.send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n" + get("/b"));
  const auto head = client.reply(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), std::to_string(std::string("HEAD /a\n").size()));
  EXPECT_EQ(client.reply().body, "GET /b\n");
}

TEST(http_pipeline, is_answered_in_order_one_at_a_time) {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  std::mutex mutex;
  std::vector<std::thread> workers;
  const auto one = started([&](const request& asked, const responder& respond) {
    const int now = ++running;
    if (now > most)
      most = now;
    const std::lock_guard lock(mutex);
    workers.emplace_back([&running, respond, path = asked.path] {
      --running;
      respond(text_reply(path));
    });
  });
  std::string bytes;
  for (int i = 0; i < 50; ++i)
    bytes += (i % 2 == 0 ? get("/" + std::to_string(i)) : post("/" + std::to_string(i), "{}")) +
             (i % 5 == 0 ? "\r\n" : "");
  raw_client client(one->port());
  client.send(bytes);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(client.reply().body, "/" + std::to_string(i));
  EXPECT_EQ(most, 1);
  for (auto& worker : workers)
    worker.join();
}

TEST(http_responder, that_is_dropped_gives_500) {
  const auto one = started([](const request&, const responder&) {});
  raw_client client(one->port());
  expect_problem(client.ask(get("/")), 500, "internal");
  expect_problem(client.ask(get("/")), 500, "internal"); // the connection lives on
}

TEST(http_responder, of_a_handler_that_throws_gives_500) {
  const auto one = started([](const request&, const responder&) { throw std::string("oh"); });
  raw_client client(one->port());
  expect_problem(client.ask(get("/")), 500, "internal");
}

TEST(http_responder, that_is_dropped_later_by_another_thread_gives_500) {
  shelf kept;
  const auto one = started([&](const request&, const responder& respond) { kept.put(respond); });
  raw_client client(one->port());
  client.send(get("/"));
  std::thread([&] { kept.take() = nullptr; }).join();
  expect_problem(client.reply(), 500, "internal");
}

TEST(http_responder, answers_from_another_thread_and_only_once) {
  shelf kept;
  const auto one = started([&](const request&, const responder& respond) { kept.put(respond); });
  raw_client client(one->port());
  client.send(get("/"));
  auto respond = kept.take();
  std::thread([&] {
    respond(text_reply("first"));
    respond(text_reply("second"));
  }).join();
  EXPECT_EQ(client.reply().body, "first");
  client.send(get("/"));
  respond(text_reply("third")); // of the first request: must not answer the second
  kept.take()(text_reply("fourth"));
  EXPECT_EQ(client.reply().body, "fourth");
}

TEST(http_responder, a_reply_that_cannot_be_sent_becomes_500) {
  const auto one = started([](const request&, const responder& respond) {
    response split;
    split.headers.push_back({"Location", "/a\r\nX: y"});
    respond(split);
  });
  raw_client client(one->port());
  expect_problem(client.ask(get("/")), 500, "internal");
}

TEST(http_stop, lets_a_running_request_end) {
  shelf kept;
  const auto one = started([&](const request&, const responder& respond) { kept.put(respond); });
  raw_client busy(one->port());
  raw_client idle(one->port());
  busy.send(get("/"));
  auto respond = kept.take();
  std::thread stopping([&] { one->stop(); });
  EXPECT_TRUE(idle.ended()) << "an idle connection ends at once";
  respond(text_reply("done"));
  const auto reply = busy.reply();
  EXPECT_EQ(reply.body, "done");
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(busy.ended());
  stopping.join();
  one->stop(); // harmless
}

TEST(http_stop, cuts_what_does_not_end_and_late_responders_harm_nobody) {
  limits small;
  small.stop_grace = soon;
  shelf kept;
  auto one = started([&](const request&, const responder& respond) { kept.put(respond); }, small);
  raw_client busy(one->port());
  raw_client half(one->port());
  busy.send(get("/"));
  half.send("GET / HT");
  auto respond = kept.take();
  one->stop();
  EXPECT_TRUE(busy.ended());
  EXPECT_TRUE(half.ended());
  respond(text_reply("late"));
  one.reset();
  respond(text_reply("later"));
  respond = nullptr;
}

TEST(http_stop, while_clients_ask_as_fast_as_they_can) {
  auto one = started(echo);
  const auto port = one->port();
  latch go;
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i)
    clients.emplace_back([&, made = std::make_shared<raw_client>(port)] { // while it listens
      auto& client = *made;
      while (client.ask(get("/")).status == 200)
        if (++answered == 500)
          go.open();
    });
  EXPECT_TRUE(go.wait());
  one->stop();
  for (auto& client : clients)
    client.join();
  EXPECT_GE(answered, 500);
}

TEST(http_load, a_hundred_connections_at_once) {
  const auto one = started(echo);
  std::vector<std::unique_ptr<raw_client>> all;
  for (int i = 0; i < 100; ++i)
    all.push_back(std::make_unique<raw_client>(one->port()));
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i]->send(post("/" + std::to_string(i), std::string(2000, 'x')));
    for (std::size_t i = 0; i < all.size(); ++i)
      EXPECT_TRUE(all[i]->reply().body.starts_with("POST /" + std::to_string(i) + "\n"));
  }
}

TEST(http_fuzz, changed_requests_never_end_the_server) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  limits small;
  small.request_read = 20ms;
  small.header_size = 512;
  small.body_size = 512;
  const auto one = started(echo, small);
  for (int round = 0; round < 600; ++round) {
    auto bytes = round % 2 == 0 ? post("/v1/vms?a=b", "{\"name\":\"web-1\"}")
                                : "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "3\r\nabc\r\n0\r\n\r\n";
    for (auto changes = random() % 4 + 1; changes > 0; --changes) {
      const auto at = random() % bytes.size();
      switch (random() % 3) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(at, random() % 4 + 1);
        break;
      default:
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 700));
        break;
      }
      if (bytes.empty())
        bytes = "x";
    }
    raw_client client(one->port());
    client.send(bytes);
    client.finish_sending();
    const auto status = client.reply().status; // 0: the half that came was no whole request
    EXPECT_TRUE(status == 0 || status == 200 || (status >= 400 && status < 500)) << status;
  }
  raw_client client(one->port());
  EXPECT_EQ(client.ask(get("/")).status, 200);
}

} // namespace

} // namespace orrery::http
