#include "tests/tools/orrery/fake_api.hpp"
#include "tools/orrery/event_stream.hpp"
#include "tools/orrery/table.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <sstream>

namespace orrery::cli_test {

namespace {

using cli::event_stream;
using cli::stream_message;
using messages = std::vector<stream_message>;

/// What a stream gives that comes in pieces of that size.
messages taken_apart(std::string_view text, std::size_t size) {
  event_stream stream;
  messages all;
  for (; !text.empty(); text.remove_prefix(std::min(size, text.size()))) {
    const auto found = stream.add(text.substr(0, size));
    EXPECT_TRUE(found);
    all.insert(all.end(), found->begin(), found->end());
  }
  return all;
}

TEST(cli_event_stream, is_taken_apart_however_it_is_cut) {
  const std::string text = "retry: 1000\nevent: ready\nid: 0/5\ndata: {}\n\n"
                           ": a comment\n\n"
                           "event:vm.created\nid: 0/6/1\ndata: one\ndata:  two\nother: x\n\n"
                           ": still here\nid: 0/7\n\n"
                           "data\n\n"
                           "data: no name\r\n\r\n"
                           "data: by cr\r\r"
                           "id\ndata: reset\n\n"
                           "data: never ended\n";
  const messages expected{{"ready", "0/5", "{}"}, {"vm.created", "0/6/1", "one\n two"},
                          {"", "0/7", ""},        {"", "0/7", "no name"},
                          {"", "0/7", "by cr"},   {"", "", "reset"}};
  for (std::size_t size = 1; size < text.size(); ++size)
    EXPECT_EQ(taken_apart(text, size), expected) << size;
}

TEST(cli_event_stream, a_message_without_end_is_refused) {
  event_stream stream;
  const std::string piece(100'000, 'x');
  result<messages> last = messages{};
  for (int i = 0; i < 30 && last; ++i)
    last = stream.add(i % 2 == 0 ? "data: " : piece + "\n");
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, error_code::too_large);
}

TEST(cli_event_stream, of_random_bytes_harms_nobody) {
  std::mt19937 random(7);
  constexpr std::string_view alphabet = "ide:ntva \r\n\n\xff";
  event_stream stream;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto size = random() % 20; size > 0; --size)
      text += alphabet[random() % alphabet.size()];
    ASSERT_TRUE(stream.add(text));
  }
}

TEST(cli_growing_table, columns_grow_and_do_not_shrink) {
  cli::growing_table shown(std::nullopt);
  EXPECT_EQ(shown.add({"A", "B"}), "A  B\n");
  EXPECT_EQ(shown.add({"long", "x"}), "long  x\n");
  EXPECT_EQ(shown.add({"c", ""}), "c     -\n");
  cli::growing_table narrow(10);
  EXPECT_EQ(narrow.add({"0123456789", "0123456789"}), "012…  012…\n");
}

/// An API whose stream a test writes.
class streaming_api {
public:
  streaming_api() {
    api.on("GET /v1/watch", [this](const http::request&, const http::responder& respond) {
      if (refusals > 0) {
        --refusals;
        return respond(reply(503, R"({"code":"unavailable","detail":"not yet","status":503})"));
      }
      http::response made;
      made.content_type = "text/event-stream";
      made.open_stream = [this](std::shared_ptr<http::stream> out) {
        const std::lock_guard lock(x_mutex);
        x_streams.push_back(std::move(out));
        x_changed.notify_all();
        return http::stream_events{};
      };
      respond(std::move(made));
    });
  }

  std::shared_ptr<http::stream> stream(std::size_t index) {
    std::unique_lock lock(x_mutex);
    EXPECT_TRUE(x_changed.wait_for(lock, patience, [&] { return x_streams.size() > index; }));
    return x_streams.at(index);
  }

  void ready(std::size_t index, const std::string& id) {
    say(index, "retry: 1000\nevent: ready\nid: " + id + "\ndata: {}\n\n");
  }

  /// An entry, whose id and position are that.
  void tell(std::size_t index, const std::string& id) {
    say(index, "event: vm.created\nid: " + id + "\ndata: {\"position\":\"" + id +
                   "\",\"time\":\"2026-11-22T10:00:00Z\",\"type\":\"vm.created\",\"who\":\"root\","
                   "\"detail\":\"node n1\"}\n\n");
  }

  void say(std::size_t index, std::string text) {
    stream(index)->write(std::make_shared<const std::string>(std::move(text)));
  }

  fake_api api;
  std::atomic<int> refusals = 0; ///< to come

private:
  std::mutex x_mutex;
  std::condition_variable x_changed;
  std::vector<std::shared_ptr<http::stream>> x_streams;
};

/// Positions of events that were printed as JSON, a line each.
words positions_of(const std::string& out) {
  words found;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);)
    found.push_back(nlohmann::json::parse(line).at("position"));
  return found;
}

TEST(cli_follow, prints_what_comes_and_says_how_to_go_on) {
  streaming_api served;
  process follow({"event", "follow", "web-1", "--after", "0/3", "-o", "json"},
                 served.api.variables());
  served.ready(0, "0/3");
  served.tell(0, "0/4/0");
  served.tell(0, "0/4/1");
  EXPECT_TRUE(follow.wait_for_out("0/4/1"));
  follow.interrupt();
  const auto done = follow.finish();
  EXPECT_EQ(done.exit, 2);
  EXPECT_EQ(positions_of(done.out), (words{"0/4/0", "0/4/1"}));
  EXPECT_EQ(done.err, "to go on from here: orrery event follow web-1 --after 0/4/1\n");
  const auto asked = served.api.requests().front();
  EXPECT_EQ(*asked.parameter("resource"), "web-1");
  EXPECT_EQ(*asked.header("last-event-id"), "0/3");
}

TEST(cli_follow, goes_on_behind_what_it_had_and_says_so_once) {
  streaming_api served;
  process follow({"event", "follow"}, served.api.variables());
  served.ready(0, "0/3");
  EXPECT_TRUE(follow.wait_for_err("following from 0/3"));
  served.tell(0, "0/4/0");
  served.say(0, ": still here\nid: 0/9\n\nevent: vm.removed\nid: 0/10\ndata: {\"cut"); // and dies
  served.refusals = 3;
  served.stream(0)->finish();
  EXPECT_TRUE(follow.wait_for_err("trying again"));
  const auto port = served.api.port();
  served.api.stop();
  served.api.start_again(port);
  served.ready(1, "0/9");
  EXPECT_TRUE(follow.wait_for_err("following from 0/9"));
  served.tell(1, "0/10");
  EXPECT_TRUE(follow.wait_for_out("0/10"));
  follow.interrupt();
  const auto done = follow.finish();
  EXPECT_EQ(done.exit, 2);
  EXPECT_TRUE(done.out.starts_with("POSITION  TIME")) << done.out;
  EXPECT_EQ(done.err.find("warn: "), done.err.rfind("warn: ")) << done.err;
  EXPECT_NE(done.err.find("orrery event follow --after 0/10\n"), std::string::npos) << done.err;
  for (const auto& one : served.api.requests())
    EXPECT_EQ(one.path, "/v1/watch");
  EXPECT_EQ(served.refusals, 0);
  EXPECT_EQ(*served.api.requests().back().header("last-event-id"), "0/9");
}

TEST(cli_follow, ends_with_what_the_api_refuses) {
  fake_api api;
  api.on("GET /v1/watch", 404, R"({"code":"not_found","detail":"there is no 'x'","status":404})");
  const auto missing = run({"event", "follow", "x"}, api.variables());
  EXPECT_EQ(missing.exit, 5);
  EXPECT_EQ(missing.err, "error: there is no 'x' (not_found)\n");
  api.on("GET /v1/watch", 503, R"({"code":"unavailable","detail":"ahead","status":503})");
  EXPECT_EQ(run({"event", "follow", "--after", "0/99"}, api.variables()).exit, 1);
  api.on("GET /v1/watch", 200, "{}");
  EXPECT_NE(run({"event", "follow"}, api.variables()).err.find("is it really orreryd"),
            std::string::npos);
  api.stop();
  const auto gone = run({"event", "follow"}, api.variables());
  EXPECT_EQ(gone.exit, 1);
  EXPECT_NE(gone.err.find("cannot reach the API"), std::string::npos) << gone.err;
}

TEST(cli_follow, ends_with_the_reason_when_the_stream_says_one) {
  streaming_api served;
  process follow({"event", "follow"}, served.api.variables());
  served.ready(0, "0/3");
  served.say(0, "event: failed\ndata: {\"code\":\"damaged\",\"detail\":\"a row\"}\n\n");
  const auto done = follow.finish();
  EXPECT_EQ(done.exit, 1);
  EXPECT_NE(done.err.find("error: a row (damaged)"), std::string::npos) << done.err;
}

TEST(cli_follow, prints_every_format) {
  for (const auto* format : {"table", "wide", "json", "yaml", "name"}) {
    SCOPED_TRACE(format);
    streaming_api served;
    process follow({"event", "follow", "-o", format}, served.api.variables());
    served.ready(0, "0/3");
    served.tell(0, "0/4");
    EXPECT_TRUE(follow.wait_for_out("0/4"));
    follow.interrupt();
    EXPECT_EQ(follow.finish().exit, 2);
  }
}

} // namespace

} // namespace orrery::cli_test
