#include "pvip/apply/filter_json.hpp"
#include "pvip/plan/filter.hpp"

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
      "handle":2,"elem":[{"concat":["vp1","10.99.0.12"]},
        {"elem":{"val":{"concat":["vp1","10.99.0.11"]},"counter":{"packets":1,"bytes":60}}}]}},
    {"set":{"family":"netdev","name":"dropped","table":"orrery_vp","type":["ifname","mark"],
      "handle":3,"size":131072,"elem":[{"elem":{"val":{"concat":["vp9",1]}}}]}},
    {"chain":{"family":"netdev","table":"orrery_vp","name":"from_guest","handle":4}},
    {"chain":{"family":"netdev","table":"orrery_vp","name":"vp1","handle":9,"type":"filter",
      "hook":"ingress","prio":-500,"policy":"drop"}},
    {"rule":{"family":"netdev","table":"orrery_vp","chain":"from_guest","handle":10,
      "expr":[{"drop":null}]}},
    {"rule":{"family":"netdev","table":"orrery_vp","chain":"vp1","handle":11,
      "expr":[{"goto":{"target":"from_guest"}}]}})" +
         more + "]}";
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

TEST(pvip_filter, tables_are_told_apart_by_name_and_family) {
  EXPECT_TRUE(has_table(listing(), table).value());
  EXPECT_FALSE(has_table(listing(), "orrery_vx").value());
  EXPECT_FALSE(has_table(with(listing(), "netdev", "inet"), table).value());
}

TEST(pvip_filter, a_listing_is_read) {
  const found_filter found = must_read(listing());
  ASSERT_EQ(found.ports.size(), 1U);
  const found_port_filter& port = found.ports.begin()->second;
  EXPECT_TRUE(port.has_chain);
  EXPECT_TRUE(port.is_chain_right);
  const std::vector<filter_element> right{
      {.link = "vp1", .set = filter_set::mac, .value = "0a:00:00:00:00:01"},
      {.link = "vp1", .set = filter_set::address, .value = "10.99.0.11"},
      {.link = "vp1", .set = filter_set::address, .value = "10.99.0.12"}};
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
  EXPECT_FALSE(is_right(with(listing(), "\"prio\":", "\"dev\":\"vp2\",\"prio\":")));
  EXPECT_FALSE(is_right(with(listing(), "[{\"goto\":{\"target\":\"from_guest\"}}]", "[]")));
  const std::string second = R"(,{"rule":{"family":"netdev","table":"orrery_vp","chain":"vp1",
    "handle":11,"expr":[)";
  EXPECT_FALSE(is_right(listing(second + R"({"accept":null}]}})")));
  EXPECT_FALSE(is_right(listing(second + R"({"goto":{"target":"from_guest"}}]}})")));
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
                  .added = {{.link = "vp1", .set = filter_set::address, .value = "10.99.0.11"}},
                  .removed = {{.link = "vp1", .set = filter_set::address, .value = "10.\"99"}}};
  const operation off = unfilter_link{.link = "vp2", .has_chain = true, .removed = {}};
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
  EXPECT_EQ(std::ranges::count(verbs, "delete chain"), 2);
  EXPECT_EQ(std::ranges::count(verbs, "delete element address"), 1);
}

} // namespace
} // namespace orrery::pvip
