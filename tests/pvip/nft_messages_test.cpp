#include "pvip/apply/nft_change.hpp"
#include "tests/pvip/ports.hpp"

#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::pvip {
namespace {

/// As nft 1.0.6 sends it: `add chain`, `flush chain` and `add rule` of each chain, in one file.
constexpr std::array<std::string_view, 11> chains_of_nft{
    // a begin
    "140000001000010000000000000000000000000a",
    // the chain of what comes from the guest
    "74000000030a01040000000000000000050000000e0001006f72726572795f76700000001100030076703030"
    "3030303030303031000000000b00070066696c74657200000800050000000000280004800800010000000000"
    "08000200fffffe0c1100030076703030303030303030303100000000",
    // no rules in it
    "38000000080a01000000000000000000050000000e0001006f72726572795f76700000001100020076703030"
    "303030303030303100000000",
    // above the limit
    "c8000000060a010c0000000000000000050000000e0001006f72726572795f76700000001100020076703030"
    "30303030303030310000000090000480440001800a0001006c696d6974000000340002800c00010000000000"
    "009896800c000200000000000000000108000300000100000800040000000001080005000000000148000180"
    "0e000100696d6d656469617465000000340002800800010000000000280002802400028008000100fffffffc"
    "18000200746f6f5f666173745f66726f6d5f677565737400",
    // neighbour discovery of its own address
    "ec000000060a010c0000000000000000050000000e0001006f72726572795f76700000001100020076703030"
    "303030303030303100000000b4000480340001800c0001007061796c6f616400240002800800010000000001"
    "0800020000000002080003000000000808000400000000103800018008000100636d70002c00028008000100"
    "0000000108000200000000001800038014000100fd990000000000000000000000000001440001800e000100"
    "696d6d656469617465000000300002800800010000000000240002802000028008000100fffffffc13000200"
    "66726f6d5f67756573745f6f776e0000",
    // all else
    "7c000000060a010c0000000000000000050000000e0001006f72726572795f76700000001100020076703030"
    "30303030303030310000000044000480400001800e000100696d6d6564696174650000002c00028008000100"
    "00000000200002801c00028008000100fffffffc0f00020066726f6d5f67756573740000",
    // the chain of what goes to the guest
    "78000000030a01040000000000000000050000000e0001006f72726572795f76700000001500030076703030"
    "30303030303030315f6f7574000000000b00070066696c746572000008000500000000012800048008000100"
    "0000000108000200fffffe0c1100030076703030303030303030303100000000",
    // no rules in it
    "3c000000080a01000000000000000000050000000e0001006f72726572795f76700000001500020076703030"
    "30303030303030315f6f757400000000",
    // above the limit
    "cc000000060a010c0000000000000000050000000e0001006f72726572795f76700000001500020076703030"
    "30303030303030315f6f75740000000090000480440001800a0001006c696d6974000000340002800c000100"
    "00000000009896800c0002000000000000000001080003000001000008000400000000010800050000000001"
    "480001800e000100696d6d656469617465000000340002800800010000000000280002802400028008000100"
    "fffffffc16000200746f6f5f666173745f746f5f6775657374000000",
    // all else
    "80000000060a010c0000000000000000050000000e0001006f72726572795f76700000001500020076703030"
    "30303030303030315f6f75740000000044000480400001800e000100696d6d6564696174650000002c000280"
    "0800010000000000200002801c00028008000100fffffffc0d000200746f5f677565737400000000",
    // an end
    "140000001100010000000000000000000000000a",
};

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte each : bytes) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", std::to_integer<unsigned>(each));
    text += digits.data();
  }
  return text;
}

/// One behind the other, as the kernel takes them.
std::vector<std::span<const std::byte>> taken_apart(const nft_messages& all) {
  std::vector<std::span<const std::byte>> messages;
  std::span<const std::byte> rest(all.bytes);
  while (rest.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header{};
    std::memcpy(&header, rest.data(), sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > rest.size()) {
      break;
    }
    messages.push_back(rest.first(header.nlmsg_len));
    rest = rest.subspan(header.nlmsg_len);
  }
  EXPECT_TRUE(rest.empty());
  return messages;
}

/// NFT_MSG_…, or of the begin and the end NFNL_MSG_….
std::vector<int> kinds_of(const nft_messages& all) {
  std::vector<int> kinds;
  for (const auto message : taken_apart(all)) {
    nlmsghdr header{};
    std::memcpy(&header, message.data(), sizeof(header));
    kinds.push_back(header.nlmsg_type & 0xff);
  }
  return kinds;
}

nft_messages made_of(const operation& what) { return messages_of("orrery_vp", {&what}); }

filter_link limited_link() {
  filter_link on;
  on.link = port_number(1).link;
  on.chain = true;
  on.rules = {.own = {*port6_number(1).address6}, .bytes_a_second_max = 10'000'000};
  return on;
}

filter_element element_of(filter_set set, const std::string& value) {
  return {.link = port_number(1).link, .set = set, .value = value};
}

TEST(pvip_nft_messages, chains_and_rules_are_those_that_nft_sends) {
  const nft_messages all = made_of(limited_link());
  const auto messages = taken_apart(all);
  ASSERT_EQ(messages.size(), chains_of_nft.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(hex_of(messages[i]), chains_of_nft[i]) << "message " << i;
  }
  EXPECT_EQ(all.bytes.data() + all.last, messages[messages.size() - 2].data());
}

TEST(pvip_nft_messages, of_a_prefix_the_first_and_the_last_address_are_named) {
  constexpr std::string_view link = "76703030303030303030303100000000";
  const auto said = [&](filter_set set, const std::string& value) {
    filter_link on;
    on.link = port_number(1).link;
    on.added = {element_of(set, value)};
    return hex_of(made_of(on).bytes);
  };
  const auto expect = [&](const std::string& message, std::string_view first,
                          std::string_view last) {
    for (const auto address : {first, last}) {
      EXPECT_NE(message.find(std::string(link) + std::string(address)), std::string::npos)
          << address << " not in " << message;
    }
  };
  expect(said(filter_set::prefix, "10.1.16.0/20"), "0a011000", "0a011fff");
  expect(said(filter_set::received_prefix, "10.1.2.3/32"), "0a010203", "0a010203");
  expect(said(filter_set::prefix6, "fd99:8000::/18"), "fd998000000000000000000000000000",
         "fd99bfffffffffffffffffffffffffff");
}

TEST(pvip_nft_messages, what_goes_stands_behind_what_comes_and_chains_before_elements) {
  filter_link on = limited_link();
  on.rules = {};
  on.is_chain_taken = true;
  on.is_out_chain_taken = true;
  on.added = {element_of(filter_set::mac, "0a:00:00:00:00:01"),
              element_of(filter_set::target6, "fd99::1"), element_of(filter_set::rate, "1")};
  on.removed = {element_of(filter_set::address, "10.99.0.12")};
  EXPECT_EQ(kinds_of(made_of(on)),
            (std::vector<int>{NLMSG_MIN_TYPE, NFT_MSG_DELCHAIN, NFT_MSG_DELCHAIN, NFT_MSG_NEWCHAIN,
                              NFT_MSG_DELRULE, NFT_MSG_NEWRULE, NFT_MSG_NEWCHAIN, NFT_MSG_DELRULE,
                              NFT_MSG_NEWRULE, NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM,
                              NLMSG_MIN_TYPE + 1}));
  unfilter_link off{
      .link = on.link, .has_chain = true, .has_out_chain = false, .removed = on.added};
  const std::vector<int> gone = kinds_of(made_of(off));
  const auto reasons = static_cast<std::ptrdiff_t>(drop_reasons.size());
  EXPECT_EQ(std::ranges::count(gone, NFT_MSG_DELCHAIN), 1);
  EXPECT_EQ(std::ranges::count(gone, NFT_MSG_NEWSETELEM), reasons);
  EXPECT_EQ(std::ranges::count(gone, NFT_MSG_DELSETELEM), reasons + 1);
  EXPECT_EQ(gone.size(), 2 + 1 + 2 * drop_reasons.size() + 1);
}

TEST(pvip_nft_messages, the_table_and_many_ports_are_not_for_netlink) {
  const auto is_one = [](const operation& what) { return are_of_few_ports({&what}); };
  const auto elements = [](std::size_t count, filter_set set, const std::string& value) {
    filter_link on;
    on.added = std::vector<filter_element>(count, element_of(set, value));
    return on;
  };
  EXPECT_TRUE(is_one(elements(1, filter_set::address, "10.99.0.77")));
  EXPECT_TRUE(is_one(elements(1, filter_set::prefix, "10.0.0.0/8")));
  EXPECT_TRUE(is_one(limited_link()));
  EXPECT_TRUE(is_one(unfilter_link{.link = "vp1", .removed = {}}));
  EXPECT_FALSE(is_one(elements(0, filter_set::address, "")));
  EXPECT_FALSE(is_one(elements(1, filter_set::rate, "1000"))); // a rule without its chain
  EXPECT_TRUE(is_one(elements(messages_at_once_max, filter_set::address, "10.99.0.77")));
  EXPECT_FALSE(is_one(elements(messages_at_once_max + 1, filter_set::address, "10.99.0.77")));
  EXPECT_FALSE(is_one(unfilter_link{.link = "no_name_of_a_link_is_so_long", .removed = {}}));
  EXPECT_FALSE(is_one(make_filter{}));
  EXPECT_FALSE(is_one(remove_filter{}));
  const operation on = limited_link();
  const operation base = make_filter{};
  EXPECT_FALSE(are_of_few_ports({&on, &base}));
  const std::vector<const operation*> many(messages_at_once_max, &on);
  EXPECT_FALSE(are_of_few_ports(many));
}

TEST(pvip_nft_messages, two_of_the_largest_ports_go_at_once) {
  port largest = port6_number(1);
  for (std::size_t i = 0; i < more_addresses_max; ++i) {
    ipv6 more = *largest.address6;
    more.bytes[3] = static_cast<std::uint8_t>(i + 1);
    largest.more_addresses.push_back(more);
  }
  for (std::size_t i = 0; i < routed_prefixes_max; ++i) {
    largest.routed_prefixes.push_back(
        {ipv4{0x0a000000U | static_cast<std::uint32_t>(i) << 8U}, 24});
  }
  largest.bits_a_second_max = guest_rate_max;
  const auto wanted = plan({largest});
  ASSERT_TRUE(wanted) << wanted.error().text;
  const operation off = unfilter_link{
      .link = largest.link, .has_chain = true, .has_out_chain = true, .removed = wanted->filter};
  EXPECT_TRUE(are_of_few_ports({&off, &off}));
}

} // namespace
} // namespace orrery::pvip
