#pragma once

#include "pvip/plan/plan.hpp"

#include <vector>

namespace orrery::pvip {

/// The mode "pvip": each guest has a /32 route to a tap of its own, the node answers for all else
/// (proxy ARP), and the subnet's gateway is an address of every node. `ports` were checked by
/// `plan`. The result is sorted and holds nothing twice.
[[nodiscard]] host_state plan_pvip(const std::vector<port>& ports);

} // namespace orrery::pvip
