#include "events/domain/command_run.hpp"
#include "tests/support/expect.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace orrery::support {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(command_run, ends_with_the_refusal_of_the_addressed_entity) {
  domain::command_run run(start_vm(), start_of_time());
  ASSERT_NE(run.next(), nullptr);
  EXPECT_EQ(run.next()->entity, vm());
  run.decided(domain::refuse(error_code::busy, "it is busy", true), nullptr);
  EXPECT_EQ(run.next(), nullptr);
  EXPECT_TRUE(run.refused());
  EXPECT_FALSE(run.changes_nothing()) << "a refusal is recorded";
  const auto made = run.finish();
  EXPECT_EQ(made.reply().code(), static_cast<std::uint32_t>(error_code::busy));
  EXPECT_EQ(made.reply().text(), "it is busy");
  EXPECT_TRUE(made.reply().retryable());
  EXPECT_EQ(made.steps_size(), 0);
}

TEST(command_run, drops_everything_when_one_of_those_told_refuses) {
  domain::command_run run(place_vm(), start_of_time());
  domain::decision first;
  first.events.emplace_back().mutable_cluster()->mutable_vm_placed();
  first.messages.push_back({vm(), start_vm()});
  first.messages.push_back({network(), hello()});
  first.has_job = true;
  run.decided(std::move(first), std::make_shared<domain::entity_state>());
  EXPECT_TRUE(run.states().contains(cluster()));
  ASSERT_NE(run.next(), nullptr);
  EXPECT_EQ(run.next()->entity, vm());
  EXPECT_TRUE(run.next()->command->vm().has_start()) << "the message, not the command";
  run.decided(domain::refuse(error_code::conflict, "no"), nullptr);
  EXPECT_EQ(run.next(), nullptr) << "the network is not asked any more";
  EXPECT_FALSE(run.states().contains(cluster()));
  const auto made = run.finish();
  EXPECT_EQ(made.steps_size(), 0);
  EXPECT_FALSE(made.reply().has_job());
}

TEST(command_run, puts_messages_to_other_partitions_aside) {
  auto command = place_vm();
  command.mutable_principal()->set_name("somebody");
  domain::command_run run(command, start_of_time());
  const auto far = make_uuid(start_of_time(), partition_number{5}, 1);
  domain::decision first;
  first.messages.push_back({far, start_vm()});
  first.messages.push_back({vm(), start_vm()});
  run.decided(std::move(first), nullptr);
  ASSERT_NE(run.next(), nullptr);
  EXPECT_EQ(run.next()->entity, vm()) << "the one of this partition is asked at once";
  run.decided(domain::decision(), nullptr);
  EXPECT_FALSE(run.changes_nothing()) << "it sends something";
  const auto sent = run.take_outgoing();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(domain::from_proto(sent[0].entity()), far);
  EXPECT_TRUE(sent[0].vm().has_start());
  EXPECT_EQ(sent[0].principal().name(), "somebody");
  EXPECT_FALSE(sent[0].has_key());
  EXPECT_FALSE(sent[0].has_origin());
}

TEST(command_run, sends_nothing_when_one_of_those_told_refuses) {
  domain::command_run run(place_vm(), start_of_time());
  domain::decision first;
  first.messages.push_back({make_uuid(start_of_time(), partition_number{5}, 1), start_vm()});
  first.messages.push_back({vm(), start_vm()});
  run.decided(std::move(first), nullptr);
  run.decided(domain::refuse(error_code::conflict, "no"), nullptr);
  EXPECT_THAT(run.take_outgoing(), IsEmpty());
}

TEST(command_run, asks_breadth_first_and_remembers_who_caused_what) {
  domain::command_run run(place_vm(), start_of_time());
  domain::decision first;
  first.messages.push_back({vm(1), start_vm(1)});
  first.messages.push_back({vm(2), start_vm(2)});
  run.decided(std::move(first), nullptr);
  domain::decision second;
  second.messages.push_back({vm(3), start_vm(3)});
  run.decided(std::move(second), nullptr);
  EXPECT_EQ(run.next()->entity, vm(2)) << "those of the first before those of the second";
  run.decided(domain::decision(), nullptr);
  EXPECT_EQ(run.next()->entity, vm(3));
  run.decided(domain::decision(), nullptr);
  EXPECT_EQ(run.next(), nullptr);
  EXPECT_TRUE(run.changes_nothing());
  const auto made = run.finish();
  ASSERT_EQ(made.steps_size(), 4);
  EXPECT_EQ(made.steps(1).caused_by(), 0U);
  EXPECT_EQ(made.steps(2).caused_by(), 0U);
  EXPECT_EQ(made.steps(3).caused_by(), 1U);
}

TEST(command_run, answers_with_the_thing_that_was_made) {
  domain::command_run run(place_vm(), start_of_time());
  domain::decision first;
  first.subject = vm();
  run.decided(std::move(first), nullptr);
  EXPECT_EQ(domain::from_proto(run.finish().reply().entity()), vm());
  domain::command_run plain(start_vm(), start_of_time());
  plain.decided(domain::decision(), nullptr);
  EXPECT_EQ(domain::from_proto(plain.finish().reply().entity()), vm());
}

TEST(command_run_death, a_cycle_between_entities_ends_the_process) {
  const auto cycle = [] {
    domain::command_run run(start_vm(), start_of_time());
    while (run.next() != nullptr) {
      domain::decision again;
      again.messages.push_back({vm(), start_vm()});
      run.decided(std::move(again), nullptr);
    }
  };
  EXPECT_DEATH(cycle(), "messages_per_command_max");
}

TEST(decide, refuses_a_command_without_a_body) {
  auto at = ready_world();
  v1::Command empty;
  domain::set(empty.mutable_entity(), vm());
  EXPECT_TRUE(is_refused(at.tell(empty), error_code::invalid_argument, {"without a body"}));
}

TEST(decide, refuses_a_command_for_another_noun) {
  auto at = world_with_vm();
  const std::vector<std::pair<uuid, v1::Command>> crossed{
      {cluster(), start_vm()}, {vm(), hello()},        {node(), add_network()},
      {vm(), add_cluster()},   {vm(), place_vm()},     {installation(), start_vm()},
      {cluster(), found()},    {network(), start_vm()}};
  for (auto [entity, command] : crossed) {
    domain::set(command.mutable_entity(), entity);
    EXPECT_TRUE(
        is_refused(at.tell(command), error_code::invalid_argument, {"another kind of resource"}))
        << command.ShortDebugString();
  }
  v1::Command command;
  command.mutable_network()->mutable_release_address();
  domain::set(command.mutable_entity(), vm());
  EXPECT_TRUE(
      is_refused(at.tell(command), error_code::invalid_argument, {"another kind of resource"}));
}

TEST(decide, lets_the_commands_of_a_record_see_each_other) {
  auto at = ready_world();
  const auto told = at.tell_all({place_vm({.number = 1}), place_vm({.number = 2}), stop_vm(1),
                                 place_vm({.number = 3, .name = "db"})});
  EXPECT_EQ(refusal_of(told[0]), std::nullopt);
  EXPECT_EQ(refusal_of(told[1]), error_code::already_exists) << "the name is taken by the first";
  EXPECT_THAT(types_of(told[2]),
              ElementsAre("vm.job_ended", "vm.stop_requested", "vm.job_started"));
  EXPECT_EQ(refusal_of(told[3]), std::nullopt);
  EXPECT_EQ(at.find_vm(3)->nic.address, address_of("10.99.0.3"));
  EXPECT_EQ(at.commits().back().second.decisions_size(), 4) << "the refused one is recorded too";
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(decide, keeps_nothing_of_a_refused_command_for_those_after_it) {
  auto at = founded_world();
  at.must(add_node());
  at.must(hello());
  at.must(add_network({.prefix = "10.99.0.0/30"})); // one address
  const auto told =
      at.tell_all({place_vm({.number = 1, .name = "a"}), place_vm({.number = 2, .name = "b"}),
                   place_vm({.number = 3, .name = "b"})});
  EXPECT_EQ(refusal_of(told[1]), error_code::addresses_exhausted);
  EXPECT_EQ(refusal_of(told[2]), error_code::addresses_exhausted) << "the name was free again";
  EXPECT_EQ(at.find_cluster()->placements.size(), 1U);
  EXPECT_TRUE(keeps_invariants(at));
}

TEST(clean_texts, leaves_nothing_that_could_not_be_read_back) {
  auto command = hello({.images = {"good",
                                   "b\xff"
                                   "d",
                                   "\xc3\xa4"}});
  command.mutable_node()->mutable_hello()->set_hypervisor("\xed\xa0\x80");
  command.mutable_principal()->set_name("\x80");
  domain::clean_texts(command);
  EXPECT_THAT(command.node().hello().images(), ElementsAre("good", "b?d", "\xc3\xa4"));
  EXPECT_EQ(command.node().hello().hypervisor(), "???");
  EXPECT_EQ(command.principal().name(), "?");
  v1::Command parsed;
  EXPECT_TRUE(parsed.ParseFromString(command.SerializeAsString()));
}

/// Calls `with(set)` for each text below `message`; `set(text)` gives it a value. Messages of a
/// oneof only where they are set already.
void for_each_text(
    google::protobuf::Message& message,
    const std::function<void(const std::function<void(const std::string&)>&)>& with) {
  const auto* fields = message.GetReflection();
  const auto* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    if (field->is_repeated() ||
        (field->containing_oneof() != nullptr && !fields->HasField(message, field)))
      continue;
    if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE)
      for_each_text(*fields->MutableMessage(&message, field), with);
    else if (field->type() == google::protobuf::FieldDescriptor::TYPE_STRING)
      with([&](const std::string& text) { fields->SetString(&message, field, text); });
  }
}

TEST(clean_texts, knows_every_text_of_an_observation) {
  auto command = observe(1, {});
  int texts = 0;
  for_each_text(command, [&](const auto& set) {
    ++texts;
    set("\xff");
    auto cleaned = command;
    domain::clean_texts(cleaned);
    v1::Command parsed;
    EXPECT_TRUE(parsed.ParseFromString(cleaned.SerializeAsString())) << "text " << texts;
    set("");
  });
  EXPECT_EQ(texts, 2) << "a new text: name it in clean_texts";
}

TEST(clean_texts, changes_nothing_that_is_well_formed) {
  const auto command = place_vm({.name = "\x01 control characters are for the rules to judge"});
  auto cleaned = command;
  domain::clean_texts(cleaned);
  EXPECT_EQ(cleaned.SerializeAsString(), command.SerializeAsString());
}

TEST(evolve, leaves_the_state_alone_when_an_event_does_not_fit) {
  const auto at = world_with_vm();
  const auto state = at.state().find(vm());
  google::protobuf::RepeatedPtrField<v1::Event> events;
  events.Add()->mutable_cluster()->mutable_created();
  events.Add()->mutable_installation()->mutable_founded();
  events.Add()->mutable_network()->mutable_created();
  events.Add()->mutable_node()->mutable_lost();
  events.Add();
  const auto after = domain::evolve(state, events, at.now());
  domain::state_bytes one;
  domain::state_bytes other;
  domain::write(one, *state);
  domain::write(other, *after);
  EXPECT_EQ(one.bytes(), other.bytes());
}

TEST(evolve, changes_no_state_that_somebody_else_holds) {
  auto at = world_with_vm();
  const auto held = at.state().find(vm());
  at.see(1, v1::VmObserved::RUNNING);
  EXPECT_EQ(std::get<domain::vm_state>(*held).observed.state, v1::VmObserved::ABSENT);
  EXPECT_EQ(at.find_vm()->observed.state, v1::VmObserved::RUNNING);
}

TEST(event_type, is_noun_and_event_by_the_schema) {
  v1::Event event;
  EXPECT_EQ(domain::type_of(event), "unknown");
  EXPECT_EQ(domain::noun_of(event), "unknown");
  event.mutable_vm();
  EXPECT_EQ(domain::type_of(event), "vm.unknown");
  event.mutable_vm()->mutable_job_ended();
  EXPECT_EQ(domain::type_of(event), "vm.job_ended");
  EXPECT_EQ(domain::noun_of(event), "vm");
}

TEST(entity, has_a_noun_and_a_name) {
  const auto at = world_with_vm();
  const std::vector<std::tuple<uuid, std::string, std::string>> wanted{
      {installation(), "installation", ""},
      {cluster(), "cluster", "c1"},
      {node(), "node", "n1"},
      {network(), "network", "lan"},
      {vm(), "vm", "web"}};
  for (const auto& [entity, noun, name] : wanted) {
    EXPECT_EQ(domain::noun_of(*at.state().find(entity)), noun);
    EXPECT_EQ(domain::name_of(*at.state().find(entity)), name);
  }
}

TEST(entity, wants_something_only_if_it_is_a_vm) {
  const auto at = world_with_vm();
  for (const auto& entity : {installation(), cluster(), node(), network()}) {
    EXPECT_EQ(domain::effects(*at.state().find(entity)), domain::wanted_effect{});
    EXPECT_FALSE(domain::next_timer(*at.state().find(entity)).has_value());
  }
  EXPECT_EQ(domain::effects(*at.state().find(vm())).verb, domain::wanted_verb::run);
  EXPECT_TRUE(domain::next_timer(*at.state().find(vm())).has_value());
}

TEST(commit_times, count_every_step_and_one_for_each_refusal) {
  v1::CommitBody body;
  body.set_decided_at(1000);
  body.add_decisions()->add_steps();
  body.mutable_decisions(0)->add_steps();
  body.add_decisions(); // refused
  body.add_decisions()->add_steps();
  std::vector<std::uint64_t> times;
  domain::for_each_step(body, [&times](const v1::Decision&, const v1::Step&, int, utc_time at) {
    times.push_back(to_micros(at));
  });
  EXPECT_THAT(times, ElementsAre(1000, 1001, 1003));
  EXPECT_EQ(to_micros(domain::last_time(body)), 1003U);
  EXPECT_EQ(to_micros(domain::last_time(v1::CommitBody())), 0U);
}

} // namespace
} // namespace orrery::support
