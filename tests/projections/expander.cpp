#include "tests/projections/expander.hpp"

#include "events/core/check.hpp"
#include "tests/support/random_history.hpp"

#include <algorithm>
#include <filesystem>
#include <span>

namespace orrery::projections {

namespace {

using part = std::span<const std::shared_ptr<const folded_commit>>;

/// Largest random batch: above the store's own cut, so that both cuts are met.
constexpr std::size_t batch_size_max = batch_commits_max * 2;

void apply_all(store& rows, part commits) {
  const auto applied = rows.apply(commits);
  if (!applied)
    std::fprintf(stderr, "cannot apply: %s\n", applied.error().text.c_str());
  ORRERY_CHECK(applied);
}

std::string digest_of(const store& rows) {
  const auto digest = rows.digest();
  ORRERY_CHECK(digest);
  return *digest;
}

std::string as_it_is(const history& commits) {
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  apply_all(*rows, commits);
  return digest_of(*rows);
}

std::string one_at_a_time(const history& commits) {
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  for (const auto& commit : commits)
    apply_all(*rows, part(&commit, 1));
  return digest_of(*rows);
}

std::string everything_twice(const history& commits) {
  history doubled;
  for (const auto& commit : commits)
    doubled.insert(doubled.end(), 2, commit);
  auto digest = as_it_is(doubled);
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  apply_all(*rows, commits);
  apply_all(*rows, commits);
  ORRERY_CHECK(digest == digest_of(*rows));
  return digest;
}

std::string in_random_batches(const history& commits, support::dice& dice) {
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  for (part left(commits); !left.empty();) {
    const auto size = std::min<std::size_t>(1 + dice.below(batch_size_max), left.size());
    apply_all(*rows, left.first(size));
    left = left.subspan(size);
  }
  return digest_of(*rows);
}

std::string opened_again(const history& commits, support::dice& dice) {
  constexpr int stops = 4;
  const temporary_folder folder;
  auto rows = open_store(folder.path());
  std::size_t done = 0;
  for (int stop = 0; stop < stops; ++stop) {
    const auto until = done + dice.below(commits.size() - done + 1);
    const auto from = dice.below(done + 1); // a part comes again
    apply_all(*rows, part(commits).subspan(from, until - from));
    done = until;
    rows.reset();
    rows = open_store(folder.path());
  }
  apply_all(*rows, commits);
  return digest_of(*rows);
}

/// Each projection anew, from a random place on, in files of random sizes, before the rest comes.
std::string rebuilt_beside(const history& commits, support::dice& dice) {
  const temporary_folder folder;
  const auto rows = open_store(folder.path());
  const auto until = dice.below(commits.size() + 1);
  apply_all(*rows, part(commits).first(until));
  for (const auto& one : rows->status()) {
    const auto made =
        rows->begin_refolding(one.name, refold_aim::replace, 1 + dice.below(std::size_t{1} << 16));
    ORRERY_CHECK(made);
    const auto ahead = until + dice.below(commits.size() - until + 1);
    for (part left = part(commits).first(ahead); !left.empty();) {
      const auto size = std::min<std::size_t>(1 + dice.below(batch_size_max), left.size());
      ORRERY_CHECK((*made)->apply(left.first(size)));
      left = left.subspan(size);
    }
    const auto held = rows->hold();
    ORRERY_CHECK(rows->replace(held, **made));
  }
  apply_all(*rows, commits);
  return digest_of(*rows);
}

std::string rebuilt(const history& commits) {
  const temporary_folder folder;
  auto rows = open_store(folder.path());
  apply_all(*rows, commits);
  rows.reset();
  std::filesystem::remove_all(folder.path());
  rows = open_store(folder.path());
  ORRERY_CHECK(rows->lowest_position(partition_number{0}) == log_position{});
  apply_all(*rows, commits);
  return digest_of(*rows);
}

} // namespace

std::vector<way> expand(const history& commits, std::uint64_t seed) {
  support::dice dice(seed);
  return {
      {"as it is", as_it_is(commits)},
      {"one commit at a time", one_at_a_time(commits)},
      {"every commit twice", everything_twice(commits)},
      {"in random batches", in_random_batches(commits, dice)},
      {"opened again in the middle", opened_again(commits, dice)},
      {"rebuilt from nothing", rebuilt(commits)},
      {"rebuilt beside the live rows", rebuilt_beside(commits, dice)},
  };
}

} // namespace orrery::projections
