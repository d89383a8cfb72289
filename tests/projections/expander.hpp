#pragma once

#include "tests/projections/histories.hpp"

#include <string>
#include <vector>

namespace orrery::projections {

/// One way that a history reached the projections, and what they were at its end.
struct way {
  std::string name;
  std::string digest;
};

/// Runs one history through every way that it may come in daily life: as it is, one commit at a
/// time, every commit twice, cut into batches of random sizes, stopped and opened again in the
/// middle (with a part repeated), rebuilt from an emptied folder, and rebuilt beside the live rows.
/// The digests must be equal.
[[nodiscard]] std::vector<way> expand(const history& commits, std::uint64_t seed);

} // namespace orrery::projections
