#pragma once

#include "pvip/apply/nft_batch.hpp"
#include "pvip/plan/filter.hpp"

#include <cstdint>
#include <string>

/// Elements of the filter's sets in nftables' netlink. Pure.
namespace orrery::pvip {

enum class element_change : std::uint8_t { added, removed };

/// One element; nothing of those that are no set's but rules of the port's chains.
void put_element(nft_batch& to, element_change change, const filter_element& element);

/// The counter of what died of the link's frames for that reason.
void put_drop_counter(nft_batch& to, element_change change, const std::string& link,
                      drop_reason reason);

} // namespace orrery::pvip
