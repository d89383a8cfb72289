#include "pvip/upstream/bird_config.hpp"

#include "pvip/plan/plan.hpp"

#include <algorithm>
#include <chrono>

namespace orrery::pvip {

namespace {

/// For how long a BIRD that began again waits for all routers before it announces, in case one of
/// them is dead; below the time for which the others keep what they knew.
constexpr std::chrono::seconds recovery_wait{5};

/// For how long routers keep the routes of a BIRD that died (RFC 4724): enough to start it again on
/// a busy node. Not longer, since BIRD as router does the same when all of a node fell silent, and
/// its guests may then run elsewhere.
constexpr std::chrono::seconds restart_time{15};

/// Routes that a router may make us take: all guests of 64 full nodes, at about 300 bytes each.
constexpr std::size_t learned_routes_max = 64 * ports_per_node_max;

std::string seconds_of(std::chrono::seconds time) { return std::to_string(time.count()); }

/// What differs between the families.
struct family {
  std::string_view channel;     ///< and table
  std::string_view kernel_name; ///< of the protocol that speaks with the kernel
  std::string_view default_route;
  ip_address base; ///< any
};

const family of_ipv4{"ipv4", "orrery_kernel", "0.0.0.0/0", ipv4{}};
const family of_ipv6{"ipv6", "orrery_kernel6", "::/0", ipv6{}};

const family& family_of(const ip_address& address) {
  return std::holds_alternative<ipv4>(address) ? of_ipv4 : of_ipv6;
}

/// Ours, by number, and by what can be a guest's or behind it.
std::string ours_text(const family& of) {
  return "krt_source = " + std::to_string(route_protocol) +
         " && net.len >= " + std::to_string(routed_prefix_bits_min(of.base));
}

/// What is taken from routers: nothing, or a set of prefixes. Of those of guests only what is
/// longer, since routers have them as a whole, too, to end there what no guest has.
std::string learned_text(const routed_upstream& settings, const family& of) {
  std::string set;
  const auto put = [&set](const std::string& one) { set += (set.empty() ? "" : ", ") + one; };
  if (settings.learns_default) {
    put(std::string(of.default_route));
  }
  for (const ip_prefix& each : settings.learned_within) {
    if (each.base.index() == of.base.index()) {
      const int bits = bits_of(each.base);
      put(to_text(each) + "{" + std::to_string(std::min(each.length + 1, bits)) + "," +
          std::to_string(bits) + "}");
    }
  }
  if (set.empty()) {
    return "import none;";
  }
  return "import where net ~ [ " + set + " ];\n    import limit " +
         std::to_string(learned_routes_max) + " action block;";
}

/// The channel of a protocol that speaks to routers. What is announced is told by where it came
/// from, so that what was learned from one router is never told to another.
std::string channel_text(const routed_upstream& settings, const family& of,
                         std::string_view more = {}) {
  return "  " + std::string(of.channel) + " {\n    " + learned_text(settings, of) +
         "\n    export where source = RTS_INHERIT && " + ours_text(of) + ";\n" + std::string(more) +
         "  };\n";
}

/// "preference" above those of BGP and OSPF: a guest of ours stays ours and announced while another
/// node announces it, too, as it does when the guest moves.
std::string kernel_text(const family& of, std::string_view sources_learned) {
  return "protocol kernel " + std::string(of.kernel_name) +
         " {\n"
         "  learn;\n"
         "  graceful restart;\n"
         "  scan time 10;\n"
         "  merge paths on;\n"
         "  " +
         std::string(of.channel) +
         " {\n"
         "    preference 200;\n"
         "    import where " +
         ours_text(of) +
         ";\n"
         "    export where source ~ [ " +
         std::string(sources_learned) + " ];\n  };\n}\n";
}

std::string kernel_texts(const routed_upstream& settings, std::string_view sources_learned) {
  return kernel_text(of_ipv4, sources_learned) +
         (has_ipv6(settings) ? "\n" + kernel_text(of_ipv6, sources_learned) : std::string());
}

std::string password_text(const std::string& password) {
  return password.empty() ? std::string() : "  password \"" + password + "\";\n";
}

/// "strict bind": nobody but who is on the uplink is listened to. "next hop self": to an internal
/// router BIRD would tell that what is behind a guest is by way of the guest, which no router knows
/// before us. An external one hears that of what is on its own link alone: of the node to which a
/// guest went, which it then reaches at once.
std::string text_of(const bgp_upstream& bgp, const bgp_neighbour& neighbour,
                    const routed_upstream& settings) {
  const bool is_ipv4 = std::holds_alternative<ipv4>(neighbour.address);
  const std::string own =
      is_ipv4 ? to_text(*settings.own_address) : to_text(*settings.own_address6);
  std::string text =
      "\nprotocol bgp " + bgp_protocol_name(neighbour.address) + " {\n  local " + own + " as " +
      std::to_string(bgp.as) + ";\n  neighbor " + to_text(neighbour.address) + " as " +
      std::to_string(neighbour.as) + ";\n  strict bind on;\n  hold time " +
      seconds_of(bgp.hold_time) +
      ";\n  connect delay time 1;\n  connect retry time 2;\n  error wait time 2, 30;\n"
      "  graceful restart on;\n  graceful restart time " +
      seconds_of(restart_time) + ";\n" + password_text(neighbour.password);
  if (!settings.learned_within.empty()) {
    text += "  allow local as 1;\n"; // another node's route, when all have the same number
  }
  const bool is_internal = neighbour.as == bgp.as;
  return text +
         channel_text(settings, family_of(neighbour.address),
                      is_internal ? "    next hop self;\n" : "") +
         "}\n";
}

std::string text_of(const bgp_upstream& bgp, const routed_upstream& settings) {
  std::string text = kernel_texts(settings, "RTS_BGP");
  for (const bgp_neighbour& each : bgp.neighbours) {
    text += text_of(bgp, each, settings);
  }
  return text;
}

/// `version`: of OSPF. `algorithm`: of its keys.
std::string text_of(const ospf_upstream& ospf, const routed_upstream& settings,
                    std::string_view version, std::string_view algorithm) {
  const bool is_ipv4 = version == "v2";
  std::string keys;
  if (!ospf.password.empty()) {
    keys = "      authentication cryptographic;\n      password \"" + ospf.password +
           "\" { id 1; algorithm " + std::string(algorithm) + "; };\n";
  }
  return "\nprotocol ospf " + std::string(version) + " " +
         std::string(is_ipv4 ? ospf_protocol_name : ospf6_protocol_name) +
         " {\n  tick 1;\n  graceful restart on;\n  graceful restart time " +
         seconds_of(restart_time) + ";\n" + channel_text(settings, is_ipv4 ? of_ipv4 : of_ipv6) +
         "  area " + to_text(ospf.area) + " {\n    interface \"" + ospf.interface +
         "\" {\n      priority 0;\n      hello " + seconds_of(ospf.hello) + ";\n      dead " +
         seconds_of(ospf.dead) + ";\n      wait " + seconds_of(2 * ospf.hello) +
         ";\n      retransmit 2;\n" + keys + "    };\n  };\n}\n";
}

std::string text_of(const ospf_upstream& ospf, const routed_upstream& settings) {
  return kernel_texts(settings, "RTS_OSPF, RTS_OSPF_IA, RTS_OSPF_EXT1, RTS_OSPF_EXT2") +
         text_of(ospf, settings, "v2", "keyed md5") +
         (ospf.with_ipv6 ? text_of(ospf, settings, "v3", "hmac sha256") : std::string());
}

constexpr std::string_view bgp_name_begin = "orrery_bgp_";
constexpr std::string_view bgp6_name_begin = "orrery_bgp6_";

} // namespace

std::string bgp_protocol_name(const ip_address& neighbour) {
  const bool is_ipv4 = std::holds_alternative<ipv4>(neighbour);
  std::string address = to_text(neighbour);
  std::ranges::replace(address, is_ipv4 ? '.' : ':', '_');
  return std::string(is_ipv4 ? bgp_name_begin : bgp6_name_begin) + address;
}

std::optional<ip_address> bgp_neighbour_in_name(std::string_view protocol) {
  const bool is_ipv4 = protocol.starts_with(bgp_name_begin);
  if (!is_ipv4 && !protocol.starts_with(bgp6_name_begin)) {
    return std::nullopt;
  }
  std::string address(protocol.substr((is_ipv4 ? bgp_name_begin : bgp6_name_begin).size()));
  std::ranges::replace(address, '_', is_ipv4 ? '.' : ':');
  const auto read = parse_ip_address(address);
  return read ? std::optional(*read) : std::nullopt;
}

result<std::string> bird_config(const routed_upstream& settings) {
  if (auto right = check(settings); !right) {
    return right.error();
  }
  if (!settings.own_address) {
    return error{.code = error_code::invalid_argument,
                 .text = "the node's own address on its uplink is not known"};
  }
  if (needs_own_address6(settings) && !settings.own_address6) {
    return error{.code = error_code::invalid_argument,
                 .text = "the node's own IPv6 address on its uplink is not known"};
  }
  return "# Made by orrery from its cluster's settings; what is changed by hand is lost.\n"
         "log syslog { info, warning, error, fatal, auth, bug };\n"
         "timeformat protocol iso short;\n"
         "graceful restart wait " +
         seconds_of(recovery_wait) + ";\nrouter id " + to_text(*settings.own_address) +
         ";\n\nprotocol device orrery_device {\n  scan time 10;\n}\n\n" +
         std::visit([&settings](const auto& each) { return text_of(each, settings); },
                    settings.protocol);
}

} // namespace orrery::pvip
