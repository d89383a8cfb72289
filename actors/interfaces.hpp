#pragma once

#include "actors/messages.hpp"

#include <caf/fwd.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

// Who speaks to whom: every actor's interface, each handler with a line.
//
//   api, timers, hypervisors --submit--> partition --decide_commands--> entities
//                      the last entity to answer --decided--> partition
//                     log reader --records_read--> partition --accept_state--> entities
//                                               partition --entities_changed--> hypervisor
//                                                  partition --project--> projector

namespace orrery::actors {

/// Decides for one entity while it is awake (installation, cluster, node, network, vm).
using entity_actor = caf::typed_actor<
    // commands to decide, on the accepted state or a tentative one; answered on the sheet
    caf::reacts_to<decide_commands>,
    // the state that an accepted record left
    caf::reacts_to<accept_state>,
    // nobody needs it any more: quit (the partition holds the state)
    caf::reacts_to<rest_atom>>;

/// Drives one cluster's hypervisor: keeps its guests as accepted state wants them, reports what it
/// sees.
using hypervisor_actor = caf::typed_actor<
    // all nodes and VMs of the cluster, before anything else
    caf::reacts_to<cluster_world>,
    // some of them changed: once for each accepted record
    caf::reacts_to<entities_changed>,
    // the end of a guest's serial console, for a user
    caf::reacts_to<console_request>,
    // a thread of the workbench has something to say
    caf::reacts_to<thunk>,
    // retries, sweeps, signs of life
    caf::reacts_to<tick_atom>,
    // ownership ended: touch nothing more
    caf::reacts_to<stop_atom>>;

/// Orders commands, has them decided, commits them, and hands out what was accepted.
using partition_actor = caf::typed_actor<
    // a command from anywhere
    caf::reacts_to<submit>,
    // records from the log, own ones too
    caf::reacts_to<records_read>,
    // the log cannot be read
    caf::reacts_to<read_failed>,
    // commands from any process that shares the log, and from other partitions
    caf::reacts_to<carried>,
    // who should own it
    caf::reacts_to<wanted>,
    // what another partition has decided of our messages
    caf::reacts_to<stream_taken>,
    // an operator trusts this machine's clock again
    caf::reacts_to<trust_clock_atom>,
    // decide nothing more: another process takes over
    caf::reacts_to<retire_atom>,
    // a record's fate
    caf::reacts_to<appended>,
    // all entities that were asked have decided
    caf::reacts_to<decided>,
    // a user wants a console
    caf::reacts_to<console_request>,
    // where it stands
    caf::reacts_to<status_request>,
    // timers, sleepers
    caf::reacts_to<tick_atom>,
    // end: owner no more
    caf::reacts_to<stop_atom>>;

/// Writes accepted commits into the projections.
using projector_actor = caf::typed_actor<
    // commits, in order
    caf::reacts_to<project>,
    // fold what waits (from itself)
    caf::reacts_to<tick_atom>,
    // end
    caf::reacts_to<stop_atom>>;

} // namespace orrery::actors
