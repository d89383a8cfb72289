#pragma once

#include "pvip/apply/host_network.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace orrery::pvip {

/// Whether the simulated guest behind `wanted` answers within `patience`; called without any lock
/// of ours held, perhaps from several threads.
using answer_rule = std::function<bool(const port& wanted, std::chrono::milliseconds patience)>;

/// A node's network in memory, for the simulated kind of hypervisor: the same plan, the same
/// differences, the same refusals as `host_network::open`, no kernel. `answers_arp` asks
/// `answers` for ports that exist. For any thread.
[[nodiscard]] std::unique_ptr<host_network> make_simulated_host_network(std::string link_prefix,
                                                                        answer_rule answers);

} // namespace orrery::pvip
