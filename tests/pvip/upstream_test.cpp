#include "events/core/net.hpp"
#include "pvip/upstream/bird_config.hpp"
#include "pvip/upstream/upstream.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

using namespace std::chrono_literals;

constexpr ipv4 own{0xc000020bU};    // 192.0.2.11
constexpr ipv4 router{0xc0000201U}; // 192.0.2.1
const ip_prefix guests{ipv4{0x0a630000U}, 24};
const ip_prefix guests6 = parse_ip_prefix("2001:db8:99::/64").value();
const ipv6 own6 = parse_ipv6("2001:db8:f::11").value();
const ipv6 router6 = parse_ipv6("2001:db8:f::1").value();

routed_upstream with_bgp() {
  return {.own_address = own,
          .protocol = bgp_upstream{.as = 64'601,
                                   .neighbours = {{.address = router,
                                                   .as = 64'512,
                                                   .password = R"(it's #1; {not} \ a string)"}}},
          .learns_default = true,
          .learned_within = {guests}};
}

routed_upstream with_ospf() {
  return {.own_address = own,
          .protocol = ospf_upstream{.area = {}, .interface = "up0", .password = "sixteen-letters!"},
          .learns_default = false,
          .learned_within = {}};
}

/// A router of each family.
routed_upstream with_bgp_of_both() {
  routed_upstream settings = with_bgp();
  settings.own_address6 = own6;
  settings.learned_within.push_back(guests6);
  std::get<bgp_upstream>(settings.protocol)
      .neighbours.push_back({.address = router6, .as = 64'512, .password = "of six"});
  return settings;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* bgp_expected =
    R"(# Made by orrery from its cluster's settings; what is changed by hand is lost.
log syslog { info, warning, error, fatal, auth, bug };
timeformat protocol iso short;
graceful restart wait 5;
router id 192.0.2.11;

protocol device orrery_device {
  scan time 10;
}

protocol kernel orrery_kernel {
  learn;
  graceful restart;
  scan time 10;
  merge paths on;
  ipv4 {
    preference 200;
    import where krt_source = 143 && net.len >= 12;
    export where source ~ [ RTS_BGP ];
  };
}

protocol bgp orrery_bgp_192_0_2_1 {
  local 192.0.2.11 as 64601;
  neighbor 192.0.2.1 as 64512;
  strict bind on;
  hold time 9;
  connect delay time 1;
  connect retry time 2;
  error wait time 2, 30;
  graceful restart on;
  graceful restart time 15;
  password "it's #1; {not} \ a string";
  allow local as 1;
  ipv4 {
    import where net ~ [ 0.0.0.0/0, 10.99.0.0/24{25,32} ];
    import limit 1024000 action block;
    export where source = RTS_INHERIT && krt_source = 143 && net.len >= 12;
  };
}
)";

constexpr const char* of_ipv6_expected = R"(
protocol bgp orrery_bgp6_2001_db8_f__1 {
  local 2001:db8:f::11 as 64601;
  neighbor 2001:db8:f::1 as 64512;
  strict bind on;
  hold time 9;
  connect delay time 1;
  connect retry time 2;
  error wait time 2, 30;
  graceful restart on;
  graceful restart time 15;
  password "of six";
  allow local as 1;
  ipv6 {
    import where net ~ [ ::/0, 2001:db8:99::/64{65,128} ];
    import limit 1024000 action block;
    export where source = RTS_INHERIT && krt_source = 143 && net.len >= 32;
  };
}
)";

TEST(pvip_bird_config, bgp_is_as_written_down) {
  const auto text = bird_config(with_bgp());
  ASSERT_TRUE(text) << text.error().text;
  EXPECT_EQ(*text, bgp_expected);
}

TEST(pvip_bird_config, an_internal_router_is_told_of_no_way_but_by_the_node) {
  auto settings = with_bgp();
  EXPECT_FALSE(has(bird_config(settings).value(), "next hop self"));
  auto& bgp = std::get<bgp_upstream>(settings.protocol);
  bgp.neighbours.front().as = bgp.as;
  EXPECT_TRUE(has(bird_config(settings).value(), "    next hop self;\n"));
}

TEST(pvip_bird_config, a_router_of_ipv6_is_told_what_is_of_ipv6) {
  const std::string text = bird_config(with_bgp_of_both()).value();
  EXPECT_TRUE(has(text, of_ipv6_expected)) << text;
  EXPECT_TRUE(has(text, "protocol kernel orrery_kernel6 {"));
  EXPECT_TRUE(has(text, "    import where krt_source = 143 && net.len >= 32;\n"));
  EXPECT_TRUE(has(text, "    import where net ~ [ 0.0.0.0/0, 10.99.0.0/24{25,32} ];\n"));
  EXPECT_FALSE(has(bird_config(with_bgp()).value(), "ipv6"));
  routed_upstream unknown = with_bgp_of_both();
  unknown.own_address6.reset();
  EXPECT_EQ(bird_config(unknown).error().text,
            "the node's own IPv6 address on its uplink is not known");
}

TEST(pvip_bird_config, the_name_of_a_protocol_tells_whose_it_is) {
  for (const char* text : {"192.0.2.1", "2001:db8::1", "fd00::", "2001:db8:1:2:3:4:5:6"}) {
    const ip_address address = parse_ip_address(text).value();
    EXPECT_EQ(bgp_neighbour_in_name(bgp_protocol_name(address)), address) << text;
  }
  for (const char* name : {"", "orrery_bgp_", "orrery_bgp6_", "orrery_bgp_1_2_3", "orrery_kernel",
                           "orrery_bgp6_1_2_3_4", "bgp1"}) {
    EXPECT_FALSE(bgp_neighbour_in_name(name)) << name;
  }
}

TEST(pvip_bird_config, nothing_is_learned_unless_asked_for) {
  routed_upstream settings = with_bgp();
  settings.learns_default = false;
  settings.learned_within.clear();
  const std::string text = bird_config(settings).value();
  EXPECT_TRUE(has(text, "    import none;\n"));
  EXPECT_FALSE(has(text, "allow local as"));
  EXPECT_FALSE(has(text, "net ~"));
}

TEST(pvip_bird_config, ospf_has_its_times_and_key) {
  const std::string text = bird_config(with_ospf()).value();
  for (const char* part :
       {"protocol ospf v2 orrery_ospf {", "  area 0.0.0.0 {", "    interface \"up0\" {",
        "      priority 0;", "      hello 1;", "      dead 4;", "      wait 2;",
        "      password \"sixteen-letters!\" { id 1; algorithm keyed md5; };",
        "    export where source = RTS_INHERIT && krt_source = 143 && net.len >= 12;",
        "    import none;"}) {
    EXPECT_TRUE(has(text, part)) << part << " not in:\n" << text;
  }
  EXPECT_FALSE(has(text, "ospf v3"));
  EXPECT_FALSE(has(text, "protocol bgp"));
}

TEST(pvip_bird_config, ospf_version_3_stands_beside_version_2) {
  routed_upstream settings = with_ospf();
  std::get<ospf_upstream>(settings.protocol).with_ipv6 = true;
  settings.learned_within = {guests, guests6};
  const std::string text = bird_config(settings).value();
  for (const char* part : {"protocol kernel orrery_kernel6 {", "protocol ospf v2 orrery_ospf {",
                           "protocol ospf v3 orrery_ospf6 {",
                           "      password \"sixteen-letters!\" { id 1; algorithm hmac sha256; };",
                           "    import where net ~ [ 2001:db8:99::/64{65,128} ];",
                           "    import where net ~ [ 10.99.0.0/24{25,32} ];"}) {
    EXPECT_TRUE(has(text, part)) << part << " not in:\n" << text;
  }
}

TEST(pvip_bird_config, without_a_password_there_is_no_word_of_one) {
  routed_upstream bgp = with_bgp();
  std::get<bgp_upstream>(bgp.protocol).neighbours.front().password.clear();
  routed_upstream ospf = with_ospf();
  std::get<ospf_upstream>(ospf.protocol).password.clear();
  EXPECT_FALSE(has(bird_config(bgp).value(), "password"));
  EXPECT_FALSE(has(bird_config(ospf).value(), "password"));
  EXPECT_FALSE(has(bird_config(ospf).value(), "authentication"));
}

struct wrong {
  const char* part; ///< of the error's text
  error_code code;
  std::function<void(bgp_upstream&, routed_upstream&)> spoil;
};

TEST(pvip_upstream, wrong_settings_of_bgp_are_told_with_what_they_may_be) {
  const std::vector<wrong> all{
      {"own address 127.0.0.1", error_code::invalid_argument,
       [](auto&, auto& whole) { whole.own_address = ipv4{0x7f000001U}; }},
      {"the node has the AS number 0", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.as = 0; }},
      {"192.0.2.1 has the AS number 23456", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.neighbours[0].as = 23'456; }},
      {"AS number 65535", error_code::invalid_argument, [](auto& bgp, auto&) { bgp.as = 65'535; }},
      {"AS number 4294967295", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.as = 4'294'967'295; }},
      {"give at least one", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.neighbours.clear(); }},
      {"the limit 16", error_code::too_large, [](auto& bgp, auto&) { bgp.neighbours.resize(17); }},
      {"224.0.0.5 cannot be", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.neighbours[0].address = ipv4{0xe0000005U}; }},
      {"the node's own address", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.neighbours[0].address = own; }},
      {"own address ::1", error_code::invalid_argument,
       [](auto&, auto& whole) { whole.own_address6 = parse_ipv6("::1").value(); }},
      {"fe80::7 cannot be a host's address", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.neighbours[0].address = parse_ipv6("fe80::7").value(); }},
      {"the node's own address", error_code::invalid_argument,
       [](auto& bgp, auto& whole) {
         whole.own_address6 = own6;
         bgp.neighbours[0].address = own6;
       }},
      {"given twice", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.neighbours.push_back(bgp.neighbours[0]); }},
      {"it can be 3 to 3600", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.hold_time = 2s; }},
      {"hold time of BGP is 3601 s", error_code::invalid_argument,
       [](auto& bgp, auto&) { bgp.hold_time = 3'601s; }},
      {"the limit 80", error_code::too_large,
       [](auto& bgp, auto&) { bgp.neighbours[0].password.assign(81, 'x'); }},
      {"the limit 256", error_code::too_large,
       [](auto&, auto& whole) { whole.learned_within.assign(257, guests); }},
      {"10.0.0.0/7", error_code::invalid_argument,
       [](auto&, auto& whole) {
         whole.learned_within = {{ipv4{0x0a000000U}, 7}};
       }},
      {"10.99.0.1/24", error_code::invalid_argument,
       [](auto&, auto& whole) {
         whole.learned_within = {{ipv4{0x0a630001U}, 24}};
       }},
      {"2000::/3, which is no prefix of a network; give a /16 to /128",
       error_code::invalid_argument,
       [](auto&, auto& whole) { whole.learned_within = {parse_ip_prefix("2000::/3").value()}; }},
  };
  for (const wrong& each : all) {
    routed_upstream settings = with_bgp();
    each.spoil(std::get<bgp_upstream>(settings.protocol), settings);
    const auto text = bird_config(settings);
    ASSERT_FALSE(text) << each.part;
    EXPECT_EQ(text.error().code, each.code) << text.error().text;
    EXPECT_TRUE(has(text.error().text, each.part)) << text.error().text;
    EXPECT_EQ(check(upstream(settings)).error(), text.error());
  }
}

TEST(pvip_upstream, passwords_that_bird_cannot_hold_are_refused_and_never_told) {
  for (const char bad : {'"', '\n', '\r', '\t', '\0', '\x1f', '\x7f', '\x80', '\xff'}) {
    const std::string password = std::string("hunter") + bad + "2";
    routed_upstream bgp = with_bgp();
    std::get<bgp_upstream>(bgp.protocol).neighbours.front().password = password;
    routed_upstream ospf = with_ospf();
    std::get<ospf_upstream>(ospf.protocol).password = password;
    for (const routed_upstream& settings : {bgp, ospf}) {
      const auto text = bird_config(settings);
      ASSERT_FALSE(text) << static_cast<int>(bad);
      EXPECT_EQ(text.error().code, error_code::invalid_argument);
      EXPECT_FALSE(has(text.error().text, "hunter")) << text.error().text;
    }
  }
}

TEST(pvip_upstream, the_longest_passwords_and_every_printable_character_are_taken) {
  std::string printable;
  for (char c = ' '; c <= '~'; ++c) {
    printable += c == '"' ? "" : std::string(1, c);
  }
  for (std::size_t at = 0; at < printable.size(); at += 47) {
    routed_upstream settings = with_bgp();
    const std::string password = printable.substr(at, 47) + std::string(33, 'x');
    std::get<bgp_upstream>(settings.protocol).neighbours.front().password = password;
    EXPECT_TRUE(has(bird_config(settings).value(), "password \"" + password + "\";"));
  }
}

TEST(pvip_upstream, wrong_settings_of_ospf_are_told) {
  const std::vector<std::pair<const char*, std::function<void(ospf_upstream&)>>> all{
      {"\"up*\" cannot be an uplink", [](auto& ospf) { ospf.interface = "up*"; }},
      {"\"\" cannot be an uplink", [](auto& ospf) { ospf.interface.clear(); }},
      {"cannot be an uplink", [](auto& ospf) { ospf.interface.assign(16, 'x'); }},
      {"hello is 0 s", [](auto& ospf) { ospf.hello = 0s; }},
      {"dead time 1 s", [](auto& ospf) { ospf.dead = 1s; }},
      {"dead time 3601 s", [](auto& ospf) { ospf.dead = 3'601s; }},
      {"the limit 16", [](auto& ospf) { ospf.password.assign(17, 'x'); }},
  };
  for (const auto& [part, spoil] : all) {
    routed_upstream settings = with_ospf();
    spoil(std::get<ospf_upstream>(settings.protocol));
    const auto text = bird_config(settings);
    ASSERT_FALSE(text) << part;
    EXPECT_TRUE(has(text.error().text, part)) << text.error().text;
  }
}

TEST(pvip_upstream, an_uplink_is_the_name_of_a_link) {
  for (const char* name : {"up0", "bond0.100", "enp3s0f1np1", "Ethernet_1", "a-b"}) {
    EXPECT_TRUE(check(upstream(static_arp_upstream{name}))) << name;
  }
  for (const char* name : {"", ".", "..", "a/b", "a b", "up0;", "up\"0", "sixteen-letters-"}) {
    EXPECT_FALSE(check(upstream(static_arp_upstream{name}))) << name;
  }
}

} // namespace
} // namespace orrery::pvip
