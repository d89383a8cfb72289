#pragma once

#include "actors/api/body.hpp"

namespace orrery::v1 {
class NetworkCommand;
} // namespace orrery::v1

namespace orrery::actors {

/// Makes the command `set_guests` of what a body says of the settings of a network's guests: `mtu`,
/// `nameServers`, `classlessRoutes`; what it does not name is not in the command. Errors:
/// `invalid_argument` (a name server that is no address); those of the body are told by its
/// `finish`.
[[nodiscard]] result<void> read_guests(body_reader& body, v1::NetworkCommand& into);

} // namespace orrery::actors
