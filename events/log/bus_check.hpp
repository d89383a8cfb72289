#pragma once

#include "events/log/transport.hpp"

#include <optional>

namespace orrery::log {

/// Why a command cannot be sent, the same for every engine.
[[nodiscard]] std::optional<error> send_refusal(partition_number where, std::size_t size,
                                                std::size_t partitions);

/// Why there is no such partition to listen for.
[[nodiscard]] std::optional<error> partition_refusal(partition_number where,
                                                     std::size_t partitions);

/// Why a heartbeat cannot be posted.
[[nodiscard]] std::optional<error> post_refusal(std::size_t size);

} // namespace orrery::log
