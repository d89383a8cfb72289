#include "tools/orrery/progress.hpp"

#include "events/core/check.hpp"
#include "tools/orrery/failure.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace orrery::cli {

namespace {

using clock = std::chrono::steady_clock;

/// Between two drawings of the live line.
constexpr std::chrono::milliseconds redraw_pause = std::chrono::milliseconds(100);

} // namespace

class progress::impl {
public:
  impl(const terminal& where, progress_style style)
      : x_terminal(where), x_shown(style == progress_style::shown),
        x_live(x_shown && where.err && where.width > 20), x_began(clock::now()) {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    ORRERY_CHECK(pthread_sigmask(SIG_BLOCK, &interrupt, &x_mask_before) == 0);
    x_signals = ::signalfd(-1, &interrupt, SFD_CLOEXEC);
    x_over = ::eventfd(0, EFD_CLOEXEC);
    ORRERY_CHECK(x_signals >= 0);
    ORRERY_CHECK(x_over >= 0);
    x_thread = std::thread([this] { watch(); });
  }

  ~impl() {
    const std::uint64_t one = 1;
    ORRERY_CHECK(::write(x_over, &one, sizeof one) == sizeof one);
    x_thread.join();
    erase();
    ::close(x_signals);
    ::close(x_over);
    pthread_sigmask(SIG_SETMASK, &x_mask_before, nullptr);
  }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  void begin(const std::string& what, const std::string& job) {
    const std::lock_guard lock(x_mutex);
    x_job = job;
    x_now = what;
    if (x_shown)
      line(what + "  " + job);
  }

  void step(const std::string& name, std::chrono::microseconds since_start) {
    const std::lock_guard lock(x_mutex);
    if (x_shown)
      line(mark(true) + " " + name + "  " + elapsed_text(since_start));
  }

  void note(const std::string& text) {
    const std::lock_guard lock(x_mutex);
    if (x_shown)
      line("… " + text);
  }

  void end(bool good, const std::string& text) {
    const std::lock_guard lock(x_mutex);
    if (x_shown)
      line(mark(good) + " " + text);
    x_live = false;
  }

private:
  [[nodiscard]] std::string mark(bool good) const {
    if (x_terminal.colours)
      return good ? "\033[32m✔\033[0m" : "\033[31m✘\033[0m";
    return good ? "✔" : "✘";
  }

  void line(const std::string& text) {
    erase();
    std::fprintf(stderr, "%s\n", text.c_str());
  }

  void erase() {
    if (x_drawn)
      std::fputs("\r\033[K", stderr);
    x_drawn = false;
  }

  void draw() {
    static constexpr std::array<const char*, 4> turns{"|", "/", "-", "\\"};
    const std::lock_guard lock(x_mutex);
    if (!x_live || x_job.empty())
      return;
    const auto passed = std::chrono::floor<std::chrono::microseconds>(clock::now() - x_began);
    const auto text = std::string(turns[x_turn++ % turns.size()]) + " " + x_now + "  " +
                      elapsed_text(passed) + "  (Ctrl-C leaves, the job goes on)";
    std::fprintf(stderr, "\r\033[K%s", fit(text, x_terminal.width - 1).c_str());
    x_drawn = true;
  }

  void watch() {
    for (;;) {
      std::array<pollfd, 2> both{{{x_signals, POLLIN, 0}, {x_over, POLLIN, 0}}};
      const int ready =
          ::poll(both.data(), both.size(), x_live ? static_cast<int>(redraw_pause.count()) : -1);
      if (ready > 0 && both[1].revents != 0)
        return;
      if (ready > 0 && both[0].revents != 0)
        detach();
      if (ready == 0)
        draw();
    }
  }

  [[noreturn]] void detach() {
    const std::lock_guard lock(x_mutex);
    erase();
    if (x_job.empty())
      std::fputs("interrupted before the job was known; the request may still be carried out.\n"
                 "look: orrery job list\n",
                 stderr);
    else
      std::fprintf(stderr,
                   "detached: %s goes on without this terminal.\nre-attach: orrery job wait %s\n",
                   x_now.c_str(), x_job.c_str());
    std::_Exit(static_cast<int>(exit_code::detached));
  }

  const terminal x_terminal;
  const bool x_shown;
  std::atomic<bool> x_live;
  const clock::time_point x_began;
  sigset_t x_mask_before{};
  int x_signals = -1;
  int x_over = -1;
  std::thread x_thread;
  std::mutex x_mutex; ///< of stderr and of what follows
  std::string x_job;
  std::string x_now;
  std::size_t x_turn = 0;
  bool x_drawn = false;
};

progress::progress(const terminal& where, progress_style style)
    : x_impl(std::make_unique<impl>(where, style)) {}

progress::~progress() = default;

void progress::begin(const std::string& what, const std::string& job) {
  x_impl->begin(clean(what), clean(job));
}

void progress::step(const std::string& name, std::chrono::microseconds since_start) {
  x_impl->step(clean(name), since_start);
}

void progress::note(const std::string& text) { x_impl->note(clean(text)); }

void progress::end(bool good, const std::string& text) { x_impl->end(good, clean(text)); }

} // namespace orrery::cli
