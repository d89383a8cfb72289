#include "projections/row_digest.hpp"

#include "projections/rows.hpp"

namespace orrery::projections {

void row_digest::add(std::string_view family, const reader& rows) {
  std::string size;
  const auto add_text = [&](std::string_view bytes) {
    size.clear();
    add_u64(size, bytes.size());
    x_hash.update(size);
    x_hash.update(bytes);
  };
  rows.scan({}, [&](std::string_view key, std::string_view value) {
    add_text(family);
    add_text(key);
    add_text(value);
    return true;
  });
}

std::string row_digest::finish() { return log::to_text(x_hash.finish()); }

} // namespace orrery::projections
