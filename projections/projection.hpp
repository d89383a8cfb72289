#pragma once

#include "events/core/error.hpp"
#include "projections/folded_commit.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::projections {

// A projection is a fold of the accepted commits into rows of one column family. The first byte of
// a key is its prefix; each projection names its own in one enum, from 1 on. Prefix 0 is the
// store's:
//
//   00 "position" partition (2)  ->  seq (8, big endian) head (32)
//   00 "version"                 ->  version (4, big endian)

/// The rows of one column family while a batch is folded: what is stored, under what the batch has
/// changed so far. One thread. Nothing is written before the whole batch was folded, and each
/// changed row once.
class writer {
public:
  writer() = default;
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;
  virtual ~writer() = default;

  /// The value now; nothing when there is no such row. May read from the disk. A read that failed
  /// gives nothing and fails the whole batch, so no projection needs to look.
  [[nodiscard]] virtual std::optional<std::string> find(std::string_view key) = 0;

  virtual void put(std::string key, std::string value) = 0;

  virtual void erase(std::string key) = 0;
};

enum class direction : std::uint8_t { ascending, descending };

/// The keys that begin with `prefix`, from behind `after` (empty: from the beginning or end).
struct key_range {
  std::string prefix;
  std::string after;
  direction order = direction::ascending;
};

/// The rows of one column family at one moment. One thread for each reader. Reads that fail give
/// nothing and leave a `failure`: whoever answers a question looks at it once, at the end.
class reader {
public:
  /// Looks at one row; false ends the scan. Both views are valid during the call only.
  using visitor = std::function<bool(std::string_view key, std::string_view value)>;

  reader() = default;
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;
  virtual ~reader() = default;

  /// May read from the disk.
  [[nodiscard]] virtual std::optional<std::string> find(std::string_view key) const = 0;

  /// Visits the rows of a range in order. May read from the disk.
  virtual void scan(const key_range& range, const visitor& visit) const = 0;

  [[nodiscard]] const std::optional<error>& failure() const { return x_failure; }

  /// Notes the first failure: of a read, or a row that makes no sense.
  void fail(error what) const {
    if (!x_failure)
      x_failure = std::move(what);
  }

private:
  mutable std::optional<error> x_failure;
};

/// One projection. Stateless: everything that it knows is in its rows.
class projection {
public:
  projection() = default;
  projection(const projection&) = delete;
  projection& operator=(const projection&) = delete;
  virtual ~projection() = default;

  /// Also the name of its column family. Never changes.
  [[nodiscard]] virtual std::string_view name() const = 0;

  /// Raised with every change of what the rows hold: the store then drops the rows, and they are
  /// folded again.
  [[nodiscard]] virtual std::uint32_t version() const = 0;

  /// Folds commits into the rows: a function of both, with no clock, no random number and no
  /// outside call. Total: an event that makes no sense changes nothing. The store gives each commit
  /// once, those of a partition in order, as many at a time as wait; the rows are the same however
  /// they are cut and however the partitions are mixed.
  virtual void apply(commit_span commits, writer& rows) const = 0;
};

using projection_list = std::vector<std::unique_ptr<const projection>>;

/// Every projection of the product, in the order of their names.
[[nodiscard]] projection_list all_projections();

} // namespace orrery::projections
