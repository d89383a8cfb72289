#include "tests/tools/orrery/fake_api.hpp"
#include "tests/tools/orrery/process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orrery::cli_test {

namespace {

struct wrong {
  words command;
  std::string reason;
};

TEST(cli_usage, wrong_words_give_64_the_reason_and_the_way_to_the_help) {
  const std::vector<wrong> all{
      {{"vmm"}, "'vmm' is not a command of orrery; it knows: vm, cluster"},
      {{"vm", "reboot"}, "'reboot' is not a command of orrery vm; it knows: create"},
      {{"disk", "list"}, "'disk' is not a command"},
      {{"vm", "get"}, "NAME is required"},
      {{"vm", "get", "a", "b"}, "b"},
      {{"vm", "get", ""}, "the name is empty"},
      {{"vm", "start", ""}, "the name is empty"},
      {{"vm", "list", "--wide"}, "--wide"},
      {{"vm", "list", "-o", "xml"}, "'xml' is not an output format"},
      {{"vm", "list", "-o", "csv"}, "csv is for 'orrery usage list' only"},
      {{"usage", "list", "--to", "2026-02-01"}, "--from is required"},
      {{"usage", "list", "--from", "2026-01-01"}, "--to is required"},
      {{"usage", "list", "--from", "yesterday", "--to", "2026-02-01"}, "--from: 'yesterday'"},
      {{"usage", "list", "--from", "2026-02-30", "--to", "2026-03-01"}, "--from: '2026-02-30'"},
      {{"usage", "list", "--from", "2026-01-01", "--to", "2026-02-01", "--sum", "--intervals"},
       "--sum excludes --intervals"},
      {{"vm", "list", "--limit", "0"}, "--limit"},
      {{"vm", "create", "a"}, "is required"},
      {{"vm", "create", "a", "--cluster", "c", "--network", "n", "--image", "i", "--vcpus", "x"},
       "--vcpus"},
      {{"vm", "create", "a", "--cluster", "c", "--network", "n", "--image", "i", "--memory", "1G"},
       "--memory: '1G' is not a memory size: want a whole number of MiB, GiB or TiB"},
      {{"vm", "start", "a", "--timeout", "soon"}, "--timeout: 'soon' is not a time"},
      {{"vm", "console", "a", "--lines", "-1"}, "--lines"},
      {{"--url", "ftp://a", "vm", "list"}, "does not start with http://"},
      {{"--url", "https://a", "vm", "list"}, "TLS, which is not there yet"},
      {{"--url", "http://a:99999", "vm", "list"}, "has a port that is not a number"},
      {{"--url", "http://a b", "vm", "list"}, "has a blank"},
  };
  const fake_api api;
  for (const auto& [command, reason] : all) {
    const auto done = run(command, api.variables());
    EXPECT_EQ(done.exit, 64) << done.err;
    EXPECT_EQ(done.out, "");
    EXPECT_TRUE(done.err.starts_with("error: ")) << done.err;
    EXPECT_NE(done.err.find(reason), std::string::npos) << reason << "\n" << done.err;
    EXPECT_TRUE(done.err.ends_with(" (usage)\n")) << done.err;
    auto as_json = command;
    as_json.insert(as_json.end(), {"-o", "json"});
    if (reason.find("output format") == std::string::npos) {
      const auto body = nlohmann::json::parse(run(as_json, api.variables()).err, nullptr, false);
      ASSERT_TRUE(body.is_object()) << reason;
      EXPECT_EQ(body.at("code"), "usage");
    }
  }
  EXPECT_TRUE(api.requests().empty()) << "nothing of this may reach the API";
}

TEST(cli_usage, without_a_verb_is_help_on_stderr_and_64) {
  for (const words& command : std::vector<words>{{}, {"vm"}, {"job"}}) {
    const auto done = run(command, {});
    EXPECT_EQ(done.exit, 64);
    EXPECT_EQ(done.out, "");
    EXPECT_NE(done.err.find("Subcommands:"), std::string::npos);
  }
}

TEST(cli_exit_codes, follow_the_code_of_the_problem) {
  struct row {
    error_code code;
    int exit;
  };

  const std::vector<row> all{
      {error_code::internal, 1},           {error_code::invalid_argument, 1},
      {error_code::unauthenticated, 4},    {error_code::not_found, 5},
      {error_code::already_exists, 6},     {error_code::busy, 6},
      {error_code::conflict, 6},           {error_code::key_reused, 6},
      {error_code::capacity_exhausted, 7}, {error_code::addresses_exhausted, 7},
      {error_code::unsupported, 7},        {error_code::read_only, 7},
      {error_code::image_unknown, 7},      {error_code::too_many_requests, 7},
      {error_code::unavailable, 1},        {error_code::driver_failed, 1},
  };
  for (const auto& [code, exit] : all) {
    fake_api api;
    api.on("POST /v1/vms/web-1:start",
           [code = code](const http::request&, const http::responder& respond) {
             respond(http::problem_response(error{code, "because of this", false}, "/v1/x"));
           });
    const auto done = run({"vm", "start", "web-1"}, api.variables());
    EXPECT_EQ(done.exit, exit) << name_of(code);
    const std::string login = "; no token file is set: name it by --token-file, "
                              "ORRERY_TOKEN_FILE or token_file in the context file";
    EXPECT_EQ(done.err, "error: because of this" +
                            (code == error_code::unauthenticated ? login : std::string()) + " (" +
                            std::string(name_of(code)) + ")\n");
  }
}

TEST(cli_exit_codes, follow_the_status_where_the_code_is_unknown_or_missing) {
  struct row {
    int status;
    std::string body;
    int exit;
    std::string text;
  };

  const std::vector<row> all{
      {404, R"({"code":"gone_fishing","detail":"no"})", 5, "error: no (gone_fishing)\n"},
      {409, R"({"title":"Oh"})", 6, "error: Oh (http_409)\n"},
      {403, "{}", 7, "error: HTTP status 403 (http_403)\n"},
      {401, R"({"detail":17,"code":[1]})", 4,
       "error: 17; no token file is set: name it by --token-file, ORRERY_TOKEN_FILE or token_file "
       "in the context file ([1])\n"},
      {500, "<html>\x1b[31m", 1,
       "error: the server answered with status 500: <html>?[31m "
       "(http_500)\n"},
      {502, "", 1, "error: the server answered with status 502 (http_502)\n"},
  };
  for (const auto& [status, body, exit, text] : all) {
    fake_api api;
    api.on("GET /v1/vms", status, body);
    const auto done = run({"vm", "list"}, api.variables());
    EXPECT_EQ(done.exit, exit) << status;
    EXPECT_EQ(done.err, text);
  }
}

TEST(cli_unreachable, says_where_it_looked_and_how_to_go_on) {
  std::string url;
  {
    const fake_api api;
    url = api.url();
  }
  const auto done = run({"vm", "list"}, {{"ORRERY_URL", url}});
  EXPECT_EQ(done.exit, 1);
  const std::vector<std::string> parts{"cannot reach the API at " + url, "(from ORRERY_URL)",
                                       "Connection refused", "Is orreryd running there?",
                                       "(unavailable)"};
  for (const auto& part : parts)
    EXPECT_NE(done.err.find(part), std::string::npos) << done.err;
  const auto as_json = run({"vm", "start", "web-1", "-o", "json", "--url", url}, {});
  EXPECT_EQ(as_json.exit, 1);
  EXPECT_EQ(nlohmann::json::parse(as_json.err).at("code"), "unavailable");
}

TEST(cli_unreachable, a_host_that_is_not_there_is_named) {
  const auto done = run({"vm", "list", "--url", "http://nothing.invalid:1"}, {});
  EXPECT_EQ(done.exit, 1);
  EXPECT_NE(done.err.find("cannot find the host 'nothing.invalid'"), std::string::npos) << done.err;
}

TEST(cli_odd_server, never_ends_the_command_by_a_signal) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::vector<std::string> all{
      "",
      "hello\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n",
      "HTTP/1.1\r\n\r\n",
      "HTTP/1.1 abc OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      ok + "Content-Length: 10\r\n\r\nabc",
      ok + "Content-Length: x\r\n\r\n{}",
      ok + "Content-Length: -1\r\n\r\n{}",
      ok + "Content-Length: 99999999999999\r\n\r\n{}",
      ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
      ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
      ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
      ok + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
      ok + "\r\n<html>",
      ok + "\r\n" + std::string(100000, '['),
      ok + "\r\n{\"vms\":" + std::string(64, '[') + std::string(64, ']') + "}",
      ok + "\r\n\"\xff\"",
      ok + "X: " + std::string(200000, 'x'),
      std::string(200000, 'x'),
      "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
  };
  for (const auto& text : all) {
    SCOPED_TRACE(text.substr(0, 80));
    const raw_api api({text});
    const auto done = run({"vm", "list"}, api.variables());
    EXPECT_EQ(done.exit, 1) << done.err;
    EXPECT_EQ(done.out, "");
    EXPECT_TRUE(done.err.starts_with("error: ")) << done.err;
  }
}

TEST(cli_odd_server, good_replies_in_every_framing_are_read) {
  const std::string body = R"({"vms":[{"name":"a"}]})";
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::vector<std::string> all{
      ok + "\r\n" + body,
      "HTTP/1.0 200 \r\n\r\n" + body,
      ok + "Content-Length: 22\r\n\r\n" + body,
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "content-length:22\r\n\r\n" + body,
      ok + "Transfer-Encoding: chunked\r\n\r\n8;x=y\r\n" + body.substr(0, 8) + "\r\ne\r\n" +
          body.substr(8) + "\r\n0\r\nTrailer: x\r\n\r\n",
  };
  for (const auto& text : all) {
    SCOPED_TRACE(text);
    const raw_api api({text});
    const auto done = run({"vm", "list", "-o", "name"}, api.variables());
    EXPECT_EQ(done.exit, 0) << done.err;
    EXPECT_EQ(done.out, "a\n");
  }
}

TEST(cli_odd_server, a_change_whose_connection_breaks_is_sent_again_with_the_same_key) {
  const std::string body = R"({"job":)" + job_body("DONE") + "}";
  const raw_api api({"", "HTTP/1.1 2",
                     "HTTP/1.1 202 Accepted\r\nContent-Length: " + std::to_string(body.size()) +
                         "\r\n\r\n" + body});
  const auto done = run({"vm", "delete", "web-1", "--no-wait", "-o", "name"}, api.variables());
  EXPECT_EQ(done.exit, 0) << done.err;
  const auto asked = api.requests();
  ASSERT_EQ(asked.size(), 3U);
  const auto key_of = [](const std::string& text) {
    return text.substr(text.find("Idempotency-Key: "), 53);
  };
  EXPECT_EQ(key_of(asked[0]), key_of(asked[1]));
  EXPECT_EQ(key_of(asked[0]), key_of(asked[2]));
}

} // namespace

} // namespace orrery::cli_test
