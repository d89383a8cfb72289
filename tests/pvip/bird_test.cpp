#include "pvip/apply/bird.hpp"
#include "pvip/apply/bird_control.hpp"
#include "pvip/apply/bird_process.hpp"
#include "pvip/apply/file_descriptor.hpp"
#include "pvip/upstream/bird_config.hpp"
#include "tests/pvip/net_lab.hpp"
#include "tests/support/wait.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;
using testing_support::wait_until;

constexpr auto limit = 60s; // only a failure waits for so long

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A folder that BIRD's user may pass, and that ends with the test.
class scratch {
public:
  scratch() {
    std::filesystem::create_directory(x_path);
    std::filesystem::permissions(x_path, std::filesystem::perms(0755));
  }

  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  ~scratch() { std::filesystem::remove_all(x_path); }

  [[nodiscard]] const std::string& path() const { return x_path; }

private:
  std::string x_path = "/run/orrery-bird-test-" + std::to_string(::getpid());
};

/// Somebody who listens where BIRD should: sends `first` to whoever comes, and `then` once it was
/// asked something; silent when that is empty.
class impostor {
public:
  impostor(const std::string& path, std::string first, std::string then)
      : x_listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(
        ::bind(x_listening.number(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
        0);
    EXPECT_EQ(::listen(x_listening.number(), 1), 0);
    x_thread = std::thread([this, first = std::move(first), then = std::move(then)] {
      const file_descriptor with(::accept4(x_listening.number(), nullptr, nullptr, SOCK_CLOEXEC));
      (void)::send(with.number(), first.data(), first.size(), MSG_NOSIGNAL);
      std::array<char, 1'024> bytes{};
      while (::recv(with.number(), bytes.data(), bytes.size(), 0) > 0) {
        (void)::send(with.number(), then.data(), then.size(), MSG_NOSIGNAL);
        if (then == "bye") {
          return;
        }
      }
    });
  }

  impostor(const impostor&) = delete;
  impostor& operator=(const impostor&) = delete;

  ~impostor() {
    ::shutdown(x_listening.number(), SHUT_RDWR); // in case that nobody came
    x_thread.join();
  }

private:
  file_descriptor x_listening;
  std::thread x_thread;
};

error failure_with(const std::string& first, const std::string& then,
                   std::string_view question = "show status") {
  const scratch folder;
  const impostor other(folder.path() + "/ctl", first, then);
  const auto reply = bird_control(folder.path() + "/ctl", 300ms).ask(question);
  EXPECT_FALSE(reply);
  return reply ? error{} : reply.error();
}

constexpr const char* greeting = "0001 BIRD 2.0.12 ready.\n";

TEST(pvip_bird_control, nobody_there_is_unavailable) {
  const scratch folder;
  const auto reply = bird_control(folder.path() + "/ctl").status();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, error_code::unavailable);
  EXPECT_TRUE(has(reply.error().text, folder.path() + "/ctl")) << reply.error().text;
}

TEST(pvip_bird_control, what_is_no_bird_is_told) {
  EXPECT_EQ(failure_with("hello\n", "").code, error_code::damaged);
  EXPECT_EQ(failure_with(greeting, "nonsense\n").code, error_code::damaged);
  EXPECT_EQ(failure_with(greeting, "bye").code, error_code::unavailable);
  EXPECT_EQ(failure_with(greeting, std::string(5'000, 'x')).code, error_code::too_large);
}

TEST(pvip_bird_control, silence_ends_at_the_limit) {
  EXPECT_EQ(failure_with("", "").code, error_code::timed_out);
  EXPECT_EQ(failure_with("0001-BIRD", "").code, error_code::timed_out);
  const error silent = failure_with(greeting, "0002-Reading\n");
  EXPECT_EQ(silent.code, error_code::timed_out);
  EXPECT_TRUE(has(silent.text, "300 ms")) << silent.text;
}

TEST(pvip_bird_control, a_refusal_has_the_words) {
  const error refused = failure_with(greeting, "0002-Reading\n8002 x:3:5 syntax error\n");
  EXPECT_EQ(refused.code, error_code::driver_failed);
  EXPECT_TRUE(has(refused.text, "x:3:5 syntax error")) << refused.text;
}

TEST(pvip_bird_control, a_question_is_one_line_and_a_path_fits_a_socket) {
  const bird_control nobody("/run/x");
  for (const std::string& bad : {std::string(), std::string("a\nb"), std::string(1'025, 'a')}) {
    const auto reply = nobody.ask(bad);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, error_code::invalid_argument);
  }
  for (const std::string& path : {std::string(), "/" + std::string(107, 'x')}) {
    const auto reply = bird_control(path).status();
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, error_code::invalid_argument);
  }
}

/// A real BIRD in a namespace, whose one router is not there.
class pvip_bird : public testing::Test {
protected:
  void SetUp() override {
    x_lab.ip("link add up0 type veth peer name up1");
    x_lab.ip("address add 192.0.2.11/24 dev up0");
    x_lab.ip("link set up0 up");
    x_bird = opened();
  }

  void TearDown() override {
    const auto stopped = x_bird->stop();
    EXPECT_TRUE(stopped) << stopped.error().text;
  }

  std::unique_ptr<bird> opened() {
    auto made = bird::open(x_lab.name(), {.folder = x_folder.path() + "/bird"});
    EXPECT_TRUE(made) << made.error().text;
    return made ? *std::move(made) : nullptr;
  }

  void ensured(const routed_upstream& settings) {
    const auto done = x_bird->ensure(settings);
    ASSERT_TRUE(done) << done.error().text;
  }

  [[nodiscard]] std::string in_folder(const std::string& name) const {
    return x_folder.path() + "/bird/" + name;
  }

  /// 0 until there is one.
  [[nodiscard]] pid_t process() const {
    pid_t number = 0;
    std::ifstream(in_folder("bird.pid")) >> number;
    return number;
  }

  pid_t started() {
    EXPECT_TRUE(wait_until(limit, [this] { return process() != 0; }));
    return process();
  }

  static bool is_alive(pid_t number) {
    const bool exists = ::kill(number, 0) == 0;
    std::string state;
    std::ifstream stat("/proc/" + std::to_string(number) + "/stat");
    std::string word;
    stat >> word >> word >> state;
    return exists && state != "Z";
  }

  static std::string command_of(pid_t number) {
    std::ostringstream all;
    all << std::ifstream("/proc/" + std::to_string(number) + "/cmdline").rdbuf();
    std::string words = all.str();
    std::replace(words.begin(), words.end(), '\0', ' ');
    return words;
  }

  static routed_upstream settings() {
    return {.own_address = ipv4{0xc000020bU},
            .protocol = bgp_upstream{.as = 64'601,
                                     .neighbours = {{.address = ipv4{0xc0000201U},
                                                     .as = 64'512,
                                                     .password = R"(#;{}\ 'secret)"}}},
            .learns_default = true,
            .learned_within = {{ipv4{0x0a630000U}, 24}}};
  }

  net_lab x_lab;
  scratch x_folder;
  std::unique_ptr<bird> x_bird;
};

TEST_F(pvip_bird, a_folder_that_cannot_be_one_and_an_unknown_user_are_refused) {
  for (const std::string& bad : {std::string(), std::string("run/bird"), std::string("/"),
                                 std::string("/run/a\"b"), "/" + std::string(98, 'x')}) {
    const auto made = bird::open(x_lab.name(), {.folder = bad});
    ASSERT_FALSE(made) << bad;
    EXPECT_EQ(made.error().code, error_code::invalid_argument);
  }
  const auto unknown = bird::open(x_lab.name(), {.folder = "/run/bird", .user = "no-such"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, error_code::not_found);
}

TEST_F(pvip_bird, it_starts_without_rights_over_its_file_and_tells_of_its_neighbour) {
  ensured(settings());

  struct stat file {};

  ASSERT_EQ(::stat(in_folder("bird.conf").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0640U);
  EXPECT_EQ(file.st_uid, 0U);
  ASSERT_EQ(::stat(in_folder("").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 01770U);
  EXPECT_FALSE(std::filesystem::exists(in_folder("bird.conf.new")));

  struct stat running {};

  ASSERT_EQ(::stat(("/proc/" + std::to_string(started())).c_str(), &running), 0);
  EXPECT_NE(running.st_uid, 0U);
  EXPECT_FALSE(has(command_of(process()), " -R")); // nobody knew a predecessor
  const auto found = x_bird->neighbours(settings());
  ASSERT_TRUE(found) << found.error().text;
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().address, ip_address(ipv4{0xc0000201U}));
  EXPECT_FALSE(found->front().established);
  EXPECT_NE(found->front().info, "BIRD does not have it");
}

TEST_F(pvip_bird, it_outlives_us_and_is_taken_over) {
  ensured(settings());
  const pid_t first = started();
  x_bird = opened();
  EXPECT_TRUE(is_alive(first));
  ensured(settings());
  EXPECT_EQ(process(), first);
}

TEST_F(pvip_bird, other_settings_are_read_by_the_one_that_runs) {
  ensured(settings());
  const pid_t first = started();
  routed_upstream more = settings();
  std::get<bgp_upstream>(more.protocol)
      .neighbours.push_back({.address = ipv4{0xc0000202U}, .as = 64'513, .password = {}});
  ensured(more);
  EXPECT_EQ(process(), first);
  const auto found = x_bird->neighbours(more);
  ASSERT_TRUE(found) << found.error().text;
  ASSERT_EQ(found->size(), 2U);
  EXPECT_NE(found->back().info, "BIRD does not have it");
  // Somebody's change of the file is undone, though BIRD has not read it.
  std::ofstream(in_folder("bird.conf")) << "router id 1.2.3.4;\n";
  ensured(more);
  std::ostringstream text;
  text << std::ifstream(in_folder("bird.conf")).rdbuf();
  EXPECT_EQ(text.str(), bird_config(more).value());
}

TEST_F(pvip_bird, a_change_that_nobody_read_before_we_died_is_read_by_the_next) {
  ensured(settings());
  routed_upstream more = settings();
  std::get<bgp_upstream>(more.protocol)
      .neighbours.push_back({.address = ipv4{0xc0000202U}, .as = 64'513, .password = {}});
  std::ofstream(in_folder("bird.conf")) << bird_config(more).value(); // and then we died
  x_bird = opened();
  ensured(more);
  const auto found = x_bird->neighbours(more);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_NE(found->back().info, "BIRD does not have it");
}

TEST_F(pvip_bird, one_that_was_killed_begins_again_with_graceful_restart) {
  ensured(settings());
  const pid_t first = started();
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_TRUE(wait_until(limit, [first] { return !is_alive(first); }));
  ensured(settings());
  ASSERT_TRUE(wait_until(limit, [&] { return process() != 0 && process() != first; }));
  EXPECT_TRUE(has(command_of(process()), " -R"));
}

TEST_F(pvip_bird, one_whose_socket_or_folder_somebody_removed_is_ended_and_another_begins) {
  ensured(settings());
  for (const std::string name : {"bird.ctl", ""}) {
    const pid_t lost = started();
    std::filesystem::remove_all(in_folder(name));
    ensured(settings());
    EXPECT_FALSE(is_alive(lost)) << name;
    ASSERT_TRUE(wait_until(limit, [&] { return process() != 0 && process() != lost; }));
    EXPECT_TRUE(has(command_of(process()), " -R")) << name; // routers keep what the first one told
  }
  const pid_t last = started();
  std::filesystem::remove_all(x_folder.path() + "/bird");
  ASSERT_TRUE(x_bird->stop());
  EXPECT_FALSE(is_alive(last));
}

TEST_F(pvip_bird, another_bird_with_another_file_is_left_alone) {
  ensured(settings());
  const pid_t own = started();
  auto other = bird::open(x_lab.name(), {.folder = x_folder.path() + "/bird2"});
  ASSERT_TRUE(other) << other.error().text;
  routed_upstream elsewhere = settings();
  elsewhere.own_address = ipv4{0xc0000215U};
  ASSERT_TRUE((*other)->ensure(elsewhere));
  std::filesystem::remove(x_folder.path() + "/bird2/bird.ctl");
  ASSERT_TRUE((*other)->stop());
  EXPECT_TRUE(is_alive(own));
  EXPECT_EQ(process(), own);
  EXPECT_FALSE(process_of_bird("/usr/sbin/bird", x_folder.path() + "/bird2/bird.conf"));
}

/// The kernel's own word: who may speak to it is on the uplink.
TEST_F(pvip_bird, it_listens_on_the_uplinks_addresses_alone) {
  x_lab.ip("link set up1 up"); // no protocol of BIRD begins without a carrier
  x_lab.ip("address add 2001:db8:f::11/64 dev up0 nodad");
  routed_upstream both = settings();
  both.own_address6 = parse_ipv6("2001:db8:f::11").value();
  std::get<bgp_upstream>(both.protocol)
      .neighbours.push_back(
          {.address = parse_ipv6("2001:db8:f::1").value(), .as = 64'512, .password = {}});
  ensured(both);
  const auto listening = [this] { return x_lab.command("ss -Hltn sport = :179"); };
  EXPECT_TRUE(wait_until(limit, [&] {
    return has(listening(), "192.0.2.11:179") && has(listening(), "[2001:db8:f::11]:179");
  })) << listening();
  EXPECT_FALSE(has(listening(), "0.0.0.0:179")) << listening();
  EXPECT_FALSE(has(listening(), "[::]:179")) << listening();
}

TEST_F(pvip_bird, one_that_hangs_is_told_and_not_touched) {
  ensured(settings());
  const pid_t first = started();
  ASSERT_EQ(::kill(first, SIGSTOP), 0);
  const auto asked = bird_control(in_folder("bird.ctl"), 200ms).status();
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, error_code::timed_out);
  ASSERT_EQ(::kill(first, SIGCONT), 0);
  EXPECT_TRUE(bird_control(in_folder("bird.ctl")).status());
}

TEST_F(pvip_bird, it_stops_with_its_files_and_stopping_again_is_nothing) {
  ensured(settings());
  const pid_t first = started();
  ASSERT_TRUE(x_bird->stop());
  EXPECT_TRUE(wait_until(limit, [first] { return !is_alive(first); }));
  for (const std::string name : {"bird.conf", "bird.conf.new", "bird.ctl", "bird.pid"}) {
    EXPECT_FALSE(std::filesystem::exists(in_folder(name))) << name;
  }
  EXPECT_TRUE(x_bird->stop());
  const auto asked = x_bird->neighbours(settings());
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, error_code::unavailable);
}

TEST_F(pvip_bird, a_program_that_is_no_bird_or_not_there_is_told) {
  for (const auto& [program, code] : {std::pair("/bin/false", error_code::driver_failed),
                                      std::pair("/no/such/bird", error_code::io_failed),
                                      std::pair("/bin/true", error_code::unavailable)}) {
    auto other =
        bird::open(x_lab.name(), {.folder = x_folder.path() + "/other", .program = program});
    ASSERT_TRUE(other) << other.error().text;
    const auto done = (*other)->ensure(settings());
    ASSERT_FALSE(done) << program;
    EXPECT_EQ(done.error().code, code) << done.error().text;
    EXPECT_FALSE(has(done.error().text, "secret"));
  }
}

TEST_F(pvip_bird, wrong_settings_are_refused_and_nothing_is_written) {
  routed_upstream wrong = settings();
  std::get<bgp_upstream>(wrong.protocol).neighbours.front().password = "se\"cret";
  const auto done = x_bird->ensure(wrong);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, error_code::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(in_folder("bird.conf")));
}

/// All kinds of settings, each password of the allowed characters, by BIRD's own word.
TEST_F(pvip_bird, it_takes_whatever_we_write) {
  ensured(settings());
  routed_upstream ospf{.own_address = ipv4{0xc000020bU},
                       .protocol = ospf_upstream{.area = ipv4{7},
                                                 .interface = "bond0.100",
                                                 .hello = 10s,
                                                 .dead = 40s,
                                                 .password = R"(#;{}\ 'secret)"},
                       .learns_default = true,
                       .learned_within = {{ipv4{0x0a630000U}, 24}, {ipv4{0x0a000000U}, 8}}};
  ensured(ospf);
  const auto found = x_bird->neighbours(ospf);
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_TRUE(found->empty());
  std::get<ospf_upstream>(ospf.protocol).with_ipv6 = true;
  ensured(ospf);
  EXPECT_TRUE(x_bird->neighbours(ospf)); // of both versions
  std::get<ospf_upstream>(ospf.protocol).password.clear();
  ospf.learns_default = false;
  ensured(ospf);
  std::string printable;
  for (char c = ' '; c <= '~'; ++c) {
    printable += c == '"' ? "" : std::string(1, c);
  }
  routed_upstream bgp = settings();
  for (std::size_t at = 0; at < printable.size(); at += 50) {
    std::get<bgp_upstream>(bgp.protocol).neighbours.front().password = printable.substr(at, 50);
    ensured(bgp);
  }
}

} // namespace
} // namespace orrery::pvip
