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

/// What is announced; told by where it came from, so that what was learned from one router is never
/// told to another.
std::string announced_text() {
  return "source = RTS_INHERIT && krt_source = " + std::to_string(route_protocol) +
         " && net.len = 32";
}

/// What is taken from routers: nothing, or a set of prefixes.
std::string learned_text(const routed_upstream& settings) {
  std::string set;
  const auto put = [&set](const std::string& one) { set += (set.empty() ? "" : ", ") + one; };
  if (settings.learns_default) {
    put("0.0.0.0/0");
  }
  for (const ipv4_prefix& each : settings.learned_within) {
    put(to_text(each) + "{32,32}");
  }
  if (set.empty()) {
    return "import none;";
  }
  return "import where net ~ [ " + set + " ];\n    import limit " +
         std::to_string(learned_routes_max) + " action block;";
}

/// The channel of a protocol that speaks to routers.
std::string channel_text(const routed_upstream& settings) {
  return "  ipv4 {\n    " + learned_text(settings) + "\n    export where " + announced_text() +
         ";\n  };\n";
}

/// "preference" above those of BGP and OSPF: a guest of ours stays ours and announced while another
/// node announces it, too, as it does when the guest moves.
std::string kernel_text(std::string_view sources_learned) {
  return "protocol kernel orrery_kernel {\n"
         "  learn;\n"
         "  graceful restart;\n"
         "  scan time 10;\n"
         "  merge paths on;\n"
         "  ipv4 {\n"
         "    preference 200;\n"
         "    import where krt_source = " +
         std::to_string(route_protocol) +
         " && net.len = 32;\n"
         "    export where source ~ [ " +
         std::string(sources_learned) + " ];\n  };\n}\n";
}

std::string password_text(const std::string& password) {
  return password.empty() ? std::string() : "  password \"" + password + "\";\n";
}

std::string text_of(const bgp_upstream& bgp, const routed_upstream& settings) {
  std::string text = kernel_text("RTS_BGP");
  for (const bgp_neighbour& each : bgp.neighbours) {
    text += "\nprotocol bgp " + bgp_protocol_name(each.address) + " {\n  local " +
            to_text(settings.own_address) + " as " + std::to_string(bgp.as) + ";\n  neighbor " +
            to_text(each.address) + " as " + std::to_string(each.as) + ";\n  hold time " +
            seconds_of(bgp.hold_time) +
            ";\n  connect delay time 1;\n  connect retry time 2;\n  error wait time 2, 30;\n"
            "  graceful restart on;\n  graceful restart time " +
            seconds_of(restart_time) + ";\n" + password_text(each.password);
    if (!settings.learned_within.empty()) {
      text += "  allow local as 1;\n"; // another node's route, when all have the same number
    }
    text += channel_text(settings) + "}\n";
  }
  return text;
}

std::string text_of(const ospf_upstream& ospf, const routed_upstream& settings) {
  std::string keys;
  if (!ospf.password.empty()) {
    keys = "      authentication cryptographic;\n      password \"" + ospf.password +
           "\" { id 1; algorithm keyed md5; };\n";
  }
  return kernel_text("RTS_OSPF, RTS_OSPF_IA, RTS_OSPF_EXT1, RTS_OSPF_EXT2") +
         "\nprotocol ospf v2 " + std::string(ospf_protocol_name) +
         " {\n  tick 1;\n  graceful restart on;\n  graceful restart time " +
         seconds_of(restart_time) + ";\n" + channel_text(settings) + "  area " +
         to_text(ospf.area) + " {\n    interface \"" + ospf.interface +
         "\" {\n      priority 0;\n      hello " + seconds_of(ospf.hello) + ";\n      dead " +
         seconds_of(ospf.dead) + ";\n      wait " + seconds_of(2 * ospf.hello) +
         ";\n      retransmit 2;\n" + keys + "    };\n  };\n}\n";
}

} // namespace

std::string bgp_protocol_name(ipv4 neighbour) {
  std::string name = "orrery_bgp_" + to_text(neighbour);
  std::ranges::replace(name, '.', '_');
  return name;
}

result<std::string> bird_config(const routed_upstream& settings) {
  if (auto right = check(settings); !right) {
    return right.error();
  }
  return "# Made by orrery from its cluster's settings; what is changed by hand is lost.\n"
         "log syslog { info, warning, error, fatal, auth, bug };\n"
         "timeformat protocol iso short;\n"
         "graceful restart wait " +
         seconds_of(recovery_wait) + ";\nrouter id " + to_text(settings.own_address) +
         ";\n\nprotocol device orrery_device {\n  scan time 10;\n}\n\n" +
         std::visit([&settings](const auto& each) { return text_of(each, settings); },
                    settings.protocol);
}

} // namespace orrery::pvip
