#include "tests/tools/orrery/fake_api.hpp"
#include "tests/tools/orrery/process.hpp"
#include "tools/orrery/terminal.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sstream>

namespace orrery::cli_test {

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> made;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && line.back() == '\r')
      line.pop_back();
    made.push_back(line);
  }
  return made;
}

TEST(cli_list, of_nothing_is_an_empty_list_in_every_format) {
  fake_api api;
  for (const std::string body :
       {R"({"vms":[]})", "{}", R"({"vms":null})", R"({"vms":"x"})", "[]", "17", "null"}) {
    api.on("GET /v1/vms", 200, body);
    EXPECT_EQ(run({"vm", "list", "-o", "json"}, api.variables()).out, "[]\n") << body;
    EXPECT_EQ(run({"vm", "list", "-o", "yaml"}, api.variables()).out, "[]\n") << body;
    EXPECT_EQ(run({"vm", "list", "-o", "name"}, api.variables()).out, "") << body;
    EXPECT_EQ(run({"vm", "list"}, api.variables()).out,
              "NAME  STATE  WANTED  ACTIVITY  NODE  ADDRESS  SEEN  AGE\n")
        << body;
  }
}

TEST(cli_list, in_a_pipe_has_whole_cells_and_iso_times) {
  const fake_api api;
  EXPECT_EQ(run({"vm", "list"}, api.variables()).out,
            "NAME   STATE      WANTED   ACTIVITY  NODE    ADDRESS     SEEN                  AGE\n"
            "web-1  REACHABLE  RUNNING  -         node-1  10.99.0.17  2026-01-01T00:00:09Z  "
            "2026-01-01T00:00:00.000000Z\n");
}

TEST(cli_list, shows_what_stands_deeper_and_leaves_out_what_is_unspecified) {
  fake_api api;
  api.on("GET /v1/networks", 200,
         R"({"networks":[{"name":"lan","cluster":{"id":"c","name":"local"},"state":"READY",)"
         R"("mode":"pvip","subnets":[{"prefix":"10.99.0.0/24","gateway":"10.99.0.1",)"
         R"("addressesFree":249,"addressesTaken":2,"addressesReserved":2}]}]})");
  api.on("GET /v1/nodes", 200,
         R"({"nodes":[{"name":"n","cluster":{"name":"local"},"state":"CONNECTED","vcpus":4,)"
         R"("memoryMib":"4096","images":["a","b"],"endpoint":{},)"
         R"("seenUntil":"2026-01-01T00:00:00Z"}]})");
  api.on("GET /v1/vms", 200,
         R"({"vms":[{"name":"a","node":{},"observed":{"state":"STATE_UNSPECIFIED"},)"
         R"("address":""}]})");
  EXPECT_EQ(run({"network", "list"}, api.variables()).out,
            "NAME  CLUSTER  STATE  MODE  PREFIX        GATEWAY    FREE  TAKEN  RESERVED\n"
            "lan   local    READY  pvip  10.99.0.0/24  10.99.0.1  249   2      2\n");
  EXPECT_EQ(run({"node", "list"}, api.variables()).out,
            "NAME  CLUSTER  STATE      VCPUS  MEMORY  IMAGES  SEEN                  REASON\n"
            "n     local    CONNECTED  4      4GiB    a,b     2026-01-01T00:00:00Z  -\n");
  EXPECT_EQ(run({"vm", "list"}, api.variables()).out,
            "NAME  STATE  WANTED  ACTIVITY  NODE  ADDRESS  SEEN  AGE\n"
            "a     -      -       -         -     -        -     -\n");
}

const words list_usage{"usage", "list", "--from", "2026-01-01", "--to", "2026-02-01"};

words with(words command, const words& more) {
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

TEST(cli_list, shows_how_routers_are_told_and_how_they_stand) {
  fake_api api;
  api.on("GET /v1/clusters", 200,
         R"({"clusters":[{"name":"a","upstream":{"uplink":"eth1","bgp":{"as":64601,"routers":)"
         R"([{"address":"192.0.2.1","as":64512},{"address":"2001:db8::1","as":64512}]}}},)"
         R"({"name":"b","upstream":{"uplink":"eth2","ospf":{"area":"0.0.0.0"}}},)"
         R"({"name":"c","upstream":{"uplink":"eth3","arp":{}}},{"name":"d"}]})");
  const auto wide = run({"cluster", "list", "-o", "wide"}, api.variables()).out;
  for (const char* cell :
       {"bgp eth1 as 64601: 192.0.2.1,2001:db8::1", "ospf eth2 area 0.0.0.0", "arp eth3"})
    EXPECT_NE(wide.find(cell), std::string::npos) << wide;
  const auto table = run({"cluster", "list"}, api.variables()).out;
  EXPECT_NE(table.find("bgp"), std::string::npos) << table;
  EXPECT_EQ(table.find("eth1"), std::string::npos) << table;
  api.on("GET /v1/nodes", 200,
         R"({"nodes":[{"name":"n","upstream":[{"router":"192.0.2.1","established":true},)"
         R"({"router":"2001:db8::1","established":false,"reason":"Connect"}]}]})");
  const auto nodes = run({"node", "list", "-o", "wide"}, api.variables()).out;
  EXPECT_NE(nodes.find("192.0.2.1 up,2001:db8::1 down"), std::string::npos) << nodes;
}

TEST(cli_usage, has_a_row_for_each_sum_of_a_vm) {
  const fake_api api;
  EXPECT_EQ(run(list_usage, api.variables()).out,
            "VM     METER        STATE    AMOUNT  UNIT     UNIT-SECONDS  START                 "
            "END                       OPEN\n"
            "web-1  nic.address  -        1       address  2.500000      2026-01-01T00:00:00Z  "
            "2026-01-01T00:00:02.500Z  true\n"
            "web-1  vm.vcpu      RUNNING  4       vcpu     0.000004      2026-01-01T00:00:00Z  "
            "2026-01-01T00:00:02.500Z  true\n");
  const auto body =
      nlohmann::json::parse(run(with(list_usage, {"-o", "json"}), api.variables()).out);
  EXPECT_EQ(body.at(0).at("sums").size(), 2U) << "what came is what is printed";
}

/// Programs read this: neither order nor names nor line ends change.
TEST(cli_usage, as_csv_is_what_rfc_4180_says) {
  fake_api api;
  EXPECT_EQ(run(with(list_usage, {"-o", "csv"}), api.variables()).out,
            "vm_id,vm,cluster_id,cluster,meter,state,amount,unit,unit_microseconds,start,end,open"
            "\r\n"
            "vm_1,web-1,cluster_1,local,nic.address,,1,address,2500000,2026-01-01T00:00:00Z,"
            "2026-01-01T00:00:02.500Z,true\r\n"
            "vm_1,web-1,cluster_1,local,vm.vcpu,RUNNING,4,vcpu,4,2026-01-01T00:00:00Z,"
            "2026-01-01T00:00:02.500Z,true\r\n");
  api.on("GET /v1/usage", 200,
         R"({"usage":[{"resource":{"id":"vm_1","name":"a,\"b\"\n"},"cluster":{"id":"c","name":""},)"
         R"("meter":"vm.vcpu","state":"UNKNOWN","amount":"2","unit":"vcpu",)"
         R"("start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:00:01Z","open":false,)"
         R"("microseconds":"1000000"}]})");
  EXPECT_EQ(run(with(list_usage, {"--intervals", "-o", "csv"}), api.variables()).out,
            "vm_id,vm,cluster_id,cluster,meter,state,amount,unit,microseconds,start,end,open\r\n"
            "vm_1,\"a,\"\"b\"\"\n\",c,,vm.vcpu,UNKNOWN,2,vcpu,1000000,2026-01-01T00:00:00Z,"
            "2026-01-01T00:00:01Z,false\r\n");
  api.on("GET /v1/usage", 200, R"({"usage":[]})");
  EXPECT_EQ(run(with(list_usage, {"--sum", "-o", "csv"}), api.variables()).out,
            "meter,state,unit,unit_microseconds,until,open\r\n");
}

TEST(cli_usage, adds_the_totals_of_all_pages) {
  fake_api api;
  const auto total = [](const std::string& sum, const std::string& until, const std::string& open) {
    return R"({"meter":"vm.vcpu","state":"RUNNING","unit":"vcpu","unitMicroseconds":")" + sum +
           R"(","open":)" + open + R"(,"until":")" + until + R"("})";
  };
  api.on("GET /v1/usage", [&](const http::request& asked, const http::responder& respond) {
    const bool is_first = asked.parameter("pageToken") == nullptr;
    respond(
        reply(200, R"({"usage":[)" +
                       (is_first ? total("18446744073709551615", "2026-02-01T00:00:00Z", "false")
                                 : total("2", "2026-01-31T00:00:00Z", "true")) +
                       "]" + (is_first ? R"(,"nextPageToken":"aa"})" : "}")));
  });
  EXPECT_EQ(run(with(list_usage, {"--sum", "-o", "csv"}), api.variables()).out,
            "meter,state,unit,unit_microseconds,until,open\r\n"
            "vm.vcpu,RUNNING,vcpu,18446744073709551617,2026-01-31T00:00:00Z,true\r\n");
  api.on("GET /v1/usage", 200,
         R"({"usage":[)" + total("-1", "x", "true") + "," + total("1", "x", "true") + "]}");
  EXPECT_EQ(run(with(list_usage, {"--sum"}), api.variables()).exit, 1);
}

TEST(cli_list, wide_has_more_and_json_has_all) {
  const fake_api api;
  const auto wide = run({"vm", "list", "-o", "wide"}, api.variables()).out;
  for (const std::string part : {"192MiB", "0e:00:00:00:10:11", "debian", "lan", "answered"})
    EXPECT_NE(wide.find(part), std::string::npos) << wide;
  const auto body = nlohmann::json::parse(run({"vm", "list", "-o", "json"}, api.variables()).out);
  EXPECT_EQ(body.at(0), nlohmann::json::parse(vm_body("web-1"))) << "what came is what is printed";
}

TEST(cli_list, on_a_terminal_fits_its_width_and_has_ages) {
  fake_api api;
  std::string vms;
  for (const std::string name : {"a", "a-name-that-is-rather-long-for-a-terminal-of-forty-columns",
                                 "カタカナの名前はとても長い名前なのでここで切られる"})
    vms += (vms.empty() ? "" : ",") + vm_body(name);
  api.on("GET /v1/vms", 200, R"({"vms":[)" + vms + "]}");
  for (const unsigned columns : {200U, 80U, 40U, 20U, 5U, 1U}) {
    const auto shown = run_on_terminal({"vm", "list", "-o", "wide"}, api.variables(), columns);
    EXPECT_EQ(shown.exit, 0);
    const auto lines = lines_of(shown.out);
    EXPECT_EQ(lines.size(), 4U) << shown.out;
    for (const auto& line : lines)
      EXPECT_LE(cli::width_of(line), columns) << line;
  }
  const auto shown = run_on_terminal({"vm", "list"}, api.variables(), 80).out;
  EXPECT_NE(shown.find("…"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("2026-01-01T"), std::string::npos) << shown;
  const auto json = run_on_terminal({"vm", "list", "-o", "json"}, api.variables(), 20).out;
  EXPECT_EQ(nlohmann::json::parse(json).size(), 3U) << "only tables are cut";
}

TEST(cli_terminal, is_not_obeyed_by_what_a_guest_prints) {
  fake_api api;
  const auto shown = run_on_terminal({"vm", "console", "web-1"}, api.variables(), 80).out;
  EXPECT_EQ(shown.find('\x1b'), std::string::npos);
  EXPECT_NE(shown.find("?[31mred?[0m"), std::string::npos) << shown;
  EXPECT_EQ(run({"vm", "console", "web-1"}, api.variables()).out, "booting\n\x1b[31mred\x1b[0m\n");
  api.on("GET /v1/vms", 200, "{\"vms\":[{\"name\":\"a\\u001b[2J\\u009b2J\\u202eb\"}]}");
  for (const auto* format : {"table", "wide", "json", "yaml", "name"}) {
    const auto text = run_on_terminal({"vm", "list", "-o", format}, api.variables(), 80).out;
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << format;
    EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos) << format;
  }
}

TEST(cli_terminal, has_colours_unless_no_color_is_set) {
  const fake_api api;
  auto variables = api.variables();
  const auto coloured = run_on_terminal({"vm", "start", "web-1"}, variables, 80).out;
  EXPECT_NE(coloured.find("\033[32m✔\033[0m"), std::string::npos) << coloured;
  EXPECT_NE(run_on_terminal({"vm", "get", "x"}, variables, 80).out.find("\033[31merror:\033[0m"),
            std::string::npos);
  variables["NO_COLOR"] = "1";
  const auto plain = run_on_terminal({"vm", "start", "web-1"}, variables, 80).out;
  EXPECT_EQ(plain.find("\033[3"), std::string::npos) << plain;
  EXPECT_NE(plain.find("✔ done"), std::string::npos) << plain;
  EXPECT_TRUE(run_on_terminal({"vm", "get", "x"}, variables, 80).out.starts_with("error: "));
}

TEST(cli_terminal, shows_a_line_with_the_time_that_passed_while_it_waits) {
  fake_api api;
  api.on("GET /v1/jobs/job_01993f0e-7c1a-7000-8000-000000000009", 200, job_body("RUNNING"));
  const auto shown =
      run_on_terminal({"vm", "start", "web-1", "--timeout", "900ms"}, api.variables(), 60);
  EXPECT_EQ(shown.exit, 8);
  EXPECT_NE(shown.out.find("\r\033[K"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("vm.create web-1  0."), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("Ctrl-C leaves"), std::string::npos) << shown.out;
}

TEST(cli_yaml, is_readable_and_quotes_what_would_be_something_else) {
  fake_api api;
  api.on("GET /v1/vms/web-1", 200,
         R"({"name":"web-1","no":"yes","version":"1","n":7,"on":true,"empty":{},"list":[],)"
         R"("text":"a: b #c","nothing":null,"deep":[{"a":"b","c":[1,[2]]},"x"]})");
  EXPECT_EQ(run({"vm", "get", "web-1", "-o", "yaml"}, api.variables()).out, R"(name: web-1
"no": "yes"
version: "1"
"n": 7
"on": true
empty: {}
list: []
text: "a: b #c"
nothing: null
deep:
  - a: b
    c:
      - 1
      - - 2
  - x
)");
}

TEST(cli_status, is_a_line_a_member) {
  const fake_api api;
  EXPECT_EQ(run({"status"}, api.variables()).out, "WHAT        VALUE\n"
                                                  "version     0.1.0\n"
                                                  "log.engine  embedded\n"
                                                  "log.head    0/12\n");
}

TEST(cli_job, shows_its_steps) {
  const fake_api api;
  const auto shown =
      run({"job", "get", "job_01993f0e-7c1a-7000-8000-000000000009"}, api.variables()).out;
  EXPECT_NE(shown.find("\n\nSTEP      AT\naccepted  2026-01-01T00:00:00Z\n"), std::string::npos)
      << shown;
}

TEST(cli_events, have_a_position_and_a_time_of_day_on_a_terminal) {
  const fake_api api;
  EXPECT_EQ(run({"event", "list"}, api.variables()).out,
            "POSITION  TIME                  WHO    TYPE        CAUSE  DETAIL\n"
            "0/12/3    2026-01-01T00:00:00Z  admin  vm.created  0/11   image debian\n");
}

TEST(cli_stdout, that_is_full_gives_1) {
  const fake_api api;
  // The shell gives the program a device that refuses every byte.
  const std::string command = std::string("exec ") + ORRERY_PROGRAM + " vm list > /dev/full 2>&1";
  ::setenv("ORRERY_URL", api.url().c_str(), 1);
  const int status = std::system(command.c_str());
  ::unsetenv("ORRERY_URL");
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

} // namespace

} // namespace orrery::cli_test
