#include "pvip/apply/nft_chains.hpp"

#include "pvip/apply/netlink_request.hpp"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace orrery::pvip {

namespace {

/// Puts an expression or more into a rule.
using expressions = std::function<void(netlink_request&)>;

// nftables has its numbers big end first.
void put(netlink_request& to, std::uint16_t type, std::uint32_t value) {
  to.number(type, htonl(value));
}

void put_long(netlink_request& to, std::uint16_t type, std::uint64_t value) {
  const std::array big_end_first{htobe64(value)};
  to.bytes(type, std::as_bytes(std::span(big_end_first)));
}

void put_expression(netlink_request& to, const std::string& name, const expressions& fill) {
  nlattr* one = to.begin(NFTA_LIST_ELEM);
  to.text(NFTA_EXPR_NAME, name);
  nlattr* data = to.begin(NFTA_EXPR_DATA);
  fill(to);
  to.end(data);
  to.end(one);
}

void put_goto(netlink_request& to, std::string_view chain) {
  put_expression(to, "immediate", [chain](netlink_request& in) {
    put(in, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    nlattr* data = in.begin(NFTA_IMMEDIATE_DATA);
    nlattr* verdict = in.begin(NFTA_DATA_VERDICT);
    put(in, NFTA_VERDICT_CODE, static_cast<std::uint32_t>(NFT_GOTO));
    in.text(NFTA_VERDICT_CHAIN, std::string(chain));
    in.end(verdict);
    in.end(data);
  });
}

/// Whether there was more than so many bytes a second.
void put_above(netlink_request& to, std::uint64_t bytes_a_second) {
  put_expression(to, "limit", [bytes_a_second](netlink_request& in) {
    put_long(in, NFTA_LIMIT_RATE, bytes_a_second);
    put_long(in, NFTA_LIMIT_UNIT, 1); // second
    put(in, NFTA_LIMIT_BURST, static_cast<std::uint32_t>(rate_burst));
    put(in, NFTA_LIMIT_TYPE, NFT_LIMIT_PKT_BYTES);
    put(in, NFTA_LIMIT_FLAGS, NFT_LIMIT_F_INV);
  });
}

/// Whether neighbour discovery speaks of that address.
void put_is_target(netlink_request& to, const ipv6& address) {
  put_expression(to, "payload", [&address](netlink_request& in) {
    put(in, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put(in, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
    put(in, NFTA_PAYLOAD_OFFSET, target_offset_bits / 8);
    put(in, NFTA_PAYLOAD_LEN, static_cast<std::uint32_t>(address.bytes.size()));
  });
  put_expression(to, "cmp", [&address](netlink_request& in) {
    put(in, NFTA_CMP_SREG, NFT_REG_1);
    put(in, NFTA_CMP_OP, NFT_CMP_EQ);
    nlattr* data = in.begin(NFTA_CMP_DATA);
    in.bytes(NFTA_DATA_VALUE, std::as_bytes(std::span(address.bytes)));
    in.end(data);
  });
}

/// Leads frames of which `condition` is true to `target`; all when it puts nothing.
void put_rule(
    nft_batch& to, const std::string& chain, std::string_view target,
    const expressions& condition = [](netlink_request&) {}) {
  to.put(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [&](netlink_request& rule) {
    rule.text(NFTA_RULE_CHAIN, chain);
    nlattr* all = rule.begin(NFTA_RULE_EXPRESSIONS);
    condition(rule);
    put_goto(rule, target);
    rule.end(all);
  });
}

struct hook {
  std::uint32_t number = 0; ///< NF_NETDEV_…
  std::uint32_t policy = 0; ///< NF_DROP or NF_ACCEPT
};

/// Without rules, whatever stood there.
void put_empty_chain(nft_batch& to, const std::string& name, const std::string& link, hook at) {
  to.put(NFT_MSG_NEWCHAIN, NLM_F_CREATE, [&](netlink_request& chain) {
    chain.text(NFTA_CHAIN_NAME, name);
    chain.text(NFTA_CHAIN_TYPE, "filter");
    put(chain, NFTA_CHAIN_POLICY, at.policy);
    nlattr* all = chain.begin(NFTA_CHAIN_HOOK);
    put(chain, NFTA_HOOK_HOOKNUM, at.number);
    put(chain, NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(filter_priority));
    chain.text(NFTA_HOOK_DEV, link);
    chain.end(all);
  });
  to.put(NFT_MSG_DELRULE, 0,
         [&](netlink_request& all_rules) { all_rules.text(NFTA_RULE_CHAIN, name); });
}

} // namespace

void put_chains_of(nft_batch& to, const std::string& link, const port_rules& rules) {
  const std::string& in = link;
  const std::string out = link + std::string(out_chain_end);
  const auto limit = [&](const std::string& chain, std::string_view when_above) {
    if (rules.bytes_a_second_max) {
      put_rule(to, chain, when_above,
               [&](netlink_request& rule) { put_above(rule, *rules.bytes_a_second_max); });
    }
  };
  put_empty_chain(to, in, link, {.number = NF_NETDEV_INGRESS, .policy = NF_DROP});
  limit(in, too_fast_chain);
  for (const ipv6& address : rules.own) {
    put_rule(to, in, own_target_chain,
             [&](netlink_request& rule) { put_is_target(rule, address); });
  }
  put_rule(to, in, entry_chain);
  put_empty_chain(to, out, link, {.number = NF_NETDEV_EGRESS, .policy = NF_ACCEPT});
  limit(out, too_fast_to_guest_chain);
  put_rule(to, out, to_guest_chain);
}

void put_removal_of_chain(nft_batch& to, const std::string& name) {
  to.put(NFT_MSG_DELCHAIN, 0, [&](netlink_request& chain) { chain.text(NFTA_CHAIN_NAME, name); });
}

} // namespace orrery::pvip
