#pragma once

#include "pvip/apply/nft_batch.hpp"
#include "pvip/plan/filter.hpp"

#include <string>

/// The two chains of a port in nftables' netlink. Pure.
namespace orrery::pvip {

/// The same chains and rules as `filter_chains_of` has in nftables' JSON.
void put_chains_of(nft_batch& to, const std::string& link, const port_rules& rules);

/// The chain goes with its rules.
void put_removal_of_chain(nft_batch& to, const std::string& name);

} // namespace orrery::pvip
