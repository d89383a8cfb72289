#pragma once

#include "events/core/error.hpp"
#include "events/core/id.hpp"
#include "events/core/time.hpp"
#include "events/domain/state_bytes.hpp"
#include "events/schema/record.pb.h"

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::domain {

/// A row of the capability table, as far as decisions need it. Filled from `drivers/capabilities`
/// by whoever calls `decide`, so that the domain knows no driver.
struct kind_policy {
  std::string_view name; ///< "kvm"
  bool driver_present = false;
  bool network_pvip = false;
  bool upstream_arp = false;
  bool upstream_bgp = false;
  bool upstream_ospf = false;
  bool direct_kernel_boot = false;
  bool linux_guest = false;
  bool graceful_shutdown = false;
  std::chrono::seconds create_deadline{0};
  std::chrono::seconds start_deadline{0};
  std::chrono::seconds shutdown_deadline{0};
  std::chrono::seconds stop_deadline{0};
  std::chrono::seconds delete_deadline{0};
};

/// One policy per `v1::HypervisorKind` number; index 0 is unused.
using kind_policies = std::array<kind_policy, 7>;

/// What a decision may know besides state and command. Everything that is not a function of those
/// two comes in here.
struct context {
  utc_time now;                            ///< `decided_at` of the record in the making
  uuid command;                            ///< id of the command: the id of the job it begins
  const kind_policies* policies = nullptr; ///< never null
};

/// A command from one entity to another. When both are in the same partition, it is decided in the
/// same record, and its refusal refuses all; else it goes into the record's outbox and is decided
/// later, for itself: the sender must have made sure that nothing speaks against it.
struct message {
  uuid entity;
  v1::Command command; ///< only `body` is set
};

/// A command that the partition sends itself when the time has come.
struct timer {
  utc_time due;
  v1::Command command; ///< only `body` is set
};

/// What an entity decided. No events and no messages: nothing changed, nothing to record.
struct decision {
  std::vector<v1::Event> events;
  std::vector<message> messages;
  uuid subject;         ///< what was made or changed; none: the addressed entity
  bool has_job = false; ///< the command began a job with the command's id
};

/// A decision, or the refusal that is told to who asked.
using outcome = result<decision>;

/// The most messages that one command may cause, so that a cycle between entities ends: a VM's
/// create needs 3, a network's whose prefix is refused in the same record 4.
inline constexpr std::size_t messages_per_command_max = 16;

[[nodiscard]] inline v1::Id to_proto(const uuid& value) {
  v1::Id made;
  made.set_a(value.a);
  made.set_b(value.b);
  return made;
}

[[nodiscard]] inline uuid from_proto(const v1::Id& value) { return uuid{value.a(), value.b()}; }

inline void set(v1::Id* target, const uuid& value) {
  target->set_a(value.a);
  target->set_b(value.b);
}

/// Where a command is decided: with the entity that it is for.
[[nodiscard]] inline partition_number target_of(const v1::Command& command) {
  return from_proto(command.entity()).partition();
}

/// Where a message of a stream comes from.
[[nodiscard]] inline partition_number source_of(const v1::Command& command) {
  return static_cast<partition_number>(command.stream().source() & partition_number_max);
}

[[nodiscard]] inline error refuse(error_code code, std::string text, bool retryable = false) {
  return error{code, std::move(text), retryable};
}

/// A refusal as a reply.
[[nodiscard]] inline v1::Reply reply_of(const error& why) {
  v1::Reply reply;
  reply.set_code(static_cast<std::uint32_t>(why.code));
  reply.set_text(why.text);
  reply.set_retryable(why.retryable);
  return reply;
}

} // namespace orrery::domain
