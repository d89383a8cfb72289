#pragma once

#include "events/domain/types.hpp"

namespace orrery::actors {

/// The capability table as decisions read it: the one place where `drivers` and `events/domain`
/// meet.
[[nodiscard]] domain::kind_policies make_policies();

} // namespace orrery::actors
