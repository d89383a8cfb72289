#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/apply.hpp"
#include "pvip/apply/arp_announcer.hpp"
#include "pvip/apply/kernel.hpp"
#include "pvip/apply/netlink_socket.hpp"

namespace orrery::pvip {

/// `kernel::apply` in the network namespace of the thread, for all operations but the filter's
/// (`is_of_filter`), by rtnetlink, /dev/net/tun and /proc/sys. `socket` is of NETLINK_ROUTE.
/// Blocks. Errors: as there, `timed_out`, and `internal` for an operation of the filter.
[[nodiscard]] result<outcome> write_network(netlink_socket& socket, arp_announcer& announcer,
                                            const operation& what);

} // namespace orrery::pvip
