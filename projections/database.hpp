#pragma once

#include "projections/projection.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace orrery::projections {

/// A column family that a database shall have.
struct family_wish {
  std::string name;
  std::uint32_t version = 0; ///< of its rows
};

/// Rows of several families on disk, changed in one atomic write: all of RocksDB. A family is known
/// by its place in the list with which the database was opened.
class database {
public:
  /// All families at one moment, as long as it or one of its readers lives. Any thread.
  class moment {
  public:
    moment() = default;
    moment(const moment&) = delete;
    moment& operator=(const moment&) = delete;
    virtual ~moment() = default;

    [[nodiscard]] virtual std::unique_ptr<reader> rows(std::size_t family) const = 0;
  };

  /// Changes that wait for one write, over what is stored.
  class changes {
  public:
    changes() = default;
    changes(const changes&) = delete;
    changes& operator=(const changes&) = delete;
    virtual ~changes() = default;

    [[nodiscard]] virtual writer& rows(std::size_t family) = 0;
  };

  /// Rows of one family that are made anew beside it, in bulk: gathered in memory, and written as
  /// sorted files that become part of the database as they are. What did not replace the family is
  /// dropped, by the destructor or by the next `open`. One thread; the database must live longer.
  class bulk {
  public:
    bulk() = default;
    bulk(const bulk&) = delete;
    bulk& operator=(const bulk&) = delete;
    virtual ~bulk() = default;

    [[nodiscard]] virtual writer& rows() = 0;

    /// About how much is gathered in memory.
    [[nodiscard]] virtual std::size_t bytes_gathered() const = 0;

    /// Writes what is gathered. Blocks. Errors: of a read that failed while it was gathered,
    /// `storage_full`, `damaged`, `io_failed`; the rows are of no use then.
    [[nodiscard]] virtual result<void> write_out() = 0;

    /// What was written out, at this moment.
    [[nodiscard]] virtual std::unique_ptr<reader> written() const = 0;
  };

  /// Opens or makes the folder (its parent must exist). Rows of a family with another version are
  /// dropped, as is a family that is not wanted. Blocks: reads from the disk. Errors: `locked`
  /// (another process has it open), `damaged` (the text says how to rebuild), `storage_full`,
  /// `io_failed`.
  [[nodiscard]] static result<std::unique_ptr<database>> open(const std::string& path,
                                                              std::vector<family_wish> families);

  ~database();
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  /// Whether there were rows of another version, which are gone.
  [[nodiscard]] bool was_dropped(std::size_t family) const;

  [[nodiscard]] std::unique_ptr<moment> now() const;

  [[nodiscard]] std::unique_ptr<changes> begin_changes();

  /// Writes changes that `begin_changes` made, all or nothing. Durable against a crash of the
  /// process; after a power loss an older moment is found. One at a time. Blocks. Errors: of a read
  /// that failed while the changes were made, `storage_full` (retryable), `damaged`, `io_failed`.
  [[nodiscard]] result<void> write(changes& made);

  /// Begins to make the rows of a family anew; one at a time for each family. Blocks for a moment.
  /// Errors: `storage_full`, `damaged`, `io_failed`.
  [[nodiscard]] result<std::unique_ptr<bulk>> begin_bulk(std::size_t family);

  /// Makes the rows of `made` those of its family, at once and durably, for all moments and changes
  /// that begin from now on; older moments keep the old rows. Not beside `begin_changes` or
  /// `write`. Blocks. Errors: as `write`; then the family has its old rows.
  [[nodiscard]] result<void> replace(bulk& made);

private:
  struct implementation;

  explicit database(std::unique_ptr<implementation> made);

  std::unique_ptr<implementation> x_implementation;
};

} // namespace orrery::projections
