#pragma once

#include "actors/engine/deciding.hpp"
#include "actors/engine/outbox.hpp"
#include "events/domain/command_run.hpp"
#include "events/domain/partition_state.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace orrery::actors {

/// The commands that go into one record, on their way to being decided. Knows no actor: it says
/// which entity to ask what, and is told what they decided.
///
/// Commands that touch one entity only are asked side by side, one request an entity; a command
/// that may send messages to others is decided alone. Either way the record has them in the order
/// in which they came, and each sees what those before it did.
class batch {
public:
  batch(std::uint64_t number, std::vector<std::shared_ptr<submission>> commands,
        domain::context with);

  [[nodiscard]] std::uint64_t number() const { return x_number; }

  /// Whom to ask now. Call it when `outstanding()` is 0 and `is_decided()` is false.
  [[nodiscard]] std::vector<std::pair<uuid, decide_request>> ask();

  [[nodiscard]] std::size_t outstanding() const { return x_outstanding; }

  [[nodiscard]] bool is_decided() const { return x_at == x_items.size(); }

  void on_answer(const decide_answer& answer);

  /// A command and its reply, for who waits.
  struct answered {
    std::shared_ptr<submission> who;
    v1::Reply reply;
  };

  struct built {
    v1::CommitBody body;                           ///< without salt
    std::vector<answered> recorded;                ///< in the order of `body.decisions`
    std::vector<answered> unrecorded;              ///< of no client; allowed, but changed nothing
    std::vector<std::shared_ptr<submission>> left; ///< no room: for the next record
  };

  /// The record's body, once everything is decided; at most `size_max` bytes. Messages to other
  /// partitions are numbered on from what `accepted` has sent; a command that would send one to a
  /// partition that is behind (`outgoing`) is refused.
  [[nodiscard]] built build(std::size_t size_max, const domain::partition_state& accepted,
                            const outbox& outgoing);

  /// All commands, when the batch is given up.
  [[nodiscard]] std::vector<std::shared_ptr<submission>> give_up();

private:
  struct item {
    std::shared_ptr<submission> who;
    std::shared_ptr<const v1::Command> command;
    domain::command_run run;
    bool spreads = false;
  };

  std::vector<std::pair<uuid, decide_request>> ask_one(item& alone);
  std::vector<std::pair<uuid, decide_request>> ask_side_by_side();
  [[nodiscard]] decide_request request_for(const uuid& entity, const domain::overlay* own) const;

  std::uint64_t x_number = 0;
  domain::context x_with;
  std::vector<item> x_items;
  domain::overlay x_states;
  std::size_t x_at = 0;  ///< the first command that is not decided
  std::size_t x_end = 0; ///< one past those being asked
  std::size_t x_outstanding = 0;
};

/// The largest decision of one command, in bytes: above it the command is refused, so that one
/// cannot fill a record.
inline constexpr std::size_t decision_size_max = std::size_t{256} * 1024;

} // namespace orrery::actors
