#pragma once

#include "pvip/guest/guest_outcome.hpp"
#include "pvip/plan/plan.hpp"

#include <cstddef>
#include <span>

/// DHCP for IPv6 (RFC 8415), a node's part of it: as dhcp_answer.hpp, with its times and its rate.
/// A function of the port and the question, with no memory: a binding is that the address is the
/// port's. The server's name is made of the gateway's Ethernet address, so it is one server on all
/// nodes.
namespace orrery::pvip {

/// The longest name of a client: a DUID with its type (RFC 8415, section 11.1).
inline constexpr std::size_t duid_bytes_max = 130;
inline constexpr std::size_t duid_bytes_min = 3;

/// Of one message: associations, and addresses in all of them. A client has one or two of each;
/// with these and the longest name an answer fits into the least MTU of IPv6.
inline constexpr std::size_t associations_max = 8;
inline constexpr std::size_t association_addresses_max = 8;

/// What the port's node says to a frame that came from the port's guest. `of` has an `address6`.
/// Total on any bytes.
///
/// One association of a question can have the address: the first that names it, else the first.
/// The others, those for temporary addresses and those for prefixes are told that there is nothing
/// for them.
[[nodiscard]] guest_answer answer_dhcp6(const port& of, std::span<const std::byte> frame);

} // namespace orrery::pvip
