#include "tests/pvip/net_lab.hpp"

#include "pvip/apply/arp.hpp"
#include "pvip/apply/tap.hpp"
#include "pvip/guest/udp_frame.hpp"
#include "tests/support/wait.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace orrery::pvip {

namespace {

constexpr const char* name_begin = "orrery-pvip-test-";

/// What virtio puts before each frame of a tap with IFF_VNET_HDR (virtio_net_hdr).
constexpr std::size_t virtio_header_bytes = 10;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream from(text);
  std::vector<std::string> words;
  for (std::string word; from >> word;) {
    words.push_back(word);
  }
  return words;
}

struct ended {
  int status = -1;
  std::string output;
};

ended run(std::vector<std::string> words) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return {};
  }
  const file_descriptor read_end(pipe[0]);
  file_descriptor write_end(pipe[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDERR_FILENO);
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  pid_t child = 0;
  ended result;
  const int failed =
      ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  write_end = file_descriptor(); // so that reading ends with the child
  if (failed != 0) {
    return result;
  }
  std::array<char, 4096> bytes{};
  for (ssize_t count = 0; (count = ::read(pipe[0], bytes.data(), bytes.size())) > 0;) {
    result.output.append(bytes.data(), static_cast<std::size_t>(count));
  }
  ::waitpid(child, &result.status, 0);
  return result;
}

void remove_leftovers() {
  std::error_code none;
  for (const auto& each : std::filesystem::directory_iterator("/run/netns", none)) {
    const std::string name = each.path().filename();
    if (!name.starts_with(name_begin)) {
      continue;
    }
    const auto pid = static_cast<pid_t>(std::atoi(name.c_str() + std::string(name_begin).size()));
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) {
      (void)run({"ip", "netns", "del", name});
    }
  }
}

} // namespace

net_lab::net_lab() : x_name(name_begin + std::to_string(::getpid())) {
  remove_leftovers();
  make();
}

net_lab::~net_lab() { destroy(); }

void net_lab::make() {
  const ended made = run({"ip", "netns", "add", x_name});
  ASSERT_EQ(made.status, 0) << made.output << " (this test needs root and iproute2)";
  auto inside = namespace_thread::start(x_name);
  ASSERT_TRUE(inside) << inside.error().text;
  x_inside = *std::move(inside);
  ip("link set lo up");
}

void net_lab::destroy() {
  x_inside.reset();
  const ended gone = run({"ip", "netns", "del", x_name});
  EXPECT_EQ(gone.status, 0) << gone.output;
}

std::string net_lab::ip(const std::string& words) const {
  std::vector<std::string> all{"ip", "-n", x_name};
  for (std::string& word : words_of(words)) {
    all.push_back(std::move(word));
  }
  const ended done = run(all);
  EXPECT_EQ(done.status, 0) << "ip " << words << ": " << done.output;
  return done.output;
}

std::string net_lab::nft(const std::string& words) const { return command("nft " + words); }

std::string net_lab::command(const std::string& words) const {
  std::vector<std::string> all{"ip", "netns", "exec", x_name};
  for (std::string& word : words_of(words)) {
    all.push_back(std::move(word));
  }
  const ended done = run(all);
  EXPECT_EQ(done.status, 0) << words << ": " << done.output;
  return done.output;
}

std::string net_lab::setting(const std::string& path) const {
  std::string value;
  (void)x_inside->run([&]() -> result<void> {
    std::ifstream(path) >> value;
    return {};
  });
  return value;
}

void net_lab::set(const std::string& path, const std::string& value) const {
  (void)x_inside->run([&]() -> result<void> {
    std::ofstream to(path);
    to << value << std::flush;
    EXPECT_TRUE(to.good()) << path;
    return {};
  });
}

arp_guest::arp_guest(const net_lab& lab, const std::string& link, mac_address mac, ipv4 address)
    : x_stop(::eventfd(0, EFD_CLOEXEC)) {
  auto opened = lab.inside().run([&] { return open_existing_tap(link); });
  if (!opened || !*opened) {
    ADD_FAILURE() << "the guest cannot hold " << link;
    return;
  }
  x_tap = **std::move(opened);
  x_thread = std::thread([this, mac, address] { work(mac, address); });
}

arp_guest::~arp_guest() {
  const std::uint64_t one = 1;
  (void)!::write(x_stop.number(), &one, sizeof(one));
  if (x_thread.joinable()) {
    x_thread.join();
  }
}

void arp_guest::work(mac_address mac, ipv4 address) {
  std::array<std::byte, 2048> bytes{};
  while (true) {
    std::array<pollfd, 2> wait{{{.fd = x_tap.number(), .events = POLLIN, .revents = 0},
                                {.fd = x_stop.number(), .events = POLLIN, .revents = 0}}};
    if (::poll(wait.data(), wait.size(), -1) < 0 || wait[1].revents != 0) {
      return;
    }
    const ssize_t count = ::read(x_tap.number(), bytes.data(), bytes.size());
    if (count < 0 && errno != EAGAIN) {
      return; // the tap was removed
    }
    if (count < static_cast<ssize_t>(virtio_header_bytes)) {
      continue;
    }
    const auto asked = read_arp(std::span<const std::byte>(bytes).subspan(
        virtio_header_bytes, static_cast<std::size_t>(count) - virtio_header_bytes));
    if (!asked || asked->operation != arp_operation::request || asked->target != address) {
      continue;
    }
    ++x_questions;
    auto answer = write_arp({.frame_source = mac,
                             .frame_target = asked->sender_mac,
                             .operation = arp_operation::reply,
                             .sender_mac = mac,
                             .sender = address,
                             .target_mac = asked->sender_mac,
                             .target = asked->sender});
    std::array<std::byte, virtio_header_bytes> header{};
    const std::array<iovec, 2> parts{{{.iov_base = header.data(), .iov_len = header.size()},
                                      {.iov_base = answer.data(), .iov_len = answer.size()}}};
    (void)!::writev(x_tap.number(), parts.data(), parts.size());
  }
}

asking_guest::asking_guest(const net_lab& lab, const std::string& link) {
  auto opened = lab.inside().run([&] { return open_existing_tap(link); });
  if (!opened || !*opened) {
    ADD_FAILURE() << "the guest cannot hold " << link;
    return;
  }
  x_tap = **std::move(opened);
  // Before the kernel has seen that somebody holds the tap, it sends nothing there.
  const bool is_up = testing_support::wait_until(std::chrono::seconds(30), [&] {
    return lab.ip("-o link show dev " + link).find("state UP") != std::string::npos;
  });
  EXPECT_TRUE(is_up) << link;
}

void asking_guest::send(std::span<const std::byte> frame) {
  std::vector<std::byte> sent(virtio_header_bytes);
  sent.insert(sent.end(), frame.begin(), frame.end());
  EXPECT_EQ(::write(x_tap.number(), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
}

std::optional<std::vector<std::byte>> asking_guest::hear(std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  std::array<std::byte, 2048> bytes{};
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd wait{.fd = x_tap.number(), .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0) {
      return std::nullopt;
    }
    const ssize_t count = ::read(x_tap.number(), bytes.data(), bytes.size());
    if (count >= static_cast<ssize_t>(virtio_header_bytes)) {
      return std::vector<std::byte>(bytes.begin() + virtio_header_bytes, bytes.begin() + count);
    }
  }
}

std::optional<dhcp_message> asking_guest::ask(std::span<const std::byte> frame,
                                              std::chrono::milliseconds patience) {
  send(frame);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    const auto bytes =
        hear(std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()));
    if (!bytes) {
      return std::nullopt;
    }
    const auto heard = read_udp(*bytes);
    if (const auto message = heard ? read_dhcp(heard->payload) : std::nullopt) {
      return message;
    }
  }
}

} // namespace orrery::pvip
