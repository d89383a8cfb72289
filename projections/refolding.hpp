#pragma once

#include "projections/database.hpp"
#include "projections/folded_commit.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace orrery::projections {

/// What a projection is folded again for.
enum class refold_aim : std::uint8_t {
  replace, ///< the new rows take the place of the old ones
  compare, ///< they show whether the old ones are what the log says
};

/// Rows kept in memory before they are written, in bytes: rows that change often are then written
/// once for many changes. Those of some 100,000 events.
inline constexpr std::size_t gathered_bytes_max = std::size_t{128} * 1024 * 1024;

/// One projection folded anew from the first record of its logs, into rows of its own beside those
/// that answer meanwhile. `store::begin_refolding` makes it.
///
///   replace:  apply … apply -> store::hold -> apply until it stands where the old rows do ->
///             store::replace
///   compare:  apply until `is_reached` -> digest, old_digest
///
/// One thread. What was not taken over is dropped with this object. The store must live longer.
class refolding {
public:
  /// With `old`: to be compared with those rows. `path` is for errors. Writes when so many bytes
  /// are gathered.
  refolding(const projection& fold, std::string path, std::unique_ptr<database::bulk> rows,
            std::unique_ptr<reader> old, std::size_t gathered_bytes);

  [[nodiscard]] std::string_view name() const { return x_fold.name(); }

  /// Where the new rows stand.
  [[nodiscard]] const log_positions& at() const { return x_at; }

  /// Folds commits, those of a partition in order; what stands behind the new rows is passed over,
  /// and for a comparison what stands ahead of the old ones. Writes to the disk when much is
  /// gathered. Blocks. Errors: `storage_full`, `damaged`, `io_failed`, and `log_cut` when the old
  /// rows were made of another record; this object is of no use then.
  [[nodiscard]] result<void> apply(commit_span commits);

  /// Whether the new rows stand at or behind `goal` in no partition.
  [[nodiscard]] bool is_at_least(const log_positions& goal) const;

  /// Compare only: whether the new rows stand where the old ones do.
  [[nodiscard]] bool is_reached() const { return is_at_least(x_until); }

  /// Writes what is gathered, so that little is left to `store::replace`. Blocks. Errors: as
  /// `apply`.
  [[nodiscard]] result<void> write_out();

  /// Of the new rows, which it writes out first. Reads all of them. Errors: as `apply`.
  [[nodiscard]] result<std::string> digest();

  /// Of the old rows as they were when the comparison began. Reads all of them. Errors: `damaged`,
  /// `io_failed`.
  [[nodiscard]] result<std::string> old_digest() const;

private:
  friend class store;

  const projection& x_fold;
  const std::string x_path;
  const std::unique_ptr<database::bulk> x_rows;
  const std::unique_ptr<reader> x_old; ///< compare only
  const log_positions x_until;         ///< compare only: where the old rows stand
  const std::size_t x_gathered_bytes;
  log_positions x_at;
};

} // namespace orrery::projections
