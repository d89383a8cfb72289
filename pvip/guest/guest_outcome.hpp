#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

/// What becomes of a guest's questions, whichever of its node's services they are for.
namespace orrery::pvip {

enum class guest_service : std::uint8_t {
  dhcp,      ///< DHCP for IPv4
  dhcp6,     ///< DHCP for IPv6
  router,    ///< who routes IPv6 (router solicitations)
  neighbour, ///< where an IPv6 neighbour is (neighbour solicitations)
};

inline constexpr std::array<guest_service, 4> all_guest_services{
    guest_service::dhcp, guest_service::dhcp6, guest_service::router, guest_service::neighbour};

[[nodiscard]] std::string_view name_of(guest_service service); ///< as the enumerator

enum class guest_outcome : std::uint8_t {
  offered,      ///< DHCP answered: this is your address
  acknowledged, ///< DHCP answered: it is yours from now on; or, to one that has it, what else
                ///< there is
  answered,     ///< told who routes, or where a neighbour is
  refused,      ///< DHCP answered: what you ask for is not yours
  nothing_due,  ///< no answer is due, and nothing is forgotten: given back or declined by DHCP for
                ///< IPv4; a neighbour that speaks for itself
  other_server, ///< speaks to another server, or another router
  foreign,      ///< not from this guest's Ethernet and IP address, or about another's
  relayed,      ///< came over a relay: guests are asked by nobody else
  malformed,    ///< no question, or one that contradicts itself
  too_many,     ///< above the service's rate; nobody looked into it
};

inline constexpr std::array<guest_outcome, 10> guest_outcomes{
    guest_outcome::offered, guest_outcome::acknowledged, guest_outcome::answered,
    guest_outcome::refused, guest_outcome::nothing_due,  guest_outcome::other_server,
    guest_outcome::foreign, guest_outcome::relayed,      guest_outcome::malformed,
    guest_outcome::too_many};

[[nodiscard]] std::string_view name_of(guest_outcome outcome); ///< as the enumerator

/// How often each outcome was, in the order of `guest_outcomes`; of one port and service.
using outcome_counts = std::array<std::uint64_t, guest_outcomes.size()>;

/// Of one port: by service, in the order of `all_guest_services`.
using guest_counts = std::array<outcome_counts, all_guest_services.size()>;

struct guest_answer {
  guest_outcome outcome = guest_outcome::malformed;
  std::optional<std::vector<std::byte>> frame; ///< for the guest: whole, from Ethernet on
};

/// No answer, and why.
[[nodiscard]] inline guest_answer silence(guest_outcome why) {
  return {.outcome = why, .frame = std::nullopt};
}

} // namespace orrery::pvip
