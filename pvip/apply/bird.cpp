#include "pvip/apply/bird.hpp"

#include "events/core/text.hpp"
#include "pvip/apply/bird_process.hpp"
#include "pvip/apply/file_descriptor.hpp"
#include "pvip/apply/spawn.hpp"
#include "pvip/apply/system_error.hpp"
#include "pvip/apply/waiting.hpp"
#include "pvip/upstream/bird_config.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <optional>
#include <utility>

namespace orrery::pvip {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::string_view file_name = "bird.conf";
constexpr std::string_view file_beside_name = "bird.conf.new";
constexpr std::string_view socket_name = "bird.ctl";
constexpr std::string_view process_name = "bird.pid";

/// sun_path of Linux, less its closing zero, '/' and the socket's name.
constexpr std::size_t folder_bytes_max = 107 - 1 - socket_name.size();

/// BIRD makes files there and, since the folder is sticky, cannot take root's away.
constexpr mode_t folder_mode = 01770;
constexpr mode_t file_mode = 0640; // it holds passwords

/// Above the longest configuration: 16 neighbours with 256 prefixes each.
constexpr std::size_t file_bytes_max = 1U << 20;

/// What BIRD says when it does not start: a line or two.
constexpr std::size_t words_bytes_max = 4'096;

/// Between two looks at whether it has ended, which takes it some milliseconds.
constexpr std::chrono::milliseconds ending_look{20};

bool is_folder(std::string_view path) {
  return path.starts_with('/') && path.size() > 1 && path.size() <= folder_bytes_max &&
         std::ranges::all_of(path, is_plain_in_path);
}

result<unsigned> number_of_group(const std::string& name) {
  std::array<char, 16'384> bytes{}; // getgrnam_r(3): members' names
  group found{};
  group* at = nullptr;
  const int failed = ::getgrnam_r(name.c_str(), &found, bytes.data(), bytes.size(), &at);
  if (failed != 0) {
    return system_error("group " + name + " cannot be looked up", failed);
  }
  if (at == nullptr) {
    return error{.code = error_code::not_found,
                 .text = "there is no group " + name + " for BIRD; install the package bird2",
                 .retryable = true};
  }
  return found.gr_gid;
}

result<void> make_folder(const std::string& path, unsigned group) {
  const auto above = std::filesystem::path(path).parent_path();
  std::error_code failed;
  if (std::filesystem::create_directories(above, failed)) {
    std::filesystem::permissions(above, std::filesystem::perms(0755), failed);
  }
  if (::mkdir(path.c_str(), folder_mode) != 0 && errno != EEXIST) {
    return system_error(path + " cannot be made", errno);
  }
  const file_descriptor folder(::open(path.c_str(), O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.is_open() || ::fchown(folder.number(), 0, group) != 0 ||
      ::fchmod(folder.number(), folder_mode) != 0) {
    return system_error(path + " cannot be made root's and BIRD's alone", errno);
  }
  return {};
}

/// Empty when there is none, or one that is none of ours.
std::string content_of(const std::string& path) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  std::string text(file_bytes_max + 1, '\0');
  std::size_t had = 0;
  while (file.is_open() && had < text.size()) {
    const auto count = ::read(file.number(), text.data() + had, text.size() - had);
    if (count <= 0) {
      break;
    }
    had += static_cast<std::size_t>(count);
  }
  text.resize(had);
  return text;
}

result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return system_error(path + " cannot be removed", errno);
  }
  return {};
}

/// What comes, less its last end of a line, until the other end is closed; nothing when that takes
/// too long.
std::optional<std::string> heard(const file_descriptor& from, steady::time_point until) {
  std::string words;
  std::array<char, 1'024> bytes{};
  while (true) {
    if (wait_for(from.number(), POLLIN, until) != waited::ready) {
      return std::nullopt;
    }
    const auto more = ::read(from.number(), bytes.data(), bytes.size());
    if (more == 0) {
      words.resize(words.size() - (words.ends_with('\n') ? 1 : 0));
      return words;
    }
    if (more > 0 && words.size() < words_bytes_max) {
      words.append(bytes.data(), static_cast<std::size_t>(more));
    } else if (more < 0 && errno != EINTR) {
      return std::nullopt;
    }
  }
}

} // namespace

result<std::unique_ptr<bird>> bird::open(std::string namespace_name, bird_place place) {
  if (!is_folder(place.folder)) {
    return error{.code = error_code::invalid_argument,
                 .text = "\"" + printable(place.folder, text_shown_max) +
                         "\" cannot be BIRD's folder; give an absolute path of a-z, A-Z, 0-9, '/', "
                         "'.', '_' and '-', of at most " +
                         std::to_string(folder_bytes_max) + " bytes"};
  }
  const auto group = number_of_group(place.user);
  if (!group) {
    return group.error();
  }
  auto thread = namespace_thread::start(std::move(namespace_name));
  if (!thread) {
    return thread.error();
  }
  return std::make_unique<bird>(*std::move(thread), std::move(place), *group);
}

bool bird::is_there(const bird_place& place) {
  return process_of_bird(place.program, place.folder + "/" + std::string(file_name)).has_value();
}

bird::bird(std::unique_ptr<namespace_thread> thread, bird_place place, unsigned group)
    : x_thread(std::move(thread)), x_place(std::move(place)), x_group(group),
      x_control(path_of(socket_name)) {}

std::string bird::path_of(std::string_view name) const {
  return x_place.folder + "/" + std::string(name);
}

result<void> bird::ensure(const routed_upstream& settings) {
  const auto text = bird_config(settings);
  if (!text) {
    return text.error();
  }
  const auto status = x_control.status();
  const bool is_running = status.has_value();
  if (!is_running && status.error().code != error_code::unavailable) {
    return status.error();
  }
  x_is_read = x_is_read && is_running;
  if (x_is_read && content_of(path_of(file_name)) == *text) {
    return {};
  }
  x_is_read = false;
  if (auto changed = change(is_running, *text); !changed) {
    return changed;
  }
  x_is_read = true;
  return {};
}

result<void> bird::change(bool is_running, const std::string& text) {
  if (auto written = write_beside(text); !written) {
    return written;
  }
  if (is_running) {
    if (auto readable = x_control.configure_check(path_of(file_beside_name)); !readable) {
      return readable;
    }
  }
  if (auto kept = keep_written(); !kept) {
    return kept;
  }
  return is_running ? x_control.configure() : start();
}

result<void> bird::write_beside(const std::string& text) const {
  if (auto made = make_folder(x_place.folder, x_group); !made) {
    return made;
  }
  const std::string path = path_of(file_beside_name);
  if (auto gone = remove_file(path); !gone) {
    return gone;
  }
  const file_descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode));
  if (!file.is_open() || ::fchown(file.number(), 0, x_group) != 0 ||
      ::fchmod(file.number(), file_mode) != 0) {
    return system_error(path + " cannot be made", errno);
  }
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto count = ::write(file.number(), rest.data(), rest.size());
    if (count < 0 && errno != EINTR) {
      return system_error(path + " cannot be written", errno);
    }
    rest.remove_prefix(static_cast<std::size_t>(std::max(count, ssize_t{0})));
  }
  return {};
}

result<void> bird::keep_written() const {
  const std::string path = path_of(file_name);
  if (::rename(path_of(file_beside_name).c_str(), path.c_str()) != 0) {
    return system_error(path + " cannot be written", errno);
  }
  return {};
}

result<void> bird::start() const {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return system_error("BIRD cannot be started", errno);
  }
  const file_descriptor words_read(ends[0]);
  file_descriptor words_write(ends[1]);
  const auto was_there = end_unheard(SIGKILL); // so that routers keep what it told
  if (!was_there) {
    return was_there.error();
  }
  std::vector<std::string> command{x_place.program,      "-c", path_of(file_name),    "-s",
                                   path_of(socket_name), "-P", path_of(process_name), "-u",
                                   x_place.user,         "-g", x_place.user};
  // The mark of one that died: `stop` removes it.
  if (*was_there || ::access(path_of(process_name).c_str(), F_OK) == 0) {
    command.emplace_back("-R");
  }
  pid_t child = 0;
  const auto spawned = x_thread->run([&]() -> result<void> {
    const spawn_settings settings(
        {{words_write.number(), STDOUT_FILENO}, {words_write.number(), STDERR_FILENO}});
    const int failed = settings.spawn(child, command);
    return failed == 0 ? result<void>() : system_error(x_place.program, failed);
  });
  if (!spawned) {
    return spawned.error();
  }
  words_write = file_descriptor(); // so that reading ends with the child's
  const auto words = heard(words_read, steady::now() + start_limit);
  if (!words) {
    (void)::kill(child, SIGKILL);
  }
  // What was started ends when BIRD is in the background, or could not get there.
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!words) {
    return error{.code = error_code::timed_out,
                 .text = "BIRD did not start within " + std::to_string(start_limit.count()) + " s",
                 .retryable = true};
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return error{.code = error_code::driver_failed,
                 .text = "BIRD does not start: " + printable(*words, words_bytes_max),
                 .retryable = true};
  }
  return x_control.status();
}

/// A BIRD that goes on and cannot be spoken to: its socket was removed. True when there was one.
result<bool> bird::end_unheard(int signal) const {
  bool was_there = false;
  while (const auto process = process_of_bird(x_place.program, path_of(file_name))) {
    was_there = true;
    if (auto ended = end_process(*process, signal, start_limit); !ended) {
      return ended.error();
    }
  }
  return was_there;
}

result<std::vector<neighbour_state>> bird::neighbours(const routed_upstream& settings) {
  const auto* bgp = std::get_if<bgp_upstream>(&settings.protocol);
  if (bgp == nullptr) {
    return neighbours();
  }
  const auto reply = x_control.ask("show protocols");
  return reply ? read_bgp_neighbours(*reply, *bgp)
               : result<std::vector<neighbour_state>>(reply.error());
}

result<std::vector<neighbour_state>> bird::neighbours() {
  const auto reply = x_control.ask("show protocols");
  if (!reply) {
    return reply.error();
  }
  auto found = read_bgp_neighbours(*reply);
  for (const protocol_state& each : read_protocols(*reply)) {
    if (each.name != ospf_protocol_name && each.name != ospf6_protocol_name) {
      continue;
    }
    auto more = x_control.ask("show ospf neighbors " + each.name);
    if (!more) {
      return more.error();
    }
    std::ranges::move(read_ospf_neighbours(*more), std::back_inserter(found));
  }
  std::ranges::sort(found, {}, &neighbour_state::address);
  return found;
}

result<void> bird::stop() {
  x_is_read = false;
  const auto until = steady::now() + start_limit;
  for (auto asked = x_control.ask("down");; asked = x_control.ask("show status")) {
    if (!asked && asked.error().code == error_code::unavailable) {
      break;
    }
    if (!asked) {
      return asked.error();
    }
    if (steady::now() > until) {
      return error{.code = error_code::timed_out,
                   .text = "BIRD did not end within " + std::to_string(start_limit.count()) + " s",
                   .retryable = true};
    }
    (void)::poll(nullptr, 0, static_cast<int>(ending_look.count()));
  }
  if (auto ended = end_unheard(SIGTERM); !ended) {
    return ended.error();
  }
  for (const auto name : {file_name, file_beside_name, socket_name, process_name}) {
    if (auto gone = remove_file(path_of(name)); !gone) {
      return gone;
    }
  }
  return {};
}

} // namespace orrery::pvip
