#pragma once

#include "events/log/sha256.hpp"
#include "projections/projection.hpp"

#include <string>
#include <string_view>

namespace orrery::projections {

/// SHA-256 over (column family, key, value) of rows in order, with their lengths, so that no two
/// sets of rows give the same bytes.
class row_digest {
public:
  /// Adds all rows of a family. Reads them from the disk; a read that fails is a `failure` of the
  /// reader.
  void add(std::string_view family, const reader& rows);

  /// In hexadecimal. Ends this object.
  [[nodiscard]] std::string finish();

private:
  log::sha256 x_hash;
};

} // namespace orrery::projections
