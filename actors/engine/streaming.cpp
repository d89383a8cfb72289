#include "actors/engine/engine.hpp"
#include "events/core/crash_point.hpp"
#include "events/core/safety.hpp"

#include <map>

// Between partitions: messages that accepted records send, and what has become of them.

namespace orrery::actors {

/// What a folded record says of streams: what is sent from here, and what was decided here.
void engine::note_streams(const v1::CommitBody& body) {
  for (const auto& sent : body.outbox())
    x_outbox.add(sent);
  std::map<partition_number, std::uint64_t> taken;
  for (const auto& decision : body.decisions())
    if (decision.command().has_stream())
      taken[domain::source_of(decision.command())] = decision.command().stream().number();
  if (!x_birth.tell.stream_taken)
    return;
  for (const auto& [source, number] : taken)
    x_birth.tell.stream_taken(source, number);
}

void engine::on_stream_taken(partition_number target, std::uint64_t number) {
  x_outbox.taken(target, number);
  send_streams();
}

void engine::send_streams() {
  if (!is_owning() || x_is_stopped || x_is_retired)
    return;
  x_outbox.send(x_birth.steady_clock(), [this](const v1::Command& message) {
    crash_point("partition.stream.before");
    x_hands.carry(message);
    crash_point("partition.stream.after");
  });
}

/// True when a message is not the next one of its stream: it was decided before, or one before it
/// got lost on the way. Its source sends it again until it is decided.
bool engine::is_out_of_turn(const v1::Command& command, batch_marks& marks) const {
  const auto source = domain::source_of(command);
  const auto known = marks.streams.try_emplace(source, x_state.last_taken(source)).first;
  if (command.stream().number() != known->second + 1 && safety::holds(safety::line::stream_in_turn))
    return true;
  ++known->second;
  return false;
}

} // namespace orrery::actors
