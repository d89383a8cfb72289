#include "pvip/apply/nft_reply.hpp"

#include "pvip/apply/nft_request.hpp"
#include "pvip/plan/filter.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

namespace orrery::pvip {

namespace {

using nlohmann::json;

constexpr std::string_view mark_begin = "orrery ";

/// What the kernel counts on the way to a link, and not on the way from it.
constexpr std::uint64_t ethernet_header_bytes = 14;

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

/// An address or a prefix, of either family.
std::optional<ip_prefix> parsed_prefix(const std::string& text) {
  if (const auto address = parse_ipv4(text)) {
    return alone(*address);
  }
  if (const auto address = parse_ipv6(text)) {
    return alone(*address);
  }
  if (const auto prefix = parse_ipv4_prefix(text)) {
    return ip_prefix{prefix->base, prefix->length};
  }
  if (const auto prefix = parse_ipv6_prefix(text)) {
    return ip_prefix{prefix->base, prefix->length};
  }
  return std::nullopt;
}

error unreadable(std::string_view what) {
  return {.code = error_code::damaged,
          .text = "orrery-nft's " + std::string(what) + " cannot be read",
          .retryable = true};
}

bool is_shared(std::string_view chain) {
  return std::ranges::find(shared_chains, chain) != shared_chains.end();
}

bool is_of_prefixes(filter_set set) {
  const auto* const kind = std::ranges::find(filter_set_kinds, set, &filter_set_kind::set);
  return kind != filter_set_kinds.end() && kind->prefixes;
}

/// Whether it is what that set has.
bool is_of(filter_set set, const std::string& value) {
  const bool of_macs = set == filter_set::mac || set == filter_set::mac6;
  return of_macs ? parse_mac(value).has_value() : parsed_prefix(value).has_value();
}

/// The second half of an element's key, as `filter_element::value`; nothing when it is no such key.
std::optional<std::string> value_of(const json& key, bool of_prefixes) {
  if (!key.is_array() || key.size() != 2 || !key[0].is_string()) {
    return std::nullopt;
  }
  if (key[1].is_string()) {
    const std::string text = key[1].get<std::string>();
    // A prefix of one address is shown as the address.
    return of_prefixes ? text + (text.find(':') == std::string::npos ? "/32" : "/128") : text;
  }
  const json& prefix = member(key[1], "prefix");
  const std::string address = text_of(prefix, "addr");
  const json& length = member(prefix, "len");
  if (!of_prefixes || address.empty() || !length.is_number_unsigned()) {
    return std::nullopt;
  }
  return address + "/" + std::to_string(length.get<unsigned>());
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
    all.filter.base = x_broken || x_good_sets != filter_set_kinds.size() + 1 ? base_state::broken
                      : all.mark == x_mark                                   ? base_state::right
                                                                             : base_state::changed;
    all.filter.ports = std::move(x_ports);
    return all;
  }

private:
  struct seen_chain {
    bool is_hooked = false; ///< as ours are
    bool has_rules = false;
    std::optional<std::uint64_t> rate; ///< bytes a second
    int right_rules = 0;
    int other_rules = 0;
  };

  [[nodiscard]] bool is_ours(const json& object) const {
    return text_of(object, "table") == x_table && text_of(object, "family") == "netdev";
  }

  void take_set(const json& set) {
    const std::string name = text_of(set, "name");
    const auto* const known = std::ranges::find(filter_set_kinds, name, &filter_set_kind::name);
    json shown = set;
    shown.erase("elem");
    x_shown.take(shown.dump());
    const bool is_known = known != filter_set_kinds.end();
    if (!is_known && name != drops_set) {
      return;
    }
    const json wanted = json::array({"ifname", is_known ? known->type : "mark"});
    const bool counts = !is_known || known->counts;
    if (member(set, "type") != wanted || counts != set.contains("stmt") ||
        (is_known && known->prefixes != set.contains("flags"))) {
      x_broken = true;
      return;
    }
    ++x_good_sets;
    if (!is_known) {
      return;
    }
    const json& elements = member(set, "elem");
    for (const json& element : elements.is_array() ? elements : json::array()) {
      take_element(known->set, element);
    }
  }

  void take_element(filter_set set, const json& shown) {
    const json& inner = member(member(shown, "elem"), "val"); // when it has a counter or a comment
    const json& key = member(inner.is_null() ? shown : inner, "concat");
    const auto value = value_of(key, is_of_prefixes(set));
    const bool is_of_one_link = value && !key[0].get<std::string>().ends_with('*');
    if (!is_of_one_link || !is_of(set, *value)) {
      x_broken = true; // nothing that we would have put there, and what we cannot name
      return;
    }
    const std::string link = key[0].get<std::string>();
    x_ports[link].elements.push_back({.link = link, .set = set, .value = *value});
  }

  void take_chain(const json& chain) {
    const std::string name = text_of(chain, "name");
    if (is_shared(name)) {
      x_broken = x_broken || chain.contains("hook");
      x_shown.take(chain.dump());
    } else if (name != mark_chain) {
      const bool is_out = name.ends_with(out_chain_end);
      const std::string link = link_of_chain(name);
      found_port_filter& port = x_ports[link];
      (is_out ? port.has_out_chain : port.has_chain) = true;
      const std::string device = text_of(chain, "dev"); // not shown by nftables before 1.0.7
      x_chains[name].is_hooked = text_of(chain, "hook") == (is_out ? "egress" : "ingress") &&
                                 text_of(chain, "policy") == (is_out ? "accept" : "drop") &&
                                 (device.empty() || device == link);
    }
  }

  static std::string link_of_chain(const std::string& name) {
    return name.substr(0, name.ends_with(out_chain_end) ? name.size() - out_chain_end.size()
                                                        : name.size());
  }

  void take_rule(const json& rule) {
    const std::string chain = text_of(rule, "chain");
    if (is_shared(chain)) {
      x_shown.take(rule.dump());
    } else if (chain == mark_chain) {
      x_mark = text_of(rule, "comment");
    } else {
      take_rule_of_port(chain, member(rule, "expr"));
    }
  }

  void take_rule_of_port(const std::string& name, const json& statements) {
    const bool is_out = name.ends_with(out_chain_end);
    const json last = json::array({leading_to(is_out ? to_guest_chain : entry_chain)});
    seen_chain& chain = x_chains[name];
    const auto own = is_out ? std::nullopt : own_target_in(statements);
    const auto rate = rate_in(statements, is_out ? too_fast_to_guest_chain : too_fast_chain);
    const bool is_first = !chain.has_rules;
    chain.has_rules = true;
    if (statements == last) {
      ++chain.right_rules;
    } else if (rate && is_first) {
      chain.rate = rate;
    } else if (own && chain.right_rules == 0) { // behind that nothing comes to it
      x_ports[name].elements.push_back(
          {.link = name, .set = filter_set::target6, .value = to_text(*own)});
    } else {
      ++chain.other_rules;
    }
  }

  /// nftables shows bytes in the largest unit that leaves no rest.
  static std::optional<std::uint64_t> bytes_in(const json& limit, const char* name,
                                               const char* unit_name) {
    const json& count = member(limit, name);
    const std::string unit = text_of(limit, unit_name);
    const int bits = unit == "bytes" ? 0 : unit == "kbytes" ? 10 : unit == "mbytes" ? 20 : -1;
    constexpr std::uint64_t count_max = guest_rate_max;
    if (bits < 0 || !count.is_number_unsigned() || count.get<std::uint64_t>() > count_max) {
      return std::nullopt;
    }
    return count.get<std::uint64_t>() << static_cast<unsigned>(bits);
  }

  /// The bytes a second in a rule that leads what is above to `chain`, if it is one of ours.
  static std::optional<std::uint64_t> rate_in(const json& statements, std::string_view chain) {
    if (!statements.is_array() || statements.size() != 2 || statements[1] != leading_to(chain)) {
      return std::nullopt;
    }
    const json& limit = member(statements[0], "limit");
    const auto rate = bytes_in(limit, "rate", "rate_unit");
    const bool is_ours = rate && bytes_in(limit, "burst", "burst_unit") == rate_burst &&
                         text_of(limit, "per") == "second" && member(limit, "inv") == json(true);
    return is_ours ? rate : std::nullopt;
  }

  static json leading_to(std::string_view chain) { return {{"goto", {{"target", chain}}}}; }

  /// The address in a rule that leads to `own_target_chain`, if it is one.
  static std::optional<ipv6> own_target_in(const json& statements) {
    if (!statements.is_array() || statements.empty()) {
      return std::nullopt;
    }
    const std::string number = text_of(member(statements[0], "match"), "right");
    const json target = {
        {"payload", {{"base", "th"}, {"offset", target_offset_bits}, {"len", 128}}}};
    const json wanted =
        json::array({{{"match", {{"op", "=="}, {"left", target}, {"right", number}}}},
                     leading_to(own_target_chain)});
    return statements == wanted ? parse_number(number) : std::nullopt;
  }

  /// A port's chains are right when each has our last rule, once, and no rules of others.
  void settle_chains() {
    const auto is_right = [this](const std::string& name) {
      const auto at = x_chains.find(name);
      return at != x_chains.end() && at->second.is_hooked && at->second.right_rules == 1 &&
             at->second.other_rules == 0;
    };
    for (auto& [name, port] : x_ports) {
      const std::string out = name + std::string(out_chain_end);
      port.is_chain_right =
          is_right(name) && is_right(out) && x_chains[name].rate == x_chains[out].rate;
      if (const auto rate = x_chains[name].rate) {
        port.elements.push_back(
            {.link = name, .set = filter_set::rate, .value = std::to_string(*rate)});
      }
    }
  }

  std::string x_table;
  bool x_has_table = false;
  bool x_broken = false;
  std::size_t x_good_sets = 0;
  std::string x_mark;
  fingerprint x_shown;
  std::map<std::string, found_port_filter, std::less<>> x_ports;
  std::map<std::string, seen_chain> x_chains; // of ports
};

} // namespace

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

result<void> read_traffic(std::string_view listing, filter_set set, traffic_of_ports& into) {
  const auto objects = parsed(listing);
  if (!objects) {
    return unreadable("listing of a set");
  }
  constexpr std::array sent{filter_set::address, filter_set::address6, filter_set::prefix,
                            filter_set::prefix6};
  const bool is_sent = std::ranges::find(sent, set) != sent.end();
  for (const json& object : *objects) {
    const json& elements = member(member(object, "set"), "elem");
    for (const json& shown : elements.is_array() ? elements : json::array()) {
      const json& element = member(shown, "elem");
      const json& key = member(member(element, "val"), "concat");
      const json& packets = member(member(element, "counter"), "packets");
      const json& bytes = member(member(element, "counter"), "bytes");
      const auto value = value_of(key, is_of_prefixes(set));
      const auto whose = value ? parsed_prefix(*value) : std::nullopt;
      if (whose && packets.is_number_unsigned() && bytes.is_number_unsigned()) {
        address_traffic& of = into[key[0].get<std::string>()][*whose];
        packet_count read{.packets = packets.get<std::uint64_t>(),
                          .bytes = bytes.get<std::uint64_t>()};
        if (!is_sent) {
          read.bytes -= std::min(read.bytes, read.packets * ethernet_header_bytes);
        }
        (is_sent ? of.sent : of.received) = read;
      }
    }
  }
  return {};
}

} // namespace orrery::pvip
