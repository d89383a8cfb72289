#include "actors/api/http/server.hpp"
#include "tests/actors/http/raw_client.hpp"
#include "tests/support/wait.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace orrery::http {

namespace {

using namespace std::chrono_literals;
using http_test::get;
using http_test::raw_client;

std::shared_ptr<const std::string> bytes(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

/// The writer's side of the streams that a server opened, in the order in which they were.
class writers {
public:
  struct one {
    std::shared_ptr<stream> out;
    std::atomic<int> drained = 0;
    std::atomic<int> closed = 0;
    std::atomic<stream_end> end = stream_end::by_client;
  };

  response reply() {
    response made;
    made.content_type = "text/event-stream";
    made.body = "never sent";
    made.open_stream = [this](std::shared_ptr<stream> out) {
      auto opened = std::make_shared<one>();
      opened->out = std::move(out);
      stream_events tell;
      tell.drained = [opened] { ++opened->drained; };
      tell.closed = [opened](stream_end how) {
        opened->end = how;
        ++opened->closed;
      };
      const std::lock_guard lock(x_mutex);
      x_all.push_back(std::move(opened));
      x_changed.notify_all();
      return tell;
    };
    return made;
  }

  std::shared_ptr<one> at(std::size_t index) {
    std::unique_lock lock(x_mutex);
    EXPECT_TRUE(
        x_changed.wait_for(lock, http_test::patience, [&] { return x_all.size() > index; }));
    return x_all.at(index);
  }

private:
  std::mutex x_mutex;
  std::condition_variable x_changed;
  std::vector<std::shared_ptr<one>> x_all;
};

std::unique_ptr<server> started(writers& all, limits wanted = {}) {
  options how;
  how.limits = wanted;
  auto made = server::start(how, [&all](const request& asked, const responder& respond) {
    if (asked.path == "/stream")
      return respond(all.reply());
    response plain;
    plain.body = "plain";
    respond(std::move(plain));
  });
  EXPECT_TRUE(made) << (made ? "" : made.error().text);
  return std::move(*made);
}

bool comes(const std::function<bool()>& what) {
  return testing_support::wait_until(std::chrono::seconds(20), what);
}

TEST(http_stream, gives_what_is_written_as_it_is_written) {
  writers all;
  const auto one = started(all);
  raw_client client(one->port());
  const auto head = client.ask(get("/stream"));
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(head.headers.at("connection"), "close");
  EXPECT_FALSE(head.headers.contains("content-length"));
  const auto writer = all.at(0);
  writer->out->write(bytes("one\n"));
  EXPECT_EQ(client.take(4), "one\n");
  const auto shared = bytes("two\n");
  for (int i = 0; i < 100; ++i)
    writer->out->write(shared);
  std::string expected;
  for (int i = 0; i < 100; ++i)
    expected += *shared;
  EXPECT_EQ(client.take(expected.size()), expected);
  EXPECT_TRUE(comes([&] { return writer->out->waiting() == 0 && writer->drained > 0; }));
  writer->out->write(bytes("last"));
  writer->out->finish();
  EXPECT_EQ(client.take(4), "last");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(comes([&] { return writer->closed == 1; }));
  EXPECT_EQ(writer->end, stream_end::by_server);
  writer->out->write(bytes("too late"));
  writer->out->finish();
}

TEST(http_stream, of_a_client_that_goes_is_closed_at_once) {
  writers all;
  const auto one = started(all);
  auto client = std::make_unique<raw_client>(one->port());
  EXPECT_EQ(client->ask(get("/stream")).status, 200);
  const auto writer = all.at(0);
  EXPECT_EQ(writer->closed, 0);
  client.reset();
  EXPECT_TRUE(comes([&] { return writer->closed == 1; })) << "with nothing written";
  EXPECT_EQ(writer->end, stream_end::by_client);
}

TEST(http_stream, of_a_client_that_takes_nothing_ends_and_nothing_of_it_is_kept) {
  limits small;
  small.write = 300ms;
  writers all;
  const auto one = started(all, small);
  raw_client client(one->port());
  EXPECT_EQ(client.ask(get("/stream")).status, 200);
  const auto writer = all.at(0);
  const auto piece = bytes(std::string(std::size_t{64} * 1024, 'x'));
  for (int i = 0; i < 256; ++i) // 16 MiB: more than the operating system takes
    writer->out->write(piece);
  EXPECT_TRUE(comes([&] { return writer->closed == 1; }));
  EXPECT_EQ(writer->end, stream_end::too_slow);
  EXPECT_TRUE(comes([&] { return piece.use_count() == 1; }));
}

TEST(http_stream, of_a_client_that_reads_slowly_goes_on) {
  limits small;
  small.write = 2s;
  writers all;
  const auto one = started(all, small);
  raw_client client(one->port());
  EXPECT_EQ(client.ask(get("/stream")).status, 200);
  const auto writer = all.at(0);
  const auto piece = [](int i) { return std::string(50'000, static_cast<char>('0' + i)); };
  for (int i = 0; i < 64; ++i)
    writer->out->write(bytes(piece(i)));
  for (int i = 0; i < 64; ++i)
    ASSERT_TRUE(client.take(piece(i).size()) == piece(i)) << i;
  EXPECT_EQ(writer->closed, 0);
}

TEST(http_stream, what_a_client_sends_into_it_harms_nobody) {
  writers all;
  const auto one = started(all);
  raw_client client(one->port());
  EXPECT_EQ(client.ask(get("/stream")).status, 200);
  client.send(get("/v1/vms"));
  all.at(0)->out->write(bytes("here"));
  EXPECT_EQ(client.take(4), "here");
}

TEST(http_stream, more_than_the_limit_are_turned_away_and_plain_requests_are_not) {
  limits small;
  small.connections = 2;
  small.streams = 3;
  writers all;
  const auto one = started(all, small);
  std::vector<std::unique_ptr<raw_client>> clients;
  for (std::size_t i = 0; i < small.streams; ++i) {
    clients.push_back(std::make_unique<raw_client>(one->port()));
    EXPECT_EQ(clients.back()->ask(get("/stream")).status, 200);
  }
  raw_client refused(one->port());
  const auto reply = refused.ask(get("/stream"));
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.body.find("3 streams open"), std::string::npos) << reply.body;
  EXPECT_TRUE(refused.ended());
  raw_client plain(one->port());
  EXPECT_EQ(plain.ask(get("/")).body, "plain");
  clients.pop_back(); // makes room
  const auto writer = all.at(2);
  EXPECT_TRUE(comes([&] { return writer->closed == 1; }));
  EXPECT_EQ(plain.ask(get("/stream")).status, 200);
}

TEST(http_stream, all_may_come_at_once_and_their_places_are_not_kept_by_others) {
  limits small;
  small.connections = 1;
  small.streams = 4;
  writers all;
  const auto one = started(all, small);
  std::vector<std::unique_ptr<raw_client>> clients;
  for (std::size_t i = 0; i < small.connections + small.streams; ++i)
    clients.push_back(std::make_unique<raw_client>(one->port()));
  EXPECT_EQ(clients[0]->ask(get("/")).headers.at("connection"), "keep-alive");
  EXPECT_EQ(clients[1]->ask(get("/")).headers.at("connection"), "close") << "enough are kept";
  EXPECT_TRUE(clients[1]->ended());
  for (std::size_t i = 2; i < clients.size(); ++i)
    EXPECT_EQ(clients[i]->ask(get("/stream")).status, 200);
  EXPECT_EQ(clients[0]->ask(get("/stream")).status, 200) << "a kept one may become a stream";
  clients[1].reset();
  EXPECT_TRUE(comes([&] { // the server has seen it
    raw_client last(one->port());
    return last.ask(get("/")).headers["connection"] == "keep-alive";
  }));
}

TEST(http_stream, is_ended_at_once_when_the_server_stops) {
  writers all;
  auto one = started(all);
  raw_client quiet(one->port());
  raw_client stuck(one->port());
  EXPECT_EQ(quiet.ask(get("/stream")).status, 200);
  EXPECT_EQ(stuck.ask(get("/stream")).status, 200);
  const auto first = all.at(0);
  const auto second = all.at(1);
  for (int i = 0; i < 256; ++i)
    second->out->write(bytes(std::string(std::size_t{64} * 1024, 'x')));
  first->out->write(bytes("said"));
  EXPECT_EQ(quiet.take(4), "said");
  const auto began = std::chrono::steady_clock::now();
  std::thread stopping([&] { one->stop(); });
  EXPECT_TRUE(quiet.ended());
  stopping.join();
  EXPECT_LT(std::chrono::steady_clock::now() - began, stop_grace_max);
  EXPECT_EQ(first->closed, 1);
  EXPECT_EQ(first->end, stream_end::by_server);
  EXPECT_EQ(second->closed, 1);
  one.reset();
  first->out->write(bytes("too late"));
  first->out->finish();
}

TEST(http_stream, is_written_by_many_threads_while_clients_come_go_and_the_server_stops) {
  writers all;
  auto one = started(all);
  const auto port = one->port();
  std::atomic<bool> over = false;
  std::atomic<bool> stopped = false;
  std::atomic<int> opened = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&, port] {
      while (!over) {
        raw_client client(port);
        if (client.ask(get("/stream")).status == 200)
          ++opened;
      }
    });
  std::thread writing([&] {
    for (std::size_t i = 0; !stopped; ++i) {
      const auto writer = all.at(i % 20);
      writer->out->write(bytes(std::string(1000, 'y')));
    }
  });
  EXPECT_TRUE(comes([&] { return opened > 200; }));
  over = true;
  for (auto& client : clients)
    client.join();
  one->stop();
  stopped = true;
  writing.join();
  for (std::size_t i = 0; i < 200; ++i)
    EXPECT_EQ(all.at(i)->closed, 1);
}

} // namespace

} // namespace orrery::http
