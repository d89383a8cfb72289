#pragma once

#include "events/core/error.hpp"
#include "events/log/liveness.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace orrery::log {

/// The longest address of a process in bytes: a name of DNS has 253, and a port follows.
inline constexpr std::size_t heartbeat_address_bytes_max = 512;

/// The largest heartbeat in bytes. One that owns all 4,096 partitions has at most 51,000.
inline constexpr std::size_t heartbeat_bytes_max = 65'536;

/// The bytes of a heartbeat (`events/schema/liveness.proto`). The address must be UTF-8 within its
/// limit and `owned` ascending: both are checked where they come into the process.
[[nodiscard]] std::string encode(const heartbeat& said);

/// What `encode` wrote, of this version or another. Total: any bytes give a heartbeat or an error.
/// Errors: `too_large`, `damaged`; not retryable, to be counted and passed over.
[[nodiscard]] result<heartbeat> parse_heartbeat(std::string_view bytes);

} // namespace orrery::log
