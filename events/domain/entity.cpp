#include "events/domain/entity.hpp"

#include "events/core/own.hpp"
#include "events/core/text.hpp"

#include <google/protobuf/descriptor.h>

namespace orrery::domain {

namespace {

template <class... Ts> struct overloaded : Ts... { using Ts::operator()...; };
template <class... Ts> overloaded(Ts...) -> overloaded<Ts...>;

error wrong_noun() {
  return refuse(error_code::invalid_argument, "the command is for another kind of resource");
}

template <class State> const State* as(const entity_state* state) {
  return state == nullptr ? nullptr : std::get_if<State>(state);
}

/// A state of the noun to evolve: a copy of the old one, or a new one for the first event.
template <class State> State* mutable_state(std::shared_ptr<entity_state>& state) {
  if (state == nullptr)
    state = std::make_shared<entity_state>(State{});
  return std::get_if<State>(state.get());
}

void evolve_one(std::shared_ptr<entity_state>& state, const v1::Event& event, utc_time decided_at) {
  const auto effective_at =
      event.effective_at() == 0 ? decided_at : from_micros(event.effective_at());
  switch (event.body_case()) {
  case v1::Event::kInstallation:
    if (auto* installation = mutable_state<installation_state>(state))
      evolve(*installation, event.installation());
    break;
  case v1::Event::kCluster:
    if (auto* cluster = mutable_state<cluster_state>(state))
      evolve(*cluster, event.cluster());
    break;
  case v1::Event::kNode:
    if (auto* node = mutable_state<node_state>(state))
      evolve(*node, event.node(), effective_at);
    break;
  case v1::Event::kNetwork:
    if (auto* network = mutable_state<network_state>(state))
      evolve(*network, event.network(), decided_at);
    break;
  case v1::Event::kVm:
    if (auto* vm = mutable_state<vm_state>(state))
      evolve(*vm, event.vm(), decided_at, effective_at);
    break;
  case v1::Event::BODY_NOT_SET:
    break;
  }
}

/// The field of the oneof `body` that is set in `message`, or null.
const google::protobuf::FieldDescriptor* body_field(const google::protobuf::Message& message) {
  const auto* oneof = message.GetDescriptor()->FindOneofByName("body");
  return oneof == nullptr ? nullptr
                          : message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
}

void clean_field(google::protobuf::Message& message,
                 const google::protobuf::FieldDescriptor* field);

void clean(google::protobuf::Message& message) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const auto* field : fields)
    clean_field(message, field);
}

void clean_field(google::protobuf::Message& message,
                 const google::protobuf::FieldDescriptor* field) {
  const auto* fields = message.GetReflection();
  const int count = field->is_repeated() ? fields->FieldSize(message, field) : 0;
  if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
    if (!field->is_repeated())
      return clean(*fields->MutableMessage(&message, field));
    for (int i = 0; i < count; ++i)
      clean(*fields->MutableRepeatedMessage(&message, field, i));
  }
  if (field->type() != google::protobuf::FieldDescriptor::TYPE_STRING)
    return;
  std::string scratch;
  if (!field->is_repeated()) {
    const auto& text = fields->GetStringReference(message, field, &scratch);
    if (!is_utf8(text))
      fields->SetString(&message, field, printable(text, text.size()));
  }
  for (int i = 0; i < count; ++i) {
    const auto& text = fields->GetRepeatedStringReference(message, field, i, &scratch);
    if (!is_utf8(text))
      fields->SetRepeatedString(&message, field, i, printable(text, text.size()));
  }
}

bool has_ended(const entity_state& state) {
  if (const auto* vm = std::get_if<vm_state>(&state))
    return vm->removed;
  const auto* network = std::get_if<network_state>(&state);
  return network != nullptr && network->removed;
}

} // namespace

outcome decide(const entity_state* state, const uuid& self, const v1::Command& command,
               const context& with) {
  switch (command.body_case()) {
  case v1::Command::kInstallation:
    if (state != nullptr && as<installation_state>(state) == nullptr)
      return wrong_noun();
    return decide(as<installation_state>(state), self, command.installation(), with);
  case v1::Command::kCluster:
    if (state != nullptr && as<cluster_state>(state) == nullptr)
      return wrong_noun();
    return decide(as<cluster_state>(state), self, command.cluster(), with);
  case v1::Command::kNode:
    if (state != nullptr && as<node_state>(state) == nullptr)
      return wrong_noun();
    return decide(as<node_state>(state), self, command.node(), with);
  case v1::Command::kNetwork:
    if (state != nullptr && as<network_state>(state) == nullptr)
      return wrong_noun();
    return decide(as<network_state>(state), self, command.network(), with);
  case v1::Command::kVm:
    if (state != nullptr && as<vm_state>(state) == nullptr)
      return wrong_noun();
    return decide(as<vm_state>(state), self, command.vm(), with);
  case v1::Command::BODY_NOT_SET:
    break;
  }
  return refuse(error_code::invalid_argument, "a command without a body");
}

entity_ptr evolve(entity_ptr state, const google::protobuf::RepeatedPtrField<v1::Event>& events,
                  utc_time decided_at) {
  if (events.empty())
    return state;
  if (state != nullptr)
    static_cast<void>(own(state));
  auto next = std::const_pointer_cast<entity_state>(std::move(state)); // held by us alone
  for (const auto& event : events)
    evolve_one(next, event, decided_at);
  return next != nullptr && has_ended(*next) ? nullptr : next;
}

bool spreads(const v1::Command& command) {
  switch (command.body_case()) {
  case v1::Command::kVm:
    return spreads(command.vm());
  case v1::Command::kNode:
    return !command.node().has_see_alive();
  case v1::Command::kInstallation:
  case v1::Command::kCluster:
  case v1::Command::kNetwork:
    return true;
  case v1::Command::BODY_NOT_SET:
    return false;
  }
  return true;
}

void clean_texts(v1::Command& command) {
  // Nearly every command is an observation, which has these two texts.
  if (command.vm().has_observe() && is_utf8(command.vm().observe().reason()) &&
      is_utf8(command.principal().name()))
    return;
  clean(command);
}

verb verb_of(const v1::Command& command) {
  constexpr int noun_bits = 16; // field numbers are below 65,536
  const auto* noun = body_field(command);
  if (noun == nullptr)
    return {};
  const auto* asked = body_field(command.GetReflection()->GetMessage(command, noun));
  if (asked == nullptr)
    return {static_cast<std::uint32_t>(noun->number()) << noun_bits, noun->name()};
  return {static_cast<std::uint32_t>(noun->number()) << noun_bits |
              static_cast<std::uint32_t>(asked->number()),
          noun->name() + "." + asked->name()};
}

wanted_effect effects(const entity_state& state) {
  const auto* vm = std::get_if<vm_state>(&state);
  return vm == nullptr ? wanted_effect{} : effects(*vm);
}

std::optional<timer> next_timer(const entity_state& state) {
  if (const auto* network = std::get_if<network_state>(&state))
    return next_timer(*network);
  const auto* vm = std::get_if<vm_state>(&state);
  return vm == nullptr ? std::nullopt : next_timer(*vm);
}

const activity* job_of(const entity_state& state) {
  const rare<activity>* job = nullptr;
  if (const auto* vm = std::get_if<vm_state>(&state))
    job = &vm->job;
  else if (const auto* network = std::get_if<network_state>(&state))
    job = &network->job;
  return job != nullptr && *job ? &**job : nullptr;
}

uuid cluster_of(const uuid& entity, const entity_state& state) {
  return std::visit(overloaded{
                        [](const installation_state&) { return uuid{}; },
                        [&entity](const cluster_state&) { return entity; },
                        [](const auto& part) { return part.cluster; },
                    },
                    state);
}

std::string_view noun_of(const entity_state& state) {
  return std::visit(overloaded{
                        [](const installation_state&) { return std::string_view("installation"); },
                        [](const cluster_state&) { return std::string_view("cluster"); },
                        [](const node_state&) { return std::string_view("node"); },
                        [](const network_state&) { return std::string_view("network"); },
                        [](const vm_state&) { return std::string_view("vm"); },
                    },
                    state);
}

std::string_view noun_of(const v1::Event& event) {
  const auto* noun = body_field(event);
  return noun == nullptr ? std::string_view("unknown") : std::string_view(noun->name());
}

std::string type_of(const v1::Event& event) {
  const auto* noun = body_field(event);
  if (noun == nullptr)
    return "unknown";
  const auto& inner = event.GetReflection()->GetMessage(event, noun);
  const auto* body = body_field(inner);
  return noun->name() + "." + (body == nullptr ? "unknown" : body->name());
}

std::string_view name_of(const entity_state& state) {
  return std::visit(overloaded{
                        [](const installation_state&) { return std::string_view(); },
                        [](const cluster_state& cluster) { return std::string_view(cluster.name); },
                        [](const node_state& node) { return std::string_view(node.name); },
                        [](const network_state& network) { return std::string_view(network.name); },
                        [](const vm_state& vm) { return std::string_view(vm.name); },
                    },
                    state);
}

namespace {

template <std::size_t Index>
bool read_as(state_source& in, std::size_t noun, std::shared_ptr<entity_state>& made) {
  if (noun != Index)
    return false;
  made = std::make_shared<entity_state>(std::in_place_index<Index>);
  in.add(std::get<Index>(*made));
  return true;
}

/// The state of the noun with that number, which a snapshot cannot have above the last.
template <std::size_t... Indices>
entity_ptr read_one(state_source& in, std::size_t noun, std::index_sequence<Indices...>) {
  std::shared_ptr<entity_state> made;
  if (!(read_as<Indices>(in, noun, made) || ...))
    in.fail();
  return made;
}

} // namespace

void write(state_bytes& out, const entity_state& state) {
  out.add(state.index());
  std::visit([&out](const auto& one) { out.add(one); }, state);
}

entity_ptr read_entity(state_source& in) {
  std::size_t noun = 0;
  in.add(noun);
  return read_one(in, noun, std::make_index_sequence<std::variant_size_v<entity_state>>());
}

} // namespace orrery::domain
