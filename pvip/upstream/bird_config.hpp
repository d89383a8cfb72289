#pragma once

#include "events/core/error.hpp"
#include "pvip/upstream/upstream.hpp"

#include <string>
#include <string_view>

namespace orrery::pvip {

/// The name of the one OSPF protocol in `bird_config`.
inline constexpr std::string_view ospf_protocol_name = "orrery_ospf";

/// The name of a neighbour's protocol in `bird_config`: "orrery_bgp_192_0_2_1".
[[nodiscard]] std::string bgp_protocol_name(ipv4 neighbour);

/// The whole configuration of a node's BIRD 2.0.12, with its passwords: a function of the settings
/// alone. Guests never stand in it: BIRD learns their routes from the kernel, those to a single
/// address with `route_protocol` and no others, and announces what it learned there and nothing
/// else. Errors: those of `check`.
[[nodiscard]] result<std::string> bird_config(const routed_upstream& settings);

} // namespace orrery::pvip
