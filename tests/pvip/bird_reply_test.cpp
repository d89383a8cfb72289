#include "pvip/apply/bird_reply.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

bird_reply reply_of(std::string_view text) {
  bird_reply_reader reader;
  auto taken = reader.take(text);
  EXPECT_TRUE(taken) << taken.error().text;
  EXPECT_TRUE(taken && *taken) << "not whole";
  return taken && *taken ? **std::move(taken) : bird_reply{};
}

error refusal_of(std::string_view text) {
  bird_reply_reader reader;
  auto taken = reader.take(text);
  EXPECT_FALSE(taken);
  return taken ? error{} : taken.error();
}

constexpr std::string_view protocols =
    "2002-Name       Proto      Table      State  Since         Info\n"
    "1002-device1    Device     ---        up     02:28:49      \n"
    " orrery_kernel Kernel     master4    up     02:28:49      \n"
    "+and a word out of turn\n"
    " orrery_bgp_192_0_2_1 BGP        ---        up     2026-11-30    Established   \n"
    " orrery_bgp6_2001_db8__1 BGP        ---        up     02:28:49      Established   \n"
    " orrery_bgp_192_0_2_9 BGP        ---        start  02:28:49      Active        Socket: No "
    "route to host\n"
    "0000 \n";

TEST(pvip_bird_reply, lines_have_the_number_of_the_one_before) {
  const bird_reply reply = reply_of("1000-BIRD 2.0.12\n1011-Router ID\n Hostname\n0013 up\n");
  const bird_reply expected{{.code = 1000, .text = "BIRD 2.0.12"},
                            {.code = 1011, .text = "Router ID"},
                            {.code = 1011, .text = "Hostname"},
                            {.code = 13, .text = "up"}};
  EXPECT_EQ(reply, expected);
}

TEST(pvip_bird_reply, pieces_of_any_size_make_the_same_reply) {
  const bird_reply whole = reply_of(protocols);
  for (std::size_t size = 1; size < protocols.size(); ++size) {
    bird_reply_reader reader;
    std::optional<bird_reply> got;
    for (std::size_t at = 0; at < protocols.size(); at += size) {
      EXPECT_FALSE(got);
      auto taken = reader.take(protocols.substr(at, size));
      ASSERT_TRUE(taken) << taken.error().text;
      got = *std::move(taken);
    }
    EXPECT_EQ(got, whole) << size;
  }
}

TEST(pvip_bird_reply, what_has_no_number_is_damaged) {
  for (const std::string_view bad :
       {"\n", "hello\n", "12\n", "0000\n", "00a0 x\n", "0000+x\n", " first\n", "-001 x\n"}) {
    EXPECT_EQ(refusal_of(bad).code, error_code::damaged) << bad;
  }
  EXPECT_EQ(refusal_of("0000 \n0000 \n").code, error_code::damaged);
}

TEST(pvip_bird_reply, what_is_too_long_is_refused) {
  const std::string line(bird_reply_reader::line_bytes_max + 1, 'x');
  EXPECT_EQ(refusal_of(line).code, error_code::too_large);
  std::string lines = "1000-x\n";
  for (std::size_t n = 1; n < bird_reply_reader::lines_max; ++n) {
    lines += " x\n";
  }
  bird_reply_reader reader;
  EXPECT_TRUE(reader.take(lines));
  EXPECT_EQ(refusal_of(lines + "0000 \n").code, error_code::too_large);
}

TEST(pvip_bird_reply, neighbours_of_bgp_are_those_that_are_wanted) {
  const bgp_upstream wanted{.as = 1,
                            .neighbours = {{.address = ipv4{0xc0000209U}, .password = {}},
                                           {.address = ipv4{0xc0000201U}, .password = {}},
                                           {.address = ipv4{0xc0000203U}, .password = {}}}};
  const std::vector<neighbour_state> expected{
      {.address = ipv4{0xc0000201U}, .established = true, .info = "Established"},
      {.address = ipv4{0xc0000203U}, .established = false, .info = "BIRD does not have it"},
      {.address = ipv4{0xc0000209U},
       .established = false,
       .info = "Active Socket: No route to host"}};
  EXPECT_EQ(read_bgp_neighbours(reply_of(protocols), wanted), expected);
}

TEST(pvip_bird_reply, neighbours_of_before_are_those_in_protocols_that_we_name) {
  const std::vector<neighbour_state> expected{
      {.address = ipv4{0xc0000201U}, .established = true, .info = "Established"},
      {.address = ipv4{0xc0000209U},
       .established = false,
       .info = "Active Socket: No route to host"},
      {.address = parse_ipv6("2001:db8::1").value(), .established = true, .info = "Established"}};
  EXPECT_EQ(read_bgp_neighbours(reply_of(protocols)), expected);
}

TEST(pvip_bird_reply, neighbours_of_ospf_are_those_that_are_there) {
  const bird_reply reply =
      reply_of("1013-orrery_ospf:\n"
               " Router ID   \tPri\t     State     \tDTime\tInterface  Router IP\n"
               " 192.0.2.12  \t  0\t2-Way/Other\t 3.2\tup0        192.0.2.12\n"
               " 192.0.2.1   \t  1\tFull/DR   \t 3.453\tup0        192.0.2.1\n"
               " 192.0.2.2   \t  1\tExStart/BDR\t 3.4\tup0        192.0.2.2\n"
               " 192.0.2.3   \t  1\tFull/PtP  \t 3.4\tup0        fe80::5\n"
               " a line cut\n"
               "0000 \n");
  const std::vector<neighbour_state> expected{
      {.address = ipv4{0xc0000201U}, .established = true, .info = "Full/DR"},
      {.address = ipv4{0xc0000202U}, .established = false, .info = "ExStart/BDR"},
      {.address = ipv4{0xc000020cU}, .established = true, .info = "2-Way/Other"},
      {.address = parse_ipv6("fe80::5").value(), .established = true, .info = "Full/PtP"}};
  EXPECT_EQ(read_ospf_neighbours(reply), expected);
}

} // namespace
} // namespace orrery::pvip
