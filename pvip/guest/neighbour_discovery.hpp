#pragma once

#include "events/core/net.hpp"
#include "pvip/guest/guest_outcome.hpp"
#include "pvip/guest/token_bucket.hpp"
#include "pvip/plan/plan.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// Neighbour discovery for IPv6 (RFC 4861), a node's part of it: functions of the port and the
/// question, with no memory. `of` has an `address6`.
namespace orrery::pvip {

/// Types of ICMP (RFC 4861, section 4).
enum class neighbour_message : std::uint8_t {
  router_solicitation = 133,
  router_advertisement = 134,
  neighbour_solicitation = 135,
  neighbour_advertisement = 136,
};

/// How long a guest keeps its default route when nobody tells it any more: as long as the field can
/// say, 18 hours, so that a daemon that dies at night is mended in the morning. RFC 4861 stops
/// senders at 9000 s and lets receivers take all of it (section 4.2); RFC 8319 lets senders, too,
/// for links where routers say little.
inline constexpr std::chrono::seconds router_lifetime{65'535};

/// Between two advertisements that nobody asked for, the longest that RFC 4861 allows: a route
/// outlives 35 lost ones, and a thousand guests are told twice in four seconds.
inline constexpr std::chrono::seconds advertisement_interval{1'800};

/// How often one guest is told where neighbours are. A guest with a prefix on its link asks once
/// for each neighbour that it speaks with, and again when it has heard nothing of it for half a
/// minute; a thousand guests that all shout take as much as a few of DHCP's questions each.
inline constexpr rate neighbour_rate{.interval = std::chrono::milliseconds{20}, .burst = 128};

/// The frame that makes the node the guest's default router, to all on the link or to the guest's
/// own link-local address. The guest is told to ask DHCP for its address and all else, and of no
/// prefix: nothing but the gateway is on its link. Name servers are in it when the port has some
/// (RFC 8106).
[[nodiscard]] std::vector<std::byte> router_advertisement(const port& of, const ipv6& to);

/// The frame that tells everybody on a link that `address` is at `mac` from now on (RFC 4861,
/// 7.2.6): what knew it elsewhere corrects its table.
[[nodiscard]] std::vector<std::byte> unasked_advertisement(const mac_address& mac,
                                                           const ipv6& address);

/// What the port's node says to a frame that came from the port's guest, who asks for routers.
/// Total on any bytes. RFC 4861's delays before an answer keep many guests and routers of one link
/// apart; here is one of each.
[[nodiscard]] guest_answer answer_router_solicitation(const port& of,
                                                      std::span<const std::byte> frame);

/// The same, of a guest that asks for a neighbour, as one does that has a prefix on its link: all
/// are behind the gateway. Silent about the guest's own address, about whether an address is free,
/// and about link-local ones: the gateway's is the node's kernel's to answer, no other is reached.
[[nodiscard]] guest_answer answer_neighbour_solicitation(const port& of,
                                                         std::span<const std::byte> frame);

} // namespace orrery::pvip
