#pragma once

#include "events/core/error.hpp"

#include <cstdint>
#include <string>

namespace orrery::http {

/// Where a server listens.
struct listen_address {
  std::string host; ///< an IP address of this machine alone, without brackets
  std::uint16_t port = 0;
};

/// Reads "127.0.0.1:7480", "[::1]:0" or "localhost:0". Errors: `config_invalid` when it is no
/// address, or not one of this machine alone.
[[nodiscard]] result<listen_address> parse_listen(const std::string& listen);

} // namespace orrery::http
