#include "projections/inventory.hpp"

#include "events/core/text.hpp"
#include "projections/rows.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <type_traits>
#include <unordered_map>

namespace orrery::projections {

namespace {

/// Keys of the column family "inventory". Noun is one byte, ids are 16, a name has two bytes of
/// length in front.
enum class prefix : std::uint8_t {
  row = 1,         ///< noun id              -> the view (v1::Vm, …)
  by_name = 2,     ///< noun name id         -> nothing
  by_cluster = 3,  ///< cluster vm           -> nothing
  by_node = 4,     ///< node vm              -> nothing
  by_observed = 5, ///< state vm             -> nothing; state is one byte
  gone = 6,        ///< noun id              -> when it ended (8) name
  gone_by_name = 7 ///< noun name id         -> nothing
};

/// Those that have names.
constexpr std::array<inventory_noun, 4> nouns{inventory_noun::cluster, inventory_noun::node,
                                              inventory_noun::network, inventory_noun::vm};

/// Ids shown in the text of an error about a name that several things have.
constexpr std::size_t candidates_shown_max = 10;

std::string key_with(prefix which, inventory_noun noun) {
  auto key = key_of(which);
  add_u8(key, static_cast<std::uint8_t>(noun));
  return key;
}

std::string key_with(prefix which, inventory_noun noun, const uuid& id) {
  auto key = key_with(which, noun);
  add_uuid(key, id);
  return key;
}

std::string name_prefix(prefix which, inventory_noun noun, std::string_view name) {
  auto key = key_with(which, noun);
  add_text(key, name);
  return key;
}

std::string name_key(prefix which, inventory_noun noun, std::string_view name, const uuid& id) {
  auto key = name_prefix(which, noun, name);
  add_uuid(key, id);
  return key;
}

std::string index_prefix(prefix which, const uuid& of) {
  auto key = key_of(which);
  add_uuid(key, of);
  return key;
}

std::string observed_prefix(v1::VmObserved::State state) {
  auto key = key_of(prefix::by_observed);
  add_u8(key, static_cast<std::uint8_t>(state));
  return key;
}

uuid id_at_end(std::string_view key) {
  return key.size() < uuid_size ? uuid{} : uuid_at(key, key.size() - uuid_size);
}

// Folding
// -------------------------------------------------------------------------------------------------

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

// Reading
// -------------------------------------------------------------------------------------------------

/// Names of the things that rows refer to, each read once in a question.
class names {
public:
  explicit names(const reader& rows) : x_rows(rows) {}

  void join(v1::Vm& vm) {
    fill<v1::Cluster, cluster_tag>(inventory_noun::cluster, vm.mutable_cluster());
    fill<v1::Node, node_tag>(inventory_noun::node, vm.mutable_node());
    fill<v1::Network, network_tag>(inventory_noun::network, vm.mutable_network());
    if (vm.observed().has_source())
      fill<v1::Node, node_tag>(inventory_noun::node, vm.mutable_observed()->mutable_source());
  }

  void join(v1::Node& node) {
    fill<v1::Cluster, cluster_tag>(inventory_noun::cluster, node.mutable_cluster());
  }

  void join(v1::Network& network) {
    fill<v1::Cluster, cluster_tag>(inventory_noun::cluster, network.mutable_cluster());
  }

  void join(v1::Cluster&) {}

private:
  template <class View, class Tag> void fill(inventory_noun noun, v1::Reference* target) {
    const auto [at, is_new] = x_known.try_emplace(target->id());
    if (is_new)
      at->second = read<View, Tag>(noun, target->id());
    target->set_name(at->second);
  }

  template <class View, class Tag> std::string read(inventory_noun noun, const std::string& id) {
    const auto parsed = parse_id<Tag>(id);
    if (!parsed)
      return {};
    const auto bytes = x_rows.find(key_with(prefix::row, noun, parsed->value));
    View view;
    if (!bytes || !from_row(x_rows, *bytes, view))
      return {};
    return view.name();
  }

  const reader& x_rows;
  std::map<std::string, std::string> x_known;
};

/// What a question names: an id, or a name to look up.
struct wanted_thing {
  std::optional<uuid> id;
  bool id_only = false; ///< it has a prefix, so it is no name
};

result<wanted_thing> parse_wanted(inventory_noun noun, std::string_view text) {
  wanted_thing wanted;
  const auto underscore = text.find('_'); // never in a name
  if (underscore == std::string_view::npos) {
    if (const auto parsed = parse_uuid(text))
      wanted.id = *parsed;
    return wanted;
  }
  const auto expected = name_of(noun);
  const auto parsed = parse_uuid(text.substr(underscore + 1));
  if (text.substr(0, underscore) != expected || !parsed)
    return error{error_code::invalid_argument,
                 "'" + printable(text, 80) + "' is neither a name nor the id of a " +
                     std::string(expected) + " (" + std::string(expected) + "_<uuid>)",
                 false};
  wanted.id = *parsed;
  wanted.id_only = true;
  return wanted;
}

std::vector<uuid> ids_with_name(const reader& rows, prefix which, inventory_noun noun,
                                std::string_view name) {
  std::vector<uuid> found;
  key_range range;
  range.prefix = name_prefix(which, noun, name);
  rows.scan(range, [&found, &range](std::string_view key, std::string_view) {
    if (key.size() == range.prefix.size() + uuid_size)
      found.push_back(id_at_end(key));
    return found.size() <= candidates_shown_max;
  });
  return found;
}

struct candidate {
  inventory_noun noun;
  uuid id;
};

error ambiguous(std::string_view name, const std::vector<candidate>& found) {
  std::string text = "the name '" + printable(name, name_size_max) + "' fits several: ";
  for (std::size_t i = 0; i < std::min(found.size(), candidates_shown_max); ++i)
    text += (i > 0 ? ", " : "") + resource_text(name_of(found[i].noun), found[i].id);
  if (found.size() > candidates_shown_max)
    text += ", …";
  return error{error_code::conflict, text + ": say which by its id", false};
}

error unknown(inventory_noun noun, std::string_view text) {
  const std::string kind(name_of(noun));
  return error{error_code::not_found,
               "there is no " + kind + " '" + printable(text, 80) + "': `orrery " + kind +
                   " list` shows what there is",
               false};
}

error deleted(inventory_noun noun, const uuid& id, std::string_view trace) {
  const auto name = std::string(trace.substr(std::min<std::size_t>(8, trace.size())));
  return error{error_code::not_found,
               std::string(name_of(noun)) + " '" + name + "' (" + resource_text(name_of(noun), id) +
                   ") was deleted at " + to_text(from_micros(u64_at(trace, 0))) +
                   ": GET /v1/events?resource=" + resource_text(name_of(noun), id) +
                   " shows its history",
               false};
}

/// Why nothing living is called so: deleted, or never there.
error not_living(const reader& rows, inventory_noun noun, std::string_view text,
                 const std::optional<uuid>& id) {
  if (id) {
    if (const auto trace = rows.find(key_with(prefix::gone, noun, *id)))
      return deleted(noun, *id, *trace);
  }
  const auto gone = ids_with_name(rows, prefix::gone_by_name, noun, text);
  if (!gone.empty()) {
    // The newest of that name; ids rise with time.
    if (const auto trace = rows.find(key_with(prefix::gone, noun, gone.back())))
      return deleted(noun, gone.back(), *trace);
  }
  return unknown(noun, text);
}

/// The id of the one living thing that is meant.
result<uuid> find_id(const reader& rows, inventory_noun noun, std::string_view text) {
  const auto wanted = parse_wanted(noun, text);
  if (!wanted)
    return wanted.error();
  if (wanted->id && rows.find(key_with(prefix::row, noun, *wanted->id)))
    return *wanted->id;
  if (wanted->id_only)
    return not_living(rows, noun, text, wanted->id);
  const auto named = ids_with_name(rows, prefix::by_name, noun, text);
  if (named.size() == 1)
    return named.front();
  if (named.empty())
    return not_living(rows, noun, text, wanted->id);
  std::vector<candidate> candidates;
  candidates.reserve(named.size());
  for (const auto& id : named)
    candidates.push_back({noun, id});
  return ambiguous(text, candidates);
}

template <class View>
result<answer<View>> find_one(const reader& rows, inventory_noun noun, std::string_view text) {
  const auto id = find_id(rows, noun, text);
  if (!id)
    return id.error();
  answer<View> found;
  const auto bytes = rows.find(key_with(prefix::row, noun, *id));
  if (!bytes)
    return unknown(noun, text);
  if (!from_row(rows, *bytes, found.value))
    return *rows.failure();
  names(rows).join(found.value);
  found.at = positions_of(rows);
  return found;
}

/// A text that tells lists apart, for their tokens.
std::string query_text(std::string_view list, std::initializer_list<std::string_view> filters) {
  std::string text(list);
  for (const auto& filter : filters)
    add_text(text, filter);
  return text;
}

/// Lists the small nouns: a scan over all of them.
template <class View>
result<listing<View>> list_all(const reader& rows, inventory_noun noun,
                               const inventory_filter& filter, const page& wanted) {
  const auto at = positions_of(rows);
  const auto query = query_text(name_of(noun), {filter.cluster, filter.name});
  const auto start = open_page(query, wanted, at);
  if (!start)
    return start.error();
  std::string cluster;
  if (!filter.cluster.empty() && noun != inventory_noun::cluster) {
    const auto id = find_id(rows, inventory_noun::cluster, filter.cluster);
    if (!id)
      return id.error();
    cluster = to_text(cluster_id{*id});
  }
  listing<View> found;
  names joined(rows);
  key_range range;
  range.prefix = key_with(prefix::row, noun);
  const auto take = [&](std::string_view, std::string_view bytes) {
    View one;
    if (!from_row(rows, bytes, one))
      return row_fate::passed_over;
    if (!filter.name.empty() && one.name() != filter.name)
      return row_fate::passed_over;
    if constexpr (!std::is_same_v<View, v1::Cluster>)
      if (!cluster.empty() && one.cluster().id() != cluster)
        return row_fate::passed_over;
    joined.join(one);
    found.items.push_back(std::move(one));
    return row_fate::taken;
  };
  found.next_token = walk_page(rows, query, *start, range, at, take);
  found.at = at;
  return found;
}

/// What a list of VMs keeps, by the texts that stand in the rows.
struct vm_terms {
  std::string cluster;
  std::string node;
  key_range range; ///< the index that leaves the fewest rows
  bool rows_are_values = false;
};

/// A node by id or name; a name need only be unique in the cluster that the filter names.
result<uuid> find_node_id(const reader& rows, std::string_view text, std::string_view cluster) {
  auto id = find_id(rows, inventory_noun::node, text);
  if (id || cluster.empty() || id.error().code != error_code::conflict)
    return id;
  for (const auto& each : ids_with_name(rows, prefix::by_name, inventory_noun::node, text)) {
    const auto bytes = rows.find(key_with(prefix::row, inventory_noun::node, each));
    v1::Node node;
    if (bytes && from_row(rows, *bytes, node) && node.cluster().id() == cluster)
      return each;
  }
  return id;
}

result<vm_terms> terms_of(const reader& rows, const vm_filter& filter) {
  vm_terms terms;
  terms.range.prefix = key_with(prefix::row, inventory_noun::vm);
  terms.rows_are_values = true;
  if (filter.observed != v1::VmObserved::STATE_UNSPECIFIED) {
    terms.range.prefix = observed_prefix(filter.observed);
    terms.rows_are_values = false;
  }
  if (!filter.cluster.empty()) {
    const auto id = find_id(rows, inventory_noun::cluster, filter.cluster);
    if (!id)
      return id.error();
    terms.cluster = to_text(cluster_id{*id});
    terms.range.prefix = index_prefix(prefix::by_cluster, *id);
    terms.rows_are_values = false;
  }
  if (!filter.node.empty()) {
    const auto id = find_node_id(rows, filter.node, terms.cluster);
    if (!id)
      return id.error();
    terms.node = to_text(node_id{*id});
    terms.range.prefix = index_prefix(prefix::by_node, *id);
    terms.rows_are_values = false;
  }
  if (!filter.name.empty()) {
    terms.range.prefix = name_prefix(prefix::by_name, inventory_noun::vm, filter.name);
    terms.rows_are_values = false;
  }
  return terms;
}

bool fits(const v1::Vm& vm, const vm_filter& filter, const vm_terms& terms) {
  return (terms.cluster.empty() || vm.cluster().id() == terms.cluster) &&
         (terms.node.empty() || vm.node().id() == terms.node) &&
         (filter.name.empty() || vm.name() == filter.name) &&
         (filter.observed == v1::VmObserved::STATE_UNSPECIFIED ||
          vm.observed().state() == filter.observed);
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

result<listing<v1::Vm>> list_vms(const reader& rows, const vm_filter& filter, const page& wanted) {
  const auto at = positions_of(rows);
  const auto query = query_text("vms", {filter.cluster, filter.node, filter.name,
                                        v1::VmObserved::State_Name(filter.observed)});
  const auto start = open_page(query, wanted, at);
  if (!start)
    return start.error();
  const auto terms = terms_of(rows, filter);
  if (!terms)
    return terms.error();
  listing<v1::Vm> found;
  names joined(rows);
  const auto take = [&](std::string_view key, std::string_view value) {
    v1::Vm vm;
    std::optional<std::string> row;
    if (!terms->rows_are_values) {
      row = rows.find(key_with(prefix::row, inventory_noun::vm, id_at_end(key)));
      if (!row)
        return row_fate::passed_over;
      value = *row;
    }
    if (!from_row(rows, value, vm) || !fits(vm, filter, *terms))
      return row_fate::passed_over;
    joined.join(vm);
    found.items.push_back(std::move(vm));
    return row_fate::taken;
  };
  found.next_token = walk_page(rows, query, *start, terms->range, at, take);
  found.at = at;
  return found;
}

result<listing<v1::Cluster>> list_clusters(const reader& rows, const inventory_filter& filter,
                                           const page& wanted) {
  return list_all<v1::Cluster>(rows, inventory_noun::cluster, filter, wanted);
}

result<listing<v1::Node>> list_nodes(const reader& rows, const inventory_filter& filter,
                                     const page& wanted) {
  return list_all<v1::Node>(rows, inventory_noun::node, filter, wanted);
}

result<listing<v1::Network>> list_networks(const reader& rows, const inventory_filter& filter,
                                           const page& wanted) {
  return list_all<v1::Network>(rows, inventory_noun::network, filter, wanted);
}

result<answer<v1::Vm>> find_vm(const reader& rows, std::string_view name_or_id) {
  return find_one<v1::Vm>(rows, inventory_noun::vm, name_or_id);
}

result<answer<v1::Cluster>> find_cluster(const reader& rows, std::string_view name_or_id) {
  return find_one<v1::Cluster>(rows, inventory_noun::cluster, name_or_id);
}

result<answer<v1::Node>> find_node(const reader& rows, std::string_view name_or_id) {
  return find_one<v1::Node>(rows, inventory_noun::node, name_or_id);
}

result<answer<v1::Network>> find_network(const reader& rows, std::string_view name_or_id) {
  return find_one<v1::Network>(rows, inventory_noun::network, name_or_id);
}

result<answer<v1::Installation>> find_installation(const reader& rows, const uuid& id) {
  answer<v1::Installation> found;
  const auto bytes = rows.find(key_with(prefix::row, inventory_noun::installation, id));
  if (!bytes)
    return error{error_code::not_found, "the installation is not founded yet: try again", true};
  if (!from_row(rows, *bytes, found.value))
    return *rows.failure();
  found.at = positions_of(rows);
  return found;
}

result<uuid> find_resource(const reader& rows, std::string_view name_or_id) {
  const auto underscore = name_or_id.find('_');
  if (underscore != std::string_view::npos) {
    const auto noun = name_or_id.substr(0, underscore);
    const auto parsed = parse_uuid(name_or_id.substr(underscore + 1));
    const bool known_noun =
        noun == installation_tag::prefix ||
        std::ranges::any_of(nouns, [&](inventory_noun one) { return name_of(one) == noun; });
    if (known_noun && parsed)
      return *parsed;
    return error{error_code::invalid_argument,
                 "'" + printable(name_or_id, 80) +
                     "' is neither a name nor an id (installation_, cluster_, node_, network_ or "
                     "vm_<uuid>)",
                 false};
  }
  for (const auto which : {prefix::by_name, prefix::gone_by_name}) {
    std::vector<candidate> found;
    for (const auto noun : nouns)
      for (const auto& id : ids_with_name(rows, which, noun, name_or_id))
        found.push_back({noun, id});
    if (found.size() > 1)
      return ambiguous(name_or_id, found);
    if (found.size() == 1)
      return found.front().id;
  }
  if (const auto parsed = parse_uuid(name_or_id))
    return *parsed;
  return error{error_code::not_found,
               "nothing is or was called '" + printable(name_or_id, 80) +
                   "': `orrery vm list`, `orrery node list` and so on show what there is",
               false};
}

bool is_known(const reader& rows, const uuid& id) {
  return std::ranges::any_of(nouns, [&](inventory_noun noun) {
    return rows.find(key_with(prefix::row, noun, id)) ||
           rows.find(key_with(prefix::gone, noun, id));
  });
}

} // namespace orrery::projections
