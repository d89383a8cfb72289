#include "events/core/text.hpp"
#include "tools/orrery/failure.hpp"
#include "tools/orrery/http_client.hpp"
#include "tools/orrery/jobs.hpp"
#include "tools/orrery/json.hpp"
#include "tools/orrery/table.hpp"
#include "tools/orrery/terminal.hpp"
#include "tools/orrery/units.hpp"
#include "tools/orrery/views.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <random>

namespace orrery::cli {

namespace {

using namespace std::chrono_literals;

TEST(cli_json, what_is_not_json_or_too_deep_is_refused) {
  for (const std::string text :
       {"", "{", "[1,]", "{\"a\":}", "nul", "\"\xff\"", "1 2", "'a'", "{\"a\" 1}", "\"\\ud800\""})
    EXPECT_FALSE(parse_json(text)) << text;
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(parse_json(nested(json_depth_max)));
  EXPECT_FALSE(parse_json(nested(json_depth_max + 1)));
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
}

TEST(cli_json, keeps_order_and_numbers_as_they_came) {
  const std::string text = R"({"z":1,"a":[1.50,-7,18446744073709551615],"m":{"b":null,"a":true}})";
  const auto parsed = parse_json(text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(to_json(*parsed, json_layout::compact), text);
  EXPECT_EQ(parsed->at("m.a").text(), "true");
  EXPECT_EQ(parsed->at("m.b").text(), "");
  EXPECT_EQ(parsed->at("m.b.c.d").text(), "");
  EXPECT_EQ(parsed->at("a.b").text(), "");
  EXPECT_EQ(parsed->at("a").text(), "[1.50,-7,18446744073709551615]");
}

TEST(cli_json, escapes_what_a_terminal_might_obey) {
  const auto text = to_json(json::of("a\"\\\n\t\x1b\x7f\xc2\x9bü"), json_layout::compact);
  EXPECT_EQ(text, "\"a\\\"\\\\\\n\\t\\u001b\\u007f\\u009bü\"");
  EXPECT_EQ(nlohmann::json::parse(text), "a\"\\\n\t\x1b\x7f\xc2\x9bü");
}

TEST(cli_units, memory_is_a_whole_number_with_a_binary_unit) {
  for (const std::string text : {"", "1", "1G", "1GB", "1 GiB", "1.5GiB", "-1MiB", "0MiB", "1KiB",
                                 "1gib", "99999999999999999999MiB", "1025TiB", "MiB", "1MiBx"}) {
    const auto parsed = parse_memory(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().text.find("for instance 192MiB or 1GiB"), std::string::npos);
  }
  EXPECT_EQ(parse_memory("192MiB")->count, 192U);
  EXPECT_EQ(parse_memory("1GiB")->count, 1024U);
  EXPECT_EQ(parse_memory("1024TiB")->count, std::uint64_t{1024} * 1024 * 1024);
  EXPECT_EQ(memory_text(mib{192}), "192MiB");
  EXPECT_EQ(memory_text(mib{2048}), "2GiB");
  EXPECT_EQ(memory_text(mib{0}), "0MiB");
}

TEST(cli_units, durations_have_a_unit_and_an_end) {
  for (const std::string text : {"", "0", "0s", "-1s", "1.5s", "1d", "25h", "s", "1 s", "1sx"})
    EXPECT_FALSE(parse_duration(text)) << text;
  EXPECT_EQ(*parse_duration("300ms"), 300ms);
  EXPECT_EQ(*parse_duration("90"), 90s);
  EXPECT_EQ(*parse_duration("90s"), 90s);
  EXPECT_EQ(*parse_duration("10m"), 10min);
  EXPECT_EQ(*parse_duration("24h"), 24h);
}

TEST(cli_url, is_parsed_strictly) {
  for (const std::string text :
       {"", "127.0.0.1:1", "http://", "http:///x", "http://a:", "http://a:0", "http://a:b",
        "http://a:1x", "http://[::1", "http://[::1]x", "http://u@a", "http://a?b", "http://a#b",
        "http://a\r\nX: y"})
    EXPECT_FALSE(parse_url(text)) << text;
  EXPECT_EQ(*parse_url("http://a"), (endpoint{"a", 80, ""}));
  EXPECT_EQ(*parse_url("http://127.0.0.1:8480/"), (endpoint{"127.0.0.1", 8480, ""}));
  EXPECT_EQ(*parse_url("http://[::1]:8480/api/"), (endpoint{"::1", 8480, "/api"}));
  EXPECT_EQ(url_encode("a/b c%ä~"), "a%2Fb%20c%25%C3%A4~");
  EXPECT_TRUE(is_loopback("127.9.9.9"));
  EXPECT_FALSE(is_loopback("127.0.0.1.example.org"));
}

TEST(cli_text, is_cut_at_columns_and_not_within_characters) {
  EXPECT_EQ(fit("abc", 3), "abc");
  EXPECT_EQ(fit("abcd", 3), "ab…");
  EXPECT_EQ(fit("カタカナ", 5), "カタ…");
  EXPECT_EQ(fit("カタカナ", 4), "カ…");
  EXPECT_EQ(fit("abc", 1), "…");
  EXPECT_EQ(fit("abc", 0), "");
  EXPECT_EQ(width_of("e\xcc\x81"), 1U) << "a combining accent takes no column";
  EXPECT_EQ(clean("a\tb\x1b\xff\xe2\x80\xae z"), "a?b??? z");
}

TEST(cli_text, ages_and_times) {
  EXPECT_EQ(age_text(-5s), "0s");
  EXPECT_EQ(age_text(119s), "119s");
  EXPECT_EQ(age_text(120s), "2m");
  EXPECT_EQ(age_text(119min), "119m");
  EXPECT_EQ(age_text(47h), "47h");
  EXPECT_EQ(age_text(49h), "2d");
  EXPECT_EQ(elapsed_text(8940ms), "8.9 s");
  EXPECT_EQ(elapsed_text(125s), "2 min 05 s");
}

TEST(cli_table, takes_rows_of_any_length) {
  const table shown{{"A", "LONGER"}, {{}, {"1"}, {"1", "2", "3"}, {"", "x\ny"}}};
  EXPECT_EQ(render(shown, std::nullopt), "A  LONGER\n-  -\n1  -\n1  2\n-  x?y\n");
  EXPECT_EQ(render(table{}, 80), "");
}

TEST(cli_exit, codes_of_old_and_new_servers) {
  EXPECT_EQ(exit_of("busy", 0), exit_code::conflict);
  EXPECT_EQ(exit_of("new_code", 404), exit_code::not_found);
  EXPECT_EQ(exit_of("", 0), exit_code::failed);
}

/// Random JSON that knows the names which the views look for, with values of every kind.
class maker {
public:
  explicit maker(unsigned seed) : x_random(seed) {}

  json value(std::size_t depth) {
    static const std::vector<std::string> texts{"",
                                                "a",
                                                "RUNNING",
                                                "DONE",
                                                "12",
                                                "-1",
                                                "2026-01-01T00:00:00Z",
                                                "9999-99-99T99:99:99Z",
                                                "1970-01-01T00:00:00.000001Z",
                                                "\x1b[2J",
                                                "a\nb",
                                                "ä…カ",
                                                "\"\\",
                                                "~"};
    static const std::vector<std::string> numbers{"0", "-7", "1.5e300", "18446744073709551615"};
    const auto kind = x_random() % (depth > 4 ? 4 : 6);
    json made;
    switch (kind) {
    case 0:
      return made;
    case 1:
      return json::of(x_random() % 2 == 0);
    case 2:
      made.type = json::kind::number;
      made.scalar = numbers[x_random() % numbers.size()];
      return made;
    case 3:
      return json::of(texts[x_random() % texts.size()]);
    case 4:
      made = json::list();
      for (auto count = x_random() % 4; count > 0; --count)
        made.items.push_back(value(depth + 1));
      return made;
    default:
      return object(depth);
    }
  }

  json object(std::size_t depth) {
    static const std::vector<std::string> names{
        "id",           "name",      "state",   "observed", "at",       "cause",     "source",
        "desired",      "activity",  "kind",    "step",     "steps",    "error",     "code",
        "text",         "job",       "cluster", "node",     "network",  "createdAt", "memoryMib",
        "vcpus",        "startedAt", "endedAt", "resource", "position", "time",      "detail",
        "resourceName", "",          "a.b",     "ä"};
    auto made = json::object();
    for (auto count = x_random() % 12; count > 0; --count)
      made.set(names[x_random() % names.size()], value(depth + 1));
    return made;
  }

private:
  std::mt19937 x_random;
};

TEST(cli_fuzz, random_json_is_shown_in_every_format_and_never_ends_the_program) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  maker make(seed);
  const auto now = *parse_time("2026-01-02T00:00:00Z");
  for (int round = 0; round < 600; ++round) {
    const auto item = round % 3 == 0 ? make.value(0) : make.object(0);
    const auto text = to_json(item, json_layout::compact);
    const auto oracle = nlohmann::json::parse(text, nullptr, false);
    ASSERT_FALSE(oracle.is_discarded()) << text;
    EXPECT_EQ(nlohmann::json::parse(to_json(item, json_layout::indented), nullptr, false), oracle);
    const auto again = parse_json(text);
    ASSERT_TRUE(again) << text;
    EXPECT_EQ(*again, item) << text;
    EXPECT_TRUE(to_yaml(item).ends_with("\n"));
    for (const auto* one :
         {&cluster_view(), &node_view(), &network_view(), &vm_view(), &job_view(), &event_view()})
      for (const bool on_terminal : {false, true})
        for (const auto format : {output_format::table, output_format::wide, output_format::json,
                                  output_format::yaml, output_format::name}) {
          printing to{.format = format, .where = {}, .now = now};
          to.where.out = on_terminal;
          to.where.width = 1 + static_cast<std::size_t>(round) % 100;
          const auto list = list_text(*one, {item, item}, to);
          EXPECT_EQ(list.find('\x1b'), std::string::npos);
          EXPECT_TRUE(is_utf8(list));
          EXPECT_TRUE(is_utf8(item_text(*one, item, to)));
          EXPECT_TRUE(is_utf8(members_text(item, to)));
        }
    waited end;
    end.job = job_of(item);
    end.exit = exit_code::failed;
    EXPECT_FALSE(failure_text(failure_of(end, 1s), round % 2 == 0, false).empty());
    EXPECT_FALSE(is_over(json()));
  }
}

TEST(cli_fuzz, broken_text_is_refused_or_read_but_never_ends_the_program) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  maker make(seed);
  int read = 0;
  for (int round = 0; round < 6000; ++round) {
    auto text = to_json(make.object(0), json_layout::compact);
    for (auto changes = random() % 3; changes > 0; --changes)
      text[random() % text.size()] = "{}[]\",:\\u0\xff x"[random() % 13];
    const auto parsed = parse_json(text);
    EXPECT_EQ(parsed.has_value(), nlohmann::json::accept(text)) << text;
    read += parsed ? 1 : 0;
  }
  EXPECT_GT(read, 300);
}

} // namespace

} // namespace orrery::cli
