#include "tests/drivers/libvirt_node.hpp"

#include "tests/support/wait.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace orrery::testing_support {

namespace {

namespace fs = std::filesystem;

std::string script(const char* name) {
  return std::string(ORRERY_SOURCE_DIRECTORY "/deploy/lib/") + name;
}

/// Ends the process when a script of the test bed fails.
void must(const std::vector<std::string>& words) {
  const auto done = run(words);
  if (done.status == 0)
    return;
  std::fprintf(stderr, "the test bed cannot be made: %s\n%s\n", words.front().c_str(),
               done.output.c_str());
  std::abort();
}

fs::path make_scratch() {
  auto name = (fs::temp_directory_path() / "orrery-libvirt-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    std::perror(name.c_str());
    std::abort();
  }
  // Guests run as a user of their own, who must reach the image and the console.
  fs::permissions(name, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  return name;
}

} // namespace

command_result run(const std::vector<std::string>& words) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0)
    return {};
  const auto child = fork();
  if (child == 0) {
    // Only what may be called between fork and exec in a process with threads.
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    std::vector<char*> raw;
    for (const auto& word : words)
      raw.push_back(const_cast<char*>(word.c_str()));
    raw.push_back(nullptr);
    execvp(raw.front(), raw.data());
    constexpr int not_found = 127;
    _exit(not_found);
  }
  close(ends[1]);
  command_result done;
  std::array<char, 4096> part{};
  for (;;) {
    const auto count = read(ends[0], part.data(), part.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      break;
    done.output.append(part.data(), static_cast<std::size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status))
    done.status = WEXITSTATUS(status);
  return done;
}

libvirt_node::libvirt_node() : x_scratch(make_scratch()), x_name("drv" + std::to_string(getpid())) {
  const char* shared = std::getenv("ORRERY_TEST_IMAGES");
  x_images = shared != nullptr && *shared != '\0' ? fs::path(shared) : x_scratch / "images";
  must({script("guest-image"), x_images, image});
  must({script("node-up"), x_name, "--dir", x_scratch});
  fs::create_directory(x_scratch / "consoles");
}

libvirt_node::~libvirt_node() {
  must({script("node-down"), x_name, "--dir", x_scratch});
  fs::remove_all(x_scratch);
}

fs::path libvirt_node::directory() const { return x_scratch / x_name; }

drivers::libvirt_hypervisor::options libvirt_node::options() const {
  drivers::libvirt_hypervisor::options settings;
  settings.socket_path = directory() / "run/libvirt/libvirt-sock";
  settings.image_directory = x_images;
  settings.console_directory = x_scratch / "consoles";
  return settings;
}

std::unique_ptr<drivers::libvirt_hypervisor>
libvirt_node::make_driver(drivers::libvirt_hypervisor::options settings) const {
  auto made = drivers::libvirt_hypervisor::make(std::move(settings));
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().text.c_str());
    std::abort();
  }
  return std::move(*made);
}

std::unique_ptr<drivers::libvirt_hypervisor> libvirt_node::make_driver() const {
  return make_driver(options());
}

drivers::guest_port libvirt_node::make_port() {
  drivers::guest_port port;
  const auto number = ++x_port_count;
  port.link = "ot" + std::to_string(number);
  port.mac.bytes = {
      0x0a, 0, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  port.address.bits = (10U << 24) + (99U << 16) + number + 1;
  port.gateway.bits = (10U << 24) + (99U << 16) + 1;
  must({"ip", "-n", "orrery-" + x_name, "tuntap", "add", "dev", port.link, "mode", "tap", "user",
        "libvirt-qemu"});
  must({"ip", "-n", "orrery-" + x_name, "link", "set", port.link, "up"});
  return port;
}

command_result libvirt_node::virsh(std::vector<std::string> words) const {
  words.insert(words.begin(),
               {"virsh", "-q", "-c", "qemu+unix:///system?socket=" + options().socket_path});
  return run(words);
}

pid_t libvirt_node::daemon_pid(const std::string& wanted) const {
  std::ifstream pids(directory() / "pids");
  pid_t last = 0;
  for (std::string line; std::getline(pids, line);) {
    std::istringstream words(line);
    std::string role;
    pid_t pid = 0;
    if (words >> role >> pid && role == wanted)
      last = pid;
  }
  return last;
}

void libvirt_node::kill_libvirtd() const {
  const auto pid = daemon_pid("libvirtd");
  kill(pid, SIGKILL);
  // Not our child: gone when /proc knows it no more, or as its parent's zombie.
  const auto is_gone = [pid] {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(stat, text);
    return text.empty() || text.find(") Z ") != std::string::npos;
  };
  constexpr std::chrono::seconds limit(20); // a killed process goes in milliseconds
  if (!wait_until(limit, is_gone)) {
    std::fprintf(stderr, "libvirtd %d does not die\n", pid);
    std::abort();
  }
}

command_result libvirt_node::in_network(std::vector<std::string> words) const {
  words.insert(words.begin(), {"ip", "netns", "exec", "orrery-" + x_name});
  return run(words);
}

void libvirt_node::make_starts_hold() const {
  // QEMU finds its modules and firmware beside itself, so the real one stays in /usr/bin.
  const auto over = x_scratch / "over";
  const auto hold = (x_scratch / "hold").string();
  const auto held = (x_scratch / "held").string();
  constexpr auto everybody = fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                             fs::perms::others_read | fs::perms::others_exec;
  fs::create_directory(over);
  fs::permissions(over, everybody);
  fs::copy_file("/usr/bin/qemu-system-x86_64", over / "qemu-real");
  // The guests' user says that it waits: the file exists beforehand and is theirs to write.
  std::ofstream(held).flush();
  fs::permissions(held, fs::perms::others_write, fs::perm_options::add);
  std::ofstream(over / "qemu-system-x86_64")
      << "#!/bin/sh\ncase \"$*\" in\n*guest=orrery-*)\n  if [ -e " << hold
      << " ]; then\n    echo held >" << held << "\n    while [ -e " << hold
      << " ]; do sleep 0.05; done\n  fi ;;\nesac\nexec /usr/bin/qemu-real \"$@\"\n";
  fs::permissions(over / "qemu-system-x86_64", everybody);
  must({"nsenter", "--target", std::to_string(daemon_pid("keeper")), "--mount", "mount", "-t",
        "overlay", "overlay", "-o", "lowerdir=" + over.string() + ":/usr/bin", "/usr/bin"});
}

void libvirt_node::start_daemons() const { must({script("node-up"), x_name, "--dir", x_scratch}); }

pid_t libvirt_node::guest_pid(vm_id vm) const {
  std::ifstream file(directory() / "run/libvirt/qemu" /
                     (drivers::libvirt::domain_name(vm) + ".pid"));
  pid_t pid = 0;
  file >> pid;
  return pid;
}

} // namespace orrery::testing_support
