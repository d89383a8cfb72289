#include "tests/tools/orrery/fake_api.hpp"
#include "tests/tools/orrery/process.hpp"

#include <gtest/gtest.h>

namespace orrery::cli_test {

namespace {

TEST(cli_context, a_file_that_is_wrong_is_refused_with_file_and_line) {
  struct wrong {
    std::string text;
    std::string reason;
  };

  const std::vector<wrong> all{
      {"ulr = \"http://a\"\n", "line 1: unknown key 'ulr'; known: url, token_file"},
      {"# x\nurl = 17\n", "line 2: url must be a text in quotes"},
      {"url = \"\"\n", "line 1: url must be a text"},
      {"[url]\na = 1\n", "line 1: url must be a text"},
      {"url = http://a\n", "line 1: "},
      {"url = \"a\"\nurl = \"b\"\n", "line 2: "},
      {"\xff\xfe", "line 1: "},
      {std::string(70000, '#'), "it is longer than 64 KiB"},
  };
  const folder home;
  for (const auto& [text, reason] : all) {
    const auto file = home.file("context.toml", text);
    const auto done = run({"vm", "list", "--context", file}, {});
    EXPECT_EQ(done.exit, 64);
    EXPECT_NE(done.err.find("context file " + file + ": " + reason), std::string::npos)
        << reason << "\n"
        << done.err;
  }
}

TEST(cli_context, a_file_that_is_named_must_be_there) {
  const folder home;
  const auto done = run({"--context", home.path("none.toml"), "vm", "list"}, {});
  EXPECT_EQ(done.exit, 64);
  EXPECT_NE(done.err.find("none.toml: No such file"), std::string::npos) << done.err;
  EXPECT_EQ(run({"--context", home.path(""), "vm", "list"}, {}).exit, 64) << "a directory";
}

TEST(cli_context, of_the_home_is_used_and_its_token_stands_beside_it) {
  const fake_api api;
  const folder home;
  const auto token = home.file(".config/orrery/token", "  orr_secret\n");
  const auto file = home.file(".config/orrery/context.toml",
                              "url = \"" + api.url() + "\"\ntoken_file = \"token\"\n");
  EXPECT_EQ(run({"vm", "list"}, {{"HOME", home.path("")}}).exit, 0);
  EXPECT_EQ(*api.requests().at(0).header("authorization"), "Bearer orr_secret");
  EXPECT_EQ(run({"vm", "list"}, {{"XDG_CONFIG_HOME", home.path(".config")}}).exit, 0);
  EXPECT_EQ(*api.requests().at(1).header("authorization"), "Bearer orr_secret");
}

TEST(cli_context, flags_win_over_the_environment_and_that_over_the_file) {
  const fake_api api;
  const folder home;
  const auto file =
      home.file("context.toml", "url = \"http://127.0.0.1:1\"\ntoken_file = \"file\"\n");
  const auto by_file = home.file("file", "of-file");
  const auto by_variable = home.file("variable", "of-variable");
  const auto by_flag = home.file("flag", "of-flag");
  const auto bearer = [&api] { return *api.requests().back().header("authorization"); };

  EXPECT_EQ(run({"vm", "list", "--context", file}, api.variables()).exit, 0);
  EXPECT_EQ(bearer(), "Bearer of-file");
  auto variables = api.variables();
  variables["ORRERY_TOKEN_FILE"] = by_variable;
  EXPECT_EQ(run({"vm", "list", "--context", file}, variables).exit, 0);
  EXPECT_EQ(bearer(), "Bearer of-variable");
  variables["ORRERY_URL"] = "http://127.0.0.1:1";
  EXPECT_EQ(
      run({"vm", "list", "--context", file, "--url", api.url(), "--token-file", by_flag}, variables)
          .exit,
      0);
  EXPECT_EQ(bearer(), "Bearer of-flag");
  EXPECT_EQ(run({"vm", "list", "--context", file}, variables).exit, 1) << "the port of nobody";
}

TEST(cli_token, that_cannot_be_used_gives_4_the_reason_and_the_way_out) {
  const fake_api api;
  const folder home;

  struct wrong {
    std::string file;
    std::string reason;
  };

  const std::vector<wrong> all{
      {home.path("none"), "No such file or directory"},
      {home.path(""), "Is a directory"},
      {home.file("empty", " \n"), "it is empty"},
      {home.file("two", "a\r\nX-Evil: b"), "not one word of printable ASCII"},
      {home.file("binary", std::string_view("a\0b", 3)), "not one word of printable ASCII"},
      {home.file("long", std::string(70000, 'a')), "longer than 64 KiB"},
  };
  for (const auto& [file, reason] : all) {
    const auto done = run({"vm", "list", "--token-file", file}, api.variables());
    EXPECT_EQ(done.exit, 4) << done.err;
    EXPECT_NE(done.err.find("cannot use the token file " + file + ": "), std::string::npos);
    EXPECT_NE(done.err.find(reason), std::string::npos) << done.err;
    EXPECT_NE(done.err.find("ORRERY_TOKEN_FILE"), std::string::npos) << done.err;
    EXPECT_TRUE(done.err.ends_with("(unauthenticated)\n"));
  }
  EXPECT_TRUE(api.requests().empty());
}

TEST(cli_token, goes_to_this_machine_only) {
  const folder home;
  const auto token = home.file("token", "orr_secret");
  for (const std::string url : {"http://192.0.2.1:8480", "http://example.org",
                                "http://127.0.0.1.example.org", "http://[2001:db8::1]:1"}) {
    const auto done = run({"vm", "list", "--url", url, "--token-file", token}, {});
    EXPECT_EQ(done.exit, 7) << url;
    EXPECT_NE(done.err.find("will not send a token in clear text"), std::string::npos) << done.err;
  }
}

TEST(cli_token, is_shown_by_nothing) {
  const fake_api api;
  const folder home;
  const auto token = home.file("token", "orr_secret");
  const auto done = run({"vm", "list", "--debug", "--token-file", token}, api.variables());
  EXPECT_EQ(done.exit, 0);
  EXPECT_NE(done.err.find("debug: GET " + api.url() + "/v1/vms?pageSize=1000: 200, "),
            std::string::npos);
  EXPECT_EQ((done.out + done.err).find("orr_secret"), std::string::npos);
}

} // namespace

} // namespace orrery::cli_test
