#include "pvip/apply/nft_change.hpp"

#include "pvip/apply/netlink_request.hpp"
#include "pvip/apply/nft_chains.hpp"
#include "pvip/apply/nft_elements.hpp"

#include <net/if.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <variant>

namespace orrery::pvip {

namespace {

/// Beside those of own addresses: for each of two chains its removal, itself, its emptying, a limit
/// and where it leads.
constexpr std::size_t messages_of_chains = 10;

std::size_t count_of(const std::vector<filter_element>& elements) {
  return static_cast<std::size_t>(std::ranges::count_if(
      elements, [](const filter_element& each) { return is_of_a_set(each.set); }));
}

/// That has a filter or had one; nothing when the operation is of the table.
std::optional<std::string> link_of(const operation& what) {
  if (const auto* on = std::get_if<filter_link>(&what)) {
    return on->link;
  }
  const auto* off = std::get_if<unfilter_link>(&what);
  return off != nullptr ? std::optional(off->link) : std::nullopt;
}

/// Of somebody's chain, whose name is longer than a link's, nothing was counted.
std::span<const drop_reason> counted_reasons(const unfilter_link& off) {
  return std::span(drop_reasons).first(off.link.size() < IFNAMSIZ ? drop_reasons.size() : 0);
}

/// At most, and 0 only of nothing.
std::size_t message_count(const operation& what) {
  if (const auto* off = std::get_if<unfilter_link>(&what)) {
    return count_of(off->removed) + (off->has_chain ? 1 : 0) + (off->has_out_chain ? 1 : 0) +
           2 * counted_reasons(*off).size();
  }
  const auto& on = std::get<filter_link>(what);
  return count_of(on.added) + count_of(on.removed) +
         (on.chain ? messages_of_chains + on.rules.own.size() : 0);
}

void put_removal_of_chains(nft_batch& to, const std::string& link, bool in, bool out) {
  if (in) {
    put_removal_of_chain(to, link);
  }
  if (out) {
    put_removal_of_chain(to, link + std::string(out_chain_end));
  }
}

void put_chains(nft_batch& to, const operation& what) {
  if (const auto* off = std::get_if<unfilter_link>(&what)) {
    put_removal_of_chains(to, off->link, off->has_chain, off->has_out_chain);
  } else if (const auto& on = std::get<filter_link>(what); on.chain) {
    put_removal_of_chains(to, on.link, on.is_chain_taken, on.is_out_chain_taken);
    put_chains_of(to, on.link, on.rules);
  }
}

void put_elements(nft_batch& to, element_change change, const std::vector<filter_element>& all) {
  for (const filter_element& element : all) {
    put_element(to, change, element);
  }
}

void put_added(nft_batch& to, const operation& what) {
  if (const auto* on = std::get_if<filter_link>(&what)) {
    put_elements(to, element_change::added, on->added);
    return;
  }
  // So that removing a counter that was never needed cannot fail.
  const auto& off = std::get<unfilter_link>(what);
  for (const drop_reason reason : counted_reasons(off)) {
    put_drop_counter(to, element_change::added, off.link, reason);
  }
}

void put_removed(nft_batch& to, const operation& what) {
  if (const auto* on = std::get_if<filter_link>(&what)) {
    put_elements(to, element_change::removed, on->removed);
    return;
  }
  const auto& off = std::get<unfilter_link>(what);
  put_elements(to, element_change::removed, off.removed);
  for (const drop_reason reason : counted_reasons(off)) {
    put_drop_counter(to, element_change::removed, off.link, reason);
  }
}

} // namespace

bool are_of_few_ports(const std::vector<const operation*>& operations) {
  std::size_t count = 0;
  for (const operation* each : operations) {
    const auto link = link_of(*each);
    if (!link) {
      return false;
    }
    count += message_count(*each);
    if (count > messages_at_once_max) {
      return false;
    }
  }
  return count > 0;
}

nft_messages messages_of(const std::string& table,
                         const std::vector<const operation*>& operations) {
  nft_batch all(table);
  for (const auto part : {put_chains, put_added, put_removed}) {
    for (const operation* each : operations) {
      part(all, *each);
    }
  }
  return std::move(all).end();
}

result<void> change_by_netlink(netlink_socket& socket, const std::string& table,
                               const std::vector<const operation*>& operations) {
  nft_messages messages = messages_of(table, operations);
  const auto ending = socket.ask_together(messages.bytes, messages.last);
  if (!ending) {
    return ending.error();
  }
  if (ending->code != 0) {
    std::string what =
        "nftables refuses the change of the filter of " + link_of(*operations.front()).value();
    if (operations.size() > 1) {
      what += " or of one of " + std::to_string(operations.size() - 1) + " more";
    }
    error refusal = netlink_refusal(what, *ending);
    refusal.code = error_code::driver_failed;
    return refusal;
  }
  return {};
}

} // namespace orrery::pvip
