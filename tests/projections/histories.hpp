#pragma once

#include "projections/folded_commit.hpp"
#include "projections/store.hpp"
#include "tests/support/world.hpp"

#include <memory>
#include <string>
#include <vector>

/// What projection tests stand on: histories as the partition hands them out, and a folder.
namespace orrery::projections {

using history = std::vector<std::shared_ptr<const folded_commit>>;

/// The commits of a world, folded again, with the hashes that a log would give them.
[[nodiscard]] history history_of(const support::commit_list& commits,
                                 partition_number where = partition_number{0});

/// The same commits with every entity in another partition.
[[nodiscard]] support::commit_list moved_to(support::commit_list commits, partition_number where);

/// A long history of one world, much of it nonsense. Prints the seed when `name` is not empty.
[[nodiscard]] history random_history(std::uint64_t seed, std::size_t commands);

/// The seed of this run: ORRERY_SEED, or a random one. Prints it.
[[nodiscard]] std::uint64_t seed_of_this_run();

/// A folder of its own, removed with everything in it.
class temporary_folder {
public:
  temporary_folder();
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder();

  /// Where a store may be made.
  [[nodiscard]] std::string path() const { return x_base + "/projections"; }

  [[nodiscard]] const std::string& base() const { return x_base; }

private:
  std::string x_base;
};

/// Puts nonsense into the rows of a family whose keys begin with `prefix`; the store must be
/// closed.
void damage_rows(const std::string& folder, std::string_view family, std::string_view prefix);

/// Files of rows in bulk that lie beside the database.
[[nodiscard]] std::size_t files_in_bulk(const std::string& folder);

/// Opens a store; ends the test program when that fails.
[[nodiscard]] std::unique_ptr<store> open_store(const std::string& path);

/// A store with a history in it.
struct filled_store {
  temporary_folder folder;
  history commits;
  std::unique_ptr<store> rows;

  explicit filled_store(history folded);

  explicit filled_store(const support::world& world) : filled_store(history_of(world.commits())) {}
};

} // namespace orrery::projections
