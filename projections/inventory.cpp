#include "projections/inventory.hpp"

#include "projections/inventory_keys.hpp"

#include <algorithm>
#include <unordered_map>

// How the inventory is folded.

namespace orrery::projections {

using namespace inventory_keys;

namespace {

std::optional<inventory_noun> row_noun(const domain::entity_state& state) {
  if (std::holds_alternative<domain::cluster_state>(state))
    return inventory_noun::cluster;
  if (std::holds_alternative<domain::node_state>(state))
    return inventory_noun::node;
  if (std::holds_alternative<domain::network_state>(state))
    return inventory_noun::network;
  if (std::holds_alternative<domain::vm_state>(state))
    return inventory_noun::vm;
  if (std::holds_alternative<domain::installation_state>(state))
    return inventory_noun::installation;
  return std::nullopt;
}

std::string row_of(const uuid& id, const domain::entity_state& state) {
  if (const auto* cluster = std::get_if<domain::cluster_state>(&state))
    return to_row(view(id, *cluster));
  if (const auto* node = std::get_if<domain::node_state>(&state))
    return to_row(view(id, *node));
  if (const auto* network = std::get_if<domain::network_state>(&state))
    return to_row(view(id, *network));
  if (const auto* vm = std::get_if<domain::vm_state>(&state))
    return to_row(view(id, *vm));
  if (const auto* installation = std::get_if<domain::installation_state>(&state))
    return to_row(view(id, *installation));
  return {};
}

/// Changes the keys under which an entity is found beside its own row. Most changes change none of
/// them, so none is made before it is known to differ.
class index_change {
public:
  index_change(const domain::touched& one, writer& rows) : x_one(one), x_rows(rows) {}

  void write() {
    const auto before = named(x_one.before.get());
    const auto after = named(x_one.after.get());
    if (before != after) {
      if (before)
        x_rows.erase(name_key(prefix::by_name, before->first, before->second, x_one.entity));
      if (after)
        x_rows.put(name_key(prefix::by_name, after->first, after->second, x_one.entity), {});
    }
    replace(&domain::vm_state::cluster,
            [](const uuid& cluster) { return index_prefix(prefix::by_cluster, cluster); });
    replace(&domain::vm_state::node,
            [](const uuid& node) { return index_prefix(prefix::by_node, node); });
    replace(&domain::vm_state::observed,
            [](const domain::vm_observation& observed) { return observed_prefix(observed.state); });
    write_labels();
  }

private:
  using name = std::pair<inventory_noun, std::string_view>;

  static std::optional<name> named(const domain::entity_state* state) {
    const auto noun = state == nullptr ? std::nullopt : row_noun(*state);
    if (!noun || noun == inventory_noun::installation)
      return std::nullopt;
    return name{*noun, domain::name_of(*state)};
  }

  static const domain::vm_state* vm(const domain::entity_ptr& state) {
    return state == nullptr ? nullptr : std::get_if<domain::vm_state>(state.get());
  }

  template <class Field, class Prefix> void replace(Field domain::vm_state::*field, Prefix of) {
    const auto* before = vm(x_one.before);
    const auto* after = vm(x_one.after);
    if (before != nullptr && after != nullptr && is_same(before->*field, after->*field))
      return;
    if (before != nullptr)
      x_rows.erase(with_id(of(before->*field)));
    if (after != nullptr)
      x_rows.put(with_id(of(after->*field)), {});
  }

  static const domain::label_list& labels_of(const domain::vm_state* state) {
    static const domain::label_list none;
    return state == nullptr ? none : state->labels;
  }

  void write_labels() {
    const auto& before = labels_of(vm(x_one.before));
    const auto& after = labels_of(vm(x_one.after));
    if (before == after)
      return;
    for (const auto& one : before) {
      const auto* now = domain::find(after, one.key);
      if (now == nullptr || *now != one.value)
        x_rows.erase(with_id(label_prefix(one.key, one.value)));
      if (now == nullptr)
        x_rows.erase(with_id(label_key_prefix(one.key)));
    }
    for (const auto& one : after) {
      const auto* then = domain::find(before, one.key);
      if (then == nullptr || *then != one.value)
        x_rows.put(with_id(label_prefix(one.key, one.value)), {});
      if (then == nullptr)
        x_rows.put(with_id(label_key_prefix(one.key)), {});
    }
  }

  static bool is_same(const uuid& one, const uuid& other) { return one == other; }

  static bool is_same(const domain::vm_observation& one, const domain::vm_observation& other) {
    return one.state == other.state;
  }

  [[nodiscard]] std::string with_id(std::string key) const {
    add_uuid(key, x_one.entity);
    return key;
  }

  const domain::touched& x_one;
  writer& x_rows;
};

struct ending {
  utc_time at;
  inventory_noun noun = inventory_noun::vm;
  std::string name; ///< as created in this very commit; mostly empty
};

/// When VMs were seen gone and networks ended, in this commit.
using endings = std::unordered_map<uuid, ending>;

endings endings_of(const v1::CommitBody& body) {
  endings found;
  domain::for_each_step(body, [&](const v1::Decision&, const v1::Step& step, int,
                                  utc_time decided_at) {
    for (const auto& event : step.events()) {
      const bool is_made = event.vm().has_created() || event.network().has_created();
      const bool is_removed = event.vm().has_removed() || event.network().has_removed();
      if (!is_made && !is_removed)
        continue;
      auto& end = found[domain::from_proto(step.entity())];
      end.noun = event.has_vm() ? inventory_noun::vm : inventory_noun::network;
      if (is_made)
        end.name = event.has_vm() ? event.vm().created().name() : event.network().created().name();
      if (is_removed)
        end.at = event.effective_at() == 0 ? decided_at : from_micros(event.effective_at());
    }
  });
  return found;
}

/// What several commits made of the entities that they touched: each life of an entity once, in the
/// order of first touch, so that its rows are made once.
class net_changes {
public:
  struct change {
    domain::touched net;
    domain::entity_ptr
        last;   ///< the last state of an entity that has ended; null: never between two
    ending end; ///< of an entity that has ended
  };

  void add(const folded_commit& commit) {
    const bool any_ended = std::ranges::any_of(
        commit.touched, [](const domain::touched& one) { return one.after == nullptr; });
    const auto ended = any_ended ? endings_of(*commit.body) : endings{};
    for (const auto& one : commit.touched) {
      auto& at = x_index.emplace(one.entity, x_all.size()).first->second;
      if (at < x_all.size() && x_all[at].net.after == nullptr)
        at = x_all.size(); // it had ended: what comes now is another life
      if (at == x_all.size())
        x_all.push_back({one, nullptr, {}});
      auto& known = x_all[at];
      known.net.after = one.after;
      if (one.after != nullptr)
        continue;
      known.last = one.before;
      const auto end = ended.find(one.entity);
      known.end = end == ended.end() ? ending{} : end->second;
    }
  }

  [[nodiscard]] const std::vector<change>& all() const { return x_all; }

private:
  std::vector<change> x_all;
  std::unordered_map<uuid, std::size_t> x_index;
};

/// Leaves a small trace of an entity that has ended, so that who asks for it learns that.
void bury(const net_changes::change& ended, writer& rows) {
  const auto& entity = ended.net.entity;
  const auto name = ended.last == nullptr ? std::string_view(ended.end.name)
                                          : std::string_view(domain::name_of(*ended.last));
  const auto noun = ended.last == nullptr ? std::optional(ended.end.noun) : row_noun(*ended.last);
  if (!noun)
    return;
  rows.erase(key_with(prefix::row, *noun, entity));
  std::string trace;
  add_u64(trace, to_micros(ended.end.at));
  trace += name;
  rows.put(key_with(prefix::gone, *noun, entity), std::move(trace));
  rows.put(name_key(prefix::gone_by_name, *noun, name, entity), {});
}

} // namespace

std::string_view name_of(inventory_noun noun) {
  switch (noun) {
  case inventory_noun::cluster:
    return cluster_tag::prefix;
  case inventory_noun::node:
    return node_tag::prefix;
  case inventory_noun::network:
    return network_tag::prefix;
  case inventory_noun::vm:
    return vm_tag::prefix;
  case inventory_noun::installation:
    return installation_tag::prefix;
  }
  return "unknown";
}

void inventory::apply(commit_span commits, writer& rows) const {
  net_changes changes;
  for (const auto& commit : commits)
    changes.add(*commit);
  for (const auto& change : changes.all()) {
    index_change(change.net, rows).write();
    if (change.net.after == nullptr)
      bury(change, rows);
    else if (const auto noun = row_noun(*change.net.after))
      rows.put(key_with(prefix::row, *noun, change.net.entity),
               row_of(change.net.entity, *change.net.after));
  }
}

} // namespace orrery::projections
