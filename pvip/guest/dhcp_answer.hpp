#pragma once

#include "pvip/guest/token_bucket.hpp"
#include "pvip/plan/plan.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

/// What a node tells a guest that asks for its address: a function of the port and the question,
/// with no memory, so every node that has the port gives the same answer.
namespace orrery::pvip {

/// How long a guest keeps its address when nobody answers it any more: a node whose daemon is dead
/// over a long week-end loses no guest. The address is the guest's for all its life; a lease that
/// never ended would keep old name servers for ever.
inline constexpr std::chrono::hours lease_time{7 * 24};

/// After this a guest asks again, so that it hears within half a day what changed: a thousand
/// guests ask once every 43 s.
inline constexpr std::chrono::hours renewal_time{12};

/// After this it asks everybody, not this server alone: a day before the end, as by RFC 2131's
/// seven eighths.
inline constexpr std::chrono::hours rebinding_time{6 * 24};

/// How often one guest is heard. An exchange is two questions, a client asks a few times at its
/// start and every few seconds while nobody answers; so a thousand guests that all shout take
/// 4000 answers a second, a few hundredths of a processor.
inline constexpr rate dhcp_rate{.interval = std::chrono::milliseconds{250}, .burst = 16};

/// A client's name for itself: a DUID of 130 bytes with what RFC 4361 puts before it. So each
/// answer fits into the 576 bytes that every client takes.
inline constexpr std::size_t client_id_bytes_max = 135;

enum class dhcp_outcome : std::uint8_t {
  offered,      ///< answered: this is your address
  acknowledged, ///< answered: it is yours from now on; or, to one that has it, what else there is
  refused,      ///< answered: what you ask for is not yours
  nothing_due,  ///< given back or declined: no answer is due, and nothing is forgotten
  other_server, ///< speaks to another server
  foreign,      ///< not from this guest's Ethernet and IPv4 address, or about another's
  relayed,      ///< came over a relay: guests are asked by nobody else
  malformed,    ///< no question of DHCP, or one that contradicts itself
  too_many,     ///< above `dhcp_rate`; nobody looked into it
};

inline constexpr std::array<dhcp_outcome, 9> dhcp_outcomes{
    dhcp_outcome::offered,     dhcp_outcome::acknowledged, dhcp_outcome::refused,
    dhcp_outcome::nothing_due, dhcp_outcome::other_server, dhcp_outcome::foreign,
    dhcp_outcome::relayed,     dhcp_outcome::malformed,    dhcp_outcome::too_many};

[[nodiscard]] std::string_view name_of(dhcp_outcome outcome); ///< as the enumerator

/// How often each outcome was on one port, in the order of `dhcp_outcomes`.
using dhcp_counts = std::array<std::uint64_t, dhcp_outcomes.size()>;

struct dhcp_answer {
  dhcp_outcome outcome = dhcp_outcome::malformed;
  std::optional<std::vector<std::byte>> frame; ///< for the guest: whole, from Ethernet on
};

/// What the port's node says to a frame that came from the port's guest. Total on any bytes.
[[nodiscard]] dhcp_answer answer_dhcp(const port& of, std::span<const std::byte> frame);

} // namespace orrery::pvip
