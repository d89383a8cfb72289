#include "actors/engine/batch.hpp"

#include <map>

namespace orrery::actors {

namespace {

/// The decision of a command that is refused after all.
v1::Decision refused(const v1::Decision& decision, const error& why) {
  v1::Decision made;
  *made.mutable_command() = decision.command();
  *made.mutable_reply() = domain::reply_of(why);
  return made;
}

v1::Decision too_large(const v1::Decision& decision) {
  auto made = refused(decision,
                      {error_code::too_large,
                       "what this command would change does not fit into " +
                           std::to_string(decision_size_max / 1024) + " KiB: ask for less at once",
                       false});
  made.mutable_command()->clear_body();
  return made;
}

error target_behind(partition_number target) {
  return {error_code::target_behind,
          "partition " + to_text(target) + " has left " + std::to_string(unacknowledged_max) +
              " messages undecided (GET /v1/status shows who owns it): try again later",
          true};
}

/// The first of the targets that takes no more. Not for what another partition sent: who asked it
/// waits for the answer, a refusal would lose it for ever, and what he may ask is limited at his
/// end.
std::optional<partition_number>
behind(const v1::Command& asked, const std::vector<v1::Command>& sent, const outbox& outgoing) {
  if (asked.has_stream())
    return std::nullopt;
  for (const auto& one : sent)
    if (const auto target = domain::target_of(one); outgoing.is_behind(target))
      return target;
  return std::nullopt;
}

std::size_t bytes_of(const v1::Decision& decision, const std::vector<v1::Command>& sent) {
  constexpr std::size_t field = 8; // tag and length
  constexpr std::size_t stream = 24;
  auto bytes = decision.ByteSizeLong() + field;
  for (const auto& one : sent)
    bytes += one.ByteSizeLong() + field + stream;
  return bytes;
}

bool is_of_a_client(const v1::Command& command) {
  return command.principal().kind() == v1::Principal::OPERATOR;
}

} // namespace

batch::batch(std::uint64_t number, std::vector<std::shared_ptr<submission>> commands,
             domain::context with)
    : x_number(number), x_with(with) {
  x_items.reserve(commands.size());
  for (auto& who : commands) {
    // The entity's actor reads the submission's own command, on another thread: it is not changed
    // any more.
    std::shared_ptr<const v1::Command> command(who, &who->command);
    const bool is_alone = domain::spreads(*command);
    domain::command_run run(*command, with.now);
    x_items.push_back({std::move(who), std::move(command), std::move(run), is_alone});
  }
}

decide_request batch::request_for(const uuid& entity, const domain::overlay* own) const {
  decide_request request;
  request.batch = x_number;
  request.with = x_with;
  if (own != nullptr && own->contains(entity)) {
    request.has_state = true;
    request.state = own->find(entity);
  } else if (x_states.contains(entity)) {
    request.has_state = true;
    request.state = x_states.find(entity);
  }
  return request;
}

std::vector<std::pair<uuid, decide_request>> batch::ask() {
  ORRERY_CHECK(x_outstanding == 0);
  ORRERY_CHECK(!is_decided());
  return x_items[x_at].spreads ? ask_one(x_items[x_at]) : ask_side_by_side();
}

std::vector<std::pair<uuid, decide_request>> batch::ask_one(item& alone) {
  const auto* next = alone.run.next();
  ORRERY_CHECK(next != nullptr);
  auto request = request_for(next->entity, &alone.run.states());
  // A message has no id of its own: jobs and replies belong to the command that began it all.
  auto command = std::make_shared<v1::Command>(*next->command);
  *command->mutable_id() = alone.command->id();
  request.commands.emplace_back(x_at, std::move(command));
  x_end = x_at + 1;
  x_outstanding = 1;
  std::vector<std::pair<uuid, decide_request>> asked;
  asked.emplace_back(next->entity, std::move(request));
  return asked;
}

std::vector<std::pair<uuid, decide_request>> batch::ask_side_by_side() {
  std::vector<std::pair<uuid, decide_request>> asked;
  std::unordered_map<uuid, std::size_t> place_of;
  x_end = x_at;
  for (; x_end < x_items.size() && !x_items[x_end].spreads; ++x_end) {
    const auto& one = x_items[x_end];
    const auto entity = domain::from_proto(one.command->entity());
    const auto [at, is_first] = place_of.emplace(entity, asked.size());
    if (is_first)
      asked.emplace_back(entity, request_for(entity, nullptr));
    asked[at->second].second.commands.emplace_back(x_end, one.command);
  }
  x_outstanding = asked.size();
  return asked;
}

void batch::on_answer(const decide_answer& answer) {
  ORRERY_CHECK(answer.batch == x_number);
  ORRERY_CHECK(x_outstanding > 0);
  --x_outstanding;
  for (const auto& one : answer.decided) {
    auto& asked = x_items[one.index];
    ORRERY_CHECK(asked.spreads || !*one.said || one.said->value().messages.empty());
    asked.run.decided(std::move(*one.said), one.after);
    if (asked.run.next() != nullptr)
      return; // it goes on to the next entity
    if (!asked.run.refused())
      x_states.merge(asked.run.states());
  }
  if (x_outstanding == 0)
    x_at = x_end;
}

batch::built batch::build(std::size_t size_max, const domain::partition_state& accepted,
                          const outbox& outgoing) {
  ORRERY_CHECK(is_decided());
  built made;
  std::map<partition_number, std::uint64_t> numbers; // the last one of each stream
  made.body.set_decided_at(to_micros(x_with.now));
  std::size_t size = 0;
  bool is_full = false;
  for (auto& one : x_items) {
    if (is_full) {
      made.left.push_back(std::move(one.who));
      continue;
    }
    // Whoever asked at another process has only the record to read his answer from.
    const bool is_nothing =
        one.run.changes_nothing() && !is_of_a_client(*one.command) && !one.command->has_stream();
    auto sent = one.run.take_outgoing();
    auto decision = one.run.finish();
    if (is_nothing) {
      made.unrecorded.push_back({std::move(one.who), decision.reply()});
      continue;
    }
    const auto late = behind(*one.command, sent, outgoing);
    const bool is_oversized = bytes_of(decision, sent) > decision_size_max;
    if (late || is_oversized) {
      decision = late ? refused(decision, target_behind(*late)) : too_large(decision);
      sent.clear();
    }
    const auto bytes = bytes_of(decision, sent);
    if (size + bytes > size_max) {
      made.left.push_back(std::move(one.who));
      is_full = true;
      continue;
    }
    size += bytes;
    made.recorded.push_back({std::move(one.who), decision.reply()});
    const auto here = domain::target_of(decision.command());
    *made.body.add_decisions() = std::move(decision);
    for (auto& message : sent) {
      const auto target = domain::target_of(message);
      auto& number = numbers.try_emplace(target, accepted.last_sent(target)).first->second;
      message.mutable_stream()->set_source(static_cast<std::uint32_t>(here));
      message.mutable_stream()->set_number(++number);
      *made.body.add_outbox() = std::move(message);
    }
    is_full = late || is_oversized; // those behind it may have seen what now does not happen
  }
  return made;
}

std::vector<std::shared_ptr<submission>> batch::give_up() {
  std::vector<std::shared_ptr<submission>> all;
  for (auto& one : x_items)
    all.push_back(std::move(one.who));
  return all;
}

} // namespace orrery::actors
