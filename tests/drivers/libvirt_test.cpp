#include "drivers/libvirt/libvirt_hypervisor.hpp"
#include "tests/drivers/driver_support.hpp"
#include "tests/drivers/libvirt_node.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <future>
#include <sstream>

namespace orrery::drivers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing_support::ear;
using testing_support::fresh_uuid;
using testing_support::libvirt_node;
using testing_support::wait_until;

constexpr seconds limit(120);
constexpr fencing_token token{.incarnation = 1, .epoch = 5};
constexpr fencing_token newer{.incarnation = 1, .epoch = 6};

libvirt_node& node() {
  static libvirt_node the_node;
  return the_node;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class libvirt_real : public testing::Test {
protected:
  void SetUp() override {
    x_driver = node().make_driver();
    x_driver->listen(x_ear.listener());
    ORRERY_ASSERT_OK(x_driver->connect());
  }

  void TearDown() override {
    const fencing_token last{.incarnation = 1000, .epoch = 0};
    auto cleaner = node().make_driver();
    ORRERY_EXPECT_OK(cleaner->connect());
    for (const auto vm : x_made) {
      ORRERY_EXPECT_OK(cleaner->kill(vm, last));
      ORRERY_EXPECT_OK(cleaner->undefine(vm, last));
    }
    EXPECT_EQ(node().virsh({"list", "--all", "--name"}).output, "");
    x_driver->listen({});
  }

  [[nodiscard]] libvirt_hypervisor& driver() { return *x_driver; }

  [[nodiscard]] ear& heard() { return x_ear; }

  [[nodiscard]] guest_spec make_spec() {
    guest_spec spec;
    spec.installation = installation;
    spec.vm = vm_id{fresh_uuid()};
    spec.name = "real";
    spec.vcpus.count = 1;
    spec.memory.count = 128;
    spec.image = libvirt_node::image;
    spec.port = node().make_port();
    x_made.push_back(spec.vm);
    return spec;
  }

  [[nodiscard]] guest_spec make_running() {
    auto spec = make_spec();
    ORRERY_EXPECT_OK(driver().define(spec, {1}, token));
    ORRERY_EXPECT_OK(driver().start(spec.vm, {2}, token));
    return spec;
  }

  /// Has a fresh libvirtd take a guest back for as long as that does not answer its monitor, since
  /// its process stands still.
  void be_taking_back(pid_t guest) {
    ASSERT_GT(guest, 0);
    ASSERT_EQ(kill(guest, SIGSTOP), 0);
    node().kill_libvirtd();
    node().start_daemons();
    ASSERT_TRUE(wait_until(limit, [&] { return driver().connect().has_value(); }));
  }

  const uuid installation = fresh_uuid();

private:
  ear x_ear;
  std::unique_ptr<libvirt_hypervisor> x_driver;
  std::vector<vm_id> x_made;
};

/// The value that limits the process's memory, in bytes: of its cgroup or the nearest above it.
std::string memory_limit_of(pid_t pid) {
  std::istringstream lines(text_of("/proc/" + std::to_string(pid) + "/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const bool is_v1 = line.find(":memory:") != std::string::npos;
    if (!is_v1 && !line.starts_with("0::"))
      continue;
    auto group = std::filesystem::path(is_v1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup");
    group += line.substr(line.rfind(':') + 1);
    for (; group.string().find("/orrery-") != std::string::npos; group = group.parent_path()) {
      auto text = text_of(group / (is_v1 ? "memory.limit_in_bytes" : "memory.max"));
      if (!text.empty() && text != "max\n")
        return text.substr(0, text.size() - 1);
    }
  }
  return "none";
}

// --- refusals ------------------------------------------------------------------------------------

TEST_F(libvirt_real, a_failing_call_tells_libvirts_words_and_prints_nothing) {
  auto spec = make_spec();
  spec.port.link = "no-such-tap";
  // Occupied as something else than a tap: libvirt cannot take it.
  ASSERT_EQ(node().in_network({"ip", "link", "add", "no-such-tap", "type", "bridge"}).status, 0);
  testing::internal::CaptureStderr();
  ORRERY_ASSERT_OK(driver().define(spec, {1}, token));
  const auto started = driver().start(spec.vm, {2}, token);
  const auto printed = testing::internal::GetCapturedStderr();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(name_of(started.error().code), name_of(error_code::driver_failed));
  EXPECT_NE(started.error().text.find("no-such-tap"), std::string::npos) << started.error().text;
  EXPECT_EQ(printed, "");
  EXPECT_EQ(driver().inspect(spec.vm)->condition, guest_condition::stopped);
}

TEST_F(libvirt_real, a_foreign_domain_is_never_listed_and_never_touched) {
  const auto spec = make_spec();
  const auto file = node().scratch() / "foreign.xml";
  std::ofstream(file) << "<domain type='qemu'><name>orrery-looks-like-ours</name><uuid>"
                      << to_text(spec.vm.value)
                      << "</uuid><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type>"
                         "</os></domain>";
  ASSERT_EQ(node().virsh({"define", file}).status, 0);
  ORRERY_EXPECT_CODE(driver().inspect(spec.vm), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().define(spec, {1}, token), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().start(spec.vm, {1}, token), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().kill(spec.vm, token), error_code::conflict);
  ORRERY_EXPECT_CODE(driver().undefine(spec.vm, token), error_code::conflict);
  const auto listed = driver().list(installation);
  ORRERY_ASSERT_OK(listed);
  EXPECT_TRUE(listed->empty());
  EXPECT_EQ(node().virsh({"undefine", to_text(spec.vm.value)}).status, 0);
}

TEST_F(libvirt_real, edited_metadata_is_an_error_not_a_missing_guest) {
  const auto spec = make_spec();
  ORRERY_ASSERT_OK(driver().define(spec, {1}, token));
  const auto edit = [&](const std::string& xml) {
    const auto done = node().virsh({"metadata", to_text(spec.vm.value), "--uri",
                                    libvirt::guest_namespace, "--key", "orrery", "--set", xml});
    EXPECT_EQ(done.status, 0) << done.output;
  };
  edit("<guest installation='x'/>");
  ORRERY_EXPECT_CODE(driver().inspect(spec.vm), error_code::driver_failed);
  ORRERY_EXPECT_CODE(driver().list(installation), error_code::driver_failed);
  ORRERY_EXPECT_CODE(driver().start(spec.vm, {2}, token), error_code::driver_failed);
  edit(libvirt::to_xml(libvirt::guest_record{.installation = installation, .vm = spec.vm}));
  ORRERY_EXPECT_OK(driver().inspect(spec.vm));
}

// --- a hanging or dying libvirtd -----------------------------------------------------------------

TEST_F(libvirt_real, a_hanging_libvirtd_costs_no_more_than_the_limit_and_nothing_happens_later) {
  const auto spec = make_spec();
  ORRERY_ASSERT_OK(driver().define(spec, {1}, token));
  auto settings = node().options();
  settings.question_limit = milliseconds(300);
  settings.change_limit = milliseconds(300);
  settings.fence_limit = milliseconds(300);
  const auto impatient = node().make_driver(settings);
  ASSERT_TRUE(wait_until(limit, [&] { return impatient->connect().has_value(); }));
  const auto libvirtd = node().daemon_pid("libvirtd");
  ASSERT_EQ(kill(libvirtd, SIGSTOP), 0);
  const auto begin = std::chrono::steady_clock::now();
  ORRERY_EXPECT_CODE(impatient->start(spec.vm, {2}, token), error_code::unavailable);
  ORRERY_EXPECT_CODE(impatient->fence(spec.vm, newer), error_code::unavailable);
  ORRERY_EXPECT_CODE(impatient->inspect(spec.vm), error_code::unavailable);
  ORRERY_EXPECT_CODE(impatient->connect(), error_code::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
  ASSERT_EQ(kill(libvirtd, SIGCONT), 0);
  // A patient fence, of another driver even, waits for the start's end; and the start, which had
  // got no further than its first question, has not gone on.
  const auto fenced = driver().fence(spec.vm, newer);
  ORRERY_ASSERT_OK(fenced);
  EXPECT_EQ(fenced->condition, guest_condition::stopped);
  EXPECT_EQ(fenced->generation.count, 1u);
  EXPECT_EQ(fenced->token, newer);
}

TEST_F(libvirt_real, a_silent_libvirtd_is_given_up_and_told) {
  auto settings = node().options();
  settings.keepalive_interval = seconds(1);
  settings.keepalive_count = 1;
  ear listening;
  const auto watcher = node().make_driver(settings);
  watcher->listen(listening.listener());
  ORRERY_ASSERT_OK(watcher->connect());
  const auto libvirtd = node().daemon_pid("libvirtd");
  ASSERT_EQ(kill(libvirtd, SIGSTOP), 0);
  EXPECT_TRUE(listening.heard_more(vm_id{}, 0, limit));
  ASSERT_EQ(kill(libvirtd, SIGCONT), 0);
  ORRERY_EXPECT_CODE(watcher->inspect(vm_id{fresh_uuid()}), error_code::unavailable);
  ORRERY_EXPECT_OK(watcher->connect());
  ORRERY_EXPECT_OK(watcher->inspect(vm_id{fresh_uuid()}));
  watcher->listen({});
}

TEST_F(libvirt_real, after_libvirtd_died_guests_are_adopted_and_causes_forgotten) {
  const auto running = make_running();
  const auto dying = make_running();
  const auto killed = make_running();
  ORRERY_ASSERT_OK(driver().kill(killed.vm, token));
  EXPECT_EQ(driver().inspect(killed.vm)->cause, stop_cause::host);
  const auto never_ran = make_spec();
  ORRERY_ASSERT_OK(driver().define(never_ran, {1}, token));
  const auto running_pid = node().guest_pid(running.vm);
  const auto dying_pid = node().guest_pid(dying.vm);
  ASSERT_GT(running_pid, 0);
  node().kill_libvirtd();
  ASSERT_EQ(kill(dying_pid, SIGKILL), 0);
  node().start_daemons();
  ASSERT_TRUE(wait_until(limit, [&] { return driver().connect().has_value(); }));
  EXPECT_EQ(driver().inspect(running.vm)->condition, guest_condition::running);
  EXPECT_EQ(driver().inspect(running.vm)->generation.count, 2u);
  EXPECT_EQ(node().guest_pid(running.vm), running_pid);
  ASSERT_TRUE(wait_until(
      limit, [&] { return driver().inspect(dying.vm)->condition == guest_condition::stopped; }));
  EXPECT_EQ(driver().inspect(dying.vm)->cause, stop_cause::crashed);
  EXPECT_EQ(driver().inspect(killed.vm)->cause, stop_cause::unknown);
  EXPECT_EQ(driver().inspect(never_ran.vm)->cause, stop_cause::none);
  // What was adopted is still ours to drive.
  ORRERY_EXPECT_OK(driver().kill(running.vm, token));
  EXPECT_EQ(driver().inspect(running.vm)->cause, stop_cause::host);
}

// Of an end meanwhile libvirtd tells nobody (seen with libvirt 9.0).
TEST_F(libvirt_real, an_end_while_libvirtd_takes_its_guests_back_is_seen) {
  const auto spec = make_running();
  const auto pid = node().guest_pid(spec.vm);
  ASSERT_NO_FATAL_FAILURE(be_taking_back(pid));
  EXPECT_EQ(driver().inspect(spec.vm)->condition, guest_condition::running);
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  ASSERT_TRUE(wait_until(
      limit, [&] { return driver().inspect(spec.vm)->condition == guest_condition::stopped; }));
}

TEST_F(libvirt_real, behind_a_fence_libvirtd_has_its_guest_back_and_tells_its_end) {
  const auto spec = make_running();
  const auto pid = node().guest_pid(spec.vm);
  ASSERT_NO_FATAL_FAILURE(be_taking_back(pid));
  auto fenced =
      std::async(std::launch::async, [&] { return driver().fence(spec.vm, newer).has_value(); });
  EXPECT_EQ(fenced.wait_for(milliseconds(300)), std::future_status::timeout);
  ASSERT_EQ(kill(pid, SIGCONT), 0);
  ASSERT_TRUE(fenced.get());
  const auto before = heard().count(spec.vm);
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_TRUE(heard().heard_more(spec.vm, before, limit));
}

// --- the real guest ------------------------------------------------------------------------------

TEST_F(libvirt_real, a_guest_is_confined) {
  const auto spec = make_running();
  const auto pid = node().guest_pid(spec.vm);
  ASSERT_GT(pid, 0);
  const auto status = text_of("/proc/" + std::to_string(pid) + "/status");
  EXPECT_EQ(status.find("\nUid:\t0\t"), std::string::npos);
  EXPECT_NE(status.find("\nSeccomp:\t2"), std::string::npos);
  EXPECT_NE(status.find("\nCapEff:\t0000000000000000"), std::string::npos);
  constexpr std::uint64_t wanted = (128 + 1536) * 1024 * 1024ULL;
  EXPECT_EQ(memory_limit_of(pid), std::to_string(wanted));
  const auto groups = text_of("/proc/" + std::to_string(pid) + "/cgroup");
  EXPECT_NE(groups.find("libvirt-qemu"), std::string::npos) << groups;
}

TEST_F(libvirt_real, a_guest_on_a_tap_made_beforehand_answers_a_ping) {
  const auto spec = make_running();
  const auto address = to_text(spec.port.address);
  ASSERT_EQ(node()
                .in_network({"ip", "address", "add", to_text(spec.port.gateway) + "/32", "dev",
                             spec.port.link})
                .status,
            0);
  ASSERT_EQ(
      node().in_network({"ip", "route", "add", address + "/32", "dev", spec.port.link}).status, 0);
  EXPECT_TRUE(wait_until(limit, [&] {
    return node().in_network({"ping", "-c", "1", "-W", "1", address}).status == 0;
  }));
  ASSERT_EQ(node().in_network({"ip", "link", "del", spec.port.link}).status, 0);
}

// --- fencing a dead predecessor ------------------------------------------------------------------

TEST_F(libvirt_real, a_fence_waits_for_the_start_of_a_killed_predecessor) {
  const auto spec = make_spec();
  node().make_starts_hold();
  const auto hold = node().scratch() / "hold";
  std::ofstream(hold).flush();
  const auto settings = node().options();
  const std::vector<std::string> words{ORRERY_VICTIM,
                                       settings.socket_path,
                                       settings.image_directory,
                                       settings.console_directory,
                                       to_text(spec.vm.value),
                                       to_text(installation),
                                       spec.port.link};
  std::vector<char*> raw;
  for (const auto& word : words)
    raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  const auto victim = fork();
  ASSERT_GE(victim, 0);
  if (victim == 0) {
    execv(raw.front(), raw.data());
    _exit(1);
  }
  ASSERT_TRUE(wait_until(limit, [] { return text_of(node().scratch() / "held") == "held\n"; }));
  ASSERT_EQ(kill(victim, SIGKILL), 0);
  ASSERT_EQ(waitpid(victim, nullptr, 0), victim);

  // While libvirtd is still busy for the dead one, a question is answered (so it is not libvirt's
  // lock that makes us wait), but a fence does not pass.
  auto impatient_settings = settings;
  impatient_settings.fence_limit = seconds(2);
  const auto impatient = node().make_driver(impatient_settings);
  ORRERY_ASSERT_OK(impatient->connect());
  ORRERY_EXPECT_OK(impatient->inspect(spec.vm));
  ORRERY_EXPECT_CODE(impatient->fence(spec.vm, newer), error_code::unavailable);
  ASSERT_TRUE(std::filesystem::remove(hold));

  const auto fenced = driver().fence(spec.vm, newer);
  ORRERY_ASSERT_OK(fenced);
  EXPECT_EQ(fenced->condition, guest_condition::running);
  EXPECT_EQ(fenced->generation.count, 2u);
  EXPECT_EQ(fenced->token, newer);
  // Nothing of the dead one is left to come: one domain, one process, and it stays as it is.
  const auto pid = node().guest_pid(spec.vm);
  EXPECT_GT(pid, 0);
  ORRERY_EXPECT_OK(driver().start(spec.vm, {3}, newer));
  EXPECT_EQ(node().guest_pid(spec.vm), pid);
  const auto names = node().virsh({"list", "--all", "--name"}).output;
  EXPECT_EQ(names, libvirt::domain_name(spec.vm) + "\n");
}

} // namespace
} // namespace orrery::drivers
