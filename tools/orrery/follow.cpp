#include "tools/orrery/commands.hpp"

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>

namespace orrery::cli {

namespace {

/// How long Ctrl-C waits for an event that is being printed: stdout may be blocked.
constexpr std::chrono::milliseconds print_patience = std::chrono::milliseconds(500);

/// What was printed so far, for the thread that waits for Ctrl-C.
struct printed {
  std::timed_mutex guard; ///< held while an event is printed and its position noted
  std::string resource;
  std::string position;
};

[[noreturn]] void leave(printed& all) {
  std::unique_lock lock(all.guard, std::defer_lock);
  static_cast<void>(lock.try_lock_for(print_patience));
  if (!all.position.empty())
    std::fprintf(stderr, "to go on from here: orrery event follow%s --after %s\n",
                 all.resource.empty() ? "" : clean(" " + all.resource).c_str(),
                 clean(all.position).c_str());
  std::_Exit(static_cast<int>(exit_code::detached));
}

/// From now on Ctrl-C ends the process, whatever it waits for.
void await_interrupt(const std::shared_ptr<printed>& all) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);
  std::thread([all, interrupt] {
    int which = 0;
    while (sigwait(&interrupt, &which) != 0) {
    }
    leave(*all);
  }).detach();
}

/// The API's word that it cannot go on.
failure end_of_stream(const std::string& data) {
  auto problem = parse_json(data);
  if (!problem || !problem->is_object())
    return {exit_code::failed, "internal", "the stream ended: " + data};
  failure made(exit_of(problem->at("code").text(), 0), problem->at("code").text(),
               problem->at("detail").text());
  made.problem = std::move(*problem);
  return made;
}

/// Prints what comes.
class follower {
public:
  follower(const settings& how, std::shared_ptr<printed> all)
      : x_all(std::move(all)), x_list(event_view(), printing_of(how)),
        x_tells(style_of(how, this_terminal()) == progress_style::shown) {}

  /// Whether the API ever answered.
  [[nodiscard]] bool has_begun() const { return x_has_begun; }

  void take(const stream_message& one) {
    if (one.event == "failed")
      throw end_of_stream(one.data);
    const std::lock_guard lock(x_all->guard);
    if (one.event == "ready")
      begin(one.id);
    else if (!one.data.empty())
      show(one.data);
    x_all->position = one.id;
  }

  /// Says so once, until it goes on.
  void lost(const std::string& why) {
    if (x_tells && !x_is_lost)
      std::fprintf(stderr, "warn: %s; trying again until it goes on (Ctrl-C ends)\n",
                   clean(why).c_str());
    x_is_lost = true;
  }

private:
  void begin(const std::string& id) {
    if (!x_has_begun)
      print(x_list.head());
    if (x_tells && (x_is_lost || !x_has_begun))
      std::fprintf(stderr, "following from %s\n", clean(id).c_str());
    x_has_begun = true;
    x_is_lost = false;
  }

  void show(const std::string& data) {
    const auto item = parse_json(data);
    if (!item)
      throw failure(exit_code::failed, "internal", "an event is not JSON: " + data);
    print(x_list.add(*item));
  }

  std::shared_ptr<printed> x_all;
  growing_list x_list;
  bool x_tells;
  bool x_has_begun = false;
  bool x_is_lost = false;
};

/// Refusals that pass: of an API that is starting, or has too many who follow.
bool is_passing(const failure& why) {
  return why.code == name_of(error_code::unavailable) ||
         why.code == name_of(error_code::too_many_requests);
}

} // namespace

void follow_events(const settings& how, const std::string& resource, const std::string& after) {
  api from(context_of(how), how.debug);
  const auto all = std::make_shared<printed>();
  all->resource = resource;
  all->position = after;
  await_interrupt(all);
  parameters asked;
  if (!resource.empty())
    asked.emplace_back("resource", resource);
  follower events(how, all);
  while (true) {
    try {
      const auto why = from.follow("/v1/watch", asked, all->position,
                                   [&](const stream_message& one) { events.take(one); });
      if (!events.has_begun())
        from.unreachable(why);
      events.lost(why.text);
    } catch (const failure& why) {
      if (!events.has_begun() || !is_passing(why))
        throw;
      events.lost(why.detail);
    }
    pause_for(retry_pause);
  }
}

} // namespace orrery::cli
