#include "tests/tools/orrery/fake_api.hpp"
#include "tests/tools/orrery/process.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace orrery::cli_test {

namespace {

const std::string job = "job_01993f0e-7c1a-7000-8000-000000000009";

/// Every command with what it needs.
const std::vector<words>& all_commands() {
  static const std::vector<words> made{
      {"cluster", "create", "one", "--hypervisor", "simulated"},
      {"cluster", "list"},
      {"cluster", "get", "one"},
      {"cluster", "label", "one", "env=prod"},
      {"cluster", "upstream", "one", "arp", "--uplink", "eth1"},
      {"node", "create", "one", "--cluster", "local", "--libvirt-socket", "/run/s",
       "--network-namespace", "n", "--vcpus", "4", "--memory", "4GiB"},
      {"node", "list"},
      {"node", "get", "one"},
      {"node", "label", "one", "env-"},
      {"network", "create", "one", "--cluster", "local", "--prefix", "10.99.0.0/24"},
      {"network", "list"},
      {"network", "get", "one"},
      {"network", "label", "one", "env="},
      {"network", "reserve", "one", "10.99.0.2-10.99.0.9", "--note", "printers"},
      {"network", "free", "one", "10.99.0.2-10.99.0.9"},
      {"network", "quarantine", "one", "10m"},
      {"network", "set", "one", "--mtu", "1400"},
      {"network", "delete", "one"},
      {"vm", "create", "web-1", "--cluster", "local", "--network", "lan", "--image", "debian"},
      {"vm", "list"},
      {"vm", "get", "web-1"},
      {"vm", "label", "web-1", "env=prod", "team-"},
      {"vm", "rate", "web-1", "100M"},
      {"vm", "add-address", "web-1", "10.99.0.64/28"},
      {"vm", "remove-address", "web-1", "10.99.0.64/28"},
      {"vm", "start", "web-1"},
      {"vm", "shutdown", "web-1"},
      {"vm", "stop", "web-1"},
      {"vm", "delete", "web-1"},
      {"vm", "console", "web-1"},
      {"job", "list"},
      {"job", "get", job},
      {"job", "wait", job},
      {"event", "list"},
      {"usage", "list", "--from", "2026-01-01", "--to", "2026-02-01"},
      {"installation", "get"},
      {"installation", "set-limit", "clusters", "20"},
      {"installation", "trust-clock"},
      {"projection", "list"},
      {"projection", "rebuild", "jobs"},
      {"projection", "verify", "jobs"},
      {"status"},
      {"version"},
  };
  return made;
}

std::string joined(const words& command) {
  std::string made;
  for (const auto& word : command)
    made += (made.empty() ? "" : " ") + word;
  return made;
}

words with(words command, const words& more) {
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

/// The words under "Subcommands:" of a help text.
words subcommands(const words& command) {
  const auto help = run(with(command, {"--help"}), {});
  EXPECT_EQ(help.exit, 0) << joined(command);
  std::istringstream lines(help.out);
  words made;
  std::string line;
  while (std::getline(lines, line) && line != "Subcommands:") {
  }
  while (std::getline(lines, line) && !line.empty())
    made.push_back(line.substr(2, line.find(' ', 2) - 2));
  return made;
}

TEST(cli_all, the_table_of_this_test_names_every_command) {
  std::set<std::string> wanted;
  for (const auto& noun : subcommands({})) {
    const auto verbs = subcommands({noun});
    if (verbs.empty())
      wanted.insert(noun);
    for (const auto& verb : verbs)
      wanted.insert(noun + " " + verb);
  }
  // These ask no API, or do not end, and have their own tests.
  for (const auto* command : {"log verify", "log dump", "log init", "log check", "backup create",
                              "backup verify", "backup restore", "event follow"})
    wanted.erase(command);
  std::set<std::string> named;
  for (const auto& command : all_commands())
    named.insert(command.size() == 1 ? command[0] : command[0] + " " + command[1]);
  EXPECT_EQ(named, wanted);
  EXPECT_GE(named.size(), 31U);
}

TEST(cli_all, give_json_and_nothing_on_stderr) {
  const fake_api api;
  for (const auto& command : all_commands()) {
    SCOPED_TRACE(joined(command));
    const auto done = run(with(command, {"-o", "json"}), api.variables());
    EXPECT_EQ(done.exit, 0) << done.err;
    const auto body = nlohmann::json::parse(done.out, nullptr, false);
    EXPECT_FALSE(body.is_discarded()) << done.out;
    EXPECT_EQ(body.is_array(), command.size() > 1 && command[1] == "list");
    EXPECT_EQ(done.err, "");
  }
}

TEST(cli_list, asks_for_a_part_by_the_parameters_of_the_api) {
  const std::vector<std::pair<words, std::string>> wanted{
      {{"vm", "list", "--cluster", "local", "--node", "n1", "--observed", "STOPPED"},
       "/v1/vms?cluster=local&node=n1&observed=STOPPED"},
      {{"vm", "list", "--label", "env=prod,team"}, "/v1/vms?label=env%3Dprod%2Cteam"},
      {{"node", "list", "--cluster", "a b"}, "/v1/nodes?cluster=a%20b"},
      {{"network", "list", "--cluster", "local"}, "/v1/networks?cluster=local"},
      {{"job", "list", "--resource", "web-1", "--state", "FAILED"},
       "/v1/jobs?resource=web-1&state=FAILED"},
  };
  for (const auto& [command, path] : wanted) {
    SCOPED_TRACE(joined(command));
    const fake_api api;
    const auto done = run(with(command, {"--debug"}), api.variables());
    EXPECT_EQ(done.exit, 0) << done.err;
    EXPECT_NE(done.err.find(path), std::string::npos) << done.err;
  }
}

TEST(cli_label, says_what_to_set_and_what_to_remove) {
  const fake_api api;
  const auto done = run({"vm", "label", "web-1", "a=1", "b-", "c=", "d=x-"}, api.variables());
  EXPECT_EQ(done.exit, 0) << done.err;
  const auto asked = api.requests();
  const auto sent = std::ranges::find(asked, "POST", &http::request::method);
  ASSERT_NE(sent, asked.end());
  EXPECT_EQ(nlohmann::json::parse(sent->body),
            nlohmann::json::parse(R"({"set":{"a":"1","c":"","d":"x-"},"remove":["b"]})"));
}

TEST(cli_label, refuses_what_is_no_label_before_it_asks) {
  const fake_api api;
  for (const auto& wrong : {"a", "-", ""}) {
    const auto done = run({"vm", "label", "web-1", wrong}, api.variables());
    EXPECT_EQ(done.exit, 64) << wrong;
    EXPECT_NE(done.err.find("KEY-"), std::string::npos) << done.err;
  }
  EXPECT_EQ(run({"vm", "create", "a", "--image", "i", "--label", "x"}, api.variables()).exit, 64);
  for (const auto& one : api.requests())
    EXPECT_EQ(one.method, "GET");
}

/// The body of the one change that was asked for.
std::string body_of_change(const std::vector<std::string>& command) {
  const fake_api api;
  EXPECT_EQ(run(command, api.variables()).exit, 0) << joined(command);
  for (const auto& one : api.requests())
    if (one.method == "POST")
      return one.body;
  return {};
}

TEST(cli_addressing, ranges_that_touch_are_one) {
  const auto file = std::filesystem::path(testing::TempDir()) / "orrery-ranges";
  std::ofstream(file)
      << "# before us\n10.99.0.9\r\n\n 10.99.0.4 # a printer\n10.99.0.5-10.99.0.6\n";
  EXPECT_EQ(
      body_of_change({"network", "reserve", "one", "10.99.0.10", "--file", file, "--note", "x"}),
      R"({"ranges":["10.99.0.4-10.99.0.6","10.99.0.9-10.99.0.10"],"note":"x"})");
  EXPECT_EQ(body_of_change({"network", "free", "one", "255.255.255.255", "0.0.0.0"}),
            R"({"ranges":["0.0.0.0","255.255.255.255"]})");
  std::filesystem::remove(file);
}

TEST(cli_addressing, says_quarantines_in_seconds) {
  EXPECT_EQ(body_of_change({"network", "quarantine", "one", "10m"}), R"({"seconds":600})");
  EXPECT_EQ(body_of_change({"network", "quarantine", "one", "0"}), R"({"seconds":0})");
  EXPECT_EQ(body_of_change({"network", "create", "one", "--cluster", "local", "--prefix",
                            "10.99.0.0/24", "--quarantine", "1h"}),
            R"({"name":"one","cluster":"local","prefix":"10.99.0.0/24","quarantineSeconds":3600})");
}

TEST(cli_guests, says_what_is_to_change_and_no_more) {
  EXPECT_EQ(body_of_change({"network", "set", "one", "--mtu", "1400"}), R"({"mtu":1400})");
  EXPECT_EQ(body_of_change({"network", "set", "one", "--name-server", "192.0.2.53,2001:db8::53",
                            "--name-server", "192.0.2.54", "--classless-routes", "on"}),
            R"({"nameServers":["192.0.2.53","2001:db8::53","192.0.2.54"],"classlessRoutes":true})");
  EXPECT_EQ(body_of_change({"network", "set", "one", "--no-name-servers"}),
            R"({"nameServers":[]})");
  EXPECT_EQ(body_of_change({"network", "create", "one", "--cluster", "local", "--prefix",
                            "10.99.0.0/24", "--prefix6", "fd00:7::/64", "--mtu", "1400"}),
            R"({"name":"one","cluster":"local","prefix":"10.99.0.0/24","prefix6":"fd00:7::/64",)"
            R"("mtu":1400})");
}

TEST(cli_rate, says_bits_a_second) {
  for (const auto& [text, bits] :
       std::vector<std::pair<std::string, std::string>>{{"100M", "100000000"},
                                                        {"1Gbit", "1000000000"},
                                                        {"2500k", "2500000"},
                                                        {"none", "0"},
                                                        {"0", "0"}})
    EXPECT_EQ(body_of_change({"vm", "rate", "web-1", text}), R"({"bitsASecondMax":)" + bits + "}");
}

TEST(cli_node, says_each_thing_once) {
  EXPECT_EQ(body_of_change({"node", "create", "one", "--cluster", "local", "--vcpus", "4",
                            "--memory", "4GiB"}),
            R"({"name":"one","cluster":"local","vcpus":4,"memoryMib":4096})");
}

TEST(cli_addresses, are_said_as_they_are_or_not_at_all) {
  EXPECT_EQ(body_of_change({"vm", "add-address", "web-1"}), "{}");
  for (const std::string verb : {"add-address", "remove-address"})
    for (const std::string address : {"10.99.0.20", "10.99.0.64/28"})
      EXPECT_EQ(body_of_change({"vm", verb, "web-1", address}),
                R"({"address":")" + address + "\"}");
}

TEST(cli_upstream, says_what_the_protocol_needs) {
  EXPECT_EQ(
      body_of_change({"cluster", "upstream", "one", "bgp", "--uplink", "eth1", "--as", "64601",
                      "--router", "192.0.2.1,as=64512,secret=rack-7", "--router",
                      "192.0.2.2,as=64512", "--hold", "3s", "--learn-default", "--learn-guests"}),
      R"({"uplink":"eth1","bgp":{"as":64601,"routers":[{"address":"192.0.2.1","as":64512,)"
      R"("secret":"rack-7"},{"address":"192.0.2.2","as":64512}],"holdSeconds":3},)"
      R"("learnDefault":true,"learnGuests":true})");
  EXPECT_EQ(body_of_change({"cluster", "upstream", "one", "ospf", "--uplink", "eth1", "--area",
                            "0.0.0.1", "--hello", "2s", "--dead", "8s", "--secret", "k", "--ipv6"}),
            R"({"uplink":"eth1","ospf":{"area":"0.0.0.1","helloSeconds":2,"deadSeconds":8,)"
            R"("secret":"k","ipv6":true}})");
  EXPECT_EQ(body_of_change({"cluster", "upstream", "one", "arp", "--uplink", "eth1"}),
            R"({"uplink":"eth1","arp":{}})");
  EXPECT_EQ(body_of_change({"cluster", "upstream", "one", "none"}), "{}");
}

TEST(cli_upstream, refuses_what_does_not_fit_before_it_asks) {
  const fake_api api;
  const std::vector<std::pair<std::vector<std::string>, std::string>> bad{
      {{"rip"}, "PROTOCOL"},
      {{"none", "--uplink", "eth1"}, "--uplink is not of 'none'"},
      {{"arp"}, "arp needs --uplink"},
      {{"arp", "--uplink", "e", "--learn-default"}, "--learn-default is not of 'arp'"},
      {{"arp", "--uplink", "e", "--secret", "k"}, "--secret is not of 'arp'"},
      {{"ospf", "--uplink", "e", "--as", "1"}, "--as is not of 'ospf'"},
      {{"bgp", "--uplink", "e", "--ipv6"}, "--ipv6 is not of 'bgp'"},
      {{"ospf", "--uplink", "e", "--hello", "1500ms"}, "--hello: '1500ms' is no whole number"},
      {{"bgp", "--uplink", "e", "--router", "192.0.2.1,as=1"}, "bgp needs --as"},
      {{"bgp", "--uplink", "e", "--as", "1"}, "a --router at least"},
      {{"bgp", "--uplink", "e", "--as", "1", "--router", "192.0.2.1"}, "its AS number is missing"},
      {{"bgp", "--uplink", "e", "--as", "1", "--router", "192.0.2.1,as=x"}, "'x' is no AS number"},
      {{"bgp", "--uplink", "e", "--as", "1", "--router", "192.0.2.1,as=1,x"}, "want ADDRESS,as="},
      {{"bgp", "--uplink", "e", "--as", "1", "--router", "192.0.2.1,as=1,secret="},
       "want ADDRESS,as="},
      {{"ospf", "--uplink", "e", "--secret", ""}, "--secret"}};
  for (const auto& [rest, words] : bad) {
    std::vector<std::string> command{"cluster", "upstream", "one"};
    command.insert(command.end(), rest.begin(), rest.end());
    const auto done = run(command, api.variables());
    EXPECT_EQ(done.exit, 64) << joined(command);
    EXPECT_NE(done.err.find(words), std::string::npos) << done.err;
  }
  for (const auto& one : api.requests())
    EXPECT_EQ(one.method, "GET");
}

TEST(cli_addressing, refuses_what_is_no_range_before_it_asks) {
  const fake_api api;
  const auto file = std::filesystem::path(testing::TempDir()) / "orrery-ranges-bad";
  std::ofstream(file) << "10.99.0.4\nprinter\n";
  const std::vector<std::pair<std::vector<std::string>, std::string>> bad{
      {{"network", "reserve", "one"}, "there is no range"},
      {{"network", "reserve", "one", "10.99.0.9-10.99.0.8"}, "the lower end first"},
      {{"network", "free", "one", "--file", "/no/such/file"}, "cannot read '/no/such/file'"},
      {{"network", "reserve", "one", "--file", file}, "orrery-ranges-bad:2: 'printer'"},
      {{"network", "quarantine", "one", "soon"}, "quarantine: "},
      {{"network", "quarantine", "one", "1500ms"}, "no whole number of seconds"},
      {{"network", "set", "one"}, "there is nothing to set"},
      {{"network", "set", "one", "--name-server", "192.0.2.1", "--no-name-servers"}, "excludes"},
      {{"network", "set", "one", "--classless-routes", "yes"}, "--classless-routes"},
      {{"vm", "rate", "web-1", "fast"}, "'fast' is not a rate"},
      {{"vm", "rate", "web-1", "100MB"}, "'100MB' is not a rate"},
      {{"vm", "rate", "web-1", "0M"}, "'0M' is not a rate"},
      {{"vm", "list", "--label", ""}, "--label"},
      {{"vm", "create", "a", "--image", "i", "--address", ""}, "--address"},
      {{"vm", "label", "web-1", "a=1", "a=2"}, "'a' is said twice"},
      {{"vm", "create", "a", "--cluster", "c", "--network", "n", "--image", "i", "--label", "a=1",
        "--label", "a=2"},
       "'a' is said twice"}};
  for (const auto& [command, words] : bad) {
    const auto done = run(command, api.variables());
    EXPECT_EQ(done.exit, 64) << joined(command);
    EXPECT_NE(done.err.find(words), std::string::npos) << done.err;
  }
  EXPECT_TRUE(api.requests().empty());
  std::filesystem::remove(file);
}

TEST(cli_projection, what_differs_has_an_exit_code_of_its_own) {
  fake_api api;
  const auto body = [](const std::string& state, const std::string& more) {
    return R"({"name":"jobs","version":3,"position":"0/12","work":{"verb":"VERIFY","state":")" +
           state + R"(","records":12,"recordsAll":12)" + more + "}}";
  };
  api.on("GET /v1/projections/jobs", 200, body("DIFFERS", R"(,"digest":"ab","digestOfLog":"cd")"));
  const auto differs = run({"projection", "verify", "jobs"}, api.variables());
  EXPECT_EQ(differs.exit, 3);
  EXPECT_NE(differs.err.find("orrery projection rebuild jobs"), std::string::npos) << differs.err;
  api.on("GET /v1/projections/jobs", 200, body("FAILED", R"(,"detail":"the disk is full")"));
  const auto failed = run({"projection", "verify", "jobs"}, api.variables());
  EXPECT_EQ(failed.exit, 1);
  EXPECT_NE(failed.err.find("the disk is full"), std::string::npos) << failed.err;
  api.on("GET /v1/projections/jobs", 200, body("RUNNING", ""));
  EXPECT_EQ(run({"projection", "verify", "jobs", "--timeout", "1s"}, api.variables()).exit, 8);
  api.on("POST /v1/projections/jobs:verify", 202, body("RUNNING", ""));
  EXPECT_EQ(run({"projection", "verify", "jobs", "--no-wait"}, api.variables()).exit, 0);
  api.on("GET /v1/projections/jobs", 200, R"({"name":"jobs","version":3,"position":"0/12"})");
  const auto forgotten = run({"projection", "verify", "jobs"}, api.variables());
  EXPECT_EQ(forgotten.exit, 1);
  EXPECT_NE(forgotten.err.find("started again"), std::string::npos) << forgotten.err;
}

TEST(cli_all, give_a_problem_object_with_json_when_the_api_refuses) {
  fake_api api;
  const std::string problem =
      R"({"type":"urn:orrery:problem:busy","title":"Busy","status":409,"detail":"a job holds it",)"
      R"("code":"busy","retryable":true})";
  for (const auto& command : all_commands()) {
    if (command.front() == "version")
      continue; // asks nobody
    SCOPED_TRACE(joined(command));
    fake_api refusing;
    for (const auto* method : {"GET", "POST", "DELETE"})
      for (const std::string path : {"/v1/clusters",
                                     "/v1/clusters/one",
                                     "/v1/nodes",
                                     "/v1/nodes/one",
                                     "/v1/networks",
                                     "/v1/networks/one",
                                     "/v1/vms",
                                     "/v1/vms/web-1",
                                     "/v1/vms/web-1:start",
                                     "/v1/vms/web-1:stop",
                                     "/v1/vms/web-1:shutdown",
                                     "/v1/vms/web-1/console",
                                     "/v1/clusters/one:setLabels",
                                     "/v1/clusters/one:setUpstream",
                                     "/v1/nodes/one:setLabels",
                                     "/v1/networks/one:setLabels",
                                     "/v1/networks/one:reserve",
                                     "/v1/networks/one:free",
                                     "/v1/networks/one:setQuarantine",
                                     "/v1/networks/one:setGuests",
                                     "/v1/vms/web-1:setLabels",
                                     "/v1/vms/web-1:setRate",
                                     "/v1/vms/web-1:addAddress",
                                     "/v1/vms/web-1:removeAddress",
                                     "/v1/jobs",
                                     "/v1/jobs/job_01993f0e-7c1a-7000-8000-000000000009",
                                     "/v1/events",
                                     "/v1/usage",
                                     "/v1/status",
                                     "/v1/installation",
                                     "/v1/installation:setLimit",
                                     "/v1/installation:trustClock",
                                     "/v1/projections",
                                     "/v1/projections/jobs:rebuild",
                                     "/v1/projections/jobs:verify"})
        refusing.on(std::string(method) + " " + path, 409, problem);
    const auto done = run(with(command, {"-o", "json"}), refusing.variables());
    EXPECT_EQ(done.exit, 6);
    EXPECT_EQ(done.out, "");
    const auto body = nlohmann::json::parse(done.err, nullptr, false);
    ASSERT_TRUE(body.is_object()) << done.err;
    EXPECT_EQ(body.at("code"), "busy");
    EXPECT_EQ(body.at("title"), "Busy") << "the object of the API itself";
    const auto text = run(command, refusing.variables());
    EXPECT_EQ(text.exit, 6);
    EXPECT_EQ(text.err, "error: a job holds it (busy)\n");
  }
}

TEST(cli_all, work_in_every_output_format) {
  const fake_api api;
  for (const auto& command : all_commands())
    for (const auto* format : {"table", "wide", "yaml", "name"}) {
      SCOPED_TRACE(joined(command) + " -o " + format);
      const auto done = run(with(command, {"-o", format}), api.variables());
      EXPECT_EQ(done.exit, 0) << done.err;
      EXPECT_TRUE(done.out.ends_with("\n")) << done.out;
    }
}

TEST(cli_all, explain_themselves_with_examples) {
  for (const auto& command : all_commands()) {
    const words name(command.begin(), command.begin() + (command.size() == 1 ? 1 : 2));
    const auto help = run(with(name, {"--help"}), {});
    EXPECT_EQ(help.exit, 0);
    EXPECT_NE(help.out.find("Examples:\n  orrery " + joined(name)), std::string::npos) << help.out;
    EXPECT_EQ(help.err, "");
  }
}

TEST(cli_words, of_fco_are_taken_and_printed_nowhere) {
  const fake_api api;
  EXPECT_EQ(run({"server", "list", "-o", "name"}, api.variables()).out, "web-1\n");
  for (const words& command : std::vector<words>{{}, {"vm"}, {"vm", "create"}, {"server"}})
    EXPECT_EQ(run(with(command, {"--help"}), {}).out.find("server"), std::string::npos);
}

TEST(cli_requests, a_list_is_exactly_one) {
  const fake_api api;
  EXPECT_EQ(run({"vm", "list"}, api.variables()).exit, 0);
  const auto asked = api.requests();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].method, "GET");
  EXPECT_EQ(asked[0].path, "/v1/vms");
}

/// Processor time of all children that have ended.
std::chrono::microseconds time_of_children() {
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);
  const auto micros = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return micros(used.ru_utime) + micros(used.ru_stime);
}

TEST(cli_requests, version_asks_nobody_and_takes_less_than_10_ms) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr auto most = std::chrono::milliseconds(500); // of the sanitiser's own start
#else
  constexpr auto most = std::chrono::milliseconds(10);
#endif
  // Processor time, the best of some runs: the clock on the wall measures what else runs.
  auto best = std::chrono::microseconds::max();
  for (int i = 0; i < 20; ++i) {
    const auto before = time_of_children();
    EXPECT_EQ(run({"--version"}, {}).out, "orrery 0.1.0\n");
    best = std::min(best, time_of_children() - before);
  }
  EXPECT_LT(best, most);
}

TEST(cli_requests, carry_what_the_flags_say) {
  const fake_api api;
  EXPECT_EQ(run({"vm", "create", "web-1", "--cluster", "local", "--network", "lan", "--image",
                 "debian", "--cpu", "2", "--memory", "1GiB", "--no-wait"},
                api.variables())
                .exit,
            0);
  EXPECT_EQ(run({"node", "create", "one", "--cluster", "local"}, api.variables()).exit, 0);
  EXPECT_EQ(run({"event", "list", "--resource", "web 1/ä"}, api.variables()).exit, 0);
  const auto asked = api.requests();
  EXPECT_EQ(nlohmann::json::parse(asked.at(0).body),
            nlohmann::json::parse(R"({"name":"web-1","cluster":"local","network":"lan",
                                      "image":"debian","vcpus":2,"memoryMib":1024})"));
  EXPECT_EQ(nlohmann::json::parse(asked.at(1).body),
            nlohmann::json::parse(R"({"name":"one","cluster":"local"})"));
  EXPECT_EQ(*asked.back().parameter("resource"), "web 1/ä");
}

TEST(cli_requests, for_usage_carry_times_and_filters) {
  const fake_api api;
  const words list{"usage", "list", "--from", "2026-01-01", "--to", "2026-01-31T08:00:00.5Z"};
  for (const words& more :
       std::vector<words>{{},
                          {"--sum", "--cluster", "c1"},
                          {"--intervals", "--vm", "web-1", "--meter", "vm.vcpu"}})
    EXPECT_EQ(run(with(list, more), api.variables()).exit, 0);
  const auto asked = api.requests();
  ASSERT_EQ(asked.size(), 3U);
  for (const auto& one : asked) {
    EXPECT_EQ(*one.parameter("from"), "2026-01-01T00:00:00.000000Z");
    EXPECT_EQ(*one.parameter("to"), "2026-01-31T08:00:00.500000Z");
  }
  EXPECT_EQ(*asked[0].parameter("by"), "vm");
  EXPECT_EQ(*asked[1].parameter("by"), "total");
  EXPECT_EQ(*asked[1].parameter("cluster"), "c1");
  EXPECT_EQ(asked[2].parameter("by"), nullptr);
  EXPECT_EQ(*asked[2].parameter("resource"), "web-1");
  EXPECT_EQ(*asked[2].parameter("meter"), "vm.vcpu");
}

TEST(cli_requests, name_the_only_cluster_and_network_where_the_command_line_does_not) {
  fake_api api;
  api.on("GET /v1/networks", 200,
         R"({"networks":[{"name":"far","cluster":{"id":"c2","name":"other"}},)"
         R"({"name":"lan","cluster":{"id":"c1","name":"one"}}]})");
  const words create{"vm", "create", "web-1", "--image", "debian", "--no-wait"};
  EXPECT_EQ(run(create, api.variables()).exit, 0);
  const auto body = nlohmann::json::parse(api.requests().back().body);
  EXPECT_EQ(body.at("cluster"), "one");
  EXPECT_EQ(body.at("network"), "lan");
  api.on("GET /v1/clusters", 200, R"({"clusters":[{"name":"a"},{"name":"b"}]})");
  const auto several = run(create, api.variables());
  EXPECT_EQ(several.exit, 64);
  EXPECT_EQ(several.err, "error: name a cluster by --cluster, there are several: a, b (usage)\n");
  api.on("GET /v1/clusters", 200, R"({"clusters":[]})");
  const auto none = run(create, api.variables());
  EXPECT_EQ(none.exit, 64);
  EXPECT_NE(none.err.find("there is no cluster yet: orrery cluster create"), std::string::npos);
}

TEST(cli_requests, that_change_something_have_a_key_of_their_own) {
  const fake_api api;
  for (const words& command : std::vector<words>{{"vm", "start", "web-1", "--no-wait"},
                                                 {"vm", "start", "web-1", "--no-wait"},
                                                 {"vm", "delete", "web-1", "--no-wait"},
                                                 {"vm", "get", "web-1"}})
    EXPECT_EQ(run(command, api.variables()).exit, 0);
  std::set<std::string> keys;
  for (const auto& asked : api.requests()) {
    const auto* key = asked.header("idempotency-key");
    ASSERT_EQ(key != nullptr, asked.method != "GET");
    if (key != nullptr) {
      EXPECT_EQ(key->size(), 36U);
      EXPECT_TRUE(keys.insert(*key).second);
    }
  }
  EXPECT_EQ(keys.size(), 3U);
}

TEST(cli_requests, after_a_change_ask_for_a_state_that_knows_it) {
  fake_api api;
  api.on("POST /v1/vms/web-1:start", [](const http::request&, const http::responder& respond) {
    auto made = reply(202, R"({"job":)" + job_body("RUNNING") + "}");
    made.headers.push_back({"Orrery-Position", "0/118"});
    respond(made);
  });
  EXPECT_EQ(run({"vm", "start", "web-1"}, api.variables()).exit, 0);
  const auto asked = api.requests();
  ASSERT_EQ(asked.size(), 3U); // the change, its job, the vm as it is now
  EXPECT_EQ(asked[0].header("orrery-min-position"), nullptr);
  EXPECT_EQ(*asked[1].header("orrery-min-position"), "0/118");
  EXPECT_EQ(*asked[2].header("orrery-min-position"), "0/118");
}

TEST(cli_pages, are_followed_to_the_end) {
  fake_api api;
  api.on("GET /v1/vms", [](const http::request& asked, const http::responder& respond) {
    const auto* token = asked.parameter("pageToken");
    if (token == nullptr)
      respond(reply(200, R"({"vms":[{"name":"a"}],"nextPageToken":"t/1"})"));
    else if (*token == "t/1")
      respond(reply(200, R"({"vms":[],"nextPageToken":"t/2"})"));
    else
      respond(reply(200, R"({"vms":[{"name":"b"}],"nextPageToken":""})"));
  });
  EXPECT_EQ(run({"vm", "list", "-o", "name"}, api.variables()).out, "a\nb\n");
  EXPECT_EQ(run({"vm", "list", "-o", "name", "--limit", "1"}, api.variables()).out, "a\n");
  EXPECT_EQ(*api.requests().back().parameter("pageSize"), "1");
}

TEST(cli_pages, that_never_end_are_refused) {
  fake_api api;
  api.on("GET /v1/vms", 200, R"({"vms":[{"name":"a"}],"nextPageToken":"t"})");
  const auto done = run({"vm", "list"}, api.variables());
  EXPECT_EQ(done.exit, 1);
  EXPECT_NE(done.err.find("does not end"), std::string::npos) << done.err;
}

} // namespace

} // namespace orrery::cli_test
