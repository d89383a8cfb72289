#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/apply.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Values below /proc/sys/net, of the network namespace of the thread. Calls block.
namespace orrery::pvip {

/// The first line; nothing when there is no such value. Errors: `io_failed`.
[[nodiscard]] result<std::optional<std::string>> read_setting(const std::string& path);

/// Errors: `io_failed`, also for a path that is missing and not `optional`.
[[nodiscard]] result<void> write_to_kernel(const write_setting& what);

/// `found_state::router_listeners`, sorted. Errors: `io_failed`.
[[nodiscard]] result<std::vector<std::string>> read_router_listeners();

/// With which a link answers at once for others' addresses of that family. The kernel has none that
/// would answer for more than it was given one by one: `proxy_ndp` is not like `proxy_arp`.
[[nodiscard]] std::vector<write_setting> settings_of_proxies(const std::string& link,
                                                             const ip_address& of);

} // namespace orrery::pvip
