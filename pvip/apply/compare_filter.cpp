#include "pvip/apply/comparison.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

namespace orrery::pvip {

namespace {

/// A rule of the port's chain, which is made anew to change it: in one transaction with it.
bool is_in_chain(const filter_element& element) { return !is_of_a_set(element.set); }

port_rules rules_of(const std::vector<filter_element>& wanted) {
  port_rules rules;
  for (const filter_element& element : wanted) {
    if (element.set == filter_set::target6) {
      rules.own.push_back(*parse_ipv6(element.value));
    } else if (element.set == filter_set::rate) {
      rules.bytes_a_second_max = std::stoull(element.value);
    }
  }
  return rules;
}

std::string sentence_of(const filter_link& what) {
  const std::string link = "link " + what.link;
  const auto is_rate = [](const filter_element& e) { return e.set == filter_set::rate; };
  if (std::ranges::any_of(what.removed, is_rate) || std::ranges::any_of(what.added, is_rate)) {
    return link + " had another limit of its rate";
  }
  if (!what.removed.empty()) {
    return link + " let its guest send from " + what.removed.front().value +
           ", which is not the guest's";
  }
  if (!what.added.empty()) {
    return link + " did not let its guest send from " + what.added.front().value;
  }
  return link + (what.is_chain_taken ? " had another filter" : " had no filter");
}

} // namespace

unfilter_link unfilter_of(const std::string& name, const found_port_filter& filter) {
  return {.link = name,
          .has_chain = filter.has_chain,
          .has_out_chain = filter.has_out_chain,
          .removed = filter.elements};
}

bool comparison::is_filter_new() const {
  const base_state base = x_found.filter.base;
  return base == base_state::missing || base == base_state::broken;
}

void comparison::set_filter() {
  if (x_wanted.links.empty()) {
    return;
  }
  set_filter_base();
  std::map<std::string_view, std::vector<filter_element>> wanted;
  for (const filter_element& element : x_wanted.filter) {
    wanted[element.link].push_back(element);
  }
  for (const wanted_link& link : x_wanted.links) {
    const found_link* has = existing(link.name);
    if (has == nullptr || has->tap) {
      filter_one(link, has, wanted[link.name]);
    }
  }
}

void comparison::set_filter_base() {
  const base_state base = x_found.filter.base;
  if (base == base_state::right) {
    return;
  }
  // Missing while a link of ours is there: somebody took it away.
  const bool was_there = base != base_state::missing ||
                         std::ranges::any_of(x_found.links, [this](const found_link& l) {
                           return is_marked(l, x_prefix);
                         });
  std::string sentence;
  if (was_there) {
    sentence = base == base_state::missing   ? "the filter of what guests send was missing"
               : base == base_state::changed ? "the filter's shared rules were not ours"
                                             : "the filter's sets were not ours";
  }
  add(make_filter{base}, "filter", {},
      base == base_state::missing ? change::added : change::repaired, std::move(sentence));
}

void comparison::filter_one(const wanted_link& link, const found_link* has,
                            const std::vector<filter_element>& wanted) {
  static const found_port_filter nothing;
  const auto at = x_found.filter.ports.find(link.name);
  const found_port_filter& filter =
      is_filter_new() || at == x_found.filter.ports.end() ? nothing : at->second;
  filter_link what{.link = link.name,
                   .chain = has == nullptr || !filter.is_chain_right,
                   .is_chain_taken = false,
                   .is_out_chain_taken = false,
                   .rules = {},
                   .added = {},
                   .removed = {}};
  std::ranges::set_difference(wanted, filter.elements, std::back_inserter(what.added));
  std::ranges::set_difference(filter.elements, wanted, std::back_inserter(what.removed));
  what.chain = what.chain || std::ranges::any_of(what.added, is_in_chain) ||
               std::ranges::any_of(what.removed, is_in_chain);
  what.is_chain_taken = what.chain && filter.has_chain;
  what.is_out_chain_taken = what.chain && filter.has_out_chain;
  if (what.chain) {
    what.rules = rules_of(wanted);
  }
  if (!what.chain && what.added.empty() && what.removed.empty()) {
    return;
  }
  std::string sentence;
  if (has != nullptr && !is_filter_new()) {
    sentence = sentence_of(what);
  }
  add(std::move(what), "link " + link.name, link.name,
      has == nullptr ? change::added : change::repaired, std::move(sentence));
}

void comparison::remove_filters() {
  if (x_wanted.links.empty() && x_found.filter.base != base_state::missing) {
    add(remove_filter{}, "filter", {}, change::removed, "the filter is wanted by nobody");
    return;
  }
  if (is_filter_new()) {
    return;
  }
  for (const auto& [name, filter] : x_found.filter.ports) {
    if (!x_wanted_names.contains(name)) {
      const found_link* link = existing(name);
      const bool goes_with_link = link != nullptr && is_marked(*link, x_prefix);
      add(unfilter_of(name, filter), "link " + name, {}, change::removed,
          goes_with_link ? std::string() : "filter of " + name + " is wanted by nobody");
    }
  }
}

} // namespace orrery::pvip
