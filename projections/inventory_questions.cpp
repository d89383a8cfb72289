#include "events/core/text.hpp"
#include "projections/inventory_keys.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <type_traits>

// What the inventory is asked.

namespace orrery::projections {

using namespace inventory_keys;

namespace {

/// Those that have names.
constexpr std::array<inventory_noun, 4> nouns{inventory_noun::cluster, inventory_noun::node,
                                              inventory_noun::network, inventory_noun::vm};

/// Things of one name of which a question about the past looks at each: far more than anybody makes
/// by hand.
constexpr std::size_t past_candidates_max = 1'000;

/// Ids shown in the text of an error about a name that several things have.
constexpr std::size_t candidates_shown_max = 10;

/// What something that is gone was called.
std::string_view name_in(std::string_view trace) {
  return trace.substr(std::min<std::size_t>(8, trace.size()));
}

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
    View view;
    if (const auto bytes = x_rows.find(key_with(prefix::row, noun, parsed->value)))
      return from_row(x_rows, *bytes, view) ? view.name() : std::string();
    const auto trace = x_rows.find(key_with(prefix::gone, noun, parsed->value));
    return trace ? std::string(name_in(*trace)) : std::string();
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
                                std::string_view name, std::size_t count_max) {
  std::vector<uuid> found;
  key_range range;
  range.prefix = name_prefix(which, noun, name);
  rows.scan(range, [&](std::string_view key, std::string_view) {
    if (key.size() == range.prefix.size() + uuid_size)
      found.push_back(id_at_end(key));
    return found.size() <= count_max;
  });
  return found;
}

std::vector<uuid> ids_with_name(const reader& rows, prefix which, inventory_noun noun,
                                std::string_view name) {
  return ids_with_name(rows, which, noun, name, candidates_shown_max);
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
  const std::string name(name_in(trace));
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

template <class State, inventory_noun Noun> struct kind {
  using state = State;
  static constexpr auto noun = Noun;
};

/// Which state is behind a view, and its noun.
template <class View> struct kind_of;

template <> struct kind_of<v1::Vm> : kind<domain::vm_state, inventory_noun::vm> {};

template <> struct kind_of<v1::Cluster> : kind<domain::cluster_state, inventory_noun::cluster> {};

template <> struct kind_of<v1::Node> : kind<domain::node_state, inventory_noun::node> {};

template <> struct kind_of<v1::Network> : kind<domain::network_state, inventory_noun::network> {};

/// Everything that is or was called so, or has that id.
result<std::vector<uuid>> ever_called(const reader& rows, inventory_noun noun,
                                      std::string_view text) {
  const auto wanted = parse_wanted(noun, text);
  if (!wanted)
    return wanted.error();
  if (wanted->id && (wanted->id_only || rows.find(key_with(prefix::row, noun, *wanted->id)) ||
                     rows.find(key_with(prefix::gone, noun, *wanted->id))))
    return std::vector{*wanted->id};
  auto found = ids_with_name(rows, prefix::gone_by_name, noun, text, past_candidates_max);
  if (found.size() > past_candidates_max)
    return error{error_code::conflict,
                 "more than " + std::to_string(past_candidates_max) + " were called '" +
                     printable(text, name_size_max) + "': say which by its id",
                 false};
  const auto living = ids_with_name(rows, prefix::by_name, noun, text);
  found.insert(found.end(), living.begin(), living.end());
  return found;
}

/// A text that tells lists apart, for their tokens.
std::string query_text(std::string_view list, std::initializer_list<std::string_view> filters) {
  std::string text(list);
  for (const auto& filter : filters)
    add_text(text, filter);
  return text;
}

/// A text that stands for the terms in a token.
std::string text_of(const std::vector<label_term>& terms) {
  std::string text;
  for (const auto& one : terms)
    text += "," + one.key + (one.value ? "=" + *one.value : std::string());
  return text;
}

template <class View> bool has_labels(const View& one, const std::vector<label_term>& terms) {
  return std::ranges::all_of(terms, [&one](const label_term& term) {
    const auto at = one.labels().find(term.key);
    return at != one.labels().end() && (!term.value || at->second == *term.value);
  });
}

/// Lists the small nouns: a scan over all of them.
template <class View>
result<listing<View>> list_all(const reader& rows, inventory_noun noun,
                               const inventory_filter& filter, const page& wanted) {
  const auto at = positions_of(rows);
  const auto query =
      query_text(name_of(noun), {filter.cluster, filter.name, text_of(filter.labels)});
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
    if ((!filter.name.empty() && one.name() != filter.name) || !has_labels(one, filter.labels))
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
  if (!filter.labels.empty()) {
    // One with a value leaves fewer than one without.
    const auto valued = std::ranges::find_if(
        filter.labels, [](const label_term& one) { return one.value.has_value(); });
    terms.range.prefix = valued == filter.labels.end() ? label_key_prefix(filter.labels.front().key)
                                                       : label_prefix(valued->key, *valued->value);
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
         (filter.name.empty() || vm.name() == filter.name) && has_labels(vm, filter.labels) &&
         (filter.observed == v1::VmObserved::STATE_UNSPECIFIED ||
          vm.observed().state() == filter.observed);
}

} // namespace

result<std::vector<label_term>> parse_labels(std::string_view text) {
  std::vector<label_term> made;
  for (bool goes_on = !text.empty(); goes_on;) {
    const auto comma = text.find(',');
    const auto one = text.substr(0, comma);
    goes_on = comma != std::string_view::npos;
    text.remove_prefix(goes_on ? comma + 1 : text.size());
    const auto equals = one.find('=');
    label_term term{std::string(one.substr(0, equals)), std::nullopt};
    if (auto good = domain::check_label_key(term.key); !good)
      return good.error();
    if (equals != std::string_view::npos)
      term.value = std::string(one.substr(equals + 1));
    if (auto good = domain::check_label_value(term.value.value_or("")); !good)
      return good.error();
    if (made.size() == domain::labels_max)
      return error{error_code::invalid_argument,
                   "a filter has at most " + std::to_string(domain::labels_max) + " labels", false};
    made.push_back(std::move(term));
  }
  return made;
}

result<listing<v1::Vm>> list_vms(const reader& rows, const vm_filter& filter, const page& wanted) {
  const auto at = positions_of(rows);
  const auto query =
      query_text("vms", {filter.cluster, filter.node, filter.name,
                         v1::VmObserved::State_Name(filter.observed), text_of(filter.labels)});
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

template <class View> result<answer<View>> find_thing(const reader& rows, std::string_view text) {
  constexpr auto noun = kind_of<View>::noun;
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

template <class View>
result<answer<View>> find_thing(const reader& rows, const reader& history, std::string_view text,
                                const as_of& when) {
  constexpr auto noun = kind_of<View>::noun;
  const auto candidates = ever_called(rows, noun, text);
  if (!candidates)
    return candidates.error();
  answer<View> found;
  std::vector<candidate> there;
  auto steps_left = past_steps_max;
  for (const auto& id : *candidates) {
    const auto then = state_at(history, id, when, steps_left);
    if (!then)
      return then.error();
    using state = typename kind_of<View>::state;
    const auto* known = *then == nullptr ? nullptr : std::get_if<state>(then->get());
    if (known == nullptr)
      continue;
    found.value = view(id, *known);
    there.push_back({noun, id});
  }
  if (there.size() > 1)
    return ambiguous(text, there);
  if (there.empty() && candidates->empty())
    return unknown(noun, text);
  if (there.empty())
    return error{error_code::not_found,
                 "there was no " + std::string(name_of(noun)) + " '" + printable(text, 80) +
                     "' as of " + text_of(when) + ": GET /v1/events?resource=" +
                     resource_text(name_of(noun), candidates->back()) + " shows its history",
                 false};
  names(rows).join(found.value);
  found.at = positions_of(rows);
  return found;
}

template result<answer<v1::Vm>> find_thing(const reader&, std::string_view);
template result<answer<v1::Vm>> find_thing(const reader&, const reader&, std::string_view,
                                           const as_of&);
template result<answer<v1::Cluster>> find_thing(const reader&, std::string_view);
template result<answer<v1::Cluster>> find_thing(const reader&, const reader&, std::string_view,
                                                const as_of&);
template result<answer<v1::Node>> find_thing(const reader&, std::string_view);
template result<answer<v1::Node>> find_thing(const reader&, const reader&, std::string_view,
                                             const as_of&);
template result<answer<v1::Network>> find_thing(const reader&, std::string_view);
template result<answer<v1::Network>> find_thing(const reader&, const reader&, std::string_view,
                                                const as_of&);

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

result<uuid> find_vm_that_was(const reader& rows, std::string_view name_or_id) {
  constexpr auto noun = inventory_noun::vm;
  const auto wanted = parse_wanted(noun, name_or_id);
  if (!wanted)
    return wanted.error();
  if (wanted->id && (rows.find(key_with(prefix::row, noun, *wanted->id)) ||
                     rows.find(key_with(prefix::gone, noun, *wanted->id))))
    return *wanted->id;
  if (!wanted->id_only)
    for (const auto which : {prefix::by_name, prefix::gone_by_name}) {
      std::vector<candidate> found;
      for (const auto& id : ids_with_name(rows, which, noun, name_or_id))
        found.push_back({noun, id});
      if (found.size() > 1)
        return ambiguous(name_or_id, found);
      if (found.size() == 1)
        return found.front().id;
    }
  return unknown(noun, name_or_id);
}

bool is_known(const reader& rows, const uuid& id) {
  return std::ranges::any_of(nouns, [&](inventory_noun noun) {
    return rows.find(key_with(prefix::row, noun, id)) ||
           rows.find(key_with(prefix::gone, noun, id));
  });
}

} // namespace orrery::projections
