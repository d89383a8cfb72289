#pragma once

#include "pvip/apply/apply.hpp"
#include "pvip/apply/netlink_socket.hpp"
#include "pvip/apply/nft_batch.hpp"

#include <cstddef>
#include <string>
#include <vector>

/// Changes of a few ports' filters by nftables' netlink, without orrery-nft, which looks through
/// the names of all chains first, whatever the change is.
namespace orrery::pvip {

/// Messages in one transaction: those of the two largest ports. What is more is for orrery-nft,
/// whose look through all chains costs little then.
inline constexpr std::size_t messages_at_once_max = 256;

/// Whether these operations, each of which `is_of_filter`, change ports only, and few of them.
[[nodiscard]] bool are_of_few_ports(const std::vector<const operation*>& operations);

/// Such operations as one transaction. Pure.
[[nodiscard]] nft_messages messages_of(const std::string& table,
                                       const std::vector<const operation*>& operations);

/// Does such operations, all or none. `socket` is of NETLINK_NETFILTER. Blocks. Errors:
/// `driver_failed` with the kernel's words (nothing changed); `timed_out`, `io_failed` (nobody
/// knows whether it was done).
[[nodiscard]] result<void> change_by_netlink(netlink_socket& socket, const std::string& table,
                                             const std::vector<const operation*>& operations);

} // namespace orrery::pvip
