#pragma once

#include "events/core/error.hpp"
#include "pvip/upstream/upstream.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace orrery::pvip {

/// The names of the OSPF protocols in `bird_config`, of version 2 and 3.
inline constexpr std::string_view ospf_protocol_name = "orrery_ospf";
inline constexpr std::string_view ospf6_protocol_name = "orrery_ospf6";

/// The name of a neighbour's protocol in `bird_config`: "orrery_bgp_192_0_2_1",
/// "orrery_bgp6_2001_db8__1".
[[nodiscard]] std::string bgp_protocol_name(const ip_address& neighbour);

/// Whose protocol has that name; nothing for what is none of a neighbour's.
[[nodiscard]] std::optional<ip_address> bgp_neighbour_in_name(std::string_view protocol);

/// The whole configuration of a node's BIRD 2.0.12, with its passwords: a function of the settings
/// alone. Guests never stand in it: BIRD learns their routes, and those to what is behind them,
/// from the kernel, by `route_protocol` and no others, none shorter than `routed_prefix_bits_min`,
/// and announces what it learned there and nothing else. It listens on the own addresses alone.
/// Errors: those of `check`; `invalid_argument` without the own addresses that it takes.
[[nodiscard]] result<std::string> bird_config(const routed_upstream& settings);

} // namespace orrery::pvip
