#include "actors/entity.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace orrery::actors {

namespace {

/// An awake entity. Holds nothing that is not in the log: its accepted state, the very one that the
/// partition holds.
struct entity_memory {
  entity_birth birth;
};

// One actor type a noun, by name. Their rules are in events/domain.

struct installation_noun {
  static constexpr const char* name = "installation";
};

struct cluster_noun {
  static constexpr const char* name = "cluster";
};

struct network_noun {
  static constexpr const char* name = "network";
};

struct node_noun {
  static constexpr const char* name = "node";
};

struct vm_noun {
  static constexpr const char* name = "vm";
};

template <class Noun> struct entity_state : entity_memory {
  static inline const char* name = Noun::name;
};

template <class Noun>
entity_actor::behavior_type
entity(typename entity_actor::template stateful_pointer<entity_state<Noun>> self,
       entity_birth birth) {
  self->state.birth = std::move(birth);
  return {
      [self](const decide_commands& asked) {
        const auto& mine = self->state.birth;
        if (asked.sheet->add(decide_all(mine.self, mine.accepted, asked.what)))
          self->send(mine.partition, decided{asked.sheet});
      },
      [self](const accept_state& now) { self->state.birth.accepted = now.state; },
      [self](rest_atom) { self->quit(); },
  };
}

} // namespace

entity_actor wake(caf::actor_system& system, v1::Command::BodyCase noun, entity_birth birth) {
  // lazy_init: an entity that is only woken to be told something costs no extra turn of the
  // scheduler.
  switch (noun) {
  case v1::Command::kInstallation:
    return system.spawn<caf::lazy_init>(entity<installation_noun>, std::move(birth));
  case v1::Command::kCluster:
    return system.spawn<caf::lazy_init>(entity<cluster_noun>, std::move(birth));
  case v1::Command::kNode:
    return system.spawn<caf::lazy_init>(entity<node_noun>, std::move(birth));
  case v1::Command::kNetwork:
    return system.spawn<caf::lazy_init>(entity<network_noun>, std::move(birth));
  case v1::Command::kVm:
  case v1::Command::BODY_NOT_SET:
    break;
  }
  return system.spawn<caf::lazy_init>(entity<vm_noun>, std::move(birth));
}

} // namespace orrery::actors
