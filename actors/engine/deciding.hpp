#pragma once

#include "events/domain/entity.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// What is said of commands on their way to being decided; plain values around shared, immutable
// content.

namespace orrery::actors {

/// What becomes of a command.
struct command_reply {
  v1::Reply reply;
  uuid command; ///< id of the command that was decided (of the first one, when a key was repeated)
  std::uint64_t seq = 0; ///< of the record that holds it; 0 when none does
};

/// A command for the partition. `done` is called once, on the partition's thread; empty when nobody
/// waits.
struct submission {
  v1::Command command;
  std::function<void(const command_reply&)> done;
  /// Nothing is to be decided: only who has the command's key already is to be answered with what
  /// that got, and `not_found` otherwise.
  bool is_repetition = false;
};

/// Commands for one entity, to be decided in order.
struct decide_request {
  std::uint64_t batch = 0;
  domain::context with;
  bool has_state =
      false; ///< `state` counts instead of the accepted one (null in it: ended, or not made)
  domain::entity_ptr state;
  std::vector<std::pair<std::size_t, std::shared_ptr<const v1::Command>>> commands;
};

struct decided_command {
  std::size_t index = 0;
  std::shared_ptr<domain::outcome> said; ///< shared only because CAF copies messages
  domain::entity_ptr after;
};

struct decide_answer {
  std::uint64_t batch = 0;
  uuid entity;
  std::vector<decided_command> decided;
};

/// What an entity says to a request: the rules of events/domain, applied in order. `accepted` is
/// its accepted state.
[[nodiscard]] decide_answer decide_all(const uuid& entity, const domain::entity_ptr& accepted,
                                       const decide_request& asked);

} // namespace orrery::actors
