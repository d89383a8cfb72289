#include "tests/support/world.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace orrery::support {

namespace {

constexpr std::uint64_t own_nonce = 0x6f72'7265'7279; // any but 0, which means "no origin"

template <class State>
const State* find_as(const domain::partition_state& state, const uuid& entity) {
  const auto found = state.find(entity);
  return found == nullptr ? nullptr : std::get_if<State>(found.get());
}

v1::Decision refused(v1::Command command, error_code code, std::string text) {
  v1::Decision made;
  *made.mutable_command() = std::move(command);
  made.mutable_reply()->set_code(static_cast<std::uint32_t>(code));
  made.mutable_reply()->set_text(std::move(text));
  return made;
}

bool changes_nothing(const v1::Decision& decision) {
  if (decision.reply().code() != 0)
    return false;
  for (const auto& step : decision.steps())
    if (step.events_size() > 0)
      return false;
  return true;
}

} // namespace

world::world(const domain::kind_policies& policies) : x_policies(&policies) {}

void world::complete(v1::Command& command) {
  domain::clean_texts(command);
  if (!command.has_id())
    domain::set(command.mutable_id(), command_number(++x_command_number));
  if (!command.has_origin()) {
    command.mutable_origin()->set_nonce(own_nonce);
    command.mutable_origin()->set_number(++x_origin_number);
  }
  if (!command.has_principal())
    command.mutable_principal()->set_kind(v1::Principal::OPERATOR);
}

std::optional<v1::Decision> world::repeated(const v1::Command& command,
                                            const v1::CommitBody& batch) const {
  v1::Decision answer;
  *answer.mutable_command() = command;
  const auto& origin = command.origin();
  if (origin.nonce() != 0 && x_state.was_decided(origin))
    return answer;
  const auto answer_from = [&](const v1::ClientKey& first, const v1::Reply& reply) {
    if (first.body_hash() != command.key().body_hash())
      return refused(command, error_code::key_reused, "that key came with another body");
    *answer.mutable_reply() = reply;
    return answer;
  };
  for (const auto& earlier : batch.decisions()) {
    if (origin.nonce() != 0 && earlier.command().origin().nonce() == origin.nonce() &&
        earlier.command().origin().number() == origin.number())
      return answer;
    if (command.has_key() && earlier.command().has_key() &&
        earlier.command().key().key_hash() == command.key().key_hash())
      return answer_from(earlier.command().key(), earlier.reply());
  }
  const auto* first = command.has_key() ? x_state.find_key(command.key().key_hash()) : nullptr;
  if (first == nullptr || first->decided_at + domain::partition_state::key_age_max <= x_now)
    return std::nullopt;
  v1::ClientKey key;
  key.set_body_hash(first->body_hash);
  return answer_from(key, *first->reply);
}

v1::Decision world::decide(v1::Command command, domain::overlay& tentative) {
  return domain::decide_now(
      std::move(command), [this](const uuid& entity) { return x_state.find(entity); }, tentative,
      *x_policies, x_now);
}

std::vector<v1::Decision> world::tell_all(std::vector<v1::Command> commands) {
  x_now = std::max(x_now, x_state.head_time() + std::chrono::microseconds(1));
  domain::overlay tentative;
  v1::CommitBody body;
  body.set_decided_at(to_micros(x_now));
  body.set_salt(x_seq);
  std::vector<v1::Decision> told;
  for (auto& command : commands) {
    complete(command);
    if (x_state.is_outdated(command)) {
      v1::Decision nothing;
      *nothing.mutable_command() = std::move(command);
      told.push_back(std::move(nothing));
      continue;
    }
    if (auto answer = repeated(command, body)) {
      told.push_back(std::move(*answer));
      continue;
    }
    auto made = decide(std::move(command), tentative);
    if (!changes_nothing(made)) {
      *body.add_decisions() = made;
    }
    told.push_back(std::move(made));
  }
  if (body.decisions_size() > 0) {
    x_state.fold(body, ++x_seq);
    x_commits.emplace_back(x_seq, std::move(body));
  }
  return told;
}

v1::Decision world::tell(v1::Command command) {
  std::vector<v1::Command> one;
  one.push_back(std::move(command));
  return std::move(tell_all(std::move(one)).front());
}

v1::Decision world::must(v1::Command command) {
  auto told = tell(std::move(command));
  if (told.reply().code() != 0) {
    std::fprintf(stderr, "the story cannot begin: %s\n", told.ShortDebugString().c_str());
    std::abort();
  }
  return told;
}

saying world::next_saying(std::uint32_t vm_number, v1::VmObserved::State state,
                          v1::VmObserved::Cause cause) {
  saying said;
  said.state = state;
  said.cause = cause;
  said.number = ++x_saying_number;
  said.at = x_now;
  if (const auto* found = find_vm(vm_number))
    said.generation = said.wish = found->generation.count;
  if (const auto* found = find_node())
    said.epoch = found->epoch;
  return said;
}

v1::Decision world::see(std::uint32_t vm_number, v1::VmObserved::State state,
                        v1::VmObserved::Cause cause) {
  return tell(observe(vm_number, next_saying(vm_number, state, cause)));
}

v1::Decision world::pass_the_deadline(std::uint32_t vm_number) {
  const auto* found = find_vm(vm_number);
  ORRERY_CHECK(found != nullptr);
  const auto due = domain::next_timer(*found);
  ORRERY_CHECK(due.has_value());
  x_now = std::max(x_now, due->due);
  auto command = due->command;
  domain::set(command.mutable_entity(), vm(vm_number));
  command.mutable_principal()->set_kind(v1::Principal::TIMER);
  return tell(std::move(command));
}

const domain::installation_state* world::find_installation() const {
  return find_as<domain::installation_state>(x_state, installation());
}

const domain::cluster_state* world::find_cluster(std::uint32_t number) const {
  return find_as<domain::cluster_state>(x_state, cluster(number));
}

const domain::node_state* world::find_node(std::uint32_t number) const {
  return find_as<domain::node_state>(x_state, node(number));
}

const domain::network_state* world::find_network(std::uint32_t number) const {
  return find_as<domain::network_state>(x_state, network(number));
}

const domain::vm_state* world::find_vm(std::uint32_t number) const {
  return find_as<domain::vm_state>(x_state, vm(number));
}

domain::wanted_effect world::wanted(std::uint32_t vm_number) const {
  const auto* found = find_vm(vm_number);
  return found == nullptr ? domain::wanted_effect{} : domain::effects(*found);
}

world founded_world() {
  world made;
  made.must(found());
  made.must(add_cluster());
  return made;
}

world ready_world() {
  auto made = founded_world();
  made.must(add_node());
  made.must(hello());
  made.must(add_network());
  return made;
}

world world_with_vm() {
  auto made = ready_world();
  made.must(place_vm());
  return made;
}

world world_with_running_vm() {
  auto made = world_with_vm();
  made.see(1, v1::VmObserved::STOPPED, v1::VmObserved::NEVER_RAN);
  made.see(1, v1::VmObserved::RUNNING);
  made.see(1, v1::VmObserved::REACHABLE);
  return made;
}

world world_with_stopped_vm() {
  auto made = world_with_running_vm();
  made.see(1, v1::VmObserved::STOPPED, v1::VmObserved::GUEST);
  return made;
}

std::vector<std::string> types_of(const v1::Decision& decision) {
  std::vector<std::string> types;
  for (const auto& step : decision.steps())
    for (const auto& event : step.events())
      types.push_back(domain::type_of(event));
  return types;
}

std::vector<std::string> all_event_types() {
  std::vector<std::string> types;
  const auto* nouns = v1::Event::descriptor()->FindOneofByName("body");
  for (int noun = 0; noun < nouns->field_count(); ++noun) {
    const auto* field = nouns->field(noun);
    const auto* events = field->message_type()->FindOneofByName("body");
    for (int event = 0; event < events->field_count(); ++event)
      types.push_back(field->name() + "." + events->field(event)->name());
  }
  std::ranges::sort(types);
  return types;
}

std::optional<error_code> refusal_of(const v1::Decision& decision) {
  if (decision.reply().code() == 0)
    return std::nullopt;
  return static_cast<error_code>(decision.reply().code());
}

const v1::JobEvent::Ended* job_end_of(const v1::Decision& decision) {
  for (const auto& step : decision.steps())
    for (const auto& event : step.events())
      if (const auto* ended = domain::job_news_of(event).ended)
        return ended;
  return nullptr;
}

} // namespace orrery::support
