#include "pvip/plan/filter.hpp"

#include "pvip/plan/plan.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace orrery::pvip {

namespace {

/// Every reason for as many ports as a node may have. Were it full, frames would die uncounted.
constexpr std::string_view drops_max = "524288";
static_assert(drop_reasons.size() * ports_per_node_max <= 524'288);

constexpr std::string_view reverse_arp = "32821"; // 0x8035, ethertype

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

/// {"a":b,…} of pairs; values are JSON already.
std::string object(std::initializer_list<std::pair<std::string_view, std::string>> members) {
  std::string text;
  for (const auto& [name, value] : members) {
    text += (text.empty() ? "{" : ",") + quoted(name) + ":" + value;
  }
  return text + "}";
}

std::string list(std::initializer_list<std::string> values) {
  std::string text;
  for (const std::string& value : values) {
    text += (text.empty() ? "[" : ",") + value;
  }
  return text + "]";
}

std::string meta(std::string_view key) {
  return object({{"meta", object({{"key", quoted(key)}})}});
}

std::string field(std::string_view protocol, std::string_view name) {
  return object({{"payload", object({{"protocol", quoted(protocol)}, {"field", quoted(name)}})}});
}

std::string match(std::string_view sign, std::string left, std::string right) {
  return object(
      {{"match",
        object({{"op", quoted(sign)}, {"left", std::move(left)}, {"right", std::move(right)}})}});
}

std::string is(std::string left, std::string right) {
  return match("==", std::move(left), std::move(right));
}

std::string one_of(std::initializer_list<std::string> values) {
  return object({{"set", list(values)}});
}

/// Whether (the link, `what`) stands in the set. What is found with "==" is counted there.
std::string known(std::string_view sign, std::string what, filter_set set,
                  std::string_view link = "iifname") {
  return match(sign, object({{"concat", list({meta(link), std::move(what)})}}),
               quoted("@" + std::string(name_of(set))));
}

std::string go(std::string_view chain) {
  return object({{"goto", object({{"target", quoted(chain)}})}});
}

/// Whether neither the guest has it nor a network behind the guest.
std::string is_foreign(const std::string& what, filter_set own, filter_set behind) {
  return known("!=", what, own) + "," + known("!=", what, behind);
}

/// The mark of a frame that is about to die carries the reason to the chain that counts.
std::string marked(drop_reason reason) {
  const std::string number = std::to_string(static_cast<unsigned>(reason));
  return object({{"mangle", object({{"key", meta("mark")}, {"value", number}})}});
}

std::string because(drop_reason reason) { return marked(reason) + "," + go("count_drop"); }

std::string jump(std::string_view chain) {
  return object({{"jump", object({{"target", quoted(chain)}})}});
}

std::string back() { return object({{"return", "null"}}); }

std::string accept() { return object({{"accept", "null"}}); }

std::string drop() { return object({{"drop", "null"}}); }

/// Counts a frame by the link that it is from or to, and its mark.
std::string count_drop(std::string_view link) {
  const std::string key = object({{"concat", list({meta(link), meta("mark")})}});
  return object({{"set", object({{"op", quoted("update")},
                                 {"elem", key},
                                 {"set", quoted("@" + std::string(drops_set))}})}}) +
         "," + drop();
}

/// Whether there was more than so many bytes a second.
std::string above(std::uint64_t bytes_a_second) {
  return object({{"limit", object({{"rate", std::to_string(bytes_a_second)},
                                   {"rate_unit", quoted("bytes")},
                                   {"per", quoted("second")},
                                   {"burst", std::to_string(rate_burst)},
                                   {"burst_unit", quoted("bytes")},
                                   {"inv", "true"}})}});
}

struct rule {
  std::string_view chain;
  std::string statements; ///< JSON, separated by commas
};

std::vector<rule> rules_of_all() {
  const std::string type = field("ether", "type");
  const auto way = [](std::string value, std::string verdict) {
    return list({std::move(value), std::move(verdict)});
  };
  const std::string ways = object({{"set", list({way(quoted("ip"), go("from_guest_ipv4")),
                                                 way(quoted("ip6"), go("from_guest_ipv6")),
                                                 way(quoted("arp"), go("from_guest_arp")),
                                                 // QEMU says so after a migration: no attack.
                                                 way(std::string(reverse_arp), drop())})}});
  return {
      {"from_guest", known("!=", field("ether", "saddr"), filter_set::mac) + "," +
                         because(drop_reason::foreign_mac)},
      {"from_guest", object({{"vmap", object({{"key", type}, {"data", ways}})}})},
      {"from_guest", because(drop_reason::other_frame)},
      {"count_drop", count_drop("iifname")},
  };
}

std::vector<rule> rules_of_arp() {
  const std::string plain = is(field("arp", "htype"), "1") + "," +
                            is(field("arp", "ptype"), quoted("ip")) + "," +
                            is(field("arp", "hlen"), "6") + "," + is(field("arp", "plen"), "4") +
                            "," + known("==", field("arp", "saddr ether"), filter_set::mac) + ",";
  return {
      // Whether an address is free is asked from no address (RFC 5227).
      {"from_guest_arp", plain + is(field("arp", "saddr ip"), quoted("0.0.0.0")) + "," +
                             is(field("arp", "operation"), quoted("request")) + "," + accept()},
      {"from_guest_arp", known("!=", field("arp", "saddr ip"), filter_set::address) + "," +
                             because(drop_reason::foreign_arp)},
      {"from_guest_arp",
       plain + is(field("arp", "operation"), one_of({quoted("request"), quoted("reply")})) + "," +
           accept()},
      {"from_guest_arp", because(drop_reason::foreign_arp)},
  };
}

std::vector<rule> rules_of_ipv4() {
  const std::string asks_dhcp =
      is(field("udp", "sport"), "68") + "," + is(field("udp", "dport"), "67") + ",";
  const std::string answers_dhcp =
      is(field("udp", "sport"), "67") + "," + is(field("udp", "dport"), "68") + ",";
  const std::string to_many =
      is(meta("pkttype"), one_of({quoted("broadcast"), quoted("multicast")}));
  // From 224.0.0.0 on: groups, reserved, and everybody; also when the frame itself is to us.
  const std::string to_group =
      is(field("ip", "daddr"),
         object({{"prefix", object({{"addr", quoted("224.0.0.0")}, {"len", "3"}})}}));
  return {
      {"from_guest_ipv4", asks_dhcp + is(field("ip", "saddr"), quoted("0.0.0.0")) + "," +
                              because(drop_reason::dhcp_request)},
      {"from_guest_ipv4", answers_dhcp + because(drop_reason::dhcp_server)},
      {"from_guest_ipv4",
       is_foreign(field("ip", "saddr"), filter_set::address, filter_set::prefix) + "," +
           because(drop_reason::foreign_ipv4)},
      {"from_guest_ipv4", asks_dhcp + to_many + "," + because(drop_reason::dhcp_request)},
      {"from_guest_ipv4", to_many + "," + because(drop_reason::group)},
      {"from_guest_ipv4", to_group + "," + because(drop_reason::group)},
      {"from_guest_ipv4", known("==", field("ip", "saddr"), filter_set::address) + "," + accept()},
      {"from_guest_ipv4", known("==", field("ip", "saddr"), filter_set::prefix) + "," + accept()},
      {"from_guest_ipv4", because(drop_reason::foreign_ipv4)},
  };
}

/// Bits of the transport header, as a number.
std::string transport(int offset, int bits) {
  return object({{"payload", object({{"base", quoted("th")},
                                     {"offset", std::to_string(offset)},
                                     {"len", std::to_string(bits)}})}});
}

std::string prefix(std::string_view address, int bits) {
  return object({{"prefix", object({{"addr", quoted(address)}, {"len", std::to_string(bits)}})}});
}

/// What a solicitation or an advertisement of neighbour discovery speaks of (RFC 4861, 4.3).
std::string target(int bits) { return transport(target_offset_bits, bits); }

/// fe80::/10, of an address of which ten bits are looked at.
constexpr int link_local_bits = 10;
constexpr std::string_view link_local_begin = "1018";

std::string icmpv6_type(std::initializer_list<std::string> types) {
  return is(field("icmpv6", "type"), one_of(types));
}

std::string from(std::string address) { return is(field("ip6", "saddr"), std::move(address)); }

std::string to(std::string address) { return is(field("ip6", "daddr"), std::move(address)); }

std::string is_link_local_source() { return from(prefix("fe80::", link_local_bits)); }

std::string gateway() { return quoted(to_text(gateway6)); }

std::string neighbour_discovery() { return icmpv6_type({"135", "136"}); }

std::string is_to_dhcpv6_client() { return is(field("udp", "dport"), "546"); }

std::string is_to_dhcpv6_server() { return is(field("udp", "dport"), "547"); }

/// Neighbour discovery that is not for the link alone. A host takes none that came over a router,
/// but why should it come to that.
std::string leaves_the_link() {
  return match("!=", field("ip6", "daddr"),
               one_of({prefix("fe80::", link_local_bits), prefix("ff02::", 16)}));
}

/// Those that the kernel steps over, too (ipv6_ext_hdr): hop by hop, routing, fragment,
/// authentication, destination.
std::string extension_headers() { return one_of({"0", "43", "44", "51", "60"}); }

/// From the frame to whose address it is from.
std::vector<rule> rules_of_ipv6() {
  constexpr std::string_view chain = "from_guest_ipv6";
  const std::string to_many =
      is(meta("pkttype"), one_of({quoted("broadcast"), quoted("multicast")}));
  return {
      {chain,
       known("!=", field("ether", "saddr"), filter_set::mac6) + "," + because(drop_reason::ipv6)},
      {chain, is(field("ip6", "nexthdr"), extension_headers()) + "," + jump("from_guest_hidden")},
      {chain, icmpv6_type({"134"}) + "," + because(drop_reason::router_advertisement)},
      {chain, icmpv6_type({"137"}) + "," + because(drop_reason::redirect)},
      // In a later piece of a packet the kernel would take its flow label for the port.
      {chain, is(field("ip6", "nexthdr"), "17") + "," + is_to_dhcpv6_client() + "," +
                  because(drop_reason::dhcpv6_server)},
      {chain, from(gateway()) + "," + because(drop_reason::foreign_ipv6)},
      {chain, from(quoted("::")) + "," + go("from_guest_unspecified")},
      {chain, is_link_local_source() + "," + go("from_guest_linklocal")},
      {chain, is_foreign(field("ip6", "saddr"), filter_set::address6, filter_set::prefix6) + "," +
                  because(drop_reason::foreign_ipv6)},
      {chain, neighbour_discovery() + "," + go("from_guest_ndp")},
      {chain, to(prefix("ff00::", 8)) + "," + go("from_guest_group6")},
      {chain, to_many + "," + go("from_guest_group6")},
      {chain, match("!=", field("ip6", "daddr"), gateway()) + "," +
                  to(prefix("fe80::", link_local_bits)) + "," + because(drop_reason::link_local)},
      {chain, known("==", field("ip6", "saddr"), filter_set::address6) + "," + accept()},
      {chain, known("==", field("ip6", "saddr"), filter_set::prefix6) + "," + accept()},
      {chain, because(drop_reason::foreign_ipv6)},
  };
}

/// What may stand behind extension headers, and from whom it may come is then looked at as ever.
std::vector<rule> rules_of_hidden() {
  constexpr std::string_view chain = "from_guest_hidden";
  // Each number is loaded before it is compared, so what is cut before it matches none.
  const auto piece = [](std::string_view name) {
    return object({{"exthdr", object({{"name", quoted("frag")}, {"field", quoted(name)}})}});
  };
  // Discovery of neighbours, also inverse, secure, and of multicast routers (RFC 4443, IANA).
  const std::string discovery =
      one_of({"133", "134", "135", "136", "137", "141", "142", "148", "149", "151", "152", "153"});
  return {
      // Nobody puts together what came without its first piece.
      {chain, match("!=", piece("frag-off"), "0") + "," + back()},
      // What stands behind a second such header the kernel takes for what it is not.
      {chain, is(piece("nexthdr"), extension_headers()) + "," + because(drop_reason::ipv6_hidden)},
      {chain, match("!=", meta("l4proto"), one_of({"17", "58"})) + "," + back()},
      {chain, match("!=", field("icmpv6", "type"), discovery) + "," + back()},
      {chain, match("!=", field("udp", "dport"), "546") + "," + back()},
      {chain, because(drop_reason::ipv6_hidden)},
  };
}

/// What is for nobody but the link.
std::vector<rule> rules_of_link() {
  const std::string listeners = icmpv6_type({"130", "131", "132", "143"}); // RFC 2710, RFC 3810
  const std::string asks_router = icmpv6_type({"133"});
  const std::string asks = because(drop_reason::ipv6_request);
  constexpr std::string_view nowhere = "from_guest_unspecified";
  constexpr std::string_view own = "from_guest_linklocal";
  constexpr std::string_view group = "from_guest_group6";
  return {
      {nowhere, icmpv6_type({"135"}) + "," + go("from_guest_ndp")},
      {nowhere, asks_router + "," + asks},
      {nowhere, listeners + "," + asks},
      {nowhere, because(drop_reason::foreign_ipv6)},
      {own, neighbour_discovery() + "," + go("from_guest_ndp")},
      {own, to(prefix("ff00::", 8)) + "," + go(group)},
      {own,
       is(meta("pkttype"), one_of({quoted("broadcast"), quoted("multicast")})) + "," + go(group)},
      {own, to(gateway()) + "," + is(meta("l4proto"), "58") + "," + accept()},
      {own, to(gateway()) + "," + is_to_dhcpv6_server() + "," + accept()},
      {own, because(drop_reason::link_local)},
      {group, asks_router + "," + asks},
      {group, listeners + "," + asks},
      {group, is_to_dhcpv6_server() + "," + asks},
      {group, because(drop_reason::ipv6_group)},
  };
}

std::vector<rule> rules_of_neighbours() {
  constexpr std::string_view any = "from_guest_ndp";
  constexpr std::string_view own = "from_guest_own_ndp";
  const std::string foreign = because(drop_reason::foreign_ndp);
  const std::string plain = is(field("ip6", "nexthdr"), "58") + ",";
  return {
      // Where a neighbour is may be asked; the node hears it before it dies here.
      {any, icmpv6_type({"135"}) + "," + match("!=", field("ip6", "saddr"), quoted("::")) + "," +
                match("!=", target(link_local_bits), std::string(link_local_begin)) + "," +
                because(drop_reason::ipv6_request)},
      {any, leaves_the_link() + "," + foreign},
      {any,
       icmpv6_type({"136"}) + "," + is(target(128), quoted(as_number(gateway6))) + "," + foreign},
      {any, is(target(link_local_bits), std::string(link_local_begin)) + "," + accept()},
      {any, foreign},
      // Here it speaks of the guest's own address, if it is of neighbour discovery at all.
      {own_target_chain, known("!=", field("ether", "saddr"), filter_set::mac) + "," +
                             because(drop_reason::foreign_mac)},
      {own_target_chain, plain + neighbour_discovery() + "," + go(own)},
      {own_target_chain, go(entry_chain)},
      {own,
       known("!=", field("ether", "saddr"), filter_set::mac6) + "," + because(drop_reason::ipv6)},
      {own, leaves_the_link() + "," + foreign},
      {own, from(gateway()) + "," + because(drop_reason::foreign_ipv6)},
      {own, is_link_local_source() + "," + accept()},
      // Whether an address is free is asked from no address (RFC 4862).
      {own, from(quoted("::")) + "," + icmpv6_type({"135"}) + "," + accept()},
      {own, known("!=", field("ip6", "saddr"), filter_set::address6) + "," +
                because(drop_reason::foreign_ipv6)},
      {own, accept()},
  };
}

std::vector<rule> rules_to_guest() {
  return {
      // Of neighbour discovery and of advertisements of the node nothing is counted, as of ARP.
      {to_guest_chain, icmpv6_type({"134", "135", "136"}) + "," + accept()},
      {to_guest_chain,
       known("==", field("ip", "daddr"), filter_set::received, "oifname") + "," + accept()},
      {to_guest_chain,
       known("==", field("ip6", "daddr"), filter_set::received6, "oifname") + "," + accept()},
      {to_guest_chain,
       known("==", field("ip", "daddr"), filter_set::received_prefix, "oifname") + "," + accept()},
      {to_guest_chain, known("==", field("ip6", "daddr"), filter_set::received_prefix6, "oifname") +
                           "," + accept()},
      {to_guest_chain, accept()},
      {too_fast_chain, because(drop_reason::too_fast)},
      {too_fast_to_guest_chain,
       marked(drop_reason::too_fast_to_guest) + "," + count_drop("oifname")},
  };
}

/// "family" and "table", or "name" for the table itself, as all objects have them.
std::string add(std::string_view kind, std::string_view table,
                std::initializer_list<std::pair<std::string_view, std::string>> more) {
  std::string text =
      R"({"add":{")" + std::string(kind) + R"(":{"family":"netdev","table":)" + quoted(table);
  for (const auto& [name, value] : more) {
    text += "," + quoted(name) + ":" + value;
  }
  return text + "}}}";
}

std::string add_rule(std::string_view table, std::string_view chain, const std::string& what) {
  return add("rule", table, {{"chain", quoted(chain)}, {"expr", "[" + what + "]"}});
}

std::string flush_chain(std::string_view table, std::string_view chain) {
  return R"({"flush":{"chain":{"family":"netdev","table":)" + quoted(table) + R"(,"name":)" +
         quoted(chain) + "}}}";
}

std::string add_sets(std::string_view table) {
  const auto types = [](std::string_view second) {
    return list({quoted("ifname"), quoted(second)});
  };
  const std::string counter = list({object({{"counter", "null"}})});
  std::string text;
  for (const filter_set_kind& kind : filter_set_kinds) {
    std::string made = add("set", table, {{"name", quoted(kind.name)}, {"type", types(kind.type)}});
    made.resize(made.size() - std::string_view("}}}").size());
    text += made;
    text += kind.counts ? ",\"stmt\":" + counter : std::string();
    text += kind.prefixes ? R"(,"flags":["interval"])" : "";
    text += "}}},";
  }
  return text + add("set", table,
                    {{"name", quoted(drops_set)},
                     {"type", types("mark")},
                     {"size", std::string(drops_max)},
                     {"stmt", counter}});
}

} // namespace

std::string_view name_of(filter_set set) {
  const auto* const kind = std::ranges::find(filter_set_kinds, set, &filter_set_kind::set);
  if (kind != filter_set_kinds.end()) {
    return kind->name;
  }
  return set == filter_set::rate ? "rate" : "target6";
}

std::string as_number(const ipv6& address) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : address.bytes) {
    text += digits[byte >> 4U];
    text += digits[byte & 0xfU];
  }
  const auto first = text.find_first_not_of('0');
  return "0x" + (first == std::string::npos ? std::string("0") : text.substr(first));
}

std::optional<ipv6> parse_number(std::string_view text) {
  ipv6 parsed;
  constexpr std::size_t digits_max = 2 * std::tuple_size_v<decltype(parsed.bytes)>;
  if (!text.starts_with("0x") || text.size() <= 2 || text.size() - 2 > digits_max) {
    return std::nullopt;
  }
  text.remove_prefix(2);
  std::size_t place = digits_max - text.size();
  for (const char c : text) {
    const bool is_decimal = c >= '0' && c <= '9';
    if (!is_decimal && (c < 'a' || c > 'f')) {
      return std::nullopt;
    }
    const int digit = is_decimal ? c - '0' : c - 'a' + 10;
    parsed.bytes[place / 2] |= static_cast<std::uint8_t>(place % 2 == 0 ? digit << 4 : digit);
    ++place;
  }
  return parsed;
}

std::string filter_table(std::string_view link_prefix) {
  return "orrery_" + std::string(link_prefix);
}

std::string filter_base(std::string_view table) {
  return R"({"add":{"table":{"family":"netdev","name":)" + quoted(table) + "}}}," +
         add_sets(table) + "," + filter_rules(table);
}

std::string filter_rules(std::string_view table) {
  std::string text;
  for (const std::string_view chain : shared_chains) {
    text += (text.empty() ? "" : ",") + add("chain", table, {{"name", quoted(chain)}}) + "," +
            flush_chain(table, chain);
  }
  for (const auto& rules :
       {rules_of_all(), rules_of_arp(), rules_of_ipv4(), rules_of_ipv6(), rules_of_hidden(),
        rules_of_link(), rules_of_neighbours(), rules_to_guest()}) {
    for (const rule& each : rules) {
      text += "," + add_rule(table, each.chain, each.statements);
    }
  }
  return text;
}

std::string filter_chains_of(std::string_view table, std::string_view link,
                             const port_rules& rules) {
  const auto hooked = [&](const std::string& name, std::string_view hook, std::string_view policy) {
    return add("chain", table,
               {{"name", quoted(name)},
                {"type", quoted("filter")},
                {"hook", quoted(hook)},
                {"dev", quoted(link)},
                {"prio", std::to_string(filter_priority)},
                {"policy", quoted(policy)}}) +
           "," + flush_chain(table, name) + ",";
  };
  const std::string in(link);
  const std::string out = in + std::string(out_chain_end);
  const auto limited = [&](const std::string& chain, std::string_view when_above) {
    return rules.bytes_a_second_max
               ? add_rule(table, chain, above(*rules.bytes_a_second_max) + "," + go(when_above)) +
                     ","
               : std::string();
  };
  std::string text = hooked(in, "ingress", "drop") + limited(in, too_fast_chain);
  for (const ipv6& address : rules.own) {
    text += add_rule(table, in,
                     is(target(128), quoted(as_number(address))) + "," + go(own_target_chain)) +
            ",";
  }
  return text + add_rule(table, in, go(entry_chain)) + "," + hooked(out, "egress", "accept") +
         limited(out, too_fast_to_guest_chain) + add_rule(table, out, go(to_guest_chain));
}

} // namespace orrery::pvip
