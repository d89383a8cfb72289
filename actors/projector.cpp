#include "actors/projector.hpp"

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace orrery::actors {

namespace {

struct memory {
  static inline const char* name = "projector";
  projector_birth birth;
  bool is_broken = false;

  void apply(const project& what) {
    if (!is_broken) {
      if (auto applied = birth.store->apply(what.commits); !applied) {
        // Nothing of the batch is kept; a restart folds it again. Going on would leave a hole.
        is_broken = true;
        birth.fatal(applied.error());
      } else if (birth.applied) {
        birth.applied(what.commits.back()->seq, what.end);
      }
    }
    if (birth.projected)
      birth.projected->leave();
  }
};

projector_actor::behavior_type projector(projector_actor::stateful_pointer<memory> self,
                                         projector_birth birth) {
  self->state.birth = std::move(birth);
  return {
      [self](const project& what) { self->state.apply(what); },
      [self](stop_atom) { self->quit(); },
  };
}

} // namespace

projector_actor spawn_projector(caf::actor_system& system, projector_birth birth) {
  return system.spawn<caf::detached>(projector, std::move(birth));
}

} // namespace orrery::actors
