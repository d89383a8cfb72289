#include "pvip/apply/namespace_thread.hpp"

#include "pvip/apply/system_error.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <system_error>

namespace orrery::pvip {

namespace {

/// Where iproute2 keeps named namespaces.
constexpr std::string_view namespace_folder = "/run/netns/";

/// NAME_MAX of Linux.
constexpr std::size_t file_name_bytes_max = 255;

bool is_file_name(std::string_view name) {
  return name.size() <= file_name_bytes_max && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

error entry_failed(const std::string& name, int number) {
  if (number == ENOENT) {
    return {.code = error_code::not_found,
            .text = "network namespace " + name + " does not exist; make it with \"ip netns add " +
                    name + "\"",
            .retryable = true};
  }
  return system_error("network namespace " + name + " cannot be entered", number);
}

/// All signals, as the process's own threads handle them.
class signals_blocked {
public:
  signals_blocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &x_before);
  }

  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;

  ~signals_blocked() { pthread_sigmask(SIG_SETMASK, &x_before, nullptr); }

private:
  sigset_t x_before{};
};

} // namespace

error system_error(std::string_view what, int number) {
  return {.code = error_code::io_failed,
          .text = std::string(what) + ": " + std::generic_category().message(number),
          .retryable = true};
}

result<std::unique_ptr<namespace_thread>> namespace_thread::start(std::string name) {
  if (!is_file_name(name)) {
    return error{.code = error_code::invalid_argument,
                 .text = "\"" + name + "\" cannot be the name of a network namespace"};
  }
  auto thread = std::make_unique<namespace_thread>(std::move(name));
  if (auto entered = thread->run([] { return result<void>(); }); !entered) {
    return entered.error();
  }
  return thread;
}

namespace_thread::namespace_thread(std::string name) : x_name(std::move(name)) {
  const signals_blocked blocked; // inherited by the new thread
  x_thread = std::thread([this] { work(); });
}

namespace_thread::~namespace_thread() {
  {
    const std::lock_guard guard(x_lock);
    x_ending = true;
  }
  x_changed.notify_one();
  x_thread.join();
}

result<void> namespace_thread::hand_over(std::function<void()> task) {
  {
    const std::lock_guard guard(x_lock);
    if (x_tasks.size() >= tasks_max) {
      return error{.code = error_code::too_many_requests,
                   .text = "too many operations wait for the node's network; try again",
                   .retryable = true};
    }
    x_tasks.push_back(std::move(task));
  }
  x_changed.notify_one();
  return {};
}

void namespace_thread::work() {
  pthread_setname_np(pthread_self(), "node-network");
  std::unique_lock guard(x_lock);
  while (true) {
    x_changed.wait(guard, [this] { return x_ending || !x_tasks.empty(); });
    if (x_tasks.empty()) {
      return;
    }
    const auto task = std::move(x_tasks.front());
    x_tasks.pop_front();
    guard.unlock();
    task();
    guard.lock();
  }
}

result<void> namespace_thread::enter() {
  if (x_name.empty()) {
    x_entries = 1;
    return {};
  }
  const std::string path = std::string(namespace_folder) + x_name;

  struct stat now {};

  if (::stat(path.c_str(), &now) != 0) {
    return entry_failed(x_name, errno);
  }
  if (x_entered.is_open() && now.st_dev == x_entered_disk && now.st_ino == x_entered_inode) {
    return {};
  }
  file_descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.is_open() || ::fstat(opened.number(), &now) != 0 ||
      ::setns(opened.number(), CLONE_NEWNET) != 0) {
    return entry_failed(x_name, errno);
  }
  x_entered = std::move(opened);
  x_entered_disk = now.st_dev;
  x_entered_inode = now.st_ino;
  ++x_entries;
  return {};
}

} // namespace orrery::pvip
