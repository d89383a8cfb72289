#include "actors/projector.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <cstdio>
#include <vector>

namespace orrery::actors {

namespace {

/// Between attempts while the disk is full.
constexpr std::chrono::seconds retry_interval{1};

struct memory {
  static inline const char* name = "projector";
  projector_actor::pointer self = nullptr;
  projector_birth birth;
  std::vector<std::shared_ptr<const projections::folded_commit>> waiting;
  std::size_t messages = 0;      ///< that brought them
  bool is_applying_soon = false; ///< a turn is on its way
  bool is_broken = false;

  /// Takes what came; it is folded in a turn of its own, behind all that waits in the mailbox now,
  /// so that rows which many commits touch are written once.
  void take(const project& what) {
    waiting.insert(waiting.end(), what.commits.begin(), what.commits.end());
    ++messages;
    if (!is_applying_soon)
      self->send(self, tick_atom::value);
    is_applying_soon = true;
  }

  void apply() {
    is_applying_soon = false;
    if (waiting.empty())
      return;
    if (!is_broken) {
      const bool was_stalled = birth.store->stalled().has_value();
      if (auto applied = birth.store->apply(waiting); !applied)
        return on_failure(applied.error(), was_stalled);
      if (was_stalled)
        std::fprintf(stderr, "info: the projections go on\n");
      if (birth.applied)
        birth.applied();
    }
    forget();
  }

  void on_failure(const error& why, bool was_stalled) {
    if (why.retryable) {
      if (!was_stalled)
        std::fprintf(stderr, "warn: %s\n", why.text.c_str());
      is_applying_soon = true;
      self->delayed_send(self, retry_interval, tick_atom::value);
      return;
    }
    // Nothing of the batch is kept; a restart folds it again. Going on would leave a hole.
    is_broken = true;
    birth.fatal(why);
    forget();
  }

  void forget() {
    waiting.clear();
    if (birth.projected)
      for (; messages > 0; --messages)
        birth.projected->leave();
    messages = 0;
  }
};

projector_actor::behavior_type projector(projector_actor::stateful_pointer<memory> self,
                                         projector_birth birth) {
  self->state.self = self;
  self->state.birth = std::move(birth);
  return {
      [self](const project& what) { self->state.take(what); },
      [self](tick_atom) { self->state.apply(); },
      [self](stop_atom) {
        self->state.apply(); // what waits; whatever fails is folded at the next start
        self->quit();
      },
  };
}

} // namespace

projector_actor spawn_projector(caf::actor_system& system, projector_birth birth) {
  return system.spawn<caf::detached>(projector, std::move(birth));
}

} // namespace orrery::actors
