#pragma once

#include "actors/answer_sheet.hpp"
#include "actors/engine/engine.hpp"
#include "events/core/error.hpp"
#include "events/domain/entity.hpp"
#include "events/log/log.hpp"
#include "projections/folded_commit.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/type_id.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// What actors say to each other: envelopes around shared, immutable content. Messages never leave
// the process.

namespace orrery::actors {

struct submit {
  std::shared_ptr<submission> what;
};

/// Records read from the log, in order. `end` is the log's end after the last of them, as far as
/// the reader knows.
struct records_read {
  std::shared_ptr<std::vector<log::record>> records;
  log::offset end = 0;
};

/// Commands that a transport brought, from any process.
struct carried {
  std::shared_ptr<std::vector<v1::Command>> commands;
};

/// Whether this process should own the partition now.
struct wanted {
  bool is_wanted = false;
};

/// The log of `target` says that it decided the messages from here up to `number`.
struct stream_taken {
  partition_number target{};
  std::uint64_t number = 0;
};

struct read_failed {
  error why;
};

/// What became of the record with this ticket.
struct appended {
  std::uint64_t ticket = 0;
  log::append_outcome outcome;
};

/// Commands for an entity, and where its answer goes.
struct decide_commands {
  decide_request what;
  std::shared_ptr<answer_sheet> sheet;
};

/// All who were asked side by side have answered.
struct decided {
  std::shared_ptr<const answer_sheet> sheet;
};

/// A record was accepted that changed this entity: its state from now on, as folded.
struct accept_state {
  domain::entity_ptr state;
};

/// An entity's accepted state changed (or ended: null).
struct entity_changed {
  uuid entity;
  domain::entity_ptr state;
};

/// The nodes and VMs of a cluster that an accepted record changed.
struct entities_changed {
  std::vector<entity_changed> entities;
};

/// Everything that a cluster's hypervisor actor must know before its first effect.
struct cluster_world {
  std::vector<entity_changed> entities; ///< the cluster's nodes and VMs
  std::uint64_t log_epoch = 0;
};

/// Asks a guest's console for its last bytes.
struct console_request {
  uuid vm;
  std::size_t bytes_max = 0;
  std::function<void(result<std::string>)> done;
};

/// Accepted commits for the projections.
struct project {
  std::vector<std::shared_ptr<const projections::folded_commit>> commits;
};

/// Something that a thread has done for an actor: run on the actor's turn.
struct thunk {
  std::function<void()> run;
};

/// Where a partition stands, for /v1/status and metrics.
struct partition_status {
  engine_status engine;
  std::uint64_t awake = 0;
  std::string state_digest; ///< SHA-256 of the folded state, only when asked for
  std::map<partition_number, std::uint64_t> acknowledged; ///< as the engine says
};

struct status_request {
  bool with_digest = false;
  std::function<void(const partition_status&)> done;
};

} // namespace orrery::actors

CAF_BEGIN_TYPE_ID_BLOCK(orrery, caf::first_custom_type_id)

  CAF_ADD_TYPE_ID(orrery, (orrery::actors::submit))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::records_read))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::read_failed))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::carried))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::wanted))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::stream_taken))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::appended))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::decide_commands))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::decided))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::accept_state))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::entities_changed))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::cluster_world))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::console_request))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::project))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::thunk))
  CAF_ADD_TYPE_ID(orrery, (orrery::actors::status_request))

  CAF_ADD_ATOM(orrery, orrery::actors, tick_atom, "tick")
  CAF_ADD_ATOM(orrery, orrery::actors, rest_atom, "rest")
  CAF_ADD_ATOM(orrery, orrery::actors, stop_atom, "stop")
  CAF_ADD_ATOM(orrery, orrery::actors, retire_atom, "retire")
  CAF_ADD_ATOM(orrery, orrery::actors, trust_clock_atom, "trustclock")

CAF_END_TYPE_ID_BLOCK(orrery)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::submit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::records_read)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::read_failed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::carried)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::wanted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::stream_taken)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::appended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::decide_commands)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::decided)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::accept_state)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::entities_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::cluster_world)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::console_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::project)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::thunk)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orrery::actors::status_request)
