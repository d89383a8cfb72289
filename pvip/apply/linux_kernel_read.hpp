#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/kernel.hpp"
#include "pvip/apply/netlink_socket.hpp"

#include <string_view>

namespace orrery::pvip {

/// What `kernel::read` promises of the network namespace of the thread, all but the filter, by
/// rtnetlink and /proc/sys. `socket` is of NETLINK_ROUTE. Blocks. Errors: `io_failed`, `timed_out`.
[[nodiscard]] result<found_state> read_network(netlink_socket& socket, std::string_view link_prefix,
                                               const reading& wanted);

} // namespace orrery::pvip
