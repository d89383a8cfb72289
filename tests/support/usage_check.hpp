#pragma once

#include "tests/support/invariants.hpp"
#include "tests/support/memory_rows.hpp"

// Whether the usage that is folded from a log misses or doubles anything.

namespace orrery::support {

/// The rows that the product's own fold makes of a history.
[[nodiscard]] memory_rows usage_rows_of(const commit_list& commits);

/// "usage_tiles_lives": from its creation to the fact that it is gone, each moment of each VM lies
/// in exactly one phase of `rows`, from which all its meters are read; phases are not empty, their
/// neighbours have other states, the times that are summed up with them are right, and there are
/// no rows of anything else.
[[nodiscard]] std::vector<violation> check_usage(const commit_list& commits,
                                                 const memory_rows& rows);

} // namespace orrery::support
