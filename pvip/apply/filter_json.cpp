#include "pvip/apply/filter_json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace orrery::pvip {

namespace {

using nlohmann::json;

constexpr std::string_view mark_chain = "orrery_mark";
constexpr std::string_view mark_begin = "orrery ";

/// Deeper than any listing of nftables; a parser's stack is not the sender's to use up.
constexpr int depth_max = 32;

/// FNV-1a, 64 bits: tells changes apart; nobody who could forge it needs to, as root.
class fingerprint {
public:
  void take(std::string_view text) {
    for (const char c : text) {
      x_state = (x_state ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
    }
    x_state = (x_state ^ 0xffU) * 0x100000001b3U; // an end, so that no two texts run together
  }

  [[nodiscard]] std::string text() const {
    std::array<char, 17> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx",
                  static_cast<unsigned long long>(x_state));
    return digits.data();
  }

private:
  std::uint64_t x_state = 0xcbf29ce484222325U;
};

/// Builds {"nftables":[…]}; elements of one set and verb stand in one command.
class transaction {
public:
  explicit transaction(std::string_view table) : x_table(table) {}

  void operator()(const make_filter& what) {
    if (what.was == base_state::changed) {
      command(filter_rules(x_table));
      return;
    }
    if (what.was == base_state::broken) {
      delete_table();
    }
    command(filter_base(x_table));
  }

  void operator()(const remove_filter&) { delete_table(); }

  void operator()(const filter_link& what) {
    if (what.chain) {
      if (what.is_chain_taken) {
        delete_chain(what.link);
      }
      command(filter_chain_of(x_table, what.link));
    }
    for (const filter_element& element : what.added) {
      add_element("add", element);
    }
    for (const filter_element& element : what.removed) {
      add_element("delete", element);
    }
  }

  void operator()(const unfilter_link& what) {
    for (const filter_element& element : what.removed) {
      add_element("delete", element);
    }
    for (const drop_reason reason : drop_reasons) {
      // Adding first, so that deleting a counter that was never needed cannot fail.
      const std::string value = std::to_string(static_cast<unsigned>(reason));
      put("add", drops_set, what.link, value);
      put("delete", drops_set, what.link, value);
    }
    if (what.has_chain) {
      delete_chain(what.link);
    }
  }

  template <class Other> void operator()(const Other&) {
    ORRERY_CHECK(false); // not of the filter
  }

  [[nodiscard]] std::string text() const {
    // Tables, chains and rules first: elements need their sets.
    std::string all = x_commands;
    for (const auto verb : {"add", "delete"}) {
      for (const auto& [key, elements] : x_elements) {
        if (key.first == verb) {
          all += (all.empty() ? "" : ",");
          all += R"({")" + key.first + R"(":{"element":{"family":"netdev","table":")" + x_table +
                 R"(","name":")" + key.second + R"(","elem":[)" + elements + "]}}}";
        }
      }
    }
    return R"({"nftables":[)" + all + "]}";
  }

private:
  void command(const std::string& what) { x_commands += (x_commands.empty() ? "" : ",") + what; }

  void delete_table() {
    command(R"({"delete":{"table":{"family":"netdev","name":")" + x_table + "\"}}}");
  }

  void delete_chain(const std::string& name) {
    command(R"({"delete":{"chain":{"family":"netdev","table":")" + x_table + R"(","name":")" +
            name + "\"}}}");
  }

  void add_element(const char* verb, const filter_element& element) {
    put(verb, name_of(element.set), element.link, json(element.value).dump());
  }

  void put(const char* verb, std::string_view set, const std::string& link,
           const std::string& value) {
    std::string& elements = x_elements[{verb, std::string(set)}];
    elements += (elements.empty() ? "" : ",");
    elements += R"({"concat":[)" + json(link).dump() + "," + value + "]}";
  }

  std::string x_table;
  std::string x_commands;
  std::map<std::pair<std::string, std::string>, std::string> x_elements; // by verb and set
};

std::optional<json> parsed(std::string_view text) {
  const auto not_too_deep = [](int depth, json::parse_event_t, const json&) {
    return depth <= depth_max;
  };
  json all = json::parse(text, not_too_deep, false);
  if (!all.is_object() || !all.contains("nftables") || !all["nftables"].is_array()) {
    return std::nullopt;
  }
  return std::move(all["nftables"]);
}

/// A member that is text; empty otherwise.
std::string text_of(const json& object, const char* name) {
  const auto at = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && at != object.end() && at->is_string() ? at->get<std::string>()
                                                                     : std::string();
}

/// A member of any kind; null otherwise.
const json& member(const json& object, const char* name) {
  static const json nothing;
  const auto at = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && at != object.end() ? *at : nothing;
}

error unreadable(std::string_view what) {
  return {.code = error_code::damaged,
          .text = "orrery-nft's " + std::string(what) + " cannot be read",
          .retryable = true};
}

bool is_shared(std::string_view chain) {
  return std::ranges::find(shared_chains, chain) != shared_chains.end();
}

/// Takes the objects of a listing, in any order.
class listing_reader {
public:
  explicit listing_reader(std::string_view table) : x_table(table) {}

  void take(const json& object) {
    if (text_of(member(object, "table"), "name") == x_table) {
      x_has_table = true;
    }
    if (const json& set = member(object, "set"); is_ours(set)) {
      take_set(set);
    }
    if (const json& chain = member(object, "chain"); is_ours(chain)) {
      take_chain(chain);
    }
    if (const json& rule = member(object, "rule"); is_ours(rule)) {
      take_rule(rule);
    }
  }

  result<filter_listing> end() {
    if (!x_has_table) {
      return unreadable("listing of its table");
    }
    settle_chains();
    filter_listing all;
    fingerprint definition;
    definition.take(filter_base(x_table));
    all.mark = std::string(mark_begin) + definition.text() + " " + x_shown.text();
    for (auto& [name, port] : x_ports) {
      std::ranges::sort(port.elements);
    }
    all.filter.base = x_broken || x_good_sets != sets.size() ? base_state::broken
                      : all.mark == x_mark                   ? base_state::right
                                                             : base_state::changed;
    all.filter.ports = std::move(x_ports);
    return all;
  }

private:
  struct known_set {
    std::string_view name;
    std::string_view type; ///< of the key's second half
  };

  static constexpr std::array<known_set, 3> sets{
      {{"mac", "ether_addr"}, {"address", "ipv4_addr"}, {drops_set, "mark"}}};

  [[nodiscard]] bool is_ours(const json& object) const {
    return text_of(object, "table") == x_table && text_of(object, "family") == "netdev";
  }

  void take_set(const json& set) {
    const std::string name = text_of(set, "name");
    const auto* const known = std::ranges::find(sets, name, &known_set::name);
    json shown = set;
    shown.erase("elem");
    x_shown.take(shown.dump());
    if (known == sets.end()) {
      return;
    }
    const json wanted = json::array({"ifname", known->type});
    if (member(set, "type") != wanted) {
      x_broken = true;
      return;
    }
    ++x_good_sets;
    if (name == drops_set) {
      return;
    }
    const json& elements = member(set, "elem");
    for (const json& element : elements.is_array() ? elements : json::array()) {
      take_element(name == "mac" ? filter_set::mac : filter_set::address, element);
    }
  }

  void take_element(filter_set set, const json& shown) {
    const json& inner = member(member(shown, "elem"), "val"); // when it has a counter or a comment
    const json& key = member(inner.is_null() ? shown : inner, "concat");
    if (!key.is_array() || key.size() != 2 || !key[0].is_string() || !key[1].is_string()) {
      x_broken = true; // nothing that we would have put there, and what we cannot name
      return;
    }
    const std::string link = key[0].get<std::string>();
    x_ports[link].elements.push_back(
        {.link = link, .set = set, .value = key[1].get<std::string>()});
  }

  void take_chain(const json& chain) {
    const std::string name = text_of(chain, "name");
    if (is_shared(name)) {
      x_broken = x_broken || chain.contains("hook");
      x_shown.take(chain.dump());
    } else if (name != mark_chain) {
      found_port_filter& port = x_ports[name];
      port.has_chain = true;
      const std::string device = text_of(chain, "dev"); // not shown by nftables before 1.0.7
      port.is_chain_right = text_of(chain, "hook") == "ingress" &&
                            text_of(chain, "policy") == "drop" &&
                            (device.empty() || device == name);
    }
  }

  void take_rule(const json& rule) {
    const std::string chain = text_of(rule, "chain");
    if (is_shared(chain)) {
      x_shown.take(rule.dump());
    } else if (chain == mark_chain) {
      x_mark = text_of(rule, "comment");
    } else {
      static const json ours = json::parse(R"([{"goto":{"target":"from_guest"}}])");
      ++(member(rule, "expr") == ours ? x_right_rules : x_other_rules)[chain];
    }
  }

  /// A port's chain is right when it has our rule, once, and no other.
  void settle_chains() {
    for (auto& [name, port] : x_ports) {
      const auto right = x_right_rules.find(name);
      port.is_chain_right = port.is_chain_right && right != x_right_rules.end() &&
                            right->second == 1 && !x_other_rules.contains(name);
    }
  }

  std::string x_table;
  bool x_has_table = false;
  bool x_broken = false;
  std::size_t x_good_sets = 0;
  std::string x_mark;
  fingerprint x_shown;
  std::map<std::string, found_port_filter, std::less<>> x_ports;
  std::map<std::string, int> x_right_rules;
  std::map<std::string, int> x_other_rules;
};

} // namespace

std::string transaction_of(std::string_view table,
                           const std::vector<const operation*>& operations) {
  transaction all(table);
  for (const operation* each : operations) {
    std::visit(all, *each);
  }
  return all.text();
}

std::string listing_of_tables() {
  return R"({"nftables":[{"list":{"tables":{"family":"netdev"}}}]})";
}

std::string listing_of(std::string_view table) {
  return R"({"nftables":[{"list":{"table":{"family":"netdev","name":")" + std::string(table) +
         "\"}}}]}";
}

std::string marking_of(std::string_view table, std::string_view mark) {
  const std::string begin = R"({"family":"netdev","table":")" + std::string(table) + "\",";
  const std::string named = begin + R"("name":")" + std::string(mark_chain) + "\"}}}";
  return R"({"nftables":[{"add":{"chain":)" + named + R"(,{"flush":{"chain":)" + named +
         R"(,{"add":{"rule":)" + begin + R"("chain":")" + std::string(mark_chain) +
         R"(","comment":")" + std::string(mark) + R"(","expr":[{"return":null}]}}}]})";
}

result<bool> has_table(std::string_view listing, std::string_view table) {
  const auto objects = parsed(listing);
  if (!objects) {
    return unreadable("list of tables");
  }
  return std::ranges::any_of(*objects, [&](const json& object) {
    return text_of(member(object, "table"), "name") == table &&
           text_of(member(object, "table"), "family") == "netdev";
  });
}

result<filter_listing> read_filter(std::string_view listing, std::string_view table) {
  const auto objects = parsed(listing);
  if (!objects) {
    return unreadable("listing of its table");
  }
  listing_reader reader(table);
  for (const json& object : *objects) {
    reader.take(object);
  }
  return reader.end();
}

} // namespace orrery::pvip
