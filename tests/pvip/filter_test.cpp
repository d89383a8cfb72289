#include "pvip/apply/nft_reply.hpp"
#include "pvip/apply/nft_request.hpp"
#include "pvip/plan/filter.hpp"
#include "pvip/plan/plan.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace orrery::pvip {
namespace {

constexpr std::string_view table = "orrery_vp";

/// As nftables 1.0.6 shows our table, less most rules; `more` is put at the end of the list.
std::string listing(const std::string& more = {}) {
  return R"({"nftables":[{"metainfo":{"version":"1.0.6","json_schema_version":1}},
    {"table":{"family":"netdev","name":"orrery_vp","handle":1}},
    {"set":{"family":"netdev","name":"mac","table":"orrery_vp","type":["ifname","ether_addr"],
      "handle":1,"elem":[{"concat":["vp1","0a:00:00:00:00:01"]}]}},
    {"set":{"family":"netdev","name":"address","table":"orrery_vp","type":["ifname","ipv4_addr"],
      "handle":2,
      "stmt":[{"counter":null}],"elem":[{"concat":["vp1","10.99.0.12"]},
        {"elem":{"val":{"concat":["vp1","10.99.0.11"]},"counter":{"packets":1,"bytes":60}}}]}},
    {"set":{"family":"netdev","name":"mac6","table":"orrery_vp","type":["ifname","ether_addr"],
      "handle":21,"elem":[{"concat":["vp1","0a:00:00:00:00:01"]}]}},
    {"set":{"family":"netdev","name":"address6","table":"orrery_vp","type":["ifname","ipv6_addr"],
      "handle":22,"stmt":[{"counter":null}],"elem":[{"concat":["vp1","fd99::11"]}]}},
    {"set":{"family":"netdev","name":"received","table":"orrery_vp","type":["ifname","ipv4_addr"],
      "handle":24,"stmt":[{"counter":null}],"elem":[{"elem":{"val":{"concat":["vp1","10.99.0.11"]},
      "counter":{"packets":2,"bytes":228}}}]}},
    {"set":{"family":"netdev","name":"received6","table":"orrery_vp","type":["ifname","ipv6_addr"],
      "handle":25,"stmt":[{"counter":null}]}},
    {"set":{"family":"netdev","name":"prefix","table":"orrery_vp","type":["ifname","ipv4_addr"],
      "handle":28,"flags":["interval"],"stmt":[{"counter":null}],"elem":[{"elem":{"val":
      {"concat":["vp1",{"prefix":{"addr":"10.1.0.0","len":16}}]},
      "counter":{"packets":4,"bytes":400}}},{"elem":{"val":{"concat":["vp1","10.2.0.7"]}}}]}},
    {"set":{"family":"netdev","name":"prefix6","table":"orrery_vp","type":["ifname","ipv6_addr"],
      "handle":29,"flags":["interval"],"stmt":[{"counter":null}],"elem":[{"elem":{"val":
      {"concat":["vp1",{"prefix":{"addr":"fd98::","len":64}}]}}},
      {"elem":{"val":{"concat":["vp1","fd97::7"]}}}]}},
    {"set":{"family":"netdev","name":"received_prefix","table":"orrery_vp",
      "type":["ifname","ipv4_addr"],"handle":30,"flags":["interval"],"stmt":[{"counter":null}]}},
    {"set":{"family":"netdev","name":"received_prefix6","table":"orrery_vp",
      "type":["ifname","ipv6_addr"],"handle":31,"flags":["interval"],"stmt":[{"counter":null}]}},
    {"set":{"family":"netdev","name":"dropped","table":"orrery_vp","type":["ifname","mark"],
      "handle":3,"size":131072,
      "stmt":[{"counter":null}],"elem":[{"elem":{"val":{"concat":["vp9",1]}}}]}},
    {"chain":{"family":"netdev","table":"orrery_vp","name":"from_guest","handle":4}},
    {"chain":{"family":"netdev","table":"orrery_vp","name":"vp1","handle":9,"type":"filter",
      "hook":"ingress","prio":-500,"policy":"drop"}},
    {"chain":{"family":"netdev","table":"orrery_vp","name":"vp1_out","handle":26,"type":"filter",
      "hook":"egress","prio":-499,"policy":"accept"}},
    {"rule":{"family":"netdev","table":"orrery_vp","chain":"vp1_out","handle":27,
      "expr":[{"goto":{"target":"to_guest"}}]}},
    {"rule":{"family":"netdev","table":"orrery_vp","chain":"from_guest","handle":10,
      "expr":[{"drop":null}]}},
    {"rule":{"family":"netdev","table":"orrery_vp","chain":"vp1","handle":23,
      "expr":[{"match":{"op":"==","left":{"payload":{"base":"th","offset":64,"len":128}},
        "right":"0xfd990000000000000000000000000011"}},{"goto":{"target":"from_guest_own"}}]}},
    {"rule":{"family":"netdev","table":"orrery_vp","chain":"vp1","handle":11,
      "expr":[{"goto":{"target":"from_guest"}}]}})" +
         more + "]}";
}

/// As nftables shows one set alone.
std::string set_listing(const std::string& name) {
  const std::string all = listing();
  const auto begin = all.find("{\"set\":{\"family\":\"netdev\",\"name\":\"" + name + "\"");
  const auto end = std::min(all.find("{\"set\"", begin + 1), all.find("{\"chain\"", begin + 1));
  std::string set = all.substr(begin, end - begin);
  set.resize(set.rfind('}') + 1);
  return "{\"nftables\":[" + set + "]}";
}

std::string mark_rule(const std::string& mark) {
  return R"(,{"rule":{"family":"netdev","table":"orrery_vp","chain":"orrery_mark","handle":12,
    "comment":")" +
         mark + R"(","expr":[{"return":null}]}})";
}

found_filter must_read(const std::string& text) {
  auto found = read_filter(text, table);
  EXPECT_TRUE(found) << found.error().text;
  return found ? std::move(found->filter) : found_filter{};
}

std::string with(std::string text, const std::string& part, const std::string& other) {
  const auto at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return at == std::string::npos ? text : text.replace(at, part.size(), other);
}

TEST(pvip_filter, what_is_no_listing_is_refused) {
  std::string deep(100'000, '[');
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[]"), std::string("{\"nftables\":{}}"),
        std::string("{\"nftables\":[]}"), std::string("{\"nftables\":[1,null,{\"table\":3}]}"),
        std::string("{\"nftables\":[{\"table\":{\"name\":\"other\"}}]}"), listing().substr(0, 900),
        deep, "{\"nftables\":" + deep}) {
    const auto found = read_filter(text, table);
    ASSERT_FALSE(found) << text.substr(0, 80);
    EXPECT_EQ(found.error().code, error_code::damaged);
  }
  EXPECT_FALSE(has_table("no", table));
}

TEST(pvip_filter, what_is_no_number_of_128_bits_is_no_address) {
  for (const std::string& text :
       {std::string(), std::string("0x"), std::string("17"), std::string("0xg"),
        std::string("0xFD"), "0x" + std::string(33, '1'), std::string("0x1\0", 4)}) {
    EXPECT_FALSE(parse_number(text)) << text;
  }
}

TEST(pvip_filter, an_address_is_the_same_after_its_number) {
  for (const char* text : {"::", "::1", "::12", "fd99::17", "2001:db8:1:2:3:4:5:6", "fe80::1",
                           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
    const auto address = *parse_ipv6(text);
    EXPECT_EQ(parse_number(as_number(address)), address) << as_number(address);
  }
  EXPECT_EQ(as_number(gateway6), "0xfe800000000000000000000000000001");
  EXPECT_EQ(as_number(*parse_ipv6("::1f")), "0x1f");
}

TEST(pvip_filter, tables_are_told_apart_by_name_and_family) {
  EXPECT_TRUE(has_table(listing(), table).value());
  EXPECT_FALSE(has_table(listing(), "orrery_vx").value());
  EXPECT_FALSE(has_table(with(listing(), "netdev", "inet"), table).value());
}

TEST(pvip_filter, a_listing_is_read) {
  const found_filter found = must_read(listing());
  ASSERT_EQ(found.ports.size(), 1U);
  const found_port_filter& port = found.ports.begin()->second;
  EXPECT_TRUE(port.has_chain && port.has_out_chain);
  EXPECT_TRUE(port.is_chain_right);
  const std::vector<filter_element> right{
      {.link = "vp1", .set = filter_set::mac, .value = "0a:00:00:00:00:01"},
      {.link = "vp1", .set = filter_set::address, .value = "10.99.0.11"},
      {.link = "vp1", .set = filter_set::address, .value = "10.99.0.12"},
      {.link = "vp1", .set = filter_set::mac6, .value = "0a:00:00:00:00:01"},
      {.link = "vp1", .set = filter_set::address6, .value = "fd99::11"},
      {.link = "vp1", .set = filter_set::received, .value = "10.99.0.11"},
      {.link = "vp1", .set = filter_set::prefix, .value = "10.1.0.0/16"},
      {.link = "vp1", .set = filter_set::prefix, .value = "10.2.0.7/32"},
      {.link = "vp1", .set = filter_set::prefix6, .value = "fd97::7/128"},
      {.link = "vp1", .set = filter_set::prefix6, .value = "fd98::/64"},
      {.link = "vp1", .set = filter_set::target6, .value = "fd99::11"}};
  EXPECT_EQ(port.elements, right);
}

TEST(pvip_filter, the_mark_is_of_what_is_shown_and_of_what_we_want) {
  const auto bare = read_filter(listing(), table);
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->filter.base, base_state::changed);
  const std::string marked = listing(mark_rule(bare->mark));
  EXPECT_EQ(must_read(marked).base, base_state::right);
  // What ports have and what was counted is not of the mark.
  EXPECT_EQ(must_read(with(marked, "10.99.0.12", "10.99.0.13")).base, base_state::right);
  EXPECT_EQ(must_read(with(marked, "\"vp9\",1", "\"vp9\",2")).base, base_state::right);
  EXPECT_EQ(must_read(with(marked, "{\"drop\":", "{\"accept\":")).base, base_state::changed);
  EXPECT_EQ(must_read(with(marked, "\"handle\":10", "\"handle\":13")).base, base_state::changed);
  EXPECT_EQ(must_read(with(marked, "131072", "1")).base, base_state::changed);
}

TEST(pvip_filter, sets_of_another_kind_are_broken) {
  for (const auto& [part, other] : std::vector<std::pair<std::string, std::string>>{
           {"\"ether_addr\"", "\"ipv4_addr\""},
           {"\"name\":\"address\"", "\"name\":\"addresses\""},
           {"{\"concat\":[\"vp1\",\"10.99.0.12\"]}", "\"vp1\""},
           {"{\"concat\":[\"vp1\",\"10.99.0.12\"]}", "{\"concat\":[\"vp1\",7]}"},
           {"{\"concat\":[\"vp1\",\"10.99.0.12\"]}", "{\"concat\":[\"vp1\",\"nobody\"]}"},
           {"{\"concat\":[\"vp1\",\"10.99.0.12\"]}", "{\"concat\":[\"vp*\",\"10.99.0.12\"]}"},
           {"\"stmt\":[{\"counter\":null}],", ""},
           {"\"handle\":21,", "\"handle\":21,\"stmt\":[{\"counter\":null}],"},
           {"\"flags\":[\"interval\"],", ""},
           {"{\"addr\":\"10.1.0.0\",\"len\":16}", "{\"addr\":\"10.1.0.0\"}"},
           {"{\"prefix\":{\"addr\":\"10.1.0.0\",\"len\":16}}",
            "{\"range\":[\"10.1.0.0\",\"10.1.0.9\"]}"},
           {"{\"concat\":[\"vp1\",\"fd99::11\"]}",
            "{\"concat\":[\"vp1\",{\"prefix\":{\"addr\":\"fd99::\",\"len\":64}}]}"},
           {"\"name\":\"received6\"", "\"name\":\"received7\""},
           {"\"name\":\"from_guest\",", "\"name\":\"from_guest\",\"hook\":\"ingress\","}}) {
    EXPECT_EQ(must_read(with(listing(), part, other)).base, base_state::broken) << part;
  }
}

TEST(pvip_filter, chains_of_ports_are_right_with_our_hook_and_our_rule_alone) {
  const auto is_right = [](const std::string& text) {
    const found_filter found = must_read(text);
    const auto at = found.ports.find("vp1");
    return at != found.ports.end() && at->second.is_chain_right;
  };
  ASSERT_TRUE(is_right(listing()));
  EXPECT_FALSE(is_right(with(listing(), "\"policy\":\"drop\"", "\"policy\":\"accept\"")));
  EXPECT_FALSE(is_right(with(listing(), "\"hook\":\"ingress\",", "")));
  EXPECT_FALSE(is_right(with(listing(), "\"hook\":\"egress\",", "")));
  EXPECT_FALSE(is_right(with(listing(), "\"policy\":\"accept\"", "\"policy\":\"drop\"")));
  EXPECT_FALSE(is_right(with(listing(), "\"name\":\"vp1_out\"", "\"name\":\"vp2_out\"")));
  EXPECT_FALSE(is_right(with(listing(), "\"target\":\"to_guest\"", "\"target\":\"count_drop\"")));
  EXPECT_FALSE(is_right(with(listing(), "\"prio\":-500", "\"dev\":\"vp2\",\"prio\":-500")));
  EXPECT_FALSE(is_right(with(listing(), "[{\"goto\":{\"target\":\"from_guest\"}}]", "[]")));
  // A guest's own address in another place, or leading elsewhere.
  EXPECT_FALSE(is_right(with(listing(), "\"offset\":64", "\"offset\":192")));
  EXPECT_FALSE(is_right(with(listing(), "from_guest_own\"", "from_guest_ndp\"")));
  EXPECT_FALSE(is_right(with(listing(), "0xfd99", "0x1fd99")));
  EXPECT_FALSE(is_right(with(listing(), "\"0xfd990000000000000000000000000011\"", "17")));
  const std::string second = R"(,{"rule":{"family":"netdev","table":"orrery_vp","chain":"vp1",
    "handle":11,"expr":[)";
  EXPECT_FALSE(is_right(listing(second + R"({"accept":null}]}})")));
  EXPECT_FALSE(is_right(listing(second + R"({"goto":{"target":"from_guest"}}]}})")));
  EXPECT_FALSE(is_right(listing(second + R"({"match":{"op":"==","left":{"payload":{"base":"th",
    "offset":64,"len":128}},"right":"0xfd"}},{"goto":{"target":"from_guest_own"}}]}})")));
}

TEST(pvip_filter, flipped_and_cut_listings_are_read_or_refused) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (int i = 0; i < 5'000; ++i) {
    std::string text = listing(mark_rule("orrery 1 2"));
    text[random() % text.size()] ^= static_cast<char>(1U << (random() % 8U));
    if (random() % 4 == 0) {
      text.resize(random() % text.size());
    }
    const auto found = read_filter(text, table);
    if (found) {
      EXPECT_NE(found->filter.base, base_state::missing);
    } else {
      EXPECT_EQ(found.error().code, error_code::damaged);
    }
    (void)has_table(text, table);
  }
}

TEST(pvip_filter, counters_that_cannot_be_read_are_nothing) {
  traffic_of_ports all;
  EXPECT_FALSE(read_traffic("no", filter_set::address, all));
  for (const auto& [part, other] : std::vector<std::pair<std::string, std::string>>{
           {"\"packets\":2", "\"packets\":-2"},
           {"\"bytes\":228", "\"bytes\":\"228\""},
           {"\"bytes\":228", "\"bites\":228"},
           {"\"val\":{\"concat\":[\"vp1\",\"10.99.0.11\"]},\n      \"counter\":{\"packets\":2",
            "\"val\":7,\"counter\":{\"packets\":2"}}) {
    ASSERT_TRUE(
        read_traffic(with(set_listing("received"), part, other), filter_set::received, all));
    EXPECT_TRUE(all.empty()) << part;
  }
}

TEST(pvip_filter, counters_are_read_by_link_and_address) {
  traffic_of_ports all;
  ASSERT_TRUE(read_traffic(set_listing("address"), filter_set::address, all));
  ASSERT_TRUE(read_traffic(set_listing("received"), filter_set::received, all));
  ASSERT_EQ(all.size(), 1U);
  ASSERT_TRUE(read_traffic(set_listing("prefix"), filter_set::prefix, all));
  ASSERT_EQ(all["vp1"].size(), 2U);
  const ip_prefix behind{ipv4{0x0a010000U}, 16};
  EXPECT_EQ(all["vp1"].at(behind).sent, (packet_count{.packets = 4, .bytes = 400}));
  const address_traffic& read = all["vp1"].at(alone(ipv4{0x0a63000bU}));
  EXPECT_EQ(read.sent, (packet_count{.packets = 1, .bytes = 60}));
  EXPECT_EQ(read.received, (packet_count{.packets = 2, .bytes = 200})); // without Ethernet headers
}

TEST(pvip_filter, each_reason_is_counted_somewhere_and_nothing_ends_without_a_verdict) {
  const auto commands = nlohmann::json::parse("[" + filter_base(table) + "]");
  std::set<unsigned> reasons;
  std::map<std::string, nlohmann::json> last_of_chain;
  for (const auto& command : commands) {
    if (!command.contains("add") || !command["add"].contains("rule")) {
      continue;
    }
    const auto& rule = command["add"]["rule"];
    last_of_chain[rule["chain"].get<std::string>()] = rule["expr"].back();
    for (const auto& statement : rule["expr"]) {
      if (statement.contains("mangle")) {
        reasons.insert(statement["mangle"]["value"].get<unsigned>());
      }
    }
  }
  std::set<unsigned> wanted;
  for (const drop_reason reason : drop_reasons) {
    wanted.insert(static_cast<unsigned>(reason));
  }
  EXPECT_EQ(reasons, wanted);
  ASSERT_EQ(last_of_chain.size(), shared_chains.size());
  for (const auto& [chain, last] : last_of_chain) {
    EXPECT_TRUE(last.contains("goto") || last.contains("drop") || last.contains("accept")) << chain;
  }
}

TEST(pvip_filter, a_transaction_makes_what_is_needed_before_what_needs_it) {
  const operation base = make_filter{};
  const operation on =
      filter_link{.link = "vp1",
                  .chain = true,
                  .is_chain_taken = true,
                  .is_out_chain_taken = true,
                  .rules = {.own = {gateway6}, .bytes_a_second_max = 1'250'000},
                  .added = {{.link = "vp1", .set = filter_set::address, .value = "10.99.0.11"}},
                  .removed = {{.link = "vp1", .set = filter_set::address, .value = "10.\"99"},
                              {.link = "vp1", .set = filter_set::prefix6, .value = "fd98::/64"}}};
  const operation off =
      unfilter_link{.link = "vp2", .has_chain = true, .has_out_chain = true, .removed = {}};
  const auto all = nlohmann::json::parse(transaction_of(table, {&base, &on, &off}));
  std::vector<std::string> verbs;
  for (const auto& command : all["nftables"]) {
    const auto verb = command.begin();
    const auto& what = *verb;
    verbs.push_back(verb.key() + " " + what.begin().key() +
                    (what.begin().key() == "element"
                         ? " " + what["element"]["name"].get<std::string>()
                         : std::string()));
  }
  const auto place = [&](const std::string& of) {
    const auto at = std::ranges::find(verbs, of);
    EXPECT_NE(at, verbs.end()) << of;
    return at - verbs.begin();
  };
  EXPECT_LT(place("add table"), place("add set"));
  EXPECT_LT(place("add set"), place("add chain"));
  EXPECT_LT(place("add rule"), place("add element address"));
  EXPECT_LT(place("add element dropped"), place("delete element dropped"));
  EXPECT_EQ(std::ranges::count(verbs, "delete chain"), 4);
  EXPECT_NE(transaction_of(table, {&on})
                .find(R"({"concat":["vp1",{"prefix":{"addr":"fd98::","len":64}}]})"),
            std::string::npos);
  EXPECT_EQ(std::ranges::count(verbs, "delete element address"), 1);
}

} // namespace
} // namespace orrery::pvip
