#pragma once

#include "events/core/guest_port.hpp"
#include "events/domain/types.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orrery::domain {

// What all guests of a network are told beside their addresses; part of the network.

/// Errors: `invalid_argument`. `has_ipv6`: whether its guests have IPv6 addresses.
[[nodiscard]] result<void> check_guests(const v1::GuestSettings& guests, bool has_ipv6);

/// `before` with what `change` says.
[[nodiscard]] v1::GuestSettings changed(const v1::GuestSettings& before,
                                        const v1::NetworkCommand::SetGuests& change);

/// As guests are told it: `guest_mtu_min` to `guest_mtu`.
[[nodiscard]] std::uint16_t mtu_of(const v1::GuestSettings& guests);

[[nodiscard]] std::vector<ipv4> name_servers_of(const v1::GuestSettings& guests);
[[nodiscard]] std::vector<ipv6> name_servers6_of(const v1::GuestSettings& guests);

/// As people write them, those of IPv4 in front.
[[nodiscard]] std::vector<std::string> name_server_texts(const v1::GuestSettings& guests);

/// Appends one, in the list of its family.
void add(v1::NetworkCommand::SetGuests::NameServers& to, const ip_address& server);

} // namespace orrery::domain
