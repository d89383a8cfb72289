#include "pvip/plan/filter.hpp"

#include <initializer_list>
#include <vector>

namespace orrery::pvip {

namespace {

/// Below -400, where connection tracking would begin (enum nf_ip_hook_priorities), with room.
constexpr std::string_view hook_priority = "-500";

/// Every reason for as many ports as a node may have. Were it full, frames would die uncounted.
constexpr std::string_view drops_max = "131072";

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

/// Whether (the link, `what`) stands in the set.
std::string known(std::string_view sign, std::string what, filter_set set) {
  return match(sign, object({{"concat", list({meta("iifname"), std::move(what)})}}),
               quoted("@" + std::string(name_of(set))));
}

std::string go(std::string_view chain) {
  return object({{"goto", object({{"target", quoted(chain)}})}});
}

/// The mark of a frame that is about to die carries the reason to the chain that counts.
std::string because(drop_reason reason) {
  const std::string number = std::to_string(static_cast<unsigned>(reason));
  return object({{"mangle", object({{"key", meta("mark")}, {"value", number}})}}) + "," +
         go("count_drop");
}

std::string accept() { return object({{"accept", "null"}}); }

std::string drop() { return object({{"drop", "null"}}); }

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
                                                 way(quoted("arp"), go("from_guest_arp")),
                                                 // QEMU says so after a migration: no attack.
                                                 way(std::string(reverse_arp), drop())})}});
  return {
      {"from_guest", known("!=", field("ether", "saddr"), filter_set::mac) + "," +
                         because(drop_reason::foreign_mac)},
      {"from_guest", object({{"vmap", object({{"key", type}, {"data", ways}})}})},
      {"from_guest", is(type, quoted("ip6")) + "," + because(drop_reason::ipv6)},
      {"from_guest", because(drop_reason::other_frame)},
      {"count_drop",
       object(
           {{"set", object({{"op", quoted("update")},
                            {"elem", object({{"concat", list({meta("iifname"), meta("mark")})}})},
                            {"set", quoted("@" + std::string(drops_set))}})}}) +
           "," + drop()},
  };
}

std::vector<rule> rules_of_arp() {
  const std::string plain = is(field("arp", "htype"), "1") + "," +
                            is(field("arp", "ptype"), quoted("ip")) + "," +
                            is(field("arp", "hlen"), "6") + "," + is(field("arp", "plen"), "4") +
                            "," + known("==", field("arp", "saddr ether"), filter_set::mac) + ",";
  return {
      {"from_guest_arp",
       plain + known("==", field("arp", "saddr ip"), filter_set::address) + "," +
           is(field("arp", "operation"), one_of({quoted("request"), quoted("reply")})) + "," +
           accept()},
      // Whether an address is free is asked from no address (RFC 5227).
      {"from_guest_arp", plain + is(field("arp", "saddr ip"), quoted("0.0.0.0")) + "," +
                             is(field("arp", "operation"), quoted("request")) + "," + accept()},
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
      {"from_guest_ipv4", known("!=", field("ip", "saddr"), filter_set::address) + "," +
                              because(drop_reason::foreign_ipv4)},
      {"from_guest_ipv4", asks_dhcp + to_many + "," + because(drop_reason::dhcp_request)},
      {"from_guest_ipv4", to_many + "," + because(drop_reason::group)},
      {"from_guest_ipv4", to_group + "," + because(drop_reason::group)},
      {"from_guest_ipv4", accept()},
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
  return add("set", table,
             {{"name", quoted(name_of(filter_set::mac))}, {"type", types("ether_addr")}}) +
         "," +
         add("set", table,
             {{"name", quoted(name_of(filter_set::address))}, {"type", types("ipv4_addr")}}) +
         "," +
         add("set", table,
             {{"name", quoted(drops_set)},
              {"type", types("mark")},
              {"size", std::string(drops_max)},
              {"stmt", list({object({{"counter", "null"}})})}});
}

} // namespace

std::string_view name_of(filter_set set) {
  switch (set) {
  case filter_set::mac:
    return "mac";
  case filter_set::address:
    return "address";
  }
  return "";
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
  for (const auto& rules : {rules_of_all(), rules_of_arp(), rules_of_ipv4()}) {
    for (const rule& each : rules) {
      text += "," + add_rule(table, each.chain, each.statements);
    }
  }
  return text;
}

std::string filter_chain_of(std::string_view table, std::string_view link) {
  return add("chain", table,
             {{"name", quoted(link)},
              {"type", quoted("filter")},
              {"hook", quoted("ingress")},
              {"dev", quoted(link)},
              {"prio", std::string(hook_priority)},
              {"policy", quoted("drop")}}) +
         "," + flush_chain(table, link) + "," + add_rule(table, link, go("from_guest"));
}

} // namespace orrery::pvip
