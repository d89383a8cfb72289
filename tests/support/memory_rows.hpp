#pragma once

#include "projections/projection.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::support {

/// The rows of one projection in memory, without a store around them.
using memory_rows = std::map<std::string, std::string, std::less<>>;

/// Changes them at once.
class memory_writer final : public projections::writer {
public:
  explicit memory_writer(memory_rows& rows) : x_rows(rows) {}

  [[nodiscard]] std::optional<std::string> find(std::string_view key) override {
    const auto found = x_rows.find(key);
    return found == x_rows.end() ? std::nullopt : std::optional(found->second);
  }

  void put(std::string key, std::string value) override {
    x_rows.insert_or_assign(std::move(key), std::move(value));
  }

  void erase(std::string key) override { x_rows.erase(key); }

private:
  memory_rows& x_rows;
};

/// Reads them, and counts the rows that it shows.
class memory_reader final : public projections::reader {
public:
  explicit memory_reader(const memory_rows& rows) : x_rows(rows) {}

  [[nodiscard]] std::optional<std::string> find(std::string_view key) const override {
    ++x_seen;
    const auto found = x_rows.find(key);
    return found == x_rows.end() ? std::nullopt : std::optional(found->second);
  }

  void scan(const projections::key_range& range, const visitor& visit) const override {
    const auto shows = [&](const auto& row) {
      ++x_seen;
      return row.first.starts_with(range.prefix) && visit(row.first, row.second);
    };
    if (range.order == projections::direction::ascending) {
      auto at =
          range.after.empty() ? x_rows.lower_bound(range.prefix) : x_rows.upper_bound(range.after);
      while (at != x_rows.end() && shows(*at))
        ++at;
      return;
    }
    auto at = range.after.empty() ? x_rows.lower_bound(range.prefix + std::string(32, '\xff'))
                                  : x_rows.lower_bound(range.after);
    while (at != x_rows.begin() && shows(*--at)) {
    }
  }

  /// Rows looked at so far.
  [[nodiscard]] std::size_t seen() const { return x_seen; }

private:
  const memory_rows& x_rows;
  mutable std::size_t x_seen = 0;
};

} // namespace orrery::support
