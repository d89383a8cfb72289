#pragma once

#include "events/domain/network.hpp"

#include <cstdint>
#include <string>

namespace orrery::domain {

/// A day: as long as names and neighbours' caches usually remember. What must rest longer can be
/// reserved.
inline constexpr std::uint32_t quarantine_seconds_max = 24 * 60 * 60;

/// The longest note of a reserved range, in bytes.
inline constexpr std::size_t range_note_size_max = 100;

/// Ranges as commands and events hold them.
using address_ranges = google::protobuf::RepeatedPtrField<v1::AddressRange>;

[[nodiscard]] ipv4_range addresses_of(const v1::AddressRange& range);

/// Appends one.
void add(address_ranges& to, const ipv4_range& addresses, const std::string& note);

/// What a network decides about its addresses: who is given one, which rest, which nobody is given
/// unasked. `state` is a network that exists.
[[nodiscard]] outcome assign(const network_state& state, const uuid& self,
                             const v1::NetworkCommand::AssignAddress& command, const context& with);
[[nodiscard]] outcome release(const network_state& state,
                              const v1::NetworkCommand::ReleaseAddress& command,
                              const context& with);
[[nodiscard]] outcome reserve(const network_state& state,
                              const v1::NetworkCommand::ReserveRanges& command);
[[nodiscard]] outcome free(const network_state& state,
                           const v1::NetworkCommand::FreeRanges& command);
[[nodiscard]] outcome set_quarantine(const network_state& state, std::uint32_t seconds);

/// The events about subnets, addresses, ranges and rest; total.
void evolve_addresses(network_state& state, const v1::NetworkEvent& event);

/// Errors: `invalid_argument`.
[[nodiscard]] result<void> check_quarantine(std::uint32_t seconds);

} // namespace orrery::domain
