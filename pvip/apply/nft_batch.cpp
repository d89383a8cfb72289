#include "pvip/apply/nft_batch.hpp"

#include "events/core/check.hpp"
#include "pvip/apply/netlink_request.hpp"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <utility>

namespace orrery::pvip {

namespace {

/// The table's name has one number in each kind of change.
constexpr std::uint16_t table_attribute = NFTA_CHAIN_TABLE;
static_assert(table_attribute == NFTA_RULE_TABLE && table_attribute == NFTA_SET_ELEM_LIST_TABLE);

} // namespace

nft_batch::nft_batch(std::string table) : x_table(std::move(table)) {
  put_edge(NFNL_MSG_BATCH_BEGIN);
}

void nft_batch::put(int message, int flags, const std::function<void(netlink_request&)>& fill) {
  netlink_request change(static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | message),
                         NLM_F_REQUEST | flags);
  change.body<nfgenmsg>().nfgen_family = NFPROTO_NETDEV;
  change.text(table_attribute, x_table);
  fill(change);
  x_made.last = x_made.bytes.size();
  append(change.message());
}

nft_messages nft_batch::end() && {
  ORRERY_CHECK(x_made.last > 0);
  put_edge(NFNL_MSG_BATCH_END);
  return std::move(x_made);
}

void nft_batch::put_edge(std::uint16_t type) {
  netlink_request edge(type, NLM_F_REQUEST);
  edge.body<nfgenmsg>().res_id = htons(NFNL_SUBSYS_NFTABLES);
  append(edge.message());
}

void nft_batch::append(std::span<const std::byte> message) {
  x_made.bytes.insert(x_made.bytes.end(), message.begin(), message.end());
}

} // namespace orrery::pvip
