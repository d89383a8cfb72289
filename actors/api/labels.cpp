#include "events/domain/labels.hpp"

#include "actors/api/body.hpp"
#include "actors/api/call.hpp"
#include "events/core/text.hpp"

#include <utility>

// POST /v1/{nouns}/{name}:setLabels

namespace orrery::actors {

namespace {

constexpr std::string_view labels_verb = "setLabels";

result<v1::SetLabels> read_labels(const std::string& body) {
  auto read = body_reader::parse(body);
  if (!read)
    return read.error();
  v1::SetLabels wanted;
  for (auto& [key, value] :
       read->texts_by_name("set", domain::labels_max, domain::label_text_size_max))
    domain::add(*wanted.mutable_set(), std::move(key), std::move(value));
  for (auto& key : read->texts("remove", domain::labels_max, domain::label_text_size_max))
    wanted.add_remove(std::move(key));
  if (auto good = read->finish(); !good)
    return good.error();
  if (wanted.set_size() + wanted.remove_size() == 0)
    return invalid("nothing is asked for: want {\"set\": {\"key\": \"value\"}}, "
                   "{\"remove\": [\"key\"]} or both");
  return wanted;
}

} // namespace

template <auto Body, class View>
void api::set_labels(call& made, const result<projections::answer<View>>& found,
                     const std::string& noun, std::string_view other_verbs) {
  if (made.verb != labels_verb)
    return made.fail(invalid("a " + noun + " has no action '" + printable(made.verb, 40) +
                             "': want " + std::string(other_verbs) + std::string(labels_verb)));
  auto wanted = read_labels(made.request.body);
  if (!wanted)
    return made.fail(wanted.error());
  const auto kind = noun + ".set_labels";
  if (!found)
    return fail_unless_repeated(made, found.error(), kind);
  auto command = new_command(id_in(found->value.id()));
  *(command.*Body)()->mutable_set_labels() = std::move(*wanted);
  send_command(made, std::move(command), kind, found->value.name());
}

void api::set_vm_labels(call& made) {
  set_labels<&v1::Command::mutable_vm>(made, x_services.store->find_vm(made.name), "vm");
}

void api::set_cluster_labels(call& made) {
  set_labels<&v1::Command::mutable_cluster>(made, x_services.store->find_cluster(made.name),
                                            "cluster", "setUpstream or ");
}

void api::act_on_node(call& made) {
  set_labels<&v1::Command::mutable_node>(made, x_services.store->find_node(made.name), "node");
}

void api::set_network_labels(call& made) {
  set_labels<&v1::Command::mutable_network>(made, x_services.store->find_network(made.name),
                                            "network",
                                            "reserve, free, setQuarantine, setGuests or ");
}

} // namespace orrery::actors
