#include "events/domain/labels.hpp"

#include "actors/api/body.hpp"
#include "actors/api/call.hpp"
#include "events/core/text.hpp"

#include <utility>

// POST /v1/{nouns}/{name}:setLabels

namespace orrery::actors {

namespace {

constexpr std::string_view labels_verb = "setLabels";

/// The only verb that nouns without a life have.
result<void> check_verb(std::string_view noun, std::string_view verb) {
  if (verb == labels_verb)
    return {};
  return invalid("a " + std::string(noun) + " has no action '" + printable(verb, 40) + "': want " +
                 std::string(labels_verb));
}

result<v1::SetLabels> read_labels(const std::string& body) {
  auto read = body_reader::parse(body);
  if (!read)
    return read.error();
  v1::SetLabels wanted;
  for (auto& [key, value] :
       read->texts_by_name("set", domain::labels_max, domain::label_text_size_max)) {
    auto* one = wanted.add_set();
    one->set_key(std::move(key));
    one->set_value(std::move(value));
  }
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

template <class View>
void api::set_labels(call& made, const result<projections::answer<View>>& found, std::string kind,
                     v1::SetLabels* (*place)(v1::Command&)) {
  auto wanted = read_labels(made.request.body);
  if (!wanted)
    return made.fail(wanted.error());
  if (!found)
    return fail_unless_repeated(made, found.error(), std::move(kind));
  auto command = new_command(id_in(found->value.id()));
  *place(command) = std::move(*wanted);
  send_command(made, std::move(command), std::move(kind), found->value.name());
}

void api::set_vm_labels(call& made) {
  set_labels(made, x_services.store->find_vm(made.name), "vm.set_labels",
             [](v1::Command& to) { return to.mutable_vm()->mutable_set_labels(); });
}

void api::act_on_cluster(call& made) {
  if (auto known = check_verb("cluster", made.verb); !known)
    return made.fail(known.error());
  set_labels(made, x_services.store->find_cluster(made.name), "cluster.set_labels",
             [](v1::Command& to) { return to.mutable_cluster()->mutable_set_labels(); });
}

void api::act_on_node(call& made) {
  if (auto known = check_verb("node", made.verb); !known)
    return made.fail(known.error());
  set_labels(made, x_services.store->find_node(made.name), "node.set_labels",
             [](v1::Command& to) { return to.mutable_node()->mutable_set_labels(); });
}

void api::act_on_network(call& made) {
  if (auto known = check_verb("network", made.verb); !known)
    return made.fail(known.error());
  set_labels(made, x_services.store->find_network(made.name), "network.set_labels",
             [](v1::Command& to) { return to.mutable_network()->mutable_set_labels(); });
}

} // namespace orrery::actors
