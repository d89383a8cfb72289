#pragma once

#include "tools/orrery/json.hpp"

#include <string>
#include <vector>

namespace orrery::cli {

/// What the API wants of labels said as KEY=VALUE (set) and KEY- (removed; no key ends with '-').
/// Throws `failure` (usage) for anything else.
[[nodiscard]] json labels_to_change(const std::vector<std::string>& said);

/// The object of labels said as KEY=VALUE, for something new. Throws as above.
[[nodiscard]] json labels_to_have(const std::vector<std::string>& said);

} // namespace orrery::cli
