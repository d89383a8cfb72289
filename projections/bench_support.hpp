#pragma once

#include "projections/projection.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What the bench needs of RocksDB alone, without its headers: the least that writing the rows of
/// the projections must cost. Not part of orreryd.
namespace orrery::projections {

/// Rows of one family in the order of their keys; without a value: such a row goes.
using family_rows = std::vector<std::pair<std::string, std::optional<std::string>>>;

/// What one write changes in each family, in the order of `all_projections`.
using row_changes = std::vector<family_rows>;

/// Notes what the product's projections change, positions too. One thread.
class row_recorder {
public:
  /// All projections, each of which tells this object, which must live longer.
  [[nodiscard]] projection_list projections();

  /// What was changed since the last time; of several changes of a row the last.
  [[nodiscard]] row_changes take();

private:
  std::vector<std::map<std::string, std::optional<std::string>>> x_changed; ///< of each family
};

/// Every row in a folder of projections that no store has open. Blocks. Errors: as
/// `database::open`.
[[nodiscard]] result<row_changes> read_all_rows(const std::string& path);

/// Plain RocksDB with the families and settings of the projections' own. One thread. Errors of all:
/// `io_failed`.
class plain_database {
public:
  /// Makes the folder (its parent must exist). Blocks.
  [[nodiscard]] static result<std::unique_ptr<plain_database>> make(const std::string& path);

  ~plain_database();
  plain_database(const plain_database&) = delete;
  plain_database& operator=(const plain_database&) = delete;

  /// One write. Blocks.
  [[nodiscard]] result<void> write(const row_changes& rows);

  /// One sorted file for each family that has rows, taken in as it is. Blocks.
  [[nodiscard]] result<void> ingest(const row_changes& rows);

private:
  struct implementation;

  explicit plain_database(std::unique_ptr<implementation> made);

  std::unique_ptr<implementation> x_implementation;
};

} // namespace orrery::projections
