#include "events/core/net.hpp"
#include "events/core/text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace orrery {
namespace {

template <class Parse> void expect_bad(const std::vector<std::string>& texts, Parse parse) {
  for (const auto& text : texts) {
    const auto parsed = parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, error_code::invalid_argument);
    EXPECT_NE(parsed.error().text.find("want one like"), std::string::npos) << parsed.error().text;
    EXPECT_TRUE(is_utf8(parsed.error().text));
  }
}

TEST(net_parse, refuses_what_is_no_ipv4_address) {
  expect_bad({"",
              "1",
              "1.2.3",
              "1.2.3.",
              ".1.2.3.4",
              "1.2.3.4.",
              "1.2.3.4.5",
              "1.2.3.256",
              "1.2.3.-1",
              "1.2.3.+1",
              " 1.2.3.4",
              "1.2.3.4 ",
              "01.2.3.4",
              "1.2.3.00",
              "1..2.3",
              "a.b.c.d",
              "1.2.3.4/24",
              "::1",
              "4294967296.0.0.0",
              "1.2.3.99999999999999999999",
              "\xff.1.1.1",
              std::string(63, 'x') + "ä"},
             parse_ipv4);
}

TEST(net_parse, refuses_what_is_no_prefix) {
  expect_bad({"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08",
              "10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0/8", "/8", "10.0.0.0/256", "10.0.0.0/x"},
             parse_ipv4_prefix);
}

TEST(net_parse, refuses_a_prefix_with_host_bits) {
  expect_bad({"10.0.0.1/24", "10.1.0.0/8", "128.0.0.0/0", "10.0.0.3/31"}, parse_ipv4_prefix);
}

TEST(net_parse, refuses_what_is_no_ethernet_address) {
  expect_bad({"", "0a:00:00:00:10", "0a:00:00:00:10:11:12", "0a-00-00-00-10-11",
              "0a:00:00:00:10:1g", "0a:00:00:00:10:1", "0a00:00:00:10:11:", ":0a:00:00:00:10:1",
              std::string("0a:00:00:00:10:1\0", 17)},
             parse_mac);
}

TEST(net_parse, refuses_what_is_no_ipv6_address) {
  expect_bad({"", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
              "12345::", "g::", " ::1", "::1 ", "fe80::1%lo", "[::1]", "10.0.0.1", "::/64",
              std::string("::1\0", 4), std::string(63, ':')},
             parse_ipv6);
}

TEST(net_parse, refuses_what_is_no_ipv6_prefix) {
  expect_bad({"", "/", "::", "::/", "::/129", "::/-1", "::/08", "::/64 ", "/64", "2001:db8::1/64",
              "2001:db9::/31", "8000::/0", "::1/127"},
             parse_ipv6_prefix);
}

TEST(ipv6, can_be_a_hosts_that_others_reach) {
  for (const auto* text : {"2001:db8::7", "3fff::", "fd00::1", "fc00::"})
    EXPECT_TRUE(can_be_host(parse_ipv6(text).value())) << text;
  for (const auto* text : {"::", "::1", "::ffff:192.0.2.7", "fe80::1", "ff02::1", "4000::"})
    EXPECT_FALSE(can_be_host(parse_ipv6(text).value())) << text;
}

TEST(ipv6, is_the_same_after_its_text) {
  for (const auto* text : {"::", "::1", "2001:db8::17", "fe80::1", "2001:db8:0:1:1:1:1:1",
                           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
    const auto parsed = parse_ipv6(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(to_text(*parsed), text);
  }
  EXPECT_EQ(to_text(*parse_ipv6("2001:0DB8:0:0:0:0:0:17")), "2001:db8::17") << "RFC 5952";
}

TEST(ipv6_prefix, contains_what_begins_with_its_bits) {
  for (const auto* text : {"::/0", "2001:db8::/32", "2001:db8::/33", "2001:db8::17/128"}) {
    const auto parsed = parse_ipv6_prefix(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(to_text(*parsed), text);
    EXPECT_TRUE(parsed->contains(parsed->base));
  }
  const auto odd = *parse_ipv6_prefix("2001:db8:8000::/33");
  EXPECT_TRUE(odd.contains(*parse_ipv6("2001:db8:ffff::1")));
  EXPECT_FALSE(odd.contains(*parse_ipv6("2001:db8:7fff::1")));
  EXPECT_TRUE(odd.overlaps(*parse_ipv6_prefix("2001:db8::/32")));
  EXPECT_FALSE(odd.overlaps(*parse_ipv6_prefix("2001:db8::/33")));
}

TEST(ip_address, is_of_the_family_of_its_text) {
  EXPECT_EQ(*parse_ip_address("10.99.0.17"), ip_address(*parse_ipv4("10.99.0.17")));
  EXPECT_EQ(*parse_ip_address("2001:db8::17"), ip_address(*parse_ipv6("2001:db8::17")));
  EXPECT_EQ(parse_ip_address("10.99.0").error(), parse_ipv4("10.99.0").error());
  EXPECT_EQ(parse_ip_address("2001:db8").error(), parse_ipv6("2001:db8").error());
  EXPECT_EQ(to_text(*parse_ip_prefix("10.99.0.0/24")), "10.99.0.0/24");
  EXPECT_EQ(to_text(*parse_ip_prefix("2001:db8::/48")), "2001:db8::/48");
  EXPECT_EQ(parse_ip_prefix("10.99.0.1/24").error(), parse_ipv4_prefix("10.99.0.1/24").error());
  EXPECT_EQ(parse_ip_prefix("2001:db8::1/48").error(), parse_ipv6_prefix("2001:db8::1/48").error());
}

TEST(ipv4, is_the_same_after_its_text) {
  for (const auto* text : {"0.0.0.0", "10.99.0.17", "255.255.255.255", "1.20.255.0"}) {
    const auto parsed = parse_ipv4(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(to_text(*parsed), text);
  }
  EXPECT_EQ(parse_ipv4("10.0.0.1")->bits, 0x0a000001U) << "host byte order";
}

TEST(ipv4_prefix, is_the_same_after_its_text) {
  for (const auto* text : {"0.0.0.0/0", "10.99.0.0/24", "255.255.255.255/32", "128.0.0.0/1"}) {
    const auto parsed = parse_ipv4_prefix(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(to_text(*parsed), text);
  }
}

TEST(ipv4_prefix, knows_its_ends) {
  const auto prefix = *parse_ipv4_prefix("10.99.0.0/24");
  EXPECT_EQ(to_text(prefix.last()), "10.99.0.255");
  EXPECT_TRUE(prefix.contains(*parse_ipv4("10.99.0.0")));
  EXPECT_TRUE(prefix.contains(*parse_ipv4("10.99.0.255")));
  EXPECT_FALSE(prefix.contains(*parse_ipv4("10.99.1.0")));
  EXPECT_FALSE(prefix.contains(*parse_ipv4("10.98.255.255")));
  const auto everything = *parse_ipv4_prefix("0.0.0.0/0");
  EXPECT_EQ(everything.mask(), 0U);
  EXPECT_EQ(to_text(everything.last()), "255.255.255.255");
  const auto one = *parse_ipv4_prefix("10.0.0.1/32");
  EXPECT_EQ(one.mask(), 0xffffffffU);
  EXPECT_EQ(one.last(), one.base);
}

TEST(ipv4_prefix, overlaps_what_it_holds_and_what_holds_it) {
  const auto prefix = *parse_ipv4_prefix("10.99.0.0/24");
  for (const auto* other :
       {"10.99.0.0/24", "10.99.0.128/25", "10.0.0.0/8", "0.0.0.0/0", "10.99.0.255/32"}) {
    EXPECT_TRUE(prefix.overlaps(*parse_ipv4_prefix(other))) << other;
    EXPECT_TRUE(parse_ipv4_prefix(other)->overlaps(prefix)) << other;
  }
  for (const auto* other : {"10.99.1.0/24", "10.98.0.0/16", "11.0.0.0/8", "10.99.1.0/32"}) {
    EXPECT_FALSE(prefix.overlaps(*parse_ipv4_prefix(other))) << other;
    EXPECT_FALSE(parse_ipv4_prefix(other)->overlaps(prefix)) << other;
  }
}

TEST(mac_address, is_the_same_after_its_text) {
  for (const auto* text : {"00:00:00:00:00:00", "0a:1b:2c:3d:4e:5f", "ff:ff:ff:ff:ff:ff"}) {
    const auto parsed = parse_mac(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(to_text(*parsed), text);
  }
  EXPECT_EQ(*parse_mac("0A:1B:2C:3D:4E:5F"), *parse_mac("0a:1b:2c:3d:4e:5f"));
}

TEST(ipv4_range, is_read_as_it_is_written) {
  for (const auto* text : {"10.99.0.7-10.99.0.9", "10.99.0.7", "0.0.0.0-255.255.255.255"}) {
    const auto read = parse_ipv4_range(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(to_text(*read), text);
  }
  for (const auto* text : {"", "-", "10.99.0.7-", "-10.99.0.7", "10.99.0.9-10.99.0.7",
                           "10.99.0.7-10.99.0.8-10.99.0.9", "10.99.0.7 - 10.99.0.9"})
    EXPECT_FALSE(parse_ipv4_range(text)) << text;
}

TEST(ipv4_range, holds_both_ends_and_meets_what_shares_one) {
  const auto range = *parse_ipv4_range("10.0.0.4-10.0.0.6");
  EXPECT_TRUE(range.contains(*parse_ipv4("10.0.0.4")) && range.contains(*parse_ipv4("10.0.0.6")));
  EXPECT_FALSE(range.contains(*parse_ipv4("10.0.0.3")) || range.contains(*parse_ipv4("10.0.0.7")));
  for (const auto* other :
       {"10.0.0.6-10.0.0.9", "10.0.0.0-10.0.0.4", "10.0.0.5", "0.0.0.0-255.255.255.255"})
    EXPECT_TRUE(range.overlaps(*parse_ipv4_range(other))) << other;
  for (const auto* other : {"10.0.0.7-10.0.0.9", "10.0.0.0-10.0.0.3"})
    EXPECT_FALSE(range.overlaps(*parse_ipv4_range(other))) << other;
}

} // namespace
} // namespace orrery
