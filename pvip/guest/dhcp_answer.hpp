#pragma once

#include "pvip/guest/guest_outcome.hpp"
#include "pvip/guest/token_bucket.hpp"
#include "pvip/plan/plan.hpp"

#include <chrono>
#include <cstddef>
#include <span>

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

/// What the port's node says to a frame that came from the port's guest. Total on any bytes.
[[nodiscard]] guest_answer answer_dhcp(const port& of, std::span<const std::byte> frame);

} // namespace orrery::pvip
